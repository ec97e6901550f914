//! Writing actions. Each function looks at everything that could refuse it before it changes anything.

use super::listing::at_most;
use super::tables::{Row, Tables};
use super::{guards, history};
use crate::stamp::stamp;
use crate::{Committed, Inserted, NOTED_LINES_MAX, StoreError, Stored, Terms};
use domain::action::Action;
use domain::audit::Entry;
use domain::decide::{Change, Needs};
use domain::history::Line;
use domain::ids::ActionId;
use domain::kind::Kind;
use domain::lifecycle::Stage;
use domain::time::Timestamp;

/// A change that nothing stands against.
struct Ready {
    place: usize,
    stands: Action,
    moved_to: Option<Stage>,
}

impl Tables {
    /// Adds a new action.
    pub(super) fn insert(&mut self, action: &Action, lines: &[Line], terms: &Terms) -> Result<Inserted, StoreError> {
        if let Some(once) = &terms.once
            && let Some((request, first)) = self.repeated(&once.caller, &once.key, action.created_at)
        {
            return Ok(if request == once.request { Inserted::Repeated(first) } else { Inserted::KeyTaken });
        }
        if !self.machines.contains_key(&action.machine) {
            return Ok(Inserted::NoMachine);
        }
        if let (Kind::LiveResponse, Some(most)) = (action.kind(), terms.live_responses_max)
            && self.live_responses() >= at_most(most)
        {
            return Ok(Inserted::TooMany);
        }
        guards::begins(action)?;
        if let Some(active) = self.live_rows(action.machine).find(|row| row.action.kind() == action.kind()) {
            return Ok(Inserted::AlreadyActive(active.action.id));
        }
        if self.places.contains_key(&action.id) {
            return Err(StoreError::Refused(format!("the id {} was used already", action.id)));
        }
        let new = history::unknown(&[], lines);
        guards::is_told(action.id, Some(action.stage()), new.last().map(|line| line.stage))?;
        let updated_at = stamp(action.updated_at, self.newest_update)?;
        let holds = action.body.commands().iter().filter_map(|command| command.library());
        let holds = holds.map(|file| file.sha256).collect();
        let mut row = Row { action: Action { updated_at, ..action.clone() }, history: vec![], holds };
        history::append(action.id, &mut row.history, &new, Some(action.stage()));
        let place = self.actions.len();
        self.actions.push(row);
        self.places.insert(action.id, place);
        self.live.entry(action.machine).or_default().insert(place);
        self.newest_update = Some(updated_at);
        if let Some(once) = &terms.once {
            self.keep_key(once, action.id);
        }
        self.append_audit(&terms.audit);
        Ok(Inserted::Stored(Stored { number: self.count(), updated_at }))
    }

    /// How many live responses are not final.
    fn live_responses(&self) -> usize {
        let live = self.live.values().flatten().map(|place| &self.actions[*place].action);
        live.filter(|action| action.kind() == Kind::LiveResponse).count()
    }

    /// Commits a change if everything it was decided on still holds.
    pub(super) fn commit(&mut self, change: &Change, audit: Option<&Entry>) -> Result<Committed, StoreError> {
        match self.committable(change, self.newest_update)? {
            Ok(ready) => {
                if let Some(entry) = audit {
                    self.append_audit(entry);
                }
                Ok(Committed::Stored(self.carry_out(ready, change)))
            }
            Err(refused) => Ok(refused),
        }
    }

    /// Commits the ends of several actions, or none of them.
    pub(super) fn end_all(&mut self, ends: &[Change]) -> Result<(), StoreError> {
        let mut ready: Vec<Ready> = Vec::with_capacity(ends.len());
        for change in ends {
            if !change.action.stage().is_final() {
                return Err(StoreError::Refused(format!("{} does not end", change.action.id)));
            }
            let newest = ready.last().map_or(self.newest_update, |one| Some(one.stands.updated_at));
            match self.committable(change, newest)? {
                Ok(one) => ready.push(one),
                Err(why) => return Err(StoreError::Refused(format!("{} does not end: {why:?}", change.action.id))),
            }
        }
        for (one, change) in ready.into_iter().zip(ends) {
            self.carry_out(one, change);
        }
        Ok(())
    }

