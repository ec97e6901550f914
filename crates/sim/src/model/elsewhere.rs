//! Enrolment under the record that is there, and the agent of the earlier one that may go on beside it. A host that is not
//! looked at is put aside whole, and looked at in its turn, by the same steps.

use super::Protocol;
use super::rules::{self, Rule};
use super::state::{Disk, Host, State};
use super::step::{Beside, Step, What};
use domain::hello;

impl Protocol {
    /// The machine is enrolled again, on an operator's word.
    pub(super) fn reenrol_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        if state.spent.reenrolments >= self.bounds.reenrolments {
            return;
        }
        if state.process.is_none() {
            out.push((Step::whole(What::Reenrol(Beside::Nobody)), self.enrolled_again(state)));
        }
        if state.elsewhere.is_none() {
            let mut after = self.enrolled_again(state);
            let host = Host {
                enrolled: state.enrolled,
                disk: state.disk.clone(),
                process: state.process.clone(),
                marks: state.marks,
            };
            after.elsewhere = Some(self.hosts.keep(host));
            after.disk = self.disks.keep(Disk { journal: state.disk.journal + 1, entries: vec![] });
            (after.process, after.marks) = (None, Default::default());
            out.push((Step::whole(What::Reenrol(Beside::Elsewhere)), after));
        }
    }

    /// One transaction: what is open ends, the next incarnation, a new session.
    fn enrolled_again(&self, state: &State) -> State {
        let mut after = state.clone();
        for index in 0..state.rows.len() {
            if let Some(event) = hello::on_enrolment(state.row(index)) {
                self.commit(&mut after, index, event);
            }
        }
        after.spent.reenrolments += 1;
        after.incarnation += 1;
        after.enrolled = after.incarnation;
        after.session += 1;
        after.seen = None;
        if after.rows.iter().any(|row| row.stage().is_open()) {
            after.breaks(Rule::EnrolmentEndsGrants);
        }
        after
    }

    /// Everything that can happen on the host that was put aside.
    pub(super) fn steps_elsewhere(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let Some(there) = self.changed_over(state) else { return };
        let from = out.len();
        self.host_steps(&there, out);
        for (step, next) in &mut out[from..] {
            step.elsewhere = true;
            if let Some(back) = self.changed_over(next) {
                *next = back;
            }
        }
    }

    /// The same state, looked at from the other host.
    fn changed_over(&self, state: &State) -> Option<State> {
        let other = state.elsewhere.as_ref()?;
        let here = Host {
            enrolled: state.enrolled,
            disk: state.disk.clone(),
            process: state.process.clone(),
            marks: state.marks,
        };
        let mut there = state.clone();
        (there.enrolled, there.disk, there.process) = (other.enrolled, other.disk.clone(), other.process.clone());
        there.marks = other.marks;
        there.elsewhere = Some(self.hosts.keep(here));
        Some(there)
    }
}

impl State {
    /// Whether the host that is looked at is of the enrolment that counts.
    pub(super) fn is_current(&self) -> bool {
        hello::is_current(u32::from(self.incarnation), u32::from(self.enrolled))
    }

    /// What somebody of this enrolment may not have moved.
    pub(super) fn judge_mover(&mut self, before: &State, index: usize, of: u8, rule: Rule) {
        if of != before.incarnation && rules::moved(before.row(index), self.row(index)) {
            self.breaks(rule);
        }
    }
}
