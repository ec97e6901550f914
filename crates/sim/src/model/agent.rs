//! The agent's steps: inputs for the production grantee, its outputs carried out in order, and a crash between any two.

use super::Protocol;
use super::message::{Message, NOW, action_id, action_index, journal_id, nonce, said};
use super::rules::{self, Rule};
use super::state::{Disk, Job, Link, Process, State};
use super::step::{Cut, Step, What};
use domain::grantee::{Grantee, Input, Output, Say, Task};
use domain::hello::went_back;
use std::panic::AssertUnwindSafe;

/// Offers that are fed until an unanswered claim is made anew; more than the agent waits for.
const OFFERS_REPEATED: u8 = 10;

impl Protocol {
    /// Everything the agent does by itself, and everything it can hear.
    pub(super) fn agent_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        let Some(process) = &state.process else { return self.start_steps(state, out) };
        let may_dial = state.is_current() && state.session < self.bounds.sessions && !state.set_back_unseen();
        if process.link == Link::Down && may_dial {
            out.push((Step::whole(What::Dial), self.dialled(state, (**process).clone())));
        }
        if process.link != Link::Down {
            let before = self.forsaken(state);
            let mut process = (**process).clone();
            (process.link, process.session) = (Link::Down, 0);
            process.claims = Default::default();
            self.feed(&before, process, What::Disconnect, Input::SessionLost, out);
        }
        if state.spent.crashes < self.bounds.crashes {
            out.push((Step::whole(What::Crash), self.crashed(state)));
        }
        self.feed(state, (**process).clone(), What::Retry, Input::Retry, out);
        for message in state.sent.iter() {
            self.hears(state, *message, false, out);
        }
    }

    fn start_steps(&self, state: &State, out: &mut Vec<(Step, State)>) {
        self.journal_faults(state, out);
        let mut swept = state.clone();
        self.sweep(&mut swept);
        match Grantee::boot(journal_id(state.disk.journal), &state.disk.entries, NOW) {
            Ok((grantee, outputs)) => {
                let link = Link::Down;
                let process =
                    Process { grantee, link, session: 0, jobs: vec![], stop: 0, began: 0, claims: Default::default() };
                self.carry(&swept, &process, What::Boot, &outputs, out);
            }
            Err(_) => {
                swept.breaks(Rule::JournalFolds);
                out.push((Step::whole(What::Boot), swept));
            }
        }
    }

    /// An offer, and what comes of more of them while a claim waits for its answer.
    pub(super) fn offered(&self, state: &State, action: u8, what: What, out: &mut Vec<(Step, State)>) {
        let Some(process) = &state.process else { return };
        let index = usize::from(action);
        let attempt = process.claims[index];
        if attempt >= self.bounds.claims {
            return;
        }
        let input = Input::Offered { action: action_id(index), nonce: nonce(process.session, attempt) };
        let mut grantee = process.grantee.clone();
        let mut outputs = grantee.step(input.clone(), NOW);
        let mut what = what;
        for _ in 0..OFFERS_REPEATED {
            if !outputs.is_empty() || grantee == process.grantee {
                break;
            }
            // Counted by the agent, not by the states: only what the count leads to is of interest.
            outputs = grantee.step(input.clone(), NOW);
            what = What::OffersRepeated(action);
        }
        let claimed = outputs.iter().any(|output| matches!(output, Output::Send(Say::Claim { .. })));
        let mut after = Process { grantee, ..(**process).clone() };
        after.claims[index] += u8::from(claimed);
        self.carry(state, &after, what, &outputs, out);
    }

    /// Gives the grantee an input. `process`: what it is without the input.
    pub(super) fn feed(
        &self,
        state: &State,
        mut process: Process,
        what: What,
        input: Input,
        out: &mut Vec<(Step, State)>,
    ) {
        // A panic is a fault of the agent's own, and is told with the way that leads to it.
        match std::panic::catch_unwind(AssertUnwindSafe(|| process.grantee.step(input, NOW))) {
            Ok(outputs) => self.carry(state, &process, what, &outputs, out),
            Err(_) => {
                let mut after = state.clone();
                after.breaks(Rule::JournalFolds);
                out.push((Step::whole(what), after));
            }
        }
    }

    /// Carries the outputs out in order, wholly, and with a crash after each of them.
    fn carry(&self, state: &State, process: &Process, what: What, outputs: &[Output], out: &mut Vec<(Step, State)>) {
        let matters = |output: &&Output| !matches!(output, Output::Send(Say::Phase { .. }));
        let outputs: Vec<&Output> = outputs.iter().filter(matters).collect();
        out.push((Step::whole(what), self.carried(state, process, &outputs)));
        if state.spent.crashes >= self.bounds.crashes {
            return;
        }
        for done in 1..outputs.len() {
            let until = self.carried(state, process, &outputs[..done]);
            let cut = |spawned| Step { cut: Some(Cut { done: done as u8, spawned }), ..Step::whole(what) };
            out.push((cut(false), self.crashed(&until)));
            // What was begun may have come further than telling of it: its process lives, and the agent does not.
            if let Output::Do(action, Task::Run(_, step, _)) = outputs[done - 1] {
                let mut spawned = until.clone();
                self.spawn(&mut spawned, action_index(*action), *step as u8);
                out.push((cut(true), self.crashed(&spawned)));
            }
        }
    }

    fn carried(&self, state: &State, process: &Process, outputs: &[&Output]) -> State {
        let mut state = state.clone();
        let mut process = process.clone();
        for output in outputs {
            match output {
                Output::Write(entry) => {
                    let mut disk = (*state.disk).clone();
                    disk.entries.push(entry.clone());
                    state.disk = self.disks.keep(disk);
                }
                Output::Do(action, task) => begin(&mut state, &mut process, action_index(*action), task),
                Output::Send(say) => {
                    if let Say::Final { action, testimony } = say {
                        rules::judge_report(&mut state, testimony, action_index(*action));
                    }
                    if let Some(message) = said(say, state.disk.journal, state.enrolled) {
                        self.send(&mut state, message);
                    }
                }
            }
        }
        state.process = Some(self.processes.keep(process));
        state
    }

    /// The agent is dead. What it started lives on, and what it sent is under way.
    fn crashed(&self, state: &State) -> State {
        let mut state = self.forsaken(state);
        state.process = None;
        state.spent.crashes += 1;
        for marks in &mut state.marks {
            if let Some(child) = &mut marks.child {
                child.orphan = true;
            }
        }
        state
    }

    /// A link is given up: a replica may still have its Hello in hand.
    fn forsaken(&self, state: &State) -> State {
        let mut state = state.clone();
        let Some(process) = state.process.clone() else { return state };
        if let Link::Dialling { went_back, .. } = process.link {
            let (session, journal, of) = (process.session, state.disk.journal, state.enrolled);
            self.send(&mut state, Message::Hello { session, journal, went_back, of });
        }
        state
    }

    /// The agent's Hello has arrived, and the session is open as far as the store knows.
    fn dialled(&self, state: &State, mut process: Process) -> State {
        let mut after = state.clone();
        let went_back = self.sees(&mut after);
        if went_back {
            // Before it is on record where the journal stands now: a replica that dies here takes no notice with it.
            self.disown(&mut after, state.session + 1, state.session, state.disk.journal, went_back);
        }
        after.session += 1;
        process.link = Link::Dialling { listed: process.grantee.listed(), went_back };
        process.session = after.session;
        after.process = Some(self.processes.keep(process));
        after
    }

    /// What the store keeps of a Hello's journal, and whether it saw it further on before.
    fn sees(&self, state: &mut State) -> bool {
        if self.bounds.rollbacks == 0 {
            return false;
        }
        let now = state.disk.seen();
        let went_back = went_back(state.seen.replace(now), now);
        state.noticed |= went_back;
        went_back
    }

    /// The journal is lost, or set back to before what the server last saw of it: what it cannot notice is beyond the
    /// fault model.
    fn journal_faults(&self, state: &State, out: &mut Vec<(Step, State)>) {
        if state.enrolled != state.incarnation {
            return;
        }
        if state.spent.wipes < self.bounds.wipes {
            let mut after = state.clone();
            after.spent.wipes += 1;
            after.disk = self.disks.keep(Disk { journal: state.disk.journal + 1, entries: vec![] });
            out.push((Step::whole(What::Wipe), after));
        }
        let same = state.seen.filter(|seen| seen.id == journal_id(state.disk.journal));
        let seen = same.map_or(0, |seen| seen.sequence as u8);
        if state.spent.rollbacks < self.bounds.rollbacks {
            for kept in 0..seen {
                let mut after = state.clone();
                after.spent.rollbacks += 1;
                let mut disk = (*state.disk).clone();
                disk.entries.truncate(usize::from(kept));
                after.disk = self.disks.keep(disk);
                out.push((Step::whole(What::Rollback(kept)), after));
            }
        }
    }
}

/// A task is begun.
fn begin(state: &mut State, process: &mut Process, index: usize, task: &Task) {
    let bit = 1 << index;
    let job = match task {
        Task::Prepare(body) => {
            debug_assert_eq!(*body, state.row(index).body, "the body that was granted");
            Job::Prepare
        }
        Task::Plan(_, step) => Job::Plan(*step as u8),
        Task::Run(_, step, _) => Job::Run(*step as u8),
        Task::Kill => {
            // Before its thread is there: what runs stops now.
            process.stop |= bit;
            Job::Kill
        }
        Task::Undo(_, step, _) => Job::Undo(*step as u8),
        Task::Retire => {
            process.stop &= !bit;
            return;
        }
    };
    rules::judge_task(state, process.began & bit != 0, process.grantee.session(), job);
    if job == Job::Prepare {
        process.began |= bit;
    }
    process.begin(index, job);
}