    /// What a commit will store after a change at `newest`, if nothing stands against it.
    fn committable(&self, change: &Change, newest: Option<Timestamp>) -> Result<Result<Ready, Committed>, StoreError> {
        let next = &change.action;
        let Some(place) = self.places.get(&next.id).copied() else { return Ok(Err(Committed::Moved)) };
        let row = &self.actions[place];
        guards::fits(change.from_revision)?;
        if row.action.revision != change.from_revision {
            return Ok(Err(Committed::Moved));
        }
        if let Some(needs) = &change.needs
            && let Some(refused) = self.unmet(&row.action, next, needs)?
        {
            return Ok(Err(refused));
        }
        guards::follows(&row.action, next)?;
        // What was requested stands, whatever the change says of it.
        let mut stands = row.action.clone();
        (stands.state, stands.revision) = (next.state.clone(), next.revision);
        stands.updated_at = stamp(next.updated_at, newest)?;
        guards::opens_alone(self, &stands)?;
        let moved_to = Some(stands.stage()).filter(|to| *to != row.action.stage());
        let new = history::unknown(&row.history, &change.history);
        guards::is_told(stands.id, moved_to, new.last().map(|line| line.stage))?;
        Ok(Ok(Ready { place, stands, moved_to }))
    }

    fn carry_out(&mut self, ready: Ready, change: &Change) -> Stored {
        let Ready { place, stands, moved_to } = ready;
        let updated_at = stands.updated_at;
        self.newest_update = Some(updated_at);
        let row = &mut self.actions[place];
        let new = history::unknown(&row.history, &change.history);
        history::append(stands.id, &mut row.history, &new, moved_to);
        let ended = stands.stage().is_final();
        row.action = stands;
        if ended {
            self.end(place);
        }
        Stored { number: self.count(), updated_at }
    }

    /// What a change needs besides its revision, and does not find.
    fn unmet(&self, stands: &Action, next: &Action, needs: &Needs) -> Result<Option<Committed>, StoreError> {
        guards::fits(needs.session.0)?;
        if self.machines.get(&stands.machine).is_none_or(|machine| machine.session != needs.session) {
            return Ok(Some(Committed::SessionMoved));
        }
        let Some(class) = needs.class else { return Ok(None) };
        // What is granted already has had its turn: whoever came on record since with an earlier time waits for it.
        let waits_its_turn = stands.stage() == Stage::Pending;
        let turn = |action: &Action| (action.created_at, action.id);
        let busy = self
            .live_rows(stands.machine)
            .map(|row| &row.action)
            .filter(|other| other.id != stands.id && other.kind().class() == class)
            .filter(|other| other.stage().is_open() || (waits_its_turn && turn(other) < turn(next)))
            .min_by_key(|other| turn(other));
        Ok(busy.map(|other| Committed::ClassBusy(other.id)))
    }

    /// Takes an action that is final now from among the live ones, and lets go of what it held.
    fn end(&mut self, place: usize) {
        let row = &mut self.actions[place];
        let (machine, held) = (row.action.machine, std::mem::take(&mut row.holds));
        if let Some(live) = self.live.get_mut(&machine) {
            live.remove(&place);
            if live.is_empty() {
                self.live.remove(&machine);
            }
        }
        for sha256 in held {
            self.forget_unnamed(&sha256);
        }
    }

    /// Adds lines to an action's history.
    pub(super) fn note(&mut self, action: ActionId, lines: &[Line]) -> Result<(), StoreError> {
        let Some(place) = self.places.get(&action).copied() else {
            return Err(StoreError::Refused(format!("there is no action {action} to note anything of")));
        };
        let history = &mut self.actions[place].history;
        let room = usize::try_from(NOTED_LINES_MAX).unwrap_or(usize::MAX).saturating_sub(history.len());
        let new = history::unknown(history, lines.get(..room).unwrap_or(lines));
        if !new.is_empty() {
            history::append(action, history, &new, None);
            self.count();
        }
        Ok(())
    }
}
