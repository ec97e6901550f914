//! Machines: enrolment, sessions, and what they told.

use super::guards;
use super::listing::at_most;
use super::tables::{Tables, Token};
use crate::{EnrolToken, Enrolled, MachineQuery, StoreError};
use domain::ids::{Digest, Epoch, MachineId};
use domain::machine::{Machine, Told};
use domain::time::Timestamp;

impl Tables {
    /// Adds an enrolment token; one that is there takes the new limits and keeps its uses.
    pub(super) fn add_enrol_token(&mut self, token: &EnrolToken) {
        let uses = self.tokens.get(&token.digest).map_or(0, |known| known.uses);
        self.tokens.insert(token.digest, Token { limits: token.clone(), uses });
        self.count();
    }

    /// Adds a machine, and uses the token once.
    pub(super) fn enrol(&mut self, machine: &Machine, token: &Digest, now: Timestamp) -> Result<Enrolled, StoreError> {
        let Some(known) = self.tokens.get_mut(token) else { return Ok(Enrolled::UnknownToken) };
        if now >= known.limits.expires_at {
            return Ok(Enrolled::Expired);
        }
        if known.uses >= known.limits.uses_max {
            return Ok(Enrolled::UsedUp);
        }
        guards::fits(machine.session.0)?;
        if self.machines.contains_key(&machine.id) {
            return Err(StoreError::Refused(format!("the machine {} is on record already", machine.id)));
        }
        known.uses += 1;
        self.machines.insert(machine.id, machine.clone());
        self.count();
        Ok(Enrolled::Stored)
    }

    /// Opens a session; its number, or none for a machine or incarnation that is not there.
    pub(super) fn open_session(
        &mut self,
        id: MachineId,
        incarnation: u32,
        told: &Told,
        now: Timestamp,
    ) -> Result<Option<Epoch>, StoreError> {
        let machine = self.machines.get_mut(&id).filter(|machine| machine.incarnation == incarnation);
        let Some(machine) = machine else { return Ok(None) };
        let session = Epoch(machine.session.0.saturating_add(1));
        guards::fits(session.0)?;
        (machine.session, machine.told, machine.last_seen) = (session, told.clone(), now);
        self.count();
        Ok(Some(session))
    }

    /// Keeps that the machine was heard of.
    pub(super) fn seen(&mut self, id: MachineId, now: Timestamp) {
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.last_seen = now;
            self.count();
        }
    }

    /// Machines that match, by name.
    pub(super) fn machines_listed(&self, query: &MachineQuery) -> Vec<Machine> {
        let name = query.name.as_deref().map(folded);
        let matches = |machine: &&Machine| {
            query.id.is_none_or(|id| machine.id == id)
                && name.as_ref().is_none_or(|name| folded(&machine.name) == *name)
        };
        let mut found: Vec<&Machine> = self.machines.values().filter(matches).collect();
        found.sort_by_cached_key(|machine| (folded(&machine.name), machine.id));
        found.into_iter().take(at_most(query.limit)).cloned().collect()
    }
}

/// How a name is compared.
fn folded(name: &str) -> String {
    name.to_lowercase()
}
