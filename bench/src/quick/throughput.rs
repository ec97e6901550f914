//! Creates and cancels a second, over HTTPS, with so many in flight. Each is durable when it is answered.

use crate::durable::{IN_FLIGHT, SLOTS_PER_MACHINE, Slot, enrol, provide, slots};
use crate::figures;
use crate::playground::{self, Wanted};
use anyhow::{Context as _, ensure};
use cli::client::Client;
use cli::fleet::Fleet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A server with machines whose agents do not run.
pub(super) struct Throughput {
    fleet: Fleet,
    folder: TempDir,
    runtime: Runtime,
    client: Client,
    slots: Arc<Vec<Slot>>,
}

/// So many a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// Creates.
    pub(super) creates: f64,
    /// Cancels of what is Pending.
    pub(super) cancels: f64,
}

impl Throughput {
    /// Enrols machines enough for so many actions at once.
    ///
    /// # Errors
    /// The fleet does not come up.
    pub(super) fn open(actions: usize) -> anyhow::Result<Self> {
        let machines = actions.div_ceil(SLOTS_PER_MACHINE);
        let wanted =
            Wanted { machines: vec![], server_args: vec!["--no-limits"], enrol_uses: u32::try_from(machines)? };
        let (fleet, folder) = playground::open(wanted)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let client = fleet.client()?;
        let ids = runtime.block_on(enrol(&fleet, machines))?;
        runtime.block_on(provide(&client))?;
        let mut slots = slots(&ids);
        slots.truncate(actions);
        Ok(Self { fleet, folder, runtime, client, slots: Arc::new(slots) })
    }

    /// Creates an action in every slot, then cancels each.
    ///
    /// # Errors
    /// One is refused.
    pub(super) fn round(&self) -> anyhow::Result<Rates> {
        let slots = Arc::clone(&self.slots);
        let ids: Arc<Mutex<Vec<String>>> = Arc::default();
        let (keep, count) = (Arc::clone(&ids), slots.len());
        let creates = self.rate(count, move |client, number| {
            let (slots, keep) = (Arc::clone(&slots), Arc::clone(&keep));
            async move {
                let created = slots[number].create(&client, &format!("bench {number:06}")).await?;
                keep.lock().unwrap_or_else(PoisonError::into_inner).push(created.item.id);
                anyhow::Ok(())
            }
        })?;
        let ids: Arc<Vec<String>> = Arc::new(std::mem::take(&mut ids.lock().unwrap_or_else(PoisonError::into_inner)));
        let cancels = self.rate(count, move |client, number| {
            let ids = Arc::clone(&ids);
            async move {
                let answer = client.cancel(&ids[number], "bench").await?;
                ensure!(answer.item.status == "Cancelled", "a cancel of Pending was answered {}", answer.item.status);
                Ok(())
            }
        })?;
        println!("  {count} creates at {creates:.0}/s, {count} cancels at {cancels:.0}/s");
        Ok(Rates { creates, cancels })
    }

    /// Ends everything.
    ///
    /// # Errors
    /// Something remains.
    pub(super) fn close(self) -> anyhow::Result<()> {
        drop(self.runtime);
        playground::close(self.fleet, self.folder)
    }

    /// Does `one` for each number below `count`, so many at once, and says how many a second that was.
    fn rate<F, R>(&self, count: usize, one: F) -> anyhow::Result<f64>
    where
        F: Fn(Client, usize) -> R + Clone + Send + 'static,
        R: Future<Output = anyhow::Result<()>> + Send,
    {
        let next = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let tasks: Vec<_> = (0..IN_FLIGHT)
            .map(|_| {
                let (client, next, one) = (self.client.clone(), Arc::clone(&next), one.clone());
                self.runtime.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return anyhow::Ok(());
                        }
                        one(client.clone(), number).await?;
                    }
                })
            })
            .collect();
        for task in tasks {
            self.runtime.block_on(task).context("a task of the load panicked")??;
        }
        Ok(figures::per_second(count, began.elapsed()))
    }
}
