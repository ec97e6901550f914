//! What may never be, refused below the code, as SQLite's triggers and constraints do.

use super::tables::Tables;
use crate::StoreError;
use domain::action::{Action, State};
use domain::ids::{ActionId, Epoch};
use domain::lifecycle::Stage;

/// Refuses an action that does not begin as one.
pub(super) fn begins(action: &Action) -> Result<(), StoreError> {
    if action.stage() != Stage::Pending || action.revision != 1 {
        return Err(refused("an action begins Pending, at revision 1"));
    }
    Ok(())
}

/// Refuses a change of what stands that no decision can have made.
pub(super) fn follows(stands: &Action, next: &Action) -> Result<(), StoreError> {
    if stands.stage().is_final() {
        return Err(refused("a final action never changes"));
    }
    if stands.revision.checked_add(1) != Some(next.revision) {
        return Err(refused("the revision of an action rises by one with every change"));
    }
    if stands.state.cancel().is_some() && stands.state.cancel() != next.state.cancel() {
        return Err(refused("an accepted cancel never changes"));
    }
    grant_follows(&stands.state, &next.state)
}

fn grant_follows(stands: &State, next: &State) -> Result<(), StoreError> {
    let granted = next.grant();
    if let Some(grant) = granted {
        fits(grant.epoch.0)?;
    }
    let Some(held) = stands.grant() else { return Ok(()) };
    if stands.cancel().is_some() && granted != Some(held) {
        return Err(refused("there is no grant after a cancel"));
    }
    match granted {
        Some(grant) if grant.journal == held.journal && grant.epoch >= held.epoch => Ok(()),
        _ => Err(refused("a grant stays with its journal, and its epoch only rises")),
    }
}

/// Refuses a second open action of a class on a machine.
pub(super) fn opens_alone(tables: &Tables, next: &Action) -> Result<(), StoreError> {
    let class = next.kind().class();
    let mut others = tables.live_rows(next.machine).map(|row| &row.action).filter(|other| other.id != next.id);
    if next.stage().is_open() && others.any(|other| other.stage().is_open() && other.kind().class() == class) {
        return Err(refused("at most one action of a class is open on a machine"));
    }
    Ok(())
}

/// Refuses a move to a stage without a line that says so.
pub(super) fn is_told(action: ActionId, moved_to: Option<Stage>, said: Option<Stage>) -> Result<(), StoreError> {
    match (moved_to, said) {
        (Some(stage), None) => {
            Err(StoreError::Refused(format!("{action} moves to {stage} without a line in its history")))
        }
        (Some(stage), Some(said)) if stage != said => {
            Err(StoreError::Refused(format!("{action} moves to {stage}, and the line of it says {said}")))
        }
        _ => Ok(()),
    }
}

/// Refuses a count beyond what a database column holds, which a real engine could not keep.
pub(super) fn fits(count: u64) -> Result<(), StoreError> {
    match i64::try_from(count) {
        Ok(_) => Ok(()),
        Err(_) => Err(StoreError::Refused(format!("{count} is beyond what a column holds"))),
    }
}

/// The number of the next session.
pub(super) fn next_session(session: Epoch) -> Result<Epoch, StoreError> {
    let next = Epoch(session.0.saturating_add(1));
    fits(next.0).map(|()| next)
}

/// A refusal.
pub(super) fn refused(why: &str) -> StoreError {
    StoreError::Refused(why.into())
}
