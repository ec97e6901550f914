//! The crew's steps: what the tasks do to the machine. A process that makes an effect outlives the agent.

use super::Protocol;
use super::message::{NOW, action_id};
use super::rules;
use super::state::{Child, Job, Process, State};
use super::step::{Step, What};
use domain::grantee::{Input, Ran, UndoRecord};
use domain::mutant::{Mutant, is_on};

impl Protocol {
    /// Everything that work on the machine can come to.
    pub(super) fn crew_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        for index in 0..state.rows.len() {
            if state.marks[index].child.is_some_and(|child| !child.acted) {
                let mut after = state.clone();
                effect(&mut after, index);
                out.push((Step::whole(What::Effect(index as u8)), after));
            }
        }
        let Some(process) = &state.process else { return };
        for (action, job) in &process.jobs {
            let mut without = (**process).clone();
            without.done(usize::from(*action), *job);
            self.job_steps(state, without, usize::from(*action), *job, out);
        }
    }

    /// One task. `process`: what the agent is without it.
    fn job_steps(&self, state: &State, process: Process, index: usize, job: Job, out: &mut Vec<(Step, State)>) {
        let action = action_id(index);
        let (well, badly) = (What::EndsWell(index as u8, job), What::EndsBadly(index as u8, job));
        let why = || "it broke".to_string();
        let may_err = state.spent.errors < self.bounds.errors && !process.stopped(index);
        let mut erred = state.clone();
        erred.spent.errors += 1;
        match job {
            Job::Prepare => {
                self.feed(state, process.clone(), well, Input::Prepared { action, result: Ok(()) }, out);
                if may_err {
                    self.feed(&erred, process, badly, Input::Prepared { action, result: Err(why()) }, out);
                }
            }
            Job::Plan(step) => {
                let planned = |result| Input::Planned { action, step: u16::from(step), result };
                self.feed(state, process.clone(), well, planned(Ok(UndoRecord(vec![step]))), out);
                if may_err {
                    self.feed(&erred, process, badly, planned(Err(why())), out);
                }
            }
            Job::Run(step) => self.run_steps(state, process, index, step, out),
            Job::Running(step) => self.running_steps(state, process, index, step, out),
            Job::Kill => {
                let mut after = state.clone();
                kill(&mut after, index);
                self.feed(&after, process, well, Input::Killed { action }, out);
            }
            Job::Undo(step) => self.undo_steps(state, process, index, step, out),
            Job::Undone(step) => {
                let ran = state.marks[index].starts[usize::from(step)] > 0;
                let stays = ran && rules::reversible(state, index) & (1 << step) == 0;
                let result = Ok(if stays { vec!["it ran".into()] } else { vec![] });
                self.feed(state, process, well, Input::UndoEnded { action, step: u16::from(step), result }, out);
            }
        }
    }

    /// Nothing of the step runs yet. After the stop signal it may start all the same.
    fn run_steps(&self, state: &State, mut process: Process, index: usize, step: u8, out: &mut Vec<(Step, State)>) {
        let (action, job) = (index as u8, Job::Run(step));
        let stopped = process.stopped(index);
        if stopped {
            self.feed(state, process.clone(), What::Stops(action, job), ran(index, step, true), out);
        } else if state.spent.errors < self.bounds.errors {
            let mut erred = state.clone();
            erred.spent.errors += 1;
            self.feed(&erred, process.clone(), What::EndsBadly(action, job), ran(index, step, true), out);
        }
        let mut after = state.clone();
        self.spawn(&mut after, index, step);
        process.begin(index, Job::Running(step));
        after.process = Some(self.processes.keep(process));
        out.push((Step::whole(What::Goes(action, job)), after));
    }

    /// The step's process was started.
    fn running_steps(&self, state: &State, process: Process, index: usize, step: u8, out: &mut Vec<(Step, State)>) {
        let (action, job) = (index as u8, Job::Running(step));
        let mut after = state.clone();
        let child = after.marks[index].child.take_if(|child| child.step == step);
        let stopped = process.stopped(index);
        // Dead, and not by its own end: told as ended by a signal, which a script may also do by itself.
        let ended = child.is_none_or(|child| child.acted);
        if ended {
            self.feed(&after, process.clone(), What::EndsWell(action, job), ran(index, step, false), out);
        }
        if stopped || child.is_none() {
            self.feed(&after, process, What::Stops(action, job), ran(index, step, true), out);
        } else if state.spent.errors < self.bounds.errors {
            after.spent.errors += 1;
            self.feed(&after, process, What::EndsBadly(action, job), ran(index, step, true), out);
        }
    }

    fn undo_steps(&self, state: &State, mut process: Process, index: usize, step: u8, out: &mut Vec<(Step, State)>) {
        let (action, job) = (index as u8, Job::Undo(step));
        if state.spent.undo_failures < self.bounds.undo_failures {
            let mut after = state.clone();
            after.spent.undo_failures += 1;
            let result = Err("it cannot be undone now".to_string());
            let input = Input::UndoEnded { action: action_id(index), step: u16::from(step), result };
            self.feed(&after, process.clone(), What::EndsBadly(action, job), input, out);
        }
        let mut after = state.clone();
        after.marks[index].standing &= !(1 << step);
        process.begin(index, Job::Undone(step));
        after.process = Some(self.processes.keep(process));
        out.push((Step::whole(What::Goes(action, job)), after));
    }

    /// A step's process starts.
    pub(super) fn spawn(&self, state: &mut State, index: usize, step: u8) {
        let journal = state.disk.journal;
        rules::judge_beginning(state, index, step, journal);
        let marks = &mut state.marks[index];
        marks.starts[usize::from(step)] = (marks.starts[usize::from(step)] + 1).min(2);
        marks.child = Some(Child { step, acted: false, orphan: false, journal });
    }

    /// What the agent does first: nothing that an earlier one started may live beside it.
    pub(super) fn sweep(&self, state: &mut State) {
        for index in 0..state.rows.len() {
            kill(state, index);
        }
    }
}

fn kill(state: &mut State, index: usize) {
    let child = &mut state.marks[index].child;
    if !(is_on(Mutant::OrphanNotKilled) && child.is_some_and(|child| child.orphan)) {
        *child = None;
    }
}

/// A process makes its effect, if it is not dead.
fn effect(state: &mut State, index: usize) {
    let Some(child) = state.marks[index].child else { return };
    rules::judge_beginning(state, index, child.step, child.journal);
    let standing = rules::reversible(state, index) & (1 << child.step);
    let marks = &mut state.marks[index];
    marks.child = Some(Child { acted: true, ..child });
    marks.made |= 1 << child.step;
    marks.standing |= standing;
}

fn ran(index: usize, step: u8, broke: bool) -> Input {
    let error = broke.then(|| "it broke".to_string());
    let result = Ran { started_at: NOW, ended_at: NOW, error, artifact: None };
    Input::Ran { action: action_id(index), step: u16::from(step), result }
}
