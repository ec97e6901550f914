//! What the store is told and what it answers.

use super::{Judge, Row};
use crate::simulation::machine::Machine;
use crate::simulation::rules::Rule;
use crate::simulation::sights::Sight;
use domain::Stage;
use domain::action::{Action, CancelProof, State, TimedOutWhy};
use domain::command::Command;
use domain::ids::{ActionId, Epoch, JournalId, MachineId};
use domain::machine::JournalSeen;
use domain::testimony::Ending;
use std::collections::BTreeMap;

/// So often one use case may be told to decide anew. A run has far fewer commits of one action.
const MOVED_MAX: u32 = 40;

impl Judge {
    /// An action was put on record.
    pub fn inserted(&mut self, action: &Action, machine: usize) {
        let row = Row {
            action: action.clone(),
            number: self.rows.len() + 1,
            starts: BTreeMap::new(),
            scripts_ran: 0,
            switched_off_since: false,
            testified: false,
            set_back_since: false,
            was_accepted: false,
            machine,
            ended: None,
        };
        if self.rows.insert(action.id, row).is_some() {
            self.breaks(Rule::NothingImpossibleIsTried, format!("action {} was put on record twice", action.id));
        }
    }

    /// A session was opened.
    pub fn session_opened(&mut self, machine: MachineId, session: Epoch) {
        let newest = self.sessions.entry(machine).or_default();
        if session <= *newest {
            let why = format!("session {session} was opened after session {newest}");
            return self.breaks(Rule::NewestSessionClaims, why);
        }
        *newest = session;
        if self.speaks_for_an_old_enrolment() {
            self.breaks(Rule::NewestSessionClaims, format!("session {session} is opened for an earlier enrolment"));
        }
    }

    /// A machine was enrolled again: nothing of its earlier enrolment may be open any more.
    pub fn enrolled_again(&mut self, machine: MachineId, incarnation: u32, session: Epoch) {
        self.sights.see(Sight::EnrolledAgain);
        self.incarnations.insert(machine, incarnation);
        self.sessions.insert(machine, session);
        let open = self.rows.values().find(|row| row.action.machine == machine && row.action.stage().is_open());
        if let Some(row) = open {
            let why = format!("a{} stays open under the machine's new enrolment", row.number);
            self.breaks(Rule::OnlyTheGranteeTestifies, why);
        }
    }

    /// Whether the use case under way is one that an earlier enrolment of its machine asked for.
    fn speaks_for_an_old_enrolment(&self) -> bool {
        let Some((machine, incarnation)) = self.speaks_for else { return false };
        self.incarnations.get(&machine).is_some_and(|newest| *newest > incarnation)
    }

    /// The store is told of a record of a journal, in the history of this action.
    pub(crate) fn heard_of(&mut self, action: ActionId, journal: JournalId, sequence: u64) {
        let heard = self.facts.entry(action).or_insert((journal, 0));
        *heard = (journal, sequence.max(heard.1));
    }

    /// The highest record of a journal that its next Hello is compared with: that of the last one, and what the histories
    /// of live actions hold. What only an ended action's history tells is not asked for.
    fn heard(&self, journal: JournalId) -> u64 {
        let live = |action: &ActionId| self.rows.get(action).is_some_and(|row| !row.action.stage().is_final());
        let facts = self.facts.iter().filter(|(action, (of, _))| *of == journal && live(action));
        let highest = facts.map(|(_, (_, sequence))| *sequence).max().unwrap_or_default();
        highest.max(self.heard.get(&journal).copied().unwrap_or_default())
    }

    /// A machine says where its journal stands. One that was set back and stands where nobody can tell is beyond what
    /// the protocol promises: nothing on record contradicts it.
    pub fn hello(&mut self, machine: &mut Machine, journal: JournalSeen) {
        let heard = self.heard(journal.id);
        machine.was_set_back_unseen |= machine.was_set_back && journal.sequence >= heard;
        // Whatever was heard before: what is compared from now on is this.
        self.heard.insert(journal.id, journal.sequence);
    }

    /// A use case is told to decide anew. Each time somebody else got on, so this has an end.
    pub(crate) fn has_moved(&mut self) {
        let moved = self.moved.entry(self.use_case).or_default();
        *moved += 1;
        if *moved > MOVED_MAX {
            self.breaks(Rule::EverythingEnds, format!("a use case decided anew {MOVED_MAX} times"));
        }
    }

    /// A use case is told what is overdue.
    pub fn told_overdue(&mut self, ids: &[ActionId]) {
        self.overdue.extend(ids.iter().map(|id| (self.use_case, *id)));
    }

    /// A use case looks at a machine.
    pub fn looked_at(&mut self, machine: MachineId, session: Epoch) {
        self.looked_at.insert((self.use_case, machine), session);
    }

