//! What must hold. A rule is judged when something happens; what broke it stays noted in the state.

use super::Protocol;
use super::message::{action_id, journal_number, small};
use super::state::{Job, Marks, State};
use domain::action::{Action, CancelProof, State as Stand, TimedOutWhy};
use domain::grantee::Record;
use domain::testimony::Ending;
use domain::{Epoch, Kind, Stage};
use stateright::Property;

/// A rule, by its number in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// I1.
    NothingBeginsAfterCancelled,
    /// I2.
    FinalIsFinal,
    /// I3.
    CancelledIsClean,
    /// I4.
    AtMostOnce,
    /// I5.
    SucceededIsDone,
    /// I6.
    FailedIsClean,
    /// I7.
    JournalComesFirst,
    /// I7, its other side: what was written folds again.
    JournalFolds,
    /// I8.
    GrantsRise,
    /// I9.
    OnlyTheGranteeTestifies,
    /// I9, its other side.
    LostIsSaidOfTheLostOnly,
    /// I10.
    CancelStays,
    /// I11.
    NewestSessionClaims,
    /// I12.
    NothingBeforeWelcome,
    /// I16.
    OneOpenOfAClass,
    /// I9, across enrolments.
    EnrolmentEndsGrants,
    /// I9, of the sweep.
    SilentIsSaidOfTheSilentOnly,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::NothingBeginsAfterCancelled,
        Self::FinalIsFinal,
        Self::CancelledIsClean,
        Self::AtMostOnce,
        Self::SucceededIsDone,
        Self::FailedIsClean,
        Self::JournalComesFirst,
        Self::JournalFolds,
        Self::GrantsRise,
        Self::OnlyTheGranteeTestifies,
        Self::LostIsSaidOfTheLostOnly,
        Self::CancelStays,
        Self::NewestSessionClaims,
        Self::NothingBeforeWelcome,
        Self::OneOpenOfAClass,
        Self::EnrolmentEndsGrants,
        Self::SilentIsSaidOfTheSilentOnly,
    ];

    /// Its bit in [`State::broken`].
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingBeginsAfterCancelled => "I1 nothing begins after Cancelled was shown",
            Self::FinalIsFinal => "I2 a final row never changes",
            Self::CancelledIsClean => "I3 Cancelled: nothing runs, nothing stands, what stays is listed",
            Self::AtMostOnce => "I4 a step starts at most once",
            Self::SucceededIsDone => "I5 Succeeded: the effect is there, the journal says so",
            Self::FailedIsClean => "I6 Failed: nothing runs, nothing stands, what stays is listed",
            Self::JournalComesFirst => "I7 no effect and no report before its record is durable",
            Self::JournalFolds => "I7 what was written folds again",
            Self::GrantsRise => "I8 grants rise, and are given only for what has not begun and is not cancelled",
            Self::OnlyTheGranteeTestifies => "I9 only the grant's journal ends an action",
            Self::LostIsSaidOfTheLostOnly => "I9 a journal is called lost only if it is",
            Self::CancelStays => "I10 an accepted cancel stays, the first one",
            Self::NewestSessionClaims => "I11 only the newest session of the current enrolment claims",
            Self::NothingBeforeWelcome => "I12 nothing begins before Welcome",
            Self::OneOpenOfAClass => "I16 at most one open action of a class",
            Self::EnrolmentEndsGrants => "I9 what an earlier enrolment was granted ends with it",
            Self::SilentIsSaidOfTheSilentOnly => "I9 a machine is called silent only if it was, since it was looked at",
        }
    }
}

/// The rules as the checker wants them.
pub fn properties(with_sometimes: bool) -> Vec<Property<Protocol>> {
    macro_rules! always {
        ($($rule:ident),* $(,)?) => {
            vec![$(Property::always(Rule::$rule.name(), |_, state: &State| state.broken & Rule::$rule.bit() == 0)),*]
        };
    }
    let mut all = always![
        NothingBeginsAfterCancelled,
        FinalIsFinal,
        CancelledIsClean,
        AtMostOnce,
        SucceededIsDone,
        FailedIsClean,
        JournalComesFirst,
        JournalFolds,
        GrantsRise,
        OnlyTheGranteeTestifies,
        LostIsSaidOfTheLostOnly,
        CancelStays,
        NewestSessionClaims,
        NothingBeforeWelcome,
        OneOpenOfAClass,
        EnrolmentEndsGrants,
        SilentIsSaidOfTheSilentOnly,
    ];
    if with_sometimes {
        all.extend(super::sights::SIGHTS.map(|(name, seen)| Property::sometimes(name, seen)));
    }
    all
}

/// Whether an action is another than it was.
pub fn moved(before: &Action, after: &Action) -> bool {
    before.state != after.state
}

/// What a commit may not do.
pub fn judge_commit(state: &mut State, before: &Action, after: &Action) {
    if before.stage().is_final() && before.state != after.state {
        state.breaks(Rule::FinalIsFinal);
    }
    if let Some(cancel) = before.state.cancel()
        && after.state.cancel() != Some(cancel)
    {
        state.breaks(Rule::CancelStays);
    }
    judge_testimony(state, before, after);
    if let Stand::Granted { grant } = &after.state {
        let (old, index) = (before.state.grant(), super::message::action_index(after.id));
        let again = old.is_none_or(|old| old.epoch < grant.epoch && old.journal == grant.journal);
        let begun = state.all_marks(index).any(|marks| marks.starts != [0; 2]);
        let from = matches!(before.stage(), Stage::Pending | Stage::Granted);
        if !again || begun || !from || before.state.cancel().is_some() {
            state.breaks(Rule::GrantsRise);
        }
        if grant.epoch != Epoch(u64::from(state.session)) {
            state.breaks(Rule::NewestSessionClaims);
        }
    }
}

