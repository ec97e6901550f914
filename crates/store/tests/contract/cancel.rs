//! Cancels: true when they say so, written once, never overtaken.

use crate::engines::contract;
use crate::world::{Driven, STOPPED, World, cancel, forged, isolate, report, testimony};
use domain::action::{Cancel, CancelProof, State};
use domain::decide::{Event, Tell};
use domain::lifecycle::Stage;
use domain::testimony::Ending;
use store::StoreError;

contract!(
    an_action_that_was_never_granted_is_cancelled_at_once,
    an_action_that_was_granted_is_stopping_and_keeps_its_grant,
    a_testimony_makes_it_cancelled_and_stands_with_it,
    a_finish_that_came_first_is_the_end_and_the_cancel_stands_with_it,
    asked_twice_the_first_stands,
    after_the_end_it_is_refused_and_nothing_changes,
    an_accepted_cancel_is_never_altered_or_taken_back,
    cancelled_is_not_said_of_a_granted_action_without_a_testimony,
    cancelled_is_not_said_without_a_cancel,
);

async fn an_action_that_was_never_granted_is_cancelled_at_once(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    assert_eq!(world.drive(action.id, cancel()).await, Driven::Changed(Tell::Nothing));
    let cancelled = world.load(action.id).await;
    assert!(matches!(cancelled.state, State::Cancelled { proof: CancelProof::NeverGranted, .. }));
    assert_eq!(world.sound_history(action.id).await.len(), 3);
}

async fn an_action_that_was_granted_is_stopping_and_keeps_its_grant(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    let grant = granted.state.grant().unwrap();
    assert_eq!(world.drive(granted.id, cancel()).await, Driven::Changed(Tell::Abort(grant.epoch)));
    let stopping = world.load(granted.id).await;
    assert_eq!((stopping.stage(), stopping.state.grant()), (Stage::Stopping, Some(grant)));
}

async fn a_testimony_makes_it_cancelled_and_stands_with_it(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    world.drive(granted.id, cancel()).await;
    assert_eq!(world.drive(granted.id, report(&granted, STOPPED)).await, Driven::Changed(Tell::Acknowledge));
    let cancelled = world.load(granted.id).await;
    assert_eq!(cancelled.stage(), Stage::Cancelled);
    assert_eq!(cancelled.state.testimony(), Some(&testimony(&granted, STOPPED)));
    world.sound_history(granted.id).await;
}

async fn a_finish_that_came_first_is_the_end_and_the_cancel_stands_with_it(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    world.drive(granted.id, cancel()).await;
    world.drive(granted.id, report(&granted, Ending::Finished)).await;
    let ended = world.load(granted.id).await;
    assert!(matches!(ended.state, State::Succeeded { cancel: Some(_), .. }));
}

async fn asked_twice_the_first_stands(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    world.drive(granted.id, cancel()).await;
    let once = world.load(granted.id).await;
    let again = Event::CancelRequested { requestor: "other".into(), comment: "me too".into() };
    assert!(matches!(world.drive(granted.id, again).await, Driven::Stayed(Tell::Abort(_))));
    assert_eq!(world.load(granted.id).await, once);
}

async fn after_the_end_it_is_refused_and_nothing_changes(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    world.drive(granted.id, report(&granted, Ending::Finished)).await;
    let ended = world.load(granted.id).await;
    assert!(matches!(world.drive(granted.id, cancel()).await, Driven::Refused(_)));
    assert_eq!(world.load(granted.id).await, ended);
}

async fn an_accepted_cancel_is_never_altered_or_taken_back(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    world.drive(granted.id, cancel()).await;
    let stopping = world.load(granted.id).await;
    let State::Stopping { grant, cancel } = stopping.state.clone() else { panic!("{stopping:?}") };
    let altered = [
        Cancel { requestor: "other".into(), ..cancel.clone() },
        Cancel { comment: String::new(), ..cancel.clone() },
        Cancel { at: cancel.at.plus_seconds(1), ..cancel },
    ];
    for cancel in altered {
        let change = forged(&stopping, State::Stopping { grant, cancel });
        assert!(matches!(world.store.commit(&change, None).await, Err(StoreError::Refused(_))));
    }
    let testimony = testimony(&granted, Ending::Finished);
    let change = forged(&stopping, State::Succeeded { testimony, cancel: None });
    assert!(matches!(world.store.commit(&change, None).await, Err(StoreError::Refused(_))));
    assert_eq!(world.load(granted.id).await, stopping);
}

async fn cancelled_is_not_said_of_a_granted_action_without_a_testimony(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    world.drive(granted.id, cancel()).await;
    let stopping = world.load(granted.id).await;
    let cancel = stopping.state.cancel().cloned().unwrap();
    for action in [&granted, &stopping] {
        let state = State::Cancelled { cancel: cancel.clone(), proof: CancelProof::NeverGranted };
        let mut change = forged(action, state);
        change.from_revision = stopping.revision;
        change.action.revision = stopping.revision + 1;
        assert!(matches!(world.store.commit(&change, None).await, Err(StoreError::Refused(_))));
    }
    assert_eq!(world.load(granted.id).await, stopping);
}

async fn cancelled_is_not_said_without_a_cancel(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    world.drive(granted.id, cancel()).await;
    let stopping = world.load(granted.id).await;
    let cancel = Cancel { requestor: "nobody".into(), comment: "forged".into(), at: stopping.updated_at };
    let proof = CancelProof::Testified { testimony: testimony(&granted, STOPPED) };
    let change = forged(&stopping, State::Cancelled { cancel, proof });
    assert!(
        matches!(world.store.commit(&change, None).await, Err(StoreError::Refused(_))),
        "another cancel than the one kept"
    );
    assert_eq!(world.load(granted.id).await, stopping);
}
