//! What a session begins with, decided: whose grants a machine's journal still holds, how what it lists stands, and what
//! it is to be told now.

use crate::action::{Action, State, TimedOutWhy};
use crate::decide::{Event, mutant_trusts_any_journal};
use crate::grantee::{Listed, Verdict};
use crate::ids::{ActionId, Epoch};
use crate::kind::Kind;
use crate::machine::JournalSeen;
use crate::mutant::{self, Mutant};

/// What waits for a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outstanding {
    /// This may be claimed.
    Offer(ActionId, Kind),
    /// This is to be stopped.
    Abort(ActionId, Epoch),
}

/// Whether a journal went back in time: the same one, with fewer records than were seen before, or with as many and
/// other ones (what was forgotten may have been written over by then). A restored snapshot or a clone; what it forgot
/// cannot be testified to.
pub fn went_back(before: Option<JournalSeen>, now: JournalSeen) -> bool {
    before.is_some_and(|before| {
        let rewritten = before.sequence == now.sequence && before.head != now.head;
        before.id == now.id && (before.sequence > now.sequence || rewritten)
    })
}

/// Whether a certificate of this incarnation still speaks for a machine whose enrolment now is `enrolled`. What an earlier
/// one opens, claims or testifies counts for nothing.
pub fn is_current(enrolled: u32, incarnation: u32) -> bool {
    enrolled == incarnation || (incarnation < enrolled && mutant::is_on(Mutant::OldIncarnationTrusted))
}

/// What it means for an action of a machine that the machine is enrolled again: whoever held a grant is not believed any
/// more, so nobody can say what became of it. What was never granted waits on.
pub fn on_enrolment(action: &Action) -> Option<Event> {
    let open = action.stage().is_open() && !mutant::is_on(Mutant::GrantOutlivesEnrolment);
    open.then_some(Event::Disowned { why: TimedOutWhy::Reenrolled, newest: None })
}

/// What a machine's return in this session with this journal means for an action of it: where the grant is held by a
/// journal that is gone, nobody can say any more what became of it. A grant of this session or a later one was given to
/// the journal that came then, and a Hello that was slow knows nothing of it. `newest` is the machine's newest session as
/// this is asked: the one that the Hello follows, or already its own.
pub fn on_return(
    action: &Action,
    session: Epoch,
    newest: Epoch,
    journal: JournalSeen,
    went_back: bool,
) -> Option<Event> {
    let open = action.state.grant().filter(|grant| action.stage().is_open() && grant.epoch < session)?;
    if mutant_trusts_any_journal(action.stage()) {
        return None;
    }
    let lost = Event::Disowned { why: TimedOutWhy::JournalLost, newest: Some(newest) };
    (open.journal != journal.id || went_back).then_some(lost)
}

/// How an action that a machine lists stands. `None`: the server knows no such action of this machine.
pub fn verdict(action: Option<&Action>, listed: &Listed) -> Verdict {
    match action.map(|action| &action.state) {
        None => Verdict::Forget,
        Some(State::Pending) if listed.started => Verdict::Abort(listed.epoch),
        Some(State::Pending | State::Granted { .. }) => Verdict::Continue,
        Some(State::Stopping { grant, .. }) => Verdict::Abort(grant.epoch),
        Some(_) => Verdict::Forget,
    }
}

/// What is to be said of the live actions of a machine, oldest first, in its session: of a resource class only the
/// oldest is offered, since a later one would be refused.
pub fn outstanding<'a>(live: impl IntoIterator<Item = &'a Action>, session: Epoch) -> Vec<Outstanding> {
    let mut classes = Vec::new();
    let mut out = Vec::new();
    for action in live {
        let first = !classes.contains(&action.kind().class());
        classes.push(action.kind().class());
        match &action.state {
            State::Stopping { grant, .. } => out.push(Outstanding::Abort(action.id, grant.epoch)),
            State::Pending if first => out.push(Outstanding::Offer(action.id, action.kind())),
            // The grant was given in an earlier session, and may have been lost on its way.
            State::Granted { grant } if grant.epoch < session => out.push(Outstanding::Offer(action.id, action.kind())),
            _ => {}
        }
    }
    out
}

