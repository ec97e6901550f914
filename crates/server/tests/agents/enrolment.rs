//! Enrolling again: under the same record, on an operator's word only, all of it or nothing.

use crate::faulty::Fault;
use crate::ground::{Agent, Ground, csr, is_grant};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use domain::action::{State, TimedOutWhy};
use domain::ids::{ActionId, Digest};
use domain::kind::Scope;
use domain::lifecycle::Stage;
use protocol::agent::{ARTIFACT_PATH, LIBRARY_PATH, ToAgent};
use server::actions::{Wanted, WantedCommand};
use server::agent_link::talk::TalkError;
use std::sync::Arc;
use store::{LibraryFile, MachineQuery, Store};

const ISOLATE: Wanted = Wanted::Isolate(Scope::Full);

async fn names(ground: &Ground) -> Vec<(String, u32)> {
    let query = MachineQuery::all(10);
    let machines = ground.store.machines(&query).await.unwrap();
    machines.into_iter().map(|machine| (machine.name, machine.incarnation)).collect()
}

async fn ended_by_enrolment(ground: &Ground, id: ActionId) -> bool {
    matches!(ground.action(id).await.state, State::TimedOut { why: TimedOutWhy::Reenrolled, .. })
}

async fn is_sound(ground: &Ground) {
    assert_eq!(ground.store.integrity().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_machine_enrolled_again_is_the_same_machine_in_its_next_incarnation() {
    let ground = Ground::new();
    let before = ground.machine("web-03").await;
    before.hello(&ground).await.unwrap();
    ground.clock.advance(5);
    let after = ground.enrol(&ground.token_for("WEB-03").await, "web-03.example").await;
    assert_eq!(after.peer.machine, before.peer.machine);
    assert_eq!((before.peer.incarnation, after.peer.incarnation), (1, 2));
    assert_eq!(names(&ground).await, [("web-03.example".to_string(), 2)], "under the name it enrolled with");
    assert!(after.hello(&ground).await.is_ok());
    let third = ground.enrol(&ground.token_for(&after.peer.machine.to_string()).await, "web-03").await;
    assert_eq!((third.peer.machine, third.peer.incarnation), (before.peer.machine, 3));
    is_sound(&ground).await;
}

#[tokio::test]
async fn a_name_adopts_nobody() {
    let ground = Ground::new();
    let known = ground.machine("web-03").await;
    let new = ground.machine("web-03").await;
    assert_ne!(new.peer.machine, known.peer.machine);
    assert_eq!(names(&ground).await.len(), 2);
    // And which of the two a name means is nobody's to guess.
    let ambiguous = server::admin::add_reenrol_token(&*ground.store, &*ground.clock, "web-03", 60).await;
    assert!(ambiguous.unwrap_err().to_string().contains("several machines"));
    let unknown = server::admin::add_reenrol_token(&*ground.store, &*ground.clock, "web-04", 60).await;
    assert!(unknown.unwrap_err().to_string().contains("no machine"));
}

#[tokio::test]
async fn a_token_for_a_machine_is_good_once_and_not_used_up_by_what_is_refused() {
    let ground = Ground::new();
    let known = ground.machine("web-03").await;
    let token = ground.token_for("web-03").await;
    let (status, why) = ground.ask(&token, "web-03", "no certificate request").await.unwrap_err();
    assert_eq!(status, StatusCode::BAD_REQUEST, "{why}");
    assert_eq!(names(&ground).await, [("web-03".to_string(), 1)]);
    assert_eq!(ground.enrol(&token, "web-03").await.peer.machine, known.peer.machine);
    let (status, why) = ground.ask(&token, "web-03", &csr()).await.unwrap_err();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(why.contains("used already"), "{why}");
    let late = ground.token_for("web-03").await;
    ground.clock.advance(61);
    let (status, why) = ground.ask(&late, "web-03", &csr()).await.unwrap_err();
    assert_eq!((status, why.contains("has expired")), (StatusCode::UNAUTHORIZED, true), "{why}");
    assert_eq!(names(&ground).await, [("web-03".to_string(), 2)]);
}

#[tokio::test]
async fn what_is_open_ends_as_outcome_unknown_and_what_waits_is_given_to_the_machine_as_it_is_now() {
    let ground = Ground::new();
    let mut before = ground.machine("web-03").await;
    let (open, waits) = (ground.request(&before, ISOLATE).await, ground.request(&before, Wanted::Release).await);
    before.granted(&ground, open).await;
    let mut after = ground.enrol(&ground.token_for("web-03").await, "web-03").await;
    assert!(ended_by_enrolment(&ground, open).await);
    assert_eq!(ground.action(waits).await.stage(), Stage::Pending);
    let talk = after.granted(&ground, waits).await;
    let said = talk.heard(after.finished(waits, talk.session())).await.unwrap();
    assert!(matches!(said.messages[..], [ToAgent::FinalAck { .. }]), "{said:?}");
    assert_eq!(ground.action(waits).await.stage(), Stage::Succeeded);
    is_sound(&ground).await;
}

#[tokio::test]
async fn a_stream_of_the_earlier_enrolment_is_ended_and_nothing_it_says_counts() {
    let ground = Ground::new();
    let mut before = ground.machine("web-03").await;
    let (open, waits) = (ground.request(&before, ISOLATE).await, ground.request(&before, Wanted::Release).await);
    let old = before.granted(&ground, open).await;
    let woken = ground.link.wake.stream(before.peer.machine, old.session());
    let mut after = ground.enrol(&ground.token_for("web-03").await, "web-03").await;
    // It is told to look at once, and sees that it is over.
    tokio::time::timeout(std::time::Duration::from_secs(5), woken.notified()).await.expect("woken");
    assert!(old.look().await.unwrap().ends.is_some());
    let machine = before.peer.machine;
    let stands = async || {
        let (open, waits) = (ground.action(open).await, ground.action(waits).await);
        let lines = ground.store.history(open.id).await.unwrap().len();
        (open, waits, lines, ground.store.machine(machine).await.unwrap())
    };
    let untouched = stands().await;
    ground.clock.advance(5);
    let claimed = old.heard(before.claim(old.session(), waits)).await.unwrap();
    assert!(!is_grant(&claimed) && claimed.ends.is_some(), "{claimed:?}");
    let reported = old.heard(before.finished(open, old.session())).await.unwrap();
    assert!(reported.messages.is_empty(), "not even acknowledged: {reported:?}");
    assert!(old.heartbeat().await.unwrap().ends.is_some());
    match before.hello(&ground).await {
        Err(TalkError::Refused(_)) => {}
        other => panic!("a session of the earlier enrolment: {:?}", other.map(|talk| talk.session())),
    }
    assert_eq!(stands().await, untouched, "nothing of that changed anything");
    // Also while the machine as it is now works: its own grant is not the other's to end.
    let new = after.granted(&ground, waits).await;
    old.heard(after.finished(waits, new.session())).await.unwrap();
    assert_eq!(ground.action(waits).await.stage(), Stage::Granted);
    is_sound(&ground).await;
}

#[tokio::test]
async fn the_earlier_certificate_fetches_nothing_and_hands_nothing_in() {
    let ground = Ground::new();
    let content = b"#!/bin/sh\n";
    let file = LibraryFile {
        name: "a.sh".into(),
        sha256: Digest::of(content),
        size_bytes: content.len() as u64,
        description: None,
        parameters_description: None,
        has_parameters: false,
        created_by: "analyst".into(),
        created_at: Default::default(),
        updated_at: Default::default(),
    };
    ground.store.put_library_file(&file, content, false, &audited()).await.unwrap();
    let before = ground.machine("web-03").await;
    let script = Wanted::LiveResponse(vec![WantedCommand::RunScript("a.sh".into(), None)]);
    let action = ground.request(&before, script).await;
    let mut after = ground.enrol(&ground.token_for("web-03").await, "web-03").await;
    after.granted(&ground, action).await;
    let fetch = || Request::get(format!("{LIBRARY_PATH}/{}", Digest::of(content))).body(Body::empty()).unwrap();
    let hand_in = || Request::put(format!("{ARTIFACT_PATH}/{action}/0")).body(Body::from("output")).unwrap();
    assert_eq!(ground.call(&before, fetch()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(ground.call(&before, hand_in()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(ground.call(&after, fetch()).await, (StatusCode::OK, "#!/bin/sh\n".into()));
    assert_eq!(ground.call(&after, hand_in()).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_has_done_all_of_it_or_nothing() {
    for done in [false, true] {
        let ground = Ground::in_memory();
        let mut before = ground.machine("web-03").await;
        let open = ground.request(&before, ISOLATE).await;
        let talk = before.granted(&ground, open).await;
        let token = ground.token_for("web-03").await;
        ground.store.at("reenrol", 1, if done { Fault::DiesAfter } else { Fault::DiesBefore });
        let (status, _) = ground.ask(&token, "web-03", &csr()).await.unwrap_err();
        assert_eq!((status, ground.store.is_over()), (StatusCode::SERVICE_UNAVAILABLE, true));
        assert_eq!(ended_by_enrolment(&ground, open).await, done);
        assert_eq!(before.hello(&ground).await.is_ok(), !done);
        talk.heard(before.finished(open, talk.session())).await.unwrap();
        let stage = if done { Stage::TimedOut } else { Stage::Succeeded };
        assert_eq!(ground.action(open).await.stage(), stage);
        // Where it was done and nobody heard of it, another token is needed; where not, the token is as good as before.
        assert_eq!(ground.ask(&token, "web-03", &csr()).await.is_ok(), !done);
        assert!(ground.ask(&ground.token_for("web-03").await, "web-03", &csr()).await.is_ok());
        is_sound(&ground).await;
    }
}

#[tokio::test]
async fn what_is_granted_or_cancelled_while_the_machine_enrols_again_ends_as_well() {
    let ground = Ground::in_memory();
    let before = ground.machine("web-03").await;
    let waits = ground.request(&before, ISOLATE).await;
    let talk = before.hello(&ground).await.unwrap();
    let claim = before.claim(talk.session(), waits);
    let granted = Box::pin(async move {
        let said = talk.heard(claim).await.unwrap();
        assert!(is_grant(&said), "{said:?}");
    });
    ground.store.at("reenrol", 1, Fault::Meanwhile(granted));
    let mut after = ground.enrol(&ground.token_for("web-03").await, "web-03").await;
    assert!(ground.store.is_over() && ended_by_enrolment(&ground, waits).await);
    let again = ground.request(&after, ISOLATE).await;
    after.granted(&ground, again).await;
    let change = cancelled(&ground, again).await;
    let store = Arc::clone(&ground.store);
    let meanwhile = Box::pin(async move {
        store.commit(&change, None).await.unwrap();
    });
    ground.store.at("reenrol", 1, Fault::Meanwhile(meanwhile));
    ground.enrol(&ground.token_for("web-03").await, "web-03").await;
    let ended = ground.action(again).await;
    assert!(ended_by_enrolment(&ground, again).await && ended.state.cancel().is_some(), "{ended:?}");
    is_sound(&ground).await;
}

/// The change that a cancel is.
async fn cancelled(ground: &Ground, id: ActionId) -> domain::decide::Change {
    use domain::decide::{Decision, Event, decide};
    let event = Event::CancelRequested { requestor: "analyst".into(), comment: String::new() };
    let action = ground.action(id).await;
    match decide(&action, event, action.updated_at.plus_seconds(1)) {
        Ok(Decision::Change(change, _)) => *change,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_that_enrol_the_same_machine_at_once_are_two_incarnations() {
    let ground = Ground::new();
    let known = ground.machine("web-03").await;
    let tokens = [ground.token_for("web-03").await, ground.token_for("web-03").await];
    let [one, other]: [Agent; 2] = {
        let (one, other) = tokio::join!(ground.enrol(&tokens[0], "web-03"), ground.enrol(&tokens[1], "web-03"));
        [one, other]
    };
    let mut incarnations = [one.peer.incarnation, other.peer.incarnation];
    incarnations.sort_unstable();
    assert_eq!((incarnations, one.peer.machine, other.peer.machine), ([2, 3], known.peer.machine, known.peer.machine));
}

/// A line of the audit log, for what a test does past the server.
fn audited() -> domain::audit::Entry {
    domain::audit::Entry::new(Default::default(), domain::audit::CallerKind::Administrator, "", "test")
}
