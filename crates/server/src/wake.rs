//! "Look now." Carries no content and has no authority: a wake may be lost, repeated or forged, and only latency
//! changes, because the sweep looks anyway.

use domain::ids::{ActionId, MachineId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, broadcast};

/// Changed actions a slow waiter may be behind before it just looks again.
const CHANGES_BUFFERED_MAX: usize = 1024;

/// Who is to be woken.
#[derive(Debug)]
pub struct Wake {
    machines: Mutex<HashMap<MachineId, Arc<Notify>>>,
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
        if let Some(notify) = self.machines().get(&machine) {
            notify.notify_one();
        }
    }

    /// Tells whoever waits for this action that it changed.
    pub fn changed(&self, action: ActionId) {
        // No receiver is the usual case: nobody waits.
        let _ = self.changes.send(action);
    }

    /// What wakes this machine's newest stream. An older stream of the machine is no longer woken.
    pub fn stream(&self, machine: MachineId) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        self.machines().insert(machine, Arc::clone(&notify));
        notify
    }

    /// The stream that was given `notify` is gone.
    pub fn gone(&self, machine: MachineId, notify: &Arc<Notify>) {
        let mut machines = self.machines();
        if machines.get(&machine).is_some_and(|current| Arc::ptr_eq(current, notify)) {
            machines.remove(&machine);
        }
    }

    /// How many machines have a stream here.
    pub fn connected(&self) -> usize {
        self.machines().len()
    }

    /// Every change from now on.
    pub fn changes(&self) -> broadcast::Receiver<ActionId> {
        self.changes.subscribe()
    }

    fn machines(&self) -> MutexGuard<'_, HashMap<MachineId, Arc<Notify>>> {
        // The map is whole after every statement above, so a panic elsewhere leaves nothing half-done in it.
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
