//! The load: so many in flight, every answer remembered as it came.

use super::fill::Slot;
use crate::dice::Dice;
use crate::figures;
use anyhow::ensure;
use cli::client::{Client, ClientError};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// How many requests are under way at once.
pub(crate) const IN_FLIGHT: usize = 64;

/// The pause before something is asked again that did not arrive.
const AGAIN: Duration = Duration::from_millis(20);

/// How often it is asked again at most; more than enough for every start of the server.
const AGAIN_MAX: usize = 3000;

/// What is known of one action that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Its comment, which no other request has.
    pub(crate) comment: String,
    /// The answer to its creation; none: the answer was lost, it may be there or not.
    pub(crate) created: Option<Value>,
    /// The answer to its cancel, if it was cancelled.
    pub(crate) cancelled: Option<Value>,
    /// How often the answer to its cancel was lost before.
    pub(crate) cancels_lost: usize,
}

/// The load and what came of it.
pub(crate) struct Load {
    slots: Mutex<VecDeque<Slot>>,
    records: Mutex<Vec<Record>>,
    actions: usize,
    seed: u64,
    next: AtomicUsize,
    done: AtomicUsize,
    in_doubt: AtomicUsize,
}

impl Load {
    /// So many actions, in these slots.
    pub(crate) fn new(slots: Vec<Slot>, actions: usize, seed: u64) -> Self {
        Self {
            slots: Mutex::new(slots.into()),
            records: Mutex::default(),
            actions,
            seed,
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            in_doubt: AtomicUsize::new(0),
        }
    }

    /// Starts it. Each of the tasks has one request under way.
    pub(crate) fn start(load: &Arc<Self>, runtime: &Runtime, client: &Client) -> Vec<JoinHandle<anyhow::Result<()>>> {
        let task = |_| {
            let (load, client) = (Arc::clone(load), client.clone());
            runtime.spawn(async move { load.work(&client).await })
        };
        (0..IN_FLIGHT).map(task).collect()
    }

    /// Waits until so many actions are dealt with.
    ///
    /// # Errors
    /// There is no progress for too long.
    pub(crate) fn wait_until(&self, count: usize, stalled_after: Duration, look_every: Duration) -> anyhow::Result<()> {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            let done = self.done.load(Ordering::Relaxed);
            if done >= count {
                return Ok(());
            }
            if done != before {
                (before, since) = (done, Instant::now());
            }
            ensure!(since.elapsed() < stalled_after, "no progress for {stalled_after:?}, after {done} actions");
            std::thread::sleep(look_every);
        }
    }

    /// How many answers were lost so far.
    pub(crate) fn in_doubt(&self) -> usize {
        self.in_doubt.load(Ordering::Relaxed)
    }

    /// What came of it.
    pub(crate) fn take(&self) -> Vec<Record> {
        std::mem::take(&mut *lock(&self.records))
    }

    async fn work(&self, client: &Client) -> anyhow::Result<()> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.actions {
                return Ok(());
            }
            let Some(slot) = lock(&self.slots).pop_front() else {
                anyhow::bail!("there is no room for another action")
            };
            let record = self.one(client, number, slot).await?;
            lock(&self.records).push(record);
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn one(&self, client: &Client, number: usize, slot: Slot) -> anyhow::Result<Record> {
        let comment = format!("durable {number:06}");
        let mut record = Record { created: None, cancelled: None, cancels_lost: 0, comment };
        let created = self.create(client, &slot, &record.comment).await?;
        let Some((id, json)) = created else {
            // Whether it is there or not: its slot may be taken.
            return Ok(record);
        };
        record.created = Some(json);
        if Dice::part(self.seed, number as u64).below(2) == 0 {
            self.cancel(client, &id, &mut record).await?;
            lock(&self.slots).push_back(slot);
        }
        Ok(record)
    }

    /// None: an answer was lost.
    async fn create(&self, client: &Client, slot: &Slot, comment: &str) -> anyhow::Result<Option<(String, Value)>> {
        for _ in 0..AGAIN_MAX {
            match slot.create(client, comment).await {
                Ok(answer) => return Ok(Some((answer.item.id, answer.json))),
                Err(error) if error.may_have_arrived() => {
                    self.in_doubt.fetch_add(1, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(error) => self.again(error).await?,
            }
        }
        anyhow::bail!("the server did not come back")
    }

    /// A cancel may be asked for again: it is the same cancel.
    async fn cancel(&self, client: &Client, id: &str, record: &mut Record) -> anyhow::Result<()> {
        for _ in 0..AGAIN_MAX {
            match client.cancel(id, &record.comment).await {
                Ok(answer) => {
                    record.cancelled = Some(answer.json);
                    return Ok(());
                }
                Err(error) => {
                    let lost = usize::from(error.may_have_arrived());
                    record.cancels_lost += lost;
                    self.in_doubt.fetch_add(lost, Ordering::Relaxed);
                    self.again(error).await?;
                }
            }
        }
        anyhow::bail!("the server did not come back")
    }

    async fn again(&self, error: ClientError) -> anyhow::Result<()> {
        if !error.is_passing() {
            return Err(error.into());
        }
        tokio::time::sleep(AGAIN).await;
        Ok(())
    }
}

/// Shows what came of it.
pub(super) fn print(records: &[Record], took: Duration) {
    let created = records.iter().filter(|record| record.created.is_some()).count();
    let cancelled = records.iter().filter(|record| record.cancelled.is_some()).count();
    let lost = records.len() - created;
    println!(
        "  {created} creates and {cancelled} cancels acknowledged, {lost} creates in doubt, in {:.1} s ({:.0} a second)",
        took.as_secs_f64(),
        figures::per_second(created + cancelled, took)
    );
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Lists, whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
