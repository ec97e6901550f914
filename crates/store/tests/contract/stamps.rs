//! When an action last changed: distinct, and rising over all actions in the order of the commits.

use crate::engines::contract;
use crate::world::{START, World, action_id, cancel, first_lines, forged, isolate, report, terms};
use domain::action::{Action, State, TimedOutWhy};
use domain::decide::{Decision, decide};
use domain::testimony::Ending;
use domain::time::Timestamp;
use store::{Committed, Inserted, StoreError, Stored};

contract!(
    every_change_of_any_action_is_stamped_after_all_before_it,
    a_stamp_is_the_time_of_the_decision_where_that_is_later,
    what_is_answered_is_what_is_on_record,
    a_cancel_is_never_later_than_the_change_that_took_it,
    nothing_is_changed_after_the_end_of_time,
    stamps_rise_however_many_write_at_once,
);

/// Requested at this time, whatever was before.
fn requested(world: &World, machine: domain::MachineId, at: Timestamp) -> Action {
    Action::requested(action_id(world.fresh()), machine, isolate(), crate::world::request(), at)
}

async fn inserted(world: &World, action: &Action) -> Stored {
    match world.store.insert(action, &first_lines(action), &terms()).await.unwrap() {
        Inserted::Stored(stored) => stored,
        other => panic!("{other:?}"),
    }
}

async fn committed(world: &World, action: &Action, at: Timestamp) -> Stored {
    let Ok(Decision::Change(change, _)) = decide(action, cancel(), at) else { panic!("no change") };
    match world.store.commit(&change, None).await.unwrap() {
        Committed::Stored(stored) => stored,
        other => panic!("{other:?}"),
    }
}

async fn every_change_of_any_action_is_stamped_after_all_before_it(world: World) {
    // A clock that stands still, and one that goes back.
    let mut last = Timestamp(i64::MIN);
    for back in 0..20 {
        let machine = world.machine().await;
        let at = START.plus_seconds(-(back / 5));
        let action = requested(&world, machine.id, at);
        let stored = inserted(&world, &action).await;
        assert!(stored.updated_at > last && stored.updated_at >= at, "{stored:?} after {last:?}");
        let cancelled = committed(&world, &action, at).await;
        assert!(cancelled.updated_at > stored.updated_at, "{cancelled:?} after {stored:?}");
        assert!(cancelled.number > stored.number);
        last = cancelled.updated_at;
    }
    // By single ticks, and no more than there were changes.
    assert_eq!(last, Timestamp(START.0 + 39));
}

async fn a_stamp_is_the_time_of_the_decision_where_that_is_later(world: World) {
    let machine = world.machine().await;
    let action = requested(&world, machine.id, START);
    assert_eq!(inserted(&world, &action).await.updated_at, START);
    assert_eq!(committed(&world, &action, START.plus_seconds(9)).await.updated_at, START.plus_seconds(9));
}

async fn what_is_answered_is_what_is_on_record(world: World) {
    for _ in 0..3 {
        let machine = world.machine().await;
        let action = requested(&world, machine.id, START);
        let stored = inserted(&world, &action).await;
        let stands = world.load(action.id).await;
        assert_eq!(stands, Action { updated_at: stored.updated_at, ..action });
        let stored = committed(&world, &stands, START).await;
        assert_eq!(world.load(stands.id).await.updated_at, stored.updated_at);
        assert_eq!(world.store.commit_number().await.unwrap(), stored.number);
    }
}

async fn a_cancel_is_never_later_than_the_change_that_took_it(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    // Something else is changed in the same tick.
    let other = world.machine().await;
    inserted(&world, &requested(&world, other.id, granted.updated_at.plus_seconds(1))).await;
    world.drive(granted.id, cancel()).await;
    let stopping = world.load(granted.id).await;
    let at = stopping.state.cancel().expect("a cancel").at;
    assert!(granted.updated_at < at && at <= stopping.updated_at, "{at:?}, {stopping:?}");
    world.drive(granted.id, report(&granted, Ending::Finished)).await;
    let ended = world.load(granted.id).await;
    assert_eq!(ended.state.cancel().map(|cancel| cancel.at), Some(at));
    assert!(ended.updated_at > stopping.updated_at);
}

async fn nothing_is_changed_after_the_end_of_time(world: World) {
    let (machine, other) = (world.machine().await, world.machine().await);
    let action = requested(&world, machine.id, Timestamp(i64::MAX));
    inserted(&world, &action).await;
    let late = requested(&world, other.id, START);
    assert!(matches!(world.store.insert(&late, &first_lines(&late), &terms()).await, Err(StoreError::Refused(_))));
    let why = State::TimedOut { why: TimedOutWhy::NotStarted, grant: None, cancel: None };
    assert!(matches!(world.store.commit(&forged(&action, why), None).await, Err(StoreError::Refused(_))));
    assert_eq!(world.load(action.id).await, action);
}

async fn stamps_rise_however_many_write_at_once(world: World) {
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move {
                let mut stored = Vec::new();
                for _ in 0..20 {
                    let machine = world.machine().await;
                    let action = requested(&world, machine.id, START);
                    stored.push(inserted(&world, &action).await);
                    stored.push(committed(&world, &world.load(action.id).await, START).await);
                }
                stored
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_by_key(|stored| stored.number);
    assert!(all.windows(2).all(|pair| pair[0].updated_at < pair[1].updated_at), "{all:?}");
}