    /// Whoever ends an action as overdue saw that it is; and whoever ends one as silent looked at its machine, which has
    /// opened no session since.
    fn judge_overdue(&mut self, after: &Action, name: &str) {
        let looked = match after.state {
            State::TimedOut { why: TimedOutWhy::NotStarted, .. } => true,
            State::TimedOut { why: TimedOutWhy::NoContact, .. } => {
                self.looked_at.get(&(self.use_case, after.machine)) == Some(&self.session(after.machine))
            }
            _ => return,
        };
        if !looked || !self.overdue.contains(&(self.use_case, after.id)) {
            self.breaks(Rule::OnlyWhatIsOverdueExpires, format!("{name} is ended by one who did not see it overdue"));
        }
    }

    /// What the store shows of an action must be what was committed last.
    pub fn read(&mut self, id: ActionId, shown: Option<&Action>) {
        let known = self.rows.get(&id).map(|row| &row.action);
        if known != shown {
            let stage = |action: Option<&Action>| action.map(|action| (action.stage(), action.revision));
            let why = format!("{} is {:?} on record, and {:?} is read", self.name(id), stage(known), stage(shown));
            self.breaks(Rule::AcknowledgedStays, why);
        }
    }

    /// A change was committed.
    pub fn committed(&mut self, after: &Action, machine: &Machine) {
        let Some(row) = self.rows.get(&after.id).cloned() else {
            return self.breaks(Rule::NothingImpossibleIsTried, format!("a change of an unknown action {}", after.id));
        };
        let (before, name) = (row.action.clone(), format!("a{}", row.number));
        let ended = self.rows.values().filter(|row| row.ended.is_some()).count();
        if let Some(known) = self.rows.get_mut(&after.id) {
            known.action = after.clone();
            known.ended = after.stage().is_final().then_some(ended);
        }
        if self.about.is_some_and(|about| about != after.id) {
            self.breaks(Rule::OnlyWhatWasAsked, format!("{name} changed by a use case about another"));
        }
        if before.stage().is_final() {
            let why = format!("{name} was {} and becomes {}", before.stage(), after.stage());
            return self.breaks(Rule::FinalIsFinal, why);
        }
        if before.state.cancel().is_some() && after.state.cancel() != before.state.cancel() {
            self.breaks(Rule::CancelStays, format!("the cancel of {name} is another one than was accepted"));
        }
        let words = after.state.testimony().is_some() || after.stage() == Stage::Granted;
        if words && self.speaks_for_an_old_enrolment() {
            let why = format!("{name} becomes {} by the word of an earlier enrolment", after.stage());
            self.breaks(Rule::OnlyTheGranteeTestifies, why);
        }
        self.judge_grant(&before, &row, after, machine);
        self.judge_testimony(&before, after, &name, machine);
        self.judge_overdue(after, &name);
        match after.stage() {
            Stage::Cancelled => self.judge_clean(Rule::CancelledIsClean, after, &row, machine),
            Stage::Failed => self.judge_clean(Rule::FailedIsClean, after, &row, machine),
            Stage::Succeeded => self.judge_done(after, &row, machine),
            Stage::TimedOut => self.judge_never_began(after, &row),
            Stage::Pending | Stage::Granted | Stage::Stopping => {}
        }
        self.see(&before, after, &row);
    }

    fn judge_grant(&mut self, before: &Action, row: &Row, after: &Action, machine: &Machine) {
        if after.stage().is_open() {
            let other = self.rows.values().find(|other| {
                let same = other.action.machine == after.machine && other.action.id != after.id;
                same && other.action.stage().is_open() && other.action.kind().class() == after.kind().class()
            });
            if let Some(other) = other {
                let why = format!("a{} is open beside a{}", row.number, other.number);
                self.breaks(Rule::OneOpenOfAClass, why);
            }
        }
        let State::Granted { grant } = &after.state else { return };
        let name = format!("a{}", row.number);
        let again = before.state.grant().is_none_or(|old| old.epoch < grant.epoch && old.journal == grant.journal);
        let from = matches!(before.stage(), Stage::Pending | Stage::Granted) && before.state.cancel().is_none();
        let begun = !row.starts.is_empty() && !machine.was_set_back_unseen;
        if !again || !from || begun {
            let why = format!("{name}, {}, gets grant {}; begun: {:?}", before.stage(), grant.epoch, row.starts);
            self.breaks(Rule::GrantsRise, why);
        }
        let newest = self.session(after.machine);
        if grant.epoch != newest {
            let why = format!("{name} is granted to session {}, and {newest} is the newest", grant.epoch);
            self.breaks(Rule::NewestSessionClaims, why);
        }
    }

    fn judge_testimony(&mut self, before: &Action, after: &Action, name: &str, machine: &Machine) {
        let held = before.state.grant();
        let proven = match &after.state {
            State::Cancelled { proof: CancelProof::NeverGranted, .. } => held.is_none(),
            State::Cancelled { .. } | State::Succeeded { .. } | State::Failed { .. } => {
                let words = after.state.testimony();
                held.zip(words)
                    .is_some_and(|(grant, words)| (grant.epoch, grant.journal) == (words.epoch, words.journal))
            }
            _ => true,
        };
        if !proven {
            self.breaks(Rule::OnlyTheGranteeTestifies, format!("{name} becomes {} without proof", after.stage()));
        }
        if let State::TimedOut { why: TimedOutWhy::JournalLost, grant: Some(grant), .. } = &after.state
            && Some(grant.journal) == machine.disk.id()
            && !machine.was_set_back
        {
            self.breaks(Rule::LostIsSaidOfTheLostOnly, format!("the journal that holds the grant of {name} is there"));
        }
    }

