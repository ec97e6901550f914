//! What is done on machines, and what agents say of it.

use super::Judge;
use crate::simulation::machine::Machine;
use crate::simulation::rules::Rule;
use domain::Stage;
use domain::action::{State, TimedOutWhy};
use domain::grantee::{Record, Task};
use domain::ids::ActionId;
use domain::testimony::Testimony;

impl Judge {
    /// A step's effect is begun: an isolation loaded or lifted, a file put, a script started.
    pub fn began(&mut self, machine: &Machine, action: ActionId, step: u16) {
        let name = self.name(action);
        self.acts(action, "begins");
        let Some(row) = self.rows.get_mut(&action) else {
            return self.breaks(Rule::NothingImpossibleIsTried, format!("an action never requested begins: {action}"));
        };
        let starts = row.starts.entry(step).or_default();
        *starts += 1;
        if *starts > 1 && !machine.was_set_back_unseen {
            self.breaks(Rule::AtMostOnce, format!("step {step} of {name} is begun a second time"));
        }
        self.is_journalled(machine, action, step);
    }

    /// What is begun is on the disk: that the action starts, and what undoing the step needs.
    fn is_journalled(&mut self, machine: &Machine, action: ActionId, step: u16) {
        let intended = |record: &Record| matches!(record, Record::Intent { step: of, .. } if *of == step);
        if !machine.journalled(action, |record| *record == Record::Started) || !machine.journalled(action, intended) {
            let name = self.name(action);
            let why = format!("step {step} of {name} is begun, and its start or its intent is not on the disk");
            self.breaks(Rule::JournalComesFirst, why);
        }
    }

    /// A process of the action does something.
    pub fn acts(&mut self, action: ActionId, what: &str) {
        let Some(row) = self.rows.get(&action) else { return };
        let why = match &row.action.state {
            State::Cancelled { .. } => "Cancelled",
            State::TimedOut { why: TimedOutWhy::NotStarted, .. } => "never to start",
            _ => return,
        };
        let why = format!("a{} is {why}, and something of it {what}", row.number);
        self.breaks(Rule::NothingBeginsAfterCancelled, why);
    }

    /// A script has truly started.
    pub fn script_ran(&mut self, action: ActionId) {
        if let Some(row) = self.rows.get_mut(&action) {
            row.scripts_ran += 1;
        }
    }

    /// A machine was switched off and on.
    pub fn rebooted(&mut self, machine: usize) {
        for row in self.rows.values_mut().filter(|row| row.machine == machine && !row.action.stage().is_final()) {
            row.switched_off_since = true;
        }
    }

    /// A machine is set back. What it said before, and nobody has heard yet, was true of another time.
    pub fn set_back(&mut self, machine: usize) {
        self.rebooted(machine);
        for row in self.rows.values_mut().filter(|row| row.machine == machine) {
            row.set_back_since |= row.testified;
        }
    }

    /// An agent begins a task.
    pub fn task(&mut self, machine: &mut Machine, action: ActionId, task: &Task) {
        let allowed = match task {
            Task::Prepare(_) => {
                machine.began.insert(action);
                machine.in_session
            }
            Task::Plan(..) | Task::Run(..) => machine.began.contains(&action),
            Task::Kill | Task::Undo(..) | Task::Retire => true,
        };
        if !allowed {
            let why = format!("the agent of m{} goes on with {} by itself", machine.index + 1, self.name(action));
            self.breaks(Rule::NothingBeforeWelcome, why);
        }
        if let Task::Run(_, step, _) = task {
            self.is_journalled(machine, action, *step);
        }
    }

    /// An agent says how an action ended.
    pub fn testified(&mut self, machine: &Machine, action: ActionId, said: &Testimony) {
        let end = machine.disk.records.iter().rev().find_map(|entry| match entry.record {
            Record::Final { finished } if entry.action == action => Some((entry.sequence, finished)),
            _ => None,
        });
        let finished = said.ending == domain::testimony::Ending::Finished;
        if end != Some((said.sequence, finished)) {
            let why =
                format!("the end of {} is said (record {}), and is not on the disk", self.name(action), said.sequence);
            self.breaks(Rule::JournalComesFirst, why);
        }
        if let Some(row) = self.rows.get_mut(&action) {
            row.testified = true;
        }
    }

    /// A client is shown an action.
    pub fn shown(&mut self, action: &domain::Action) {
        let Some(row) = self.rows.get(&action.id) else { return };
        let (number, known) = (row.number, &row.action);
        // What is shown may be older than what is on record, and never other than it where it is final.
        if action.stage().is_final() && action != known {
            let why = format!("a{number} was shown as {}, and is {} now", action.stage(), known.stage());
            self.breaks(Rule::FinalIsFinal, why);
        } else if action.revision > known.revision {
            self.breaks(Rule::AcknowledgedStays, format!("a{number} was shown as nobody committed it"));
        }
    }

    /// A client is told that its cancel is accepted.
    pub fn accepted(&mut self, action: &domain::Action) {
        self.shown(action);
        let Some(row) = self.rows.get_mut(&action.id) else { return };
        row.was_accepted = true;
        let number = row.number;
        let stage = row.action.stage();
        if row.action.state.cancel().is_none() || action.state.cancel().is_none() {
            let why = format!("the cancel of a{number} was accepted, and it is {stage} without one on record");
            self.breaks(Rule::CancelAnswersTrue, why);
        }
    }

    /// A client is told that its cancel comes too late.
    pub fn refused(&mut self, action: ActionId) {
        let Some(row) = self.rows.get(&action) else { return };
        if !matches!(row.action.stage(), Stage::Succeeded | Stage::Failed | Stage::TimedOut) {
            let why = format!("a cancel of a{} was refused, and it is {}", row.number, row.action.stage());
            self.breaks(Rule::CancelAnswersTrue, why);
        }
    }
}
