//! Lists of actions.

use crate::engines::contract;
use crate::world::{World, cancel, isolate, run};
use domain::action::{Action, Body};
use domain::ids::ActionId;
use domain::kind::Kind;
use domain::lifecycle::{STAGES, Stage};
use domain::testimony::Ending;
use store::ActionQuery;

contract!(
    actions_are_listed_newest_first_and_at_most_so_many,
    filters_narrow_alone_and_together,
    every_stage_can_be_asked_for,
    the_live_actions_of_a_machine_come_oldest_first,
    the_machines_with_live_actions_are_named_once,
    a_read_sees_every_write_that_was_acknowledged_before_it,
);

fn query() -> ActionQuery {
    ActionQuery { limit: 100, ..ActionQuery::default() }
}

async fn listed(world: &World, query: &ActionQuery) -> Vec<ActionId> {
    ids(&world.store.actions(query).await.unwrap())
}

fn ids(actions: &[Action]) -> Vec<ActionId> {
    actions.iter().map(|action| action.id).collect()
}

async fn actions_are_listed_newest_first_and_at_most_so_many(world: World) {
    let mut all = Vec::new();
    for _ in 0..4 {
        let machine = world.machine().await;
        all.push(world.action(machine.id, isolate()).await);
    }
    world.drive(all[1].id, cancel()).await;
    let newest_first: Vec<ActionId> = ids(&all).into_iter().rev().collect();
    assert_eq!(listed(&world, &query()).await, newest_first);
    assert_eq!(listed(&world, &ActionQuery { limit: 2, ..query() }).await, newest_first[..2]);
    assert!(listed(&world, &ActionQuery::default()).await.is_empty(), "a limit of none");
}

async fn filters_narrow_alone_and_together(world: World) {
    let (one, other) = (world.machine().await, world.machine().await);
    let isolated = world.action(one.id, isolate()).await;
    let released = world.action(one.id, Body::Release).await;
    let elsewhere = world.action(other.id, isolate()).await;
    world.drive(elsewhere.id, cancel()).await;
    let (machine, kind, id) = (Some(one.id), Some(Kind::Isolate), Some(isolated.id));
    let live = vec![Stage::Pending, Stage::Granted, Stage::Stopping];
    let ended = vec![Stage::Cancelled];
    let mixed = vec![Stage::Pending, Stage::Cancelled];
    for (query, expected) in [
        (ActionQuery { machine, ..query() }, vec![released.id, isolated.id]),
        (ActionQuery { kind, ..query() }, vec![elsewhere.id, isolated.id]),
        (ActionQuery { machine, kind, ..query() }, vec![isolated.id]),
        (ActionQuery { id, ..query() }, vec![isolated.id]),
        (ActionQuery { id, machine: Some(other.id), ..query() }, vec![]),
        (ActionQuery { stages: live.clone(), ..query() }, vec![released.id, isolated.id]),
        (ActionQuery { stages: ended.clone(), ..query() }, vec![elsewhere.id]),
        (ActionQuery { stages: mixed, ..query() }, vec![elsewhere.id, released.id, isolated.id]),
        (ActionQuery { stages: ended, machine, ..query() }, vec![]),
        (ActionQuery { id, machine, kind, stages: live, limit: 1 }, vec![isolated.id]),
        (ActionQuery { machine: Some(world.unknown_machine().id), ..query() }, vec![]),
    ] {
        assert_eq!(listed(&world, &query).await, expected, "{query:?}");
    }
}

async fn every_stage_can_be_asked_for(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    world.drive(action.id, crate::world::report(&action, Ending::Finished)).await;
    for stage in STAGES {
        let found = listed(&world, &ActionQuery { stages: vec![stage], ..query() }).await;
        assert_eq!(found.len(), usize::from(stage == Stage::Succeeded), "{stage}");
    }
}

async fn the_live_actions_of_a_machine_come_oldest_first(world: World) {
    let (machine, other) = (world.machine().await, world.machine().await);
    let early = world.unknown_action(machine.id, isolate());
    let late = world.granted(&machine, run(&[b"true"])).await;
    // The order of the requests counts, not that of their arrival.
    let early = world.insert(&early).await;
    let ended = world.action(machine.id, Body::Release).await;
    world.drive(ended.id, cancel()).await;
    world.action(other.id, isolate()).await;
    assert_eq!(world.store.live_actions(machine.id).await.unwrap(), [early, late]);
    assert_eq!(world.store.live_actions(world.unknown_machine().id).await.unwrap(), []);
}

async fn the_machines_with_live_actions_are_named_once(world: World) {
    let (busy, idle, unused) = (world.machine().await, world.machine().await, world.machine().await);
    world.action(busy.id, isolate()).await;
    world.action(busy.id, Body::Release).await;
    let ended = world.action(idle.id, isolate()).await;
    world.drive(ended.id, cancel()).await;
    assert_eq!(world.store.machines_with_live_actions().await.unwrap(), [busy.id]);
    world.granted(&unused, isolate()).await;
    let mut found = world.store.machines_with_live_actions().await.unwrap();
    found.sort();
    assert_eq!(found, [busy.id, unused.id]);
}

async fn a_read_sees_every_write_that_was_acknowledged_before_it(world: World) {
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let machine = world.machine().await;
                    let action = world.action(machine.id, isolate()).await;
                    assert_eq!(world.load(action.id).await, action);
                    world.drive(action.id, cancel()).await;
                    assert_eq!(world.load(action.id).await.stage(), Stage::Cancelled);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
