//! "Look now." Carries no content and has no authority: a wake may be lost, repeated or forged, and only latency
//! changes, because the sweep looks anyway.

use domain::ids::{ActionId, Epoch, MachineId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, broadcast};

/// Changed actions a slow waiter may be behind before it just looks again.
const CHANGES_BUFFERED_MAX: usize = 1024;

/// Who is to be woken.
#[derive(Debug)]
pub struct Wake {
    machines: Mutex<HashMap<MachineId, (Epoch, Arc<Notify>)>>,
    changes: broadcast::Sender<ActionId>,
}

impl Default for Wake {
    fn default() -> Self {
        Self { machines: Mutex::default(), changes: broadcast::Sender::new(CHANGES_BUFFERED_MAX) }
    }
}

impl Wake {
    /// Wakes the machine's stream, if there is one here.
    pub fn machine(&self, machine: MachineId) {
        if let Some((_, notify)) = self.machines().get(&machine) {
            notify.notify_one();
        }
    }

    /// Tells whoever waits for this action that it changed.
    pub fn changed(&self, action: ActionId) {
        // No receiver is the usual case: nobody waits.
        let _ = self.changes.send(action);
    }

    /// What wakes the stream of this session. Of several streams of a machine the one with the highest session is woken,
    /// whichever came here first; the other is woken once more, to see that it is not the newest.
    pub fn stream(&self, machine: MachineId, session: Epoch) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        let mut machines = self.machines();
        match machines.get(&machine) {
            Some((newer, _)) if *newer > session => notify.notify_one(),
            _ => {
                if let Some((_, older)) = machines.insert(machine, (session, Arc::clone(&notify))) {
                    older.notify_one();
                }
            }
        }
        notify
    }

    /// The stream that was given `notify` is gone.
    pub fn gone(&self, machine: MachineId, notify: &Arc<Notify>) {
        let mut machines = self.machines();
        if machines.get(&machine).is_some_and(|(_, current)| Arc::ptr_eq(current, notify)) {
            machines.remove(&machine);
        }
    }

    /// Whether this machine has a stream here.
    pub fn is_connected(&self, machine: MachineId) -> bool {
        self.machines().contains_key(&machine)
    }

    /// How many machines have a stream here.
    pub fn connected(&self) -> usize {
        self.machines().len()
    }

    /// Every change from now on.
    pub fn changes(&self) -> broadcast::Receiver<ActionId> {
        self.changes.subscribe()
    }

    fn machines(&self) -> MutexGuard<'_, HashMap<MachineId, (Epoch, Arc<Notify>)>> {
        // The map is whole after every statement above, so a panic elsewhere leaves nothing half-done in it.
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn woken(notify: &Notify) -> bool {
        tokio::time::timeout(Duration::from_millis(20), notify.notified()).await.is_ok()
    }

    #[tokio::test]
    async fn an_older_stream_that_comes_late_does_not_make_the_newer_one_deaf() {
        let (wake, machine) = (Wake::default(), MachineId([1; 20]));
        let newer = wake.stream(machine, Epoch(6));
        let older = wake.stream(machine, Epoch(5));
        assert!(woken(&older).await, "the older one looks, and sees that it is not the newest");
        wake.gone(machine, &older);
        wake.machine(machine);
        assert!(woken(&newer).await);
        let newest = wake.stream(machine, Epoch(7));
        assert!(woken(&newer).await, "told to look");
        wake.gone(machine, &newer);
        wake.machine(machine);
        assert!(woken(&newest).await);
    }
}
