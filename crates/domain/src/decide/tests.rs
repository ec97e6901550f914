use super::*;
use crate::action::{Body, Request, RequestSource};
use crate::ids::{ActionId, MachineId};
use crate::kind::Scope;
use crate::lifecycle::{EVENTS, STAGES};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_000);
const SESSION: Epoch = Epoch(7);

fn journal(number: u128) -> JournalId {
    JournalId(Uuid::from_u128(number))
}

fn pending() -> Action {
    let request = Request {
        requestor: "analyst@example.org".into(),
        comment: "case 1".into(),
        source: RequestSource::PublicApi,
        external_id: None,
    };
    let body = Body::Isolate { scope: Scope::Full };
    Action::requested(ActionId(Uuid::from_u128(1)), MachineId([1; 20]), body, request, Timestamp(10))
}

fn testimony(epoch: Epoch, ending: Ending) -> Testimony {
    Testimony { epoch, journal: journal(1), sequence: 9, ending, steps: vec![], residue: vec![], facts: vec![] }
}

fn claimed_by(session: Epoch, number: u128) -> Event {
    Event::Claimed { session, journal: journal(number) }
}

fn cancel() -> Event {
    Event::CancelRequested { requestor: "someone".into(), comment: "by mistake".into() }
}

fn changed(action: &Action, event: Event) -> (Action, Tell) {
    match decide(action, event, NOW) {
        Ok(Decision::Change(change, tell)) => {
            assert_eq!(change.from_revision, action.revision);
            assert_eq!(change.action.revision, action.revision + 1);
            assert!(change.action.updated_at > action.updated_at, "updates rise");
            assert!(!change.history.is_empty(), "every change leaves a line");
            (change.action, tell)
        }
        other => panic!("expected a change, got {other:?}"),
    }
}

fn action_in(stage: Stage) -> Action {
    let granted = || changed(&pending(), claimed_by(SESSION, 1)).0;
    let stopping = || changed(&granted(), cancel()).0;
    match stage {
        Stage::Pending => pending(),
        Stage::Granted => granted(),
        Stage::Stopping => stopping(),
        Stage::Succeeded => changed(&granted(), Event::Reported(testimony(SESSION, Ending::Finished))).0,
        Stage::Failed => changed(&granted(), Event::Reported(testimony(SESSION, Ending::Broke { why: "no".into() }))).0,
        Stage::TimedOut => changed(&granted(), Event::DeadlinePassed(Overdue::Silent { session: SESSION })).0,
        Stage::Cancelled => {
            changed(&stopping(), Event::Reported(testimony(SESSION, Ending::Stopped { began: true }))).0
        }
    }
}

fn event_of(stage: Stage, kind: EventKind) -> Event {
    match kind {
        EventKind::Granted => claimed_by(Epoch(8), 1),
        EventKind::CancelRequested => cancel(),
        EventKind::Stopped => Event::Reported(testimony(SESSION, Ending::Stopped { began: true })),
        EventKind::Finished => Event::Reported(testimony(SESSION, Ending::Finished)),
        EventKind::Broke => Event::Reported(testimony(SESSION, Ending::Broke { why: "no".into() })),
        EventKind::DeadlinePassed if stage == Stage::Pending => Event::DeadlinePassed(Overdue::NotGranted),
        EventKind::DeadlinePassed => Event::DeadlinePassed(Overdue::Silent { session: SESSION }),
        EventKind::Disowned => Event::Disowned { why: TimedOutWhy::JournalLost, newest: Some(SESSION) },
    }
}

