//! What an agent does first, before it dials: takes up what an earlier run left on the machine. Generic over whoever
//! does the work, so that a simulation boots as the machine does.

use crate::executors::{self, Broke};
use crate::host::{Host, HostError};
use crate::journal::Journal;
use crate::worker::{Crew, Identity, Worker, WorkerError};
use domain::grantee::{Entry, Grantee, Held};
use domain::ids::ActionId;
use domain::time::Timestamp;
use std::path::Path;

/// Why an agent cannot take up its work.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The journal.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// What an earlier agent may have left running.
#[must_use = "whoever takes up a journal tries again what did not die"]
#[derive(Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// Nothing.
    Gone,
    /// Processes that did not die, or could not be looked for.
    MayLive,
}

impl Leftovers {
    /// Once more, now and then, until nothing is left: with its journal lost, an action has nobody else who kills what it
    /// started. What the agent holds by now is left alone.
    pub fn sweep_again(&mut self, host: &dyn Host, grantee: &Grantee) {
        if *self == Self::MayLive {
            *self = sweep(host, &|action| grantee.held(action).is_some_and(|held| !held.acknowledged()));
        }
    }
}

fn sweep(host: &dyn Host, is_held: &dyn Fn(ActionId) -> bool) -> Leftovers {
    let Err(broke) = executors::sweep(host, is_held) else { return Leftovers::Gone };
    tracing::error!(why = broke.why, "something of an earlier agent does not die yet; trying again");
    Leftovers::MayLive
}

/// Takes up `journal`, which holds `entries`: kills whatever an earlier agent left running, begins what is to be undone,
/// and removes what no action stands for any more. `staging` is where actions have their private folders.
///
/// # Errors
/// The journal cannot be written or says what cannot be, or an isolation that is over cannot be lifted.
pub fn take_up<C: Crew>(
    journal: Journal,
    entries: &[Entry],
    crew: C,
    identity: Identity,
    host: &dyn Host,
    staging: &Path,
    now: Timestamp,
) -> Result<(Worker<C>, Leftovers), BootError> {
    // Whatever the journal says: nothing that an earlier agent started may live beside this one. What does not die is no
    // reason not to start: the machine must stay manageable.
    let leftovers = sweep(host, &|_| false);
    let worker = Worker::boot(journal, entries, crew, identity, now)?;
    clear_staging(host, staging, &worker);
    lift_orphaned_isolation(host, &worker)?;
    Ok((worker, leftovers))
}

/// Private folders of actions that are over, or that the journal does not know.
fn clear_staging<C: Crew>(host: &dyn Host, staging: &Path, worker: &Worker<C>) {
    let stays_behind = |e| tracing::warn!(why = Broke::from(e).why, "a private folder stays behind");
    let folders = host.private_folders(staging).unwrap_or_else(|e| {
        stays_behind(e);
        Vec::new()
    });
    for folder in folders {
        let held = ActionId::parse(&folder).and_then(|action| worker.grantee().held(action));
        if held.is_none_or(Held::acknowledged)
            && let Err(e) = host.remove_private_folder(&staging.join(folder))
        {
            stays_behind(e);
        }
    }
}

/// An isolation of ours that no action stands for any more is lifted. One by an action that this journal does not know
/// stays: to lift a containment on a doubt would be the greater harm, and a release takes it away at any time.
fn lift_orphaned_isolation<C: Crew>(host: &dyn Host, worker: &Worker<C>) -> Result<(), HostError> {
    // Without the means to isolate there is no isolation of ours.
    let Ok(Some(mark)) = executors::isolated_by(host) else { return Ok(()) };
    let Some(action) = ActionId::parse(&mark) else { return Ok(()) };
    match worker.grantee().held(action) {
        Some(held) if held.acknowledged() && worker.grantee().isolated_by() != Some(action) => {
            tracing::warn!(%action, "an isolation that is over is still there: lifting it");
            host.lift_isolation()?;
        }
        None => tracing::warn!(%action, "isolated by an action this journal does not know; a release lifts it"),
        Some(_) => {}
    }
    Ok(())
}
