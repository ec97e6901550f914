//! Machines: enrolment, sessions, and what they told.

use super::guards;
use super::tables::{Tables, Token};
use crate::{EnrolToken, Enrolled, Filter, MachineField, MachineQuery, Reenrolment, StoreError, Tagged};
use domain::audit::Entry;
use domain::ids::{ActionId, Digest, Epoch, MachineId};
use domain::machine::{Machine, TagChange, Told};
use domain::time::Timestamp;
use std::collections::BTreeSet;

impl Tables {
    /// Adds an enrolment token; one that is there takes the new limits and keeps its uses.
    pub(super) fn add_enrol_token(&mut self, token: &EnrolToken, audit: &Entry) -> Result<(), StoreError> {
        if token.machine.is_some_and(|id| !self.machines.contains_key(&id)) {
            return Err(guards::refused("there is no such machine to enrol again"));
        }
        if token.machine.is_some() && token.uses_max > 1 {
            return Err(guards::refused("a machine is enrolled again once with a token"));
        }
        let known = self.tokens.get(&token.digest);
        if known.is_some_and(|known| known.limits.machine != token.machine) {
            return Err(guards::refused("an enrolment token stays with its machine"));
        }
        let uses = known.map_or(0, |known| known.uses);
        self.tokens.insert(token.digest, Token { limits: token.clone(), uses });
        self.append_audit(audit);
        self.count();
        Ok(())
    }

    /// Why this token does not enrol: a new machine, or `machine` again. None: it does.
    fn token_refused(&self, token: &Digest, machine: Option<MachineId>, now: Timestamp) -> Option<Enrolled> {
        match self.tokens.get(token) {
            None => Some(Enrolled::UnknownToken),
            Some(known) if now >= known.limits.expires_at => Some(Enrolled::Expired),
            Some(known) if known.uses >= known.limits.uses_max => Some(Enrolled::UsedUp),
            Some(known) => (known.limits.machine != machine).then_some(Enrolled::OtherMachine),
        }
    }

    fn use_once(&mut self, token: &Digest) {
        if let Some(known) = self.tokens.get_mut(token) {
            known.uses += 1;
        }
    }

    /// Adds a machine, and uses the token once.
    pub(super) fn enrol(
        &mut self,
        machine: &Machine,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError> {
        if let Some(why) = self.token_refused(token, None, now) {
            return Ok(why);
        }
        guards::fits(machine.session.0)?;
        if self.machines.contains_key(&machine.id) {
            return Err(StoreError::Refused(format!("the machine {} is on record already", machine.id)));
        }
        self.use_once(token);
        self.machines.insert(machine.id, machine.clone());
        self.append_audit(audit);
        self.count();
        Ok(Enrolled::Stored)
    }

    /// Enrols a machine again, and ends what is open on it.
    pub(super) fn reenrol(
        &mut self,
        again: &Reenrolment,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError> {
        if let Some(why) = self.token_refused(token, Some(again.machine), now) {
            return Ok(why);
        }
        let open = self.live_rows(again.machine).map(|row| &row.action).filter(|action| action.stage().is_open());
        let open: BTreeSet<(ActionId, u64)> = open.map(|action| (action.id, action.revision)).collect();
        let ended = again.ends.iter().map(|change| (change.action.id, change.from_revision)).collect();
        let machine = self.machines.get(&again.machine).ok_or_else(|| guards::refused("there is no such machine"))?;
        if machine.incarnation.checked_add(1) != Some(again.incarnation) || open != ended {
            return Ok(Enrolled::Moved);
        }
        let session = guards::next_session(machine.session)?;
        self.end_all(&again.ends)?;
        self.use_once(token);
        if let Some(machine) = self.machines.get_mut(&again.machine) {
            (machine.incarnation, machine.session, machine.last_seen) = (again.incarnation, session, now);
            (machine.name, machine.told) = (again.name.clone(), again.told.clone());
        }
        self.append_audit(audit);
        self.count();
        Ok(Enrolled::Stored)
    }

    /// Changes a machine's tags.
    pub(super) fn tag(&mut self, id: MachineId, change: &TagChange, audit: &Entry) -> Tagged {
        let Some(machine) = self.machines.get_mut(&id) else { return Tagged::NoMachine };
        let Ok(tags) = machine.tags_after(change) else { return Tagged::TooMany };
        machine.tags = tags;
        let machine = machine.clone();
        self.append_audit(audit);
        self.count();
        Tagged::Stored(Box::new(machine))
    }

    /// Opens a session; its number, or none for a machine or incarnation that is not there.
    pub(super) fn open_session(
        &mut self,
        id: MachineId,
        incarnation: u32,
        after: Epoch,
        told: &Told,
        now: Timestamp,
    ) -> Result<Option<Epoch>, StoreError> {
        let machine =
            self.machines.get_mut(&id).filter(|machine| machine.incarnation == incarnation && machine.session == after);
        let Some(machine) = machine else { return Ok(None) };
        let session = guards::next_session(machine.session)?;
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

    /// Machines that match, in the order that is asked for.
    pub(super) fn machines_listed(&self, query: &MachineQuery) -> Vec<Machine> {
        query.of_rows(self.machines.values()).into_iter().cloned().collect()
    }

    /// How many machines pass.
    pub(super) fn count_machines(&self, filter: &Filter<MachineField>) -> u64 {
        self.machines.values().filter(|machine| filter.holds(machine) == Some(true)).count() as u64
    }
}
