//! What must be reached: a model in which nothing happens keeps every rule.

use super::message::{Message, action_id};
use super::state::State;
use super::{Bounds, Protocol};
use domain::Stage;
use domain::action::{Action, CancelProof, State as Stand, TimedOutWhy};
use domain::grantee::{Record, StopWhy};
use domain::testimony::Ending;

type Seen = fn(&Protocol, &State) -> bool;

/// The sights, of the first action.
pub const SIGHTS: [(&str, Seen); 20] = [
    ("S1 succeeds", |_, state| stage(state) == Stage::Succeeded),
    ("S2 cancelled while Pending", |_, state| never_granted(state.row(0))),
    ("S3 cancelled after the grant, before the start", |_, state| {
        ending(state) == Some(&Ending::Stopped { began: false }) && stage(state) == Stage::Cancelled && granted(state)
    }),
    ("S4 cancelled after the effect, and undone", |_, state| {
        stage(state) == Stage::Cancelled && state.marks[0].made != 0
    }),
    ("S5 a cancel that lost to the result", |_, state| {
        stage(state) == Stage::Succeeded && state.row(0).state.cancel().is_some()
    }),
    ("S6 failed", |_, state| stage(state) == Stage::Failed),
    ("S7 timed out", |_, state| timed_out(state, TimedOutWhy::NotStarted)),
    ("S8 outcome unknown after a lost journal", |_, state| timed_out(state, TimedOutWhy::JournalLost)),
    ("S9 an abort that overtook its grant", |_, state| {
        ending(state) == Some(&Ending::Stopped { began: false }) && stage(state) == Stage::Cancelled && !granted(state)
    }),
    ("S10 interrupted, cancelled meanwhile: Cancelled", |_, state| {
        stage(state) == Stage::Cancelled && stopped_for(state, &StopWhy::Interrupted)
    }),
    ("S11 an undo failed, then Cancelled", |_, state| {
        stage(state) == Stage::Cancelled
            && state.disk.holds(action_id(0), |record| matches!(record, Record::UndoFailed { .. }))
    }),
    ("S12 silent for too long", |_, state| timed_out(state, TimedOutWhy::NoContact)),
    ("S13 granted again in a later session, and succeeds", |_, state| {
        stage(state) == Stage::Succeeded && grants(state) > 1
    }),
    ("S14 interrupted, not cancelled: Failed", |_, state| {
        stage(state) == Stage::Failed && stopped_for(state, &StopWhy::Interrupted)
    }),
    ("S15 a crash behind the last step: the result stands", |_, state| {
        stage(state) == Stage::Succeeded && state.spent.crashes > 0
    }),
    ("S16 outcome unknown after an enrolment", |_, state| timed_out(state, TimedOutWhy::Reenrolled)),
    ("S17 waited through an enrolment, and succeeds beside the earlier agent", |_, state| {
        stage(state) == Stage::Succeeded && state.elsewhere.as_ref().is_some_and(|host| host.process.is_some())
    }),
    ("S18 the earlier agent testifies, and is not heard", |_, state| {
        let earlier = |message: &Message| matches!(message, Message::Final { of, .. } if *of < state.incarnation);
        timed_out(state, TimedOutWhy::Reenrolled) && state.sent.iter().any(earlier)
    }),
    ("S19 the earlier agent finishes what it began while the machine works", |_, state| {
        let working = state.process.as_ref().is_some_and(|process| !process.jobs.is_empty());
        working && state.elsewhere.as_ref().is_some_and(|host| host.marks.iter().any(|marks| marks.made != 0))
    }),
    ("S20 seen to be overdue, granted since, and succeeds", |_, state| {
        let looked = |message: &Message| matches!(message, Message::Overdue { silent_in: 0, .. });
        stage(state) == Stage::Succeeded && state.sent.iter().any(looked)
    }),
];

/// Whether a run within these bounds must reach the sight of this name.
pub fn is_within(bounds: &Bounds, name: &str) -> bool {
    match name.split(' ').next() {
        Some("S16" | "S17" | "S18" | "S19") => bounds.reenrolments > 0,
        Some("S20") => bounds.slow_sweeps > 0,
        _ => bounds.reenrolments == 0 && bounds.slow_sweeps == 0,
    }
}

fn stage(state: &State) -> Stage {
    state.row(0).stage()
}

fn ending(state: &State) -> Option<&Ending> {
    state.row(0).state.testimony().map(|words| &words.ending)
}

fn never_granted(row: &Action) -> bool {
    matches!(row.state, Stand::Cancelled { proof: CancelProof::NeverGranted, .. })
}

fn timed_out(state: &State, wanted: TimedOutWhy) -> bool {
    matches!(state.row(0).state, Stand::TimedOut { why, .. } if why == wanted)
}

fn granted(state: &State) -> bool {
    grants(state) > 0
}

fn grants(state: &State) -> usize {
    let of_it = state.disk.entries.iter().filter(|entry| entry.action == action_id(0));
    of_it.filter(|entry| matches!(entry.record, Record::Granted { .. })).count()
}

fn stopped_for(state: &State, wanted: &StopWhy) -> bool {
    state.disk.holds(action_id(0), |record| matches!(record, Record::Stopped { why, .. } if why == wanted))
}