#[test]
fn every_cell_is_decided_as_the_table_says() {
    for stage in STAGES {
        let action = action_in(stage);
        assert_eq!(action.stage(), stage);
        for kind in EVENTS {
            let decided = decide(&action, event_of(stage, kind), NOW);
            let is_report = matches!(kind, EventKind::Stopped | EventKind::Finished | EventKind::Broke);
            match next(stage, kind) {
                Next::To(to) => match decided {
                    Ok(Decision::Change(change, _)) => assert_eq!(change.action.stage(), to, "{stage} x {kind:?}"),
                    other => panic!("{stage} x {kind:?}: {other:?}"),
                },
                // A testimony after the end changes nothing; it is acknowledged, and kept if it is new.
                _ if is_report && stage.is_final() => match decided {
                    Ok(Decision::Stay(Tell::Acknowledge) | Decision::Late(_, Tell::Acknowledge)) => {}
                    other => panic!("{stage} x {kind:?}: {other:?}"),
                },
                Next::Stay => assert!(matches!(decided, Ok(Decision::Stay(_))), "{stage} x {kind:?}: {decided:?}"),
                Next::Refuse => {
                    let refusal = decided.expect_err("the table refuses");
                    assert_eq!((refusal.stage, refusal.event), (stage, kind));
                    let said = refusal.to_string();
                    assert!(said.contains(&stage.to_string()) && said.contains(&format!("{kind:?}")), "{said}");
                }
            }
        }
    }
}

#[test]
fn a_pending_action_is_cancelled_at_once_and_says_why_that_is_true() {
    let (cancelled, tell) = changed(&pending(), cancel());
    assert_eq!(tell, Tell::Nothing);
    assert!(matches!(cancelled.state, State::Cancelled { proof: CancelProof::NeverGranted, .. }));
}

#[test]
fn a_granted_action_stays_in_progress_until_its_grantee_testifies() {
    let (stopping, tell) = changed(&action_in(Stage::Granted), cancel());
    assert_eq!((stopping.stage(), tell), (Stage::Stopping, Tell::Abort(SESSION)));
    let (ended, tell) = changed(&stopping, Event::Reported(testimony(SESSION, Ending::Stopped { began: true })));
    assert_eq!((ended.stage(), tell), (Stage::Cancelled, Tell::Acknowledge));
}

#[test]
fn the_first_cancel_is_kept() {
    let stopping = action_in(Stage::Stopping);
    let again = Event::CancelRequested { requestor: "another".into(), comment: "me too".into() };
    assert_eq!(decide(&stopping, again, NOW), Ok(Decision::Stay(Tell::Abort(SESSION))));
    assert_eq!(stopping.state.cancel().map(|cancel| cancel.requestor.as_str()), Some("someone"));
}

#[test]
fn a_cancel_that_lost_to_the_result_is_still_shown() {
    let (ended, _) = changed(&action_in(Stage::Stopping), Event::Reported(testimony(SESSION, Ending::Finished)));
    assert_eq!(ended.stage(), Stage::Succeeded);
    assert!(ended.state.cancel().is_some());
    assert_eq!(ended.state.cancel_outcome(), Some(crate::action::CancelOutcome::TooLate));
}

#[test]
fn a_claim_in_the_same_session_gets_the_same_grant_again() {
    let granted = action_in(Stage::Granted);
    let grant = Grant { epoch: SESSION, journal: journal(1) };
    assert_eq!(decide(&granted, claimed_by(SESSION, 1), NOW), Ok(Decision::Stay(Tell::Grant(grant))));
}

#[test]
fn a_claim_in_a_newer_session_raises_the_epoch_and_an_older_one_is_refused() {
    let granted = action_in(Stage::Granted);
    let (raised, _) = changed(&granted, claimed_by(Epoch(9), 1));
    assert_eq!(raised.state.grant().map(|grant| grant.epoch), Some(Epoch(9)));
    let refused = decide(&raised, claimed_by(SESSION, 1), NOW).expect_err("an old session");
    assert_eq!(refused.why, Why::OldSession);
}

#[test]
fn a_claim_of_an_older_session_and_another_journal_does_not_disown_the_newer_grant() {
    for stage in [Stage::Granted, Stage::Stopping] {
        let refused = decide(&action_in(stage), claimed_by(Epoch(6), 2), NOW).expect_err("an old session");
        assert_eq!(refused.why, Why::OldSession, "{stage}");
    }
}

