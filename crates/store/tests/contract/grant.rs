//! Grants: to the newest session, one at a time for a resource class, in the order of the requests.

use crate::engines::contract;
use crate::world::{Driven, STOPPED, World, cancel, claim, forged, isolate, journal, report, run};
use domain::action::{Action, Body, Grant, State};
use domain::decide::Tell;
use domain::ids::{Epoch, JournalId};
use domain::lifecycle::Stage;
use domain::testimony::Ending;
use store::{Committed, StoreError};
use uuid::Uuid;

contract!(
    a_claim_of_the_newest_session_is_granted,
    a_claim_of_an_older_session_is_not,
    an_earlier_request_of_the_class_goes_first,
    of_two_requests_at_the_same_time_the_lower_id_goes_first,
    an_open_action_of_the_class_is_in_the_way_even_if_requested_later,
    what_is_granted_is_granted_again_whatever_came_on_record_since,
    a_stopping_action_is_still_in_the_way,
    an_ended_action_is_not_in_the_way,
    another_class_or_another_machine_is_not_in_the_way,
    a_grant_moves_to_a_newer_session_of_the_same_journal,
    a_grant_stays_with_its_journal_and_never_goes_back,
    there_is_no_grant_after_a_cancel,
);

/// An isolation and a release of one machine: two kinds, one class.
async fn rivals(world: &World) -> (Epoch, Action, Action) {
    let (machine, session) = world.connected().await;
    let first = world.action(machine.id, isolate()).await;
    let second = world.action(machine.id, Body::Release).await;
    (session, first, second)
}

fn busy(action: &Action) -> Driven {
    Driven::NotNow(Committed::ClassBusy(action.id))
}

async fn a_claim_of_the_newest_session_is_granted(world: World) {
    let (machine, _) = world.connected().await;
    let action = world.granted(&machine, isolate()).await;
    let session = world.store.machine(machine.id).await.unwrap().unwrap().session;
    assert_eq!(action.state, State::Granted { grant: Grant { epoch: session, journal: journal() } });
}

async fn a_claim_of_an_older_session_is_not(world: World) {
    let (machine, old) = world.connected().await;
    let action = world.action(machine.id, isolate()).await;
    let new = world.session(&machine).await;
    assert_eq!(world.drive(action.id, claim(old)).await, Driven::NotNow(Committed::SessionMoved));
    assert_eq!(world.load(action.id).await, action);
    assert!(matches!(world.drive(action.id, claim(new)).await, Driven::Changed(Tell::Grant(_))));
}

async fn an_earlier_request_of_the_class_goes_first(world: World) {
    let (session, first, second) = rivals(&world).await;
    assert_eq!(world.drive(second.id, claim(session)).await, busy(&first));
    assert_eq!(world.load(second.id).await, second);
    assert!(matches!(world.drive(first.id, claim(session)).await, Driven::Changed(_)));
    assert_eq!(world.drive(second.id, claim(session)).await, busy(&first));
}

async fn of_two_requests_at_the_same_time_the_lower_id_goes_first(world: World) {
    let (machine, session) = world.connected().await;
    let lower = world.unknown_action(machine.id, isolate());
    let mut higher = world.unknown_action(machine.id, Body::Release);
    higher.created_at = lower.created_at;
    // The order in which they reach the store does not matter.
    world.insert(&higher).await;
    world.insert(&lower).await;
    assert!(lower.id < higher.id);
    assert_eq!(world.drive(higher.id, claim(session)).await, busy(&lower));
    assert!(matches!(world.drive(lower.id, claim(session)).await, Driven::Changed(_)));
}

async fn an_open_action_of_the_class_is_in_the_way_even_if_requested_later(world: World) {
    let (machine, session) = world.connected().await;
    let early = world.unknown_action(machine.id, isolate());
    let late = world.action(machine.id, Body::Release).await;
    assert!(matches!(world.drive(late.id, claim(session)).await, Driven::Changed(_)));
    world.insert(&early).await;
    assert!(early.created_at < late.created_at);
    assert_eq!(world.drive(early.id, claim(session)).await, busy(&late));
}