    /// Cancelled and Failed: nothing runs, nothing stands, and what cannot be undone is listed.
    fn judge_clean(&mut self, rule: Rule, after: &Action, row: &Row, machine: &Machine) {
        let name = format!("a{}", row.number);
        if after.state.grant().is_none() && !row.starts.is_empty() {
            return self.breaks(rule, format!("{name} is {} as never granted, and has begun", after.stage()));
        }
        if machine.was_set_back_unseen {
            return; // It cannot know what it forgot, and nobody else can.
        }
        if let Some(left) = machine.left_of(after.id).filter(|_| !row.set_back_since) {
            return self.breaks(rule, format!("{name} is {}, and {left}", after.stage()));
        }
        let listed = after.state.testimony().map_or(0, |words| words.residue.len());
        let began = !matches!(
            after.state.testimony().map(|words| &words.ending),
            None | Some(Ending::Stopped { began: false })
        );
        if row.scripts_ran as usize > listed {
            let why = format!("{name} is {}, {} scripts ran, and {listed} are listed", after.stage(), row.scripts_ran);
            self.breaks(rule, why);
        } else if !began && !row.starts.is_empty() {
            self.breaks(rule, format!("{name} is said never to have begun, and has"));
        }
    }

    /// Succeeded: every step was made, its effect is there, and the journal says so.
    fn judge_done(&mut self, after: &Action, row: &Row, machine: &Machine) {
        let name = format!("a{}", row.number);
        if machine.was_set_back {
            return; // It undoes what it no longer knows that it finished.
        }
        let finished =
            |record: &domain::grantee::Record| matches!(record, domain::grantee::Record::Final { finished: true });
        let journalled = after.state.grant().map(|grant| grant.journal) != machine.disk.id()
            || machine.journalled(after.id, finished);
        let steps = (0..after.body.steps()).all(|step| {
            let reads = matches!(after.body.commands().get(usize::from(step)), Some(Command::GetFile { .. }));
            reads || row.starts.contains_key(&step)
        });
        if !journalled || !steps {
            return self.breaks(Rule::SucceededIsDone, format!("{name} is Succeeded; journalled: {journalled}"));
        }
        if row.switched_off_since {
            return; // What is only in the kernel is gone, and nobody says otherwise.
        }
        let there = match after.kind() {
            domain::Kind::Isolate => machine.isolation.as_ref().is_some_and(|table| table.mark == after.id.to_string()),
            domain::Kind::Release => machine.isolation.is_none(),
            _ => !machine.children.keys().any(|group| group.starts_with(&after.id.to_string())),
        };
        if !there {
            self.breaks(Rule::SucceededIsDone, format!("{name} is Succeeded, and its effect is not there"));
        }
    }

    fn judge_never_began(&mut self, after: &Action, row: &Row) {
        if matches!(after.state, State::TimedOut { why: TimedOutWhy::NotStarted, .. }) && !row.starts.is_empty() {
            let why = format!("a{} is said never to have started, and has", row.number);
            self.breaks(Rule::NothingBeginsAfterCancelled, why);
        }
    }

    fn see(&mut self, before: &Action, after: &Action, row: &Row) {
        let cancelled_late = after.state.cancel().is_some();
        let ending = after.state.testimony().map(|words| &words.ending);
        let sight = match (&after.state, ending) {
            (State::Cancelled { proof: CancelProof::NeverGranted, .. }, _) => Sight::CancelBeatClaim,
            (State::Cancelled { .. }, Some(Ending::Stopped { began: false })) => Sight::CancelledBeforeStart,
            (State::Cancelled { .. }, _) if row.scripts_ran > 0 => Sight::CancelledWithResidue,
            (State::Cancelled { .. }, _) if !row.starts.is_empty() => Sight::CancelledAfterEffect,
            (State::Cancelled { .. }, _) => Sight::CancelledAfterStart,
            (State::Succeeded { .. }, _) if cancelled_late => Sight::CancelLostToResult,
            (State::Succeeded { .. }, _) => Sight::Succeeded,
            (State::Failed { .. }, _) => Sight::Failed,
            (State::TimedOut { why: TimedOutWhy::NotStarted, .. }, _) => Sight::NeverStarted,
            (State::TimedOut { why: TimedOutWhy::JournalLost, .. }, _) => Sight::JournalLostUnknown,
            (State::TimedOut { why: TimedOutWhy::NoContact, .. }, _) => Sight::SilentTooLong,
            (State::Granted { .. }, _) if before.stage() == Stage::Granted => Sight::GrantedAgain,
            _ => return,
        };
        self.sights.see(sight);
    }
}
