//! Committing a decided change: as it was decided, or not at all.

use crate::engines::contract;
use crate::world::{World, cancel, claim, forged, isolate, journal, report, time_up};
use domain::action::{Grant, State, TimedOutWhy};
use domain::ids::Epoch;
use domain::lifecycle::Stage;
use domain::testimony::Ending;
use store::{Committed, StoreError};

contract!(
    a_change_and_its_lines_are_stored_together,
    a_change_decided_on_an_older_revision_has_moved_and_leaves_nothing,
    a_change_of_an_unknown_action_has_moved,
    every_commit_has_a_higher_number,
    what_was_refused_has_no_number,
    the_checks_come_in_order_revision_session_class,
    a_final_action_never_changes,
    a_revision_rises_by_one,
    a_stage_is_not_left_without_a_line,
    what_was_requested_never_changes,
);

async fn a_change_and_its_lines_are_stored_together(world: World) {
    let (machine, session) = world.connected().await;
    let action = world.action(machine.id, isolate()).await;
    let change = world.decide(action.id, claim(session)).await;
    assert!(matches!(world.store.commit(&change, None).await.unwrap(), Committed::Stored(_)));
    assert_eq!(world.load(action.id).await, change.action);
    let lines = world.sound_history(action.id).await;
    assert_eq!(lines.last().map(|stored| &stored.line), change.history.last());
}

async fn a_change_decided_on_an_older_revision_has_moved_and_leaves_nothing(world: World) {
    let (machine, session) = world.connected().await;
    let action = world.action(machine.id, isolate()).await;
    let grant = world.decide(action.id, claim(session)).await;
    world.drive(action.id, cancel()).await;
    let before = (world.load(action.id).await, world.sound_history(action.id).await);
    assert_eq!(world.store.commit(&grant, None).await.unwrap(), Committed::Moved);
    assert_eq!((world.load(action.id).await, world.sound_history(action.id).await), before);
    assert_eq!(before.0.stage(), Stage::Cancelled);
}

async fn a_change_of_an_unknown_action_has_moved(world: World) {
    let machine = world.machine().await;
    let unknown = world.unknown_action(machine.id, isolate());
    let change = forged(&unknown, State::TimedOut { why: TimedOutWhy::NotStarted, grant: None, cancel: None });
    assert_eq!(world.store.commit(&change, None).await.unwrap(), Committed::Moved);
    assert_eq!(world.store.action(unknown.id).await.unwrap(), None);
}

async fn every_commit_has_a_higher_number(world: World) {
    let (machine, session) = world.connected().await;
    let action = world.action(machine.id, isolate()).await;
    let mut last = world.store.commit_number().await.unwrap();
    for event in [claim(session), cancel()] {
        let change = world.decide(action.id, event).await;
        let Committed::Stored(stored) = world.store.commit(&change, None).await.unwrap() else { panic!("not stored") };
        let number = stored.number;
        assert!(number > last, "{number} after {last}");
        assert_eq!(world.store.commit_number().await.unwrap(), number);
        last = number;
    }
    world.store.seen(machine.id, crate::world::START).await.unwrap();
    assert!(world.store.commit_number().await.unwrap() > last);
}

async fn what_was_refused_has_no_number(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    let before = world.store.commit_number().await.unwrap();
    let mut change = world.decide(action.id, cancel()).await;
    change.from_revision = 9;
    assert_eq!(world.store.commit(&change, None).await.unwrap(), Committed::Moved);
    let mut change = world.decide(action.id, cancel()).await;
    change.action.revision = 9;
    assert!(matches!(world.store.commit(&change, None).await, Err(StoreError::Refused(_))));
    assert_eq!(world.store.commit_number().await.unwrap(), before);
}

async fn the_checks_come_in_order_revision_session_class(world: World) {
    let (machine, session) = world.connected().await;
    let first = world.action(machine.id, isolate()).await;
    let second = world.action(machine.id, domain::Body::Release).await;
    let mut change = world.decide(second.id, claim(session)).await;
    world.session(&machine).await;
    change.from_revision = 9;
    assert_eq!(world.store.commit(&change, None).await.unwrap(), Committed::Moved);
    change.from_revision = 1;
    assert_eq!(world.store.commit(&change, None).await.unwrap(), Committed::SessionMoved);
    let newest = world.store.machine(machine.id).await.unwrap().unwrap().session;
    let change = world.decide(second.id, claim(newest)).await;
    assert_eq!(world.store.commit(&change, None).await.unwrap(), Committed::ClassBusy(first.id));
}

async fn a_final_action_never_changes(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    world.drive(action.id, report(&action, Ending::Finished)).await;
    let ended = world.load(action.id).await;
    let grant = Grant { epoch: Epoch(1), journal: journal() };
    let unknown = State::TimedOut { why: TimedOutWhy::NoContact, grant: Some(grant), cancel: None };
    for state in [ended.state.clone(), State::Pending, State::Granted { grant }, unknown] {
        assert!(matches!(world.store.commit(&forged(&ended, state), None).await, Err(StoreError::Refused(_))));
    }
    assert_eq!(world.load(action.id).await, ended);
    world.sound_history(action.id).await;
}

async fn a_revision_rises_by_one(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    for revision in [0, 1, 3] {
        let mut change = world.decide(action.id, cancel()).await;
        change.action.revision = revision;
        assert!(matches!(world.store.commit(&change, None).await, Err(StoreError::Refused(_))), "{revision}");
    }
    assert_eq!(world.load(action.id).await, action);
}

async fn a_stage_is_not_left_without_a_line(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    let mut change = world.decide(action.id, time_up(&action, Epoch(0))).await;
    change.history.clear();
    assert!(matches!(world.store.commit(&change, None).await, Err(StoreError::Refused(_))));
    assert_eq!(world.load(action.id).await, action);
}

async fn what_was_requested_never_changes(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    let mut change = world.decide(action.id, cancel()).await;
    change.action.body = domain::Body::Release;
    change.action.request.requestor = "somebody else".into();
    change.action.created_at = crate::world::START;
    // Whether an engine refuses that or leaves it out, what was requested stands.
    let _ = world.store.commit(&change, None).await;
    let stands = world.load(action.id).await;
    assert_eq!((stands.body, stands.request), (action.body, action.request));
    assert_eq!(stands.created_at, action.created_at);
}
