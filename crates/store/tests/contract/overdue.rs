//! What the sweep asks for.

use crate::engines::contract;
use crate::world::{Driven, START, World, cancel, claim, isolate, run, time_up};
use domain::action::Body;
use domain::ids::ActionId;
use domain::time::Timestamp;
use store::Committed;

contract!(
    a_pending_action_is_overdue_from_its_deadline_on,
    a_pending_action_is_not_overdue_for_its_machine_s_silence,
    an_open_action_is_overdue_when_its_machine_was_not_seen_since,
    an_open_action_is_not_overdue_for_its_deadline,
    a_final_action_is_never_overdue,
    at_most_so_many_are_named,
    overdue_of_both_sorts_are_named,
    a_machine_that_opens_a_session_is_not_silent,
);

/// Before anything happened.
const LONG_AGO: Timestamp = Timestamp(0);

async fn overdue(world: &World, now: Timestamp, unseen_since: Timestamp) -> Vec<ActionId> {
    let mut found = world.store.overdue(now, unseen_since, 100).await.unwrap();
    found.sort();
    found
}

async fn a_pending_action_is_overdue_from_its_deadline_on(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    assert!(overdue(&world, action.expires_at.plus_seconds(-1), LONG_AGO).await.is_empty());
    assert_eq!(overdue(&world, action.expires_at, LONG_AGO).await, [action.id]);
    assert_eq!(overdue(&world, action.expires_at.plus_seconds(1), LONG_AGO).await, [action.id]);
}

async fn a_pending_action_is_not_overdue_for_its_machine_s_silence(world: World) {
    let machine = world.machine().await;
    world.action(machine.id, isolate()).await;
    assert!(overdue(&world, START, START.plus_seconds(1_000_000)).await.is_empty());
}

async fn an_open_action_is_overdue_when_its_machine_was_not_seen_since(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    let seen = START.plus_seconds(50);
    world.store.seen(machine.id, seen).await.unwrap();
    assert!(overdue(&world, START, seen).await.is_empty());
    assert_eq!(overdue(&world, START, seen.plus_seconds(1)).await, [action.id]);
    world.drive(action.id, cancel()).await;
    assert_eq!(overdue(&world, START, seen.plus_seconds(1)).await, [action.id], "stopping is open too");
}

async fn an_open_action_is_not_overdue_for_its_deadline(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    assert!(overdue(&world, action.expires_at.plus_seconds(1), LONG_AGO).await.is_empty());
}

async fn a_final_action_is_never_overdue(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    world.drive(action.id, cancel()).await;
    let far = action.expires_at.plus_seconds(1_000_000);
    assert!(overdue(&world, far, far).await.is_empty());
}

async fn at_most_so_many_are_named(world: World) {
    for _ in 0..5 {
        let machine = world.machine().await;
        world.action(machine.id, isolate()).await;
        world.granted(&machine, run(&[b"true"])).await;
    }
    let far = START.plus_seconds(10_000_000);
    for limit in [0, 1, 3, 7] {
        assert_eq!(world.store.overdue(far, far, limit).await.unwrap().len(), limit as usize);
    }
    assert_eq!(world.store.overdue(far, far, 100).await.unwrap().len(), 10);
}

async fn overdue_of_both_sorts_are_named(world: World) {
    let (machine, session) = world.connected().await;
    let open = world.action(machine.id, isolate()).await;
    world.drive(open.id, claim(session)).await;
    let waits = world.action(machine.id, Body::Release).await;
    let far = waits.expires_at.plus_seconds(1);
    assert_eq!(overdue(&world, far, far).await, [open.id, waits.id]);
}

async fn a_machine_that_opens_a_session_is_not_silent(world: World) {
    let machine = world.machine().await;
    for cancelled in [false, true] {
        let action = world.granted(&machine, isolate()).await;
        if cancelled {
            world.drive(action.id, cancel()).await;
        }
        let judged = world.store.machine(machine.id).await.unwrap().unwrap().session;
        let change = world.decide(action.id, time_up(&action, judged)).await;
        world.session(&machine).await;
        assert_eq!(world.store.commit(&change, None).await.unwrap(), Committed::SessionMoved);
        assert!(world.load(action.id).await.stage().is_open());
        assert!(matches!(world.time_out(action.id).await, Driven::Changed(_)), "silent in the newest session");
    }
}