/// What is to be said of an action that its agent still holds, as far as this session knows, and that was ended without
/// it: stop. Nobody counts on it any more.
pub fn given_up(action: &Action) -> Option<Outstanding> {
    match &action.state {
        State::TimedOut { grant: Some(grant), .. } => Some(Outstanding::Abort(action.id, grant.epoch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Body, Cancel, CancelProof, Grant, Request, RequestSource};
    use crate::ids::{Digest, JournalId, MachineId};
    use crate::time::Timestamp;
    use uuid::Uuid;

    fn journal(number: u128) -> JournalSeen {
        JournalSeen { id: JournalId(Uuid::from_u128(number)), sequence: 5, head: Digest([0; 32]) }
    }

    fn action(number: u128, state: State) -> Action {
        let request = Request {
            requestor: "someone".into(),
            comment: "case".into(),
            source: RequestSource::PublicApi,
            external_id: None,
        };
        let id = ActionId(Uuid::from_u128(number));
        let mut action = Action::requested(id, MachineId([1; 20]), Body::Release, request, Timestamp(1));
        action.state = state;
        action
    }

    fn states() -> Vec<State> {
        let grant = Grant { epoch: Epoch(3), journal: journal(1).id };
        let cancel = Cancel { requestor: "someone".into(), comment: String::new(), at: Timestamp(2) };
        vec![
            State::Pending,
            State::Granted { grant },
            State::Stopping { grant, cancel: cancel.clone() },
            State::Cancelled { cancel, proof: CancelProof::NeverGranted },
            State::TimedOut { why: TimedOutWhy::NoContact, grant: Some(grant), cancel: None },
        ]
    }

    #[test]
    fn every_state_has_its_verdict() {
        let listed = Listed { action: ActionId(Uuid::from_u128(1)), epoch: Epoch(3), started: true };
        let abort = Verdict::Abort(Epoch(3));
        let expected = [abort, Verdict::Continue, abort, Verdict::Forget, Verdict::Forget];
        for (state, expected) in states().into_iter().zip(expected) {
            assert_eq!(verdict(Some(&action(1, state.clone())), &listed), expected, "{state:?}");
        }
        let unbegun = Listed { started: false, ..listed };
        assert_eq!(verdict(Some(&action(1, State::Pending)), &unbegun), Verdict::Continue);
        assert_eq!(verdict(None, &listed), Verdict::Forget);
    }

    #[test]
    fn only_an_open_action_is_disowned_and_only_by_a_journal_that_does_not_hold_it() {
        for state in states() {
            let action = action(1, state);
            let open = action.stage().is_open();
            assert_eq!(on_return(&action, Epoch(4), Epoch(4), journal(1), false), None);
            assert_eq!(on_return(&action, Epoch(4), Epoch(4), journal(2), false).is_some(), open);
            assert_eq!(on_return(&action, Epoch(4), Epoch(4), journal(1), true).is_some(), open);
        }
        let earlier = JournalSeen { sequence: 4, ..journal(1) };
        assert!(went_back(Some(journal(1)), earlier));
        assert!(!went_back(Some(earlier), journal(1)) && !went_back(None, earlier));
        assert!(!went_back(Some(journal(1)), journal(1)));
        let rewritten = JournalSeen { head: Digest([1; 32]), ..journal(1) };
        assert!(went_back(Some(journal(1)), rewritten), "as many records, and other ones");
        assert!(
            !went_back(Some(journal(1)), JournalSeen { sequence: 1, ..journal(2) }),
            "another journal is another matter"
        );
    }

    #[test]
    fn only_what_is_open_ends_with_the_enrolment_that_it_was_granted_under() {
        for state in states() {
            let action = action(1, state);
            let ends = on_enrolment(&action);
            assert_eq!(ends.is_some(), action.stage().is_open());
            assert!(ends.is_none_or(|event| event == Event::Disowned { why: TimedOutWhy::Reenrolled, newest: None }));
        }
        assert!(is_current(2, 2) && !is_current(2, 1) && !is_current(1, 2));
    }

    #[test]
    fn what_was_ended_without_its_agent_is_to_be_stopped() {
        let grant = Grant { epoch: Epoch(3), journal: JournalId(Uuid::from_u128(1)) };
        let ended = |grant| State::TimedOut { why: TimedOutWhy::NoContact, grant, cancel: None };
        let abort = Outstanding::Abort(ActionId(Uuid::from_u128(1)), Epoch(3));
        assert_eq!(given_up(&action(1, ended(Some(grant)))), Some(abort));
        assert_eq!(given_up(&action(1, ended(None))), None, "it never had a grant");
        for state in states().into_iter().filter(|state| !matches!(state, State::TimedOut { .. })) {
            assert_eq!(given_up(&action(1, state)), None);
        }
    }

    #[test]
    fn a_hello_that_was_slow_does_not_disown_a_grant_given_after_it() {
        for state in states() {
            let action = action(1, state);
            for session in [Epoch(2), Epoch(3)] {
                assert_eq!(on_return(&action, session, session, journal(2), false), None);
                assert_eq!(on_return(&action, session, session, journal(1), true), None);
            }
        }
    }

    #[test]
    fn the_oldest_of_a_class_is_offered_and_every_stop_is_said() {
        let [pending, granted, stopping, ..] = <[State; 5]>::try_from(states()).expect("five");
        let live = [action(1, stopping), action(2, pending.clone()), action(3, pending)];
        assert_eq!(outstanding(&live, Epoch(4)), [Outstanding::Abort(ActionId(Uuid::from_u128(1)), Epoch(3))]);
        assert_eq!(
            outstanding(&live[1..], Epoch(4)),
            [Outstanding::Offer(ActionId(Uuid::from_u128(2)), Kind::Release)]
        );
        let granted = [action(4, granted)];
        assert_eq!(outstanding(&granted, Epoch(3)), [], "granted in this session: it has the grant");
        assert_eq!(outstanding(&granted, Epoch(4)).len(), 1, "granted in an earlier one: it may have been lost");
    }
}