fn judge_testimony(state: &mut State, before: &Action, after: &Action) {
    let held = before.state.grant();
    let words = after.state.testimony();
    let proven = match &after.state {
        Stand::Cancelled { proof: CancelProof::NeverGranted, .. } => held.is_none(),
        Stand::Cancelled { .. } | Stand::Succeeded { .. } | Stand::Failed { .. } => {
            held.zip(words).is_some_and(|(grant, words)| (grant.epoch, grant.journal) == (words.epoch, words.journal))
        }
        _ => true,
    };
    if !proven && before.state != after.state {
        state.breaks(Rule::OnlyTheGranteeTestifies);
    }
    if let Stand::TimedOut { why: TimedOutWhy::JournalLost, grant: Some(grant), .. } = &after.state
        && journal_number(grant.journal) == state.disk.journal
        && state.spent.rollbacks == 0
    {
        state.breaks(Rule::LostIsSaidOfTheLostOnly);
    }
}

/// What may not be at any instant.
pub fn judge(state: &mut State) {
    for index in 0..state.rows.len() {
        let row = state.row(index);
        let (stage, cancel) = (row.stage(), row.state.cancel().is_some());
        let residue = row.state.testimony().is_some_and(|words| !words.residue.is_empty());
        let finished = row.state.testimony().is_some_and(|words| words.ending == Ending::Finished);
        let (shown, accepted) = (state.shown & (1 << index) != 0, state.accepted & (1 << index) != 0);
        if stage == Stage::Cancelled {
            state.shown |= 1 << index;
        }
        if accepted && !cancel {
            state.breaks(Rule::CancelStays);
        }
        let bits = reversible(state, index);
        let is_clean =
            |marks: Marks| marks.child.is_none() && marks.standing == 0 && (marks.made & !bits == 0 || residue);
        let clean = state.all_marks(index).all(is_clean);
        if !clean && (shown || stage == Stage::Cancelled) {
            state.breaks(Rule::CancelledIsClean);
        }
        if !clean && stage == Stage::Failed {
            state.breaks(Rule::FailedIsClean);
        }
        let starts = state.all_marks(index).map(|marks| marks.starts);
        if starts
            .reduce(|one, other| [one[0] + other[0], one[1] + other[1]])
            .is_some_and(|all| all.iter().any(|of| *of > 1))
        {
            state.breaks(Rule::AtMostOnce);
        }
        let all = (1u8 << state.row(index).body.steps()) - 1;
        let there = state.all_marks(index).any(|marks| marks.made == all && marks.standing == all & bits);
        // A machine that was set back in time undoes what it no longer knows that it finished.
        let set_back = state.spent.rollbacks > 0;
        if stage == Stage::Succeeded && !(there && finished) && !set_back {
            state.breaks(Rule::SucceededIsDone);
        }
    }
    let mut open = state.rows.iter().filter(|row| row.stage().is_open()).map(Action::kind).map(Kind::class);
    if let (Some(one), Some(other)) = (open.next(), open.next())
        && one == other
    {
        state.breaks(Rule::OneOpenOfAClass);
    }
}

/// A process of an action starts, or makes its effect.
pub fn judge_beginning(state: &mut State, index: usize, step: u8, journal: u8) {
    if state.shown & (1 << index) != 0 {
        state.breaks(Rule::NothingBeginsAfterCancelled);
    }
    let action = action_id(index);
    let started = state.disk.holds(action, |record| *record == Record::Started);
    let intended = |record: &Record| matches!(record, Record::Intent { step: of, .. } if *of == u16::from(step));
    let whole = state.disk.journal == journal && state.spent.rollbacks == 0;
    if whole && !(started && state.disk.holds(action, intended)) {
        state.breaks(Rule::JournalComesFirst);
    }
}

/// A task is begun.
pub fn judge_task(state: &mut State, began: bool, session: Option<Epoch>, job: Job) {
    let allowed = match job {
        Job::Prepare => session.is_some(),
        Job::Plan(_) | Job::Run(_) => began,
        _ => true,
    };
    if !allowed {
        state.breaks(Rule::NothingBeforeWelcome);
    }
}

/// A testimony is said.
pub fn judge_report(state: &mut State, said: &domain::testimony::Testimony, index: usize) {
    let mut held = None;
    for entry in state.disk.entries.iter().filter(|entry| entry.action == action_id(index)) {
        held = domain::grantee::held::fold(held, entry).ok();
    }
    let durable = held.and_then(|held| held.testimony(super::message::journal_id(state.disk.journal)));
    if durable.as_ref().map(|words| (&words.ending, small(words.epoch))) != Some((&said.ending, small(said.epoch))) {
        state.breaks(Rule::JournalComesFirst);
    }
}

/// The steps of an action whose effect can be taken away, one bit each.
pub fn reversible(state: &State, index: usize) -> u8 {
    let body = &state.row(index).body;
    let commands = body.commands().iter().enumerate();
    let scripts = commands.filter(|(_, command)| matches!(command, domain::command::Command::RunScript { .. }));
    let all = (1u8 << body.steps()) - 1;
    scripts.fold(all, |bits, (step, _)| bits & !(1 << step))
}
