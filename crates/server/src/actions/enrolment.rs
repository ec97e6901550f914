//! Becoming known: as a new machine, or, on an operator's word, again under the record of one that is known.

use super::{ActionError, Actions, DECIDE_AGAIN_MAX, Origin, token_name};
use domain::audit::{CallerKind, Entry};
use domain::decide::{Change, Decision, decide};
use domain::hello;
use domain::ids::{ActionId, Digest, MachineId};
use domain::machine::{Machine, Told};
use domain::time::Timestamp;
pub use store::Enrolled;
use store::{Reenrolment, StoreError};

/// The longest machine name, in bytes.
pub const MACHINE_NAME_BYTES_MAX: usize = 253;

/// A machine that asks to be enrolled again.
pub struct Returning<'a> {
    /// The machine that its token is for.
    pub machine: MachineId,
    /// Its own name for itself.
    pub name: &'a str,
    /// The token.
    pub token: &'a str,
}

impl Actions {
    /// The machine on record that a token enrols again; none for a token that enrols new ones, and for an unknown one.
    pub async fn enrols_again(&self, token: &str) -> Result<Option<MachineId>, ActionError> {
        Ok(self.store.enrol_token(&digest(token)).await?.and_then(|token| token.machine))
    }

    /// Records a machine that came with a valid token.
    pub async fn enrol(
        &self,
        machine: &Machine,
        token: &str,
        now: Timestamp,
        origin: &Origin,
    ) -> Result<Enrolled, ActionError> {
        let (token, entry) = (digest(token), entry_of(origin, now, &machine.name, token).machine(machine.id));
        Ok(self.store.enrol(machine, &token, now, &entry).await?)
    }

    /// Enrols a machine on record again: the next incarnation, for which `certify` makes the certificate first. In the
    /// same transaction everything that is open on it ends, for its earlier enrolment is not believed any more; a server
    /// that dies has done all of this or nothing. What was never granted waits on.
    pub async fn reenrol<C>(
        &self,
        returning: &Returning<'_>,
        now: Timestamp,
        origin: &Origin,
        certify: impl Fn(u32) -> Result<C, ActionError>,
    ) -> Result<(Enrolled, u32, C), ActionError> {
        let machine = returning.machine;
        for _ in 0..DECIDE_AGAIN_MAX {
            let not_found = || ActionError::NotFound(format!("Machine {machine}"));
            let before = self.store.machine(machine).await?.ok_or_else(not_found)?;
            let incarnation = before.incarnation.saturating_add(1);
            // First: a request that cannot be certified must not use up a token.
            let certificate = certify(incarnation)?;
            let ends = self.ends_of(machine, now).await?;
            let ended: Vec<ActionId> = ends.iter().map(|change| change.action.id).collect();
            let (name, told) = (returning.name.to_string(), unheard());
            let again = Reenrolment { machine, incarnation, name, told, ends };
            let entry = entry_of(origin, now, returning.name, returning.token).machine(machine);
            let enrolled = self.store.reenrol(&again, &digest(returning.token), now, &entry).await?;
            if enrolled == Enrolled::Moved {
                continue;
            }
            if enrolled == Enrolled::Stored {
                self.say_enrolled_again(&before, &again, &ended);
            }
            return Ok((enrolled, incarnation, certificate));
        }
        Err(StoreError::Unavailable(format!("machine {machine} moved {DECIDE_AGAIN_MAX} times under one enrolment"))
            .into())
    }

    /// The ends of what is open on a machine that is enrolled again.
    async fn ends_of(&self, machine: MachineId, now: Timestamp) -> Result<Vec<Change>, ActionError> {
        let mut ends = Vec::new();
        for action in self.store.live_actions(machine).await? {
            let Some(event) = hello::on_enrolment(&action) else { continue };
            if let Decision::Change(change, _) = decide(&action, event, now).map_err(ActionError::Refused)? {
                ends.push(*change);
            }
        }
        Ok(ends)
    }

    fn say_enrolled_again(&self, before: &Machine, again: &Reenrolment, ended: &[ActionId]) {
        let (machine, incarnation) = (again.machine, again.incarnation);
        tracing::warn!(%machine, incarnation, was = before.name, name = again.name, "a machine was enrolled again");
        for action in ended {
            tracing::warn!(%machine, %action, "the machine that held the grant was enrolled again");
            self.wake.changed(*action);
        }
        // A stream of the earlier enrolment looks, and sees that it is not the newest any more.
        self.wake.machine(machine);
    }
}

/// What is known of a machine that has not said Hello yet.
pub(crate) fn unheard() -> Told {
    Told { os_platform: "Linux".into(), ..Told::default() }
}

/// A line of an enrolment: the machine by its own name for itself, and the token by ours for it.
fn entry_of(origin: &Origin, now: Timestamp, name: &str, token: &str) -> Entry {
    origin.entry(now, CallerKind::Machine, name).object(token_name(&digest(token)))
}

fn digest(token: &str) -> Digest {
    Digest::of(token.as_bytes())
}