async fn what_is_granted_is_granted_again_whatever_came_on_record_since(world: World) {
    let (machine, session) = world.connected().await;
    let early = world.unknown_action(machine.id, isolate());
    let late = world.action(machine.id, Body::Release).await;
    assert!(matches!(world.drive(late.id, claim(session)).await, Driven::Changed(_)));
    world.insert(&early).await;
    // The grant was lost on its way: were each in the way of the other, neither would ever be granted.
    let newer = world.session(&machine).await;
    assert_eq!(world.drive(early.id, claim(newer)).await, busy(&late));
    assert!(matches!(world.drive(late.id, claim(newer)).await, Driven::Changed(Tell::Grant(_))));
}

async fn a_stopping_action_is_still_in_the_way(world: World) {
    let (session, first, second) = rivals(&world).await;
    world.drive(first.id, claim(session)).await;
    world.drive(first.id, cancel()).await;
    assert_eq!(world.load(first.id).await.stage(), Stage::Stopping);
    assert_eq!(world.drive(second.id, claim(session)).await, busy(&first));
}

async fn an_ended_action_is_not_in_the_way(world: World) {
    for ending in [Ending::Finished, STOPPED, Ending::Broke { why: "no space".into() }] {
        let (session, first, second) = rivals(&world).await;
        world.drive(first.id, claim(session)).await;
        world.drive(first.id, cancel()).await;
        let first = world.load(first.id).await;
        world.drive(first.id, report(&first, ending)).await;
        assert!(matches!(world.drive(second.id, claim(session)).await, Driven::Changed(Tell::Grant(_))));
    }
}

async fn another_class_or_another_machine_is_not_in_the_way(world: World) {
    let (session, first, _) = rivals(&world).await;
    let script = world.action(first.machine, run(&[b"true"])).await;
    assert!(matches!(world.drive(script.id, claim(session)).await, Driven::Changed(_)));
    let (elsewhere, session) = world.connected().await;
    let other = world.action(elsewhere.id, Body::Release).await;
    assert!(matches!(world.drive(other.id, claim(session)).await, Driven::Changed(_)));
}

async fn a_grant_moves_to_a_newer_session_of_the_same_journal(world: World) {
    let (machine, _) = world.connected().await;
    let action = world.granted(&machine, isolate()).await;
    let newer = world.session(&machine).await;
    let grant = Grant { epoch: newer, journal: journal() };
    assert_eq!(world.drive(action.id, claim(newer)).await, Driven::Changed(Tell::Grant(grant)));
    assert_eq!(world.load(action.id).await.state, State::Granted { grant });
    world.sound_history(action.id).await;
}

async fn a_grant_stays_with_its_journal_and_never_goes_back(world: World) {
    let (machine, _) = world.connected().await;
    let action = world.granted(&machine, isolate()).await;
    let held = action.state.grant().unwrap();
    let elsewhere = Grant { journal: JournalId(Uuid::from_u128(99)), ..held };
    let older = Grant { epoch: Epoch(held.epoch.0 - 1), ..held };
    for grant in [elsewhere, older] {
        let change = forged(&action, State::Granted { grant });
        assert!(matches!(world.store.commit(&change, None).await, Err(StoreError::Refused(_))));
    }
    assert!(matches!(world.store.commit(&forged(&action, State::Pending), None).await, Err(StoreError::Refused(_))));
    assert_eq!(world.load(action.id).await, action);
}

async fn there_is_no_grant_after_a_cancel(world: World) {
    let (machine, _) = world.connected().await;
    let granted = world.granted(&machine, isolate()).await;
    world.drive(granted.id, cancel()).await;
    let stopping = world.load(granted.id).await;
    let State::Stopping { grant, cancel } = stopping.state.clone() else { panic!("{stopping:?}") };
    let newer = Grant { epoch: Epoch(grant.epoch.0 + 1), ..grant };
    for state in [State::Stopping { grant: newer, cancel }, State::Granted { grant }, State::Granted { grant: newer }] {
        assert!(matches!(world.store.commit(&forged(&stopping, state), None).await, Err(StoreError::Refused(_))));
    }
    assert_eq!(world.load(granted.id).await, stopping);
}
