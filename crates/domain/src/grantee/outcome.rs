//! The steps of an action from its start to its end: prepare, plan, run, and on a stop kill, undo, conclude.

use super::{Grantee, Output, Phase, Ran, Record, StopWhy, Task, UndoRecord};
use crate::ids::ActionId;
use crate::mutant::{self, Mutant};
use crate::time::Timestamp;

impl Grantee {
    pub(super) fn prepared(
        &mut self,
        action: ActionId,
        result: Result<(), String>,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if !self.running(action) {
            return self.no_longer_busy(action, now, out);
        }
        match result {
            Ok(()) => self.plan_next(action, now, out),
            Err(why) => self.broke(action, why, now, out),
        }
    }

    pub(super) fn planned(
        &mut self,
        action: ActionId,
        step: u16,
        result: Result<UndoRecord, String>,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let expected = self.held.get(&action).is_some_and(|(held, _)| held.next_step() == Some(step));
        if !self.running(action) || !expected {
            return self.no_longer_busy(action, now, out);
        }
        match result {
            Ok(undo) => {
                self.write(action, Record::Intent { step, undo: undo.clone() }, now, out);
                if let Some(body) = self.held.get(&action).and_then(|(held, _)| held.body.clone()) {
                    out.push(Output::Do(action, Task::Run(body, step, undo)));
                }
                if mutant::is_on(Mutant::EffectBeforeJournal) {
                    out.rotate_right(1);
                }
            }
            Err(why) => self.broke(action, why, now, out),
        }
    }

    pub(super) fn ran(&mut self, action: ActionId, step: u16, result: Ran, now: Timestamp, out: &mut Vec<Output>) {
        let expected = self.held.get(&action).is_some_and(|(held, _)| held.intended(step));
        if !expected || !self.held.get(&action).is_some_and(|(_, live)| live.busy) {
            return;
        }
        let error = result.error.clone();
        self.write(action, Record::Done { step, result }, now, out);
        if !self.running(action) {
            return self.no_longer_busy(action, now, out);
        }
        match error {
            Some(why) => self.broke(action, why, now, out),
            None => self.plan_next(action, now, out),
        }
    }

    /// On to the next step, or to the end.
    fn plan_next(&mut self, action: ActionId, now: Timestamp, out: &mut Vec<Output>) {
        let Some((held, _)) = self.held.get(&action) else { return };
        match (held.next_step(), held.body.clone()) {
            (Some(step), Some(body)) => {
                out.push(Output::Do(action, Task::Plan(body, step)));
            }
            _ => {
                self.live(action).busy = false;
                self.finish(action, now, out);
            }
        }
    }

    /// Everything is done: the first record wins, so from here a stop comes too late.
    pub(super) fn finish(&mut self, action: ActionId, now: Timestamp, out: &mut Vec<Output>) {
        self.write(action, Record::Final { finished: true }, now, out);
        self.say_final(action, out);
    }

    fn broke(&mut self, action: ActionId, why: String, now: Timestamp, out: &mut Vec<Output>) {
        self.live(action).busy = false;
        let Some((held, _)) = self.held.get(&action) else { return };
        let epoch = held.epoch;
        self.stop(action, epoch, StopWhy::Broke { why }, now, out);
    }

    /// Whether its steps go on in this process.
    fn running(&self, action: ActionId) -> bool {
        self.held.get(&action).is_some_and(|(held, live)| held.phase == Phase::Started && live.ours)
    }

    fn no_longer_busy(&mut self, action: ActionId, now: Timestamp, out: &mut Vec<Output>) {
        if self.held.contains_key(&action) {
            self.live(action).busy = false;
            self.clear(action, now, out);
        }
    }

    /// One step further towards a clean machine: kill, then undo the last step not yet undone, then conclude. A kill or
    /// an undo that failed is tried again at the next retry, for ever.
    pub(super) fn clear(&mut self, action: ActionId, now: Timestamp, out: &mut Vec<Output>) {
        let Some((held, live)) = self.held.get_mut(&action) else { return };
        if !matches!(held.phase, Phase::Stopped { .. }) || live.clearing {
            return;
        }
        if held.ever_started() && !live.killed {
            live.clearing = true;
            out.push(Output::Do(action, Task::Kill));
            return;
        }
        if mutant::is_on(Mutant::RunNotAwaited) {
            live.busy = false;
        }
        if live.busy {
            return; // the step that was killed has not come back yet
        }
        let skipped = !live.ours && mutant::is_on(Mutant::UndoSkippedAfterCrash);
        if let (Some((step, undo)), Some(body), false) = (held.next_undo(), held.body.clone(), skipped) {
            live.clearing = !mutant::is_on(Mutant::UndoNotAwaited);
            out.push(Output::Do(action, Task::Undo(body, step, undo)));
            if live.clearing {
                return;
            }
        }
        self.conclude(action, now, out);
    }

    pub(super) fn killed(&mut self, action: ActionId, now: Timestamp, out: &mut Vec<Output>) {
        if let Some((_, live)) = self.held.get_mut(&action) {
            (live.killed, live.clearing) = (true, false);
            self.clear(action, now, out);
        }
    }

    pub(super) fn undo_ended(
        &mut self,
        action: ActionId,
        step: u16,
        result: Result<Vec<String>, String>,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let Some((held, live)) = self.held.get_mut(&action) else { return };
        live.clearing = false;
        if held.next_undo().map(|(next, _)| next) != Some(step) || !matches!(held.phase, Phase::Stopped { .. }) {
            return;
        }
        match result {
            Ok(residue) => {
                self.write(action, Record::Undone { step, residue }, now, out);
                self.clear(action, now, out);
            }
            // Not given up: the next retry undoes it again. Said once, so that a person can look.
            Err(why) => {
                if held.undo_troubles.last() != Some(&why) {
                    self.write(action, Record::UndoFailed { step, why }, now, out);
                }
            }
        }
    }

    /// The end of a stop, once everything is dead and undone. What was interrupted by a crash waits for the server's
    /// word, since only that tells whether it was cancelled meanwhile.
    pub(super) fn conclude(&mut self, action: ActionId, now: Timestamp, out: &mut Vec<Output>) {
        let Some((held, live)) = self.held.get(&action) else { return };
        let Phase::Stopped { why } = &held.phase else { return };
        let clean = !held.ever_started() || (live.killed && !live.busy && !live.clearing && held.all_undone());
        let told = *why != StopWhy::Interrupted || (self.session.is_some() && live.heard);
        if clean && told {
            self.write(action, Record::Final { finished: false }, now, out);
            self.say_final(action, out);
        }
    }
}