#[test]
fn a_claim_of_a_cancelled_grant_is_answered_with_abort() {
    let stopping = action_in(Stage::Stopping);
    assert_eq!(decide(&stopping, claimed_by(Epoch(9), 1), NOW), Ok(Decision::Stay(Tell::Abort(SESSION))));
}

#[test]
fn another_journal_never_gets_the_grant_and_never_testifies() {
    for stage in [Stage::Granted, Stage::Stopping] {
        let (lost, tell) = changed(&action_in(stage), claimed_by(Epoch(9), 2));
        assert_eq!((lost.stage(), tell), (Stage::TimedOut, Tell::Gone), "{stage}");
        let mut words = testimony(SESSION, Ending::Stopped { began: false });
        words.journal = journal(2);
        let (lost, _) = changed(&action_in(stage), Event::Reported(words));
        assert!(matches!(lost.state, State::TimedOut { why: TimedOutWhy::JournalLost, .. }), "{stage}");
    }
}

#[test]
fn a_testimony_about_another_grant_is_refused() {
    for epoch in [Epoch(6), Epoch(8)] {
        let words = testimony(epoch, Ending::Finished);
        let refused = decide(&action_in(Stage::Granted), Event::Reported(words), NOW).expect_err("another epoch");
        assert_eq!(refused.why, Why::OtherEpoch);
    }
}

#[test]
fn late_evidence_is_kept_once_and_changes_nothing() {
    let timed_out = action_in(Stage::TimedOut);
    let words = testimony(SESSION, Ending::Stopped { began: true });
    match decide(&timed_out, Event::Reported(words), NOW) {
        Ok(Decision::Late(lines, Tell::Acknowledge)) => {
            assert!(lines.iter().all(|line| line.fact.is_some() && line.source == Source::Machine));
        }
        other => panic!("{other:?}"),
    }
    let succeeded = action_in(Stage::Succeeded);
    let same = Event::Reported(testimony(SESSION, Ending::Finished));
    assert_eq!(decide(&succeeded, same, NOW), Ok(Decision::Stay(Tell::Acknowledge)));
}

#[test]
fn a_grant_needs_the_newest_session_and_a_free_class() {
    match decide(&pending(), claimed_by(SESSION, 1), NOW) {
        Ok(Decision::Change(change, _)) => {
            assert_eq!(change.needs, Some(Needs { session: SESSION, class: Some(ResourceClass::Network) }));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_moved_on_since_it_was_seen_to_be_overdue_is_left_alone() {
    let silent = |session| Event::DeadlinePassed(Overdue::Silent { session });
    for stage in [Stage::Granted, Stage::Stopping] {
        let action = action_in(stage);
        let granted_meanwhile = decide(&action, Event::DeadlinePassed(Overdue::NotGranted), NOW);
        assert_eq!(granted_meanwhile, Ok(Decision::Stay(Tell::Nothing)), "{stage}");
        let granted_again = decide(&action, silent(Epoch(SESSION.0 - 1)), NOW);
        assert_eq!(granted_again, Ok(Decision::Stay(Tell::Nothing)), "{stage}");
        match decide(&action, silent(SESSION), NOW) {
            // A machine that opens a session meanwhile is not silent, and only the store can tell.
            Ok(Decision::Change(change, Tell::Nothing)) => {
                assert_eq!(change.needs, Some(Needs { session: SESSION, class: None }));
                assert!(matches!(change.action.state, State::TimedOut { why: TimedOutWhy::NoContact, .. }));
            }
            other => panic!("{stage}: {other:?}"),
        }
    }
    assert_eq!(decide(&pending(), silent(SESSION), NOW), Ok(Decision::Stay(Tell::Nothing)));
    let (ended, _) = changed(&pending(), Event::DeadlinePassed(Overdue::NotGranted));
    assert!(matches!(ended.state, State::TimedOut { why: TimedOutWhy::NotStarted, .. }));
}
