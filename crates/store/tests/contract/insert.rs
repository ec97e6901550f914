//! Requesting an action.

use crate::engines::contract;
use crate::world::{STOPPED, World, cancel, first_lines, forged, isolate, line, report, terms};
use domain::action::{Body, Grant, State};
use domain::history::Source;
use domain::ids::Epoch;
use domain::lifecycle::Stage;
use store::{Inserted, StoreError};

contract!(
    a_new_action_reads_back_as_it_was_requested,
    its_first_lines_are_stored_with_it,
    an_unknown_machine_is_said_so_and_nothing_is_stored,
    a_second_live_action_of_a_kind_is_refused_and_the_first_is_named,
    a_kind_is_live_until_its_action_is_final,
    other_kinds_and_other_machines_are_not_in_the_way,
    an_id_is_used_once,
    an_action_begins_pending,
    an_action_begins_with_a_line_in_its_history,
);

async fn a_new_action_reads_back_as_it_was_requested(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    assert_eq!(world.store.action(action.id).await.unwrap(), Some(action));
}

async fn its_first_lines_are_stored_with_it(world: World) {
    let machine = world.machine().await;
    let action = world.unknown_action(machine.id, isolate());
    let lines = [line(&action, Source::Caller, "requested"), line(&action, Source::Server, "waits")];
    assert!(matches!(world.store.insert(&action, &lines, &terms()).await.unwrap(), Inserted::Stored(_)));
    let stored = world.sound_history(action.id).await;
    assert_eq!(stored.into_iter().map(|stored| stored.line).collect::<Vec<_>>(), lines);
}

async fn an_unknown_machine_is_said_so_and_nothing_is_stored(world: World) {
    let action = world.unknown_action(world.unknown_machine().id, isolate());
    assert_eq!(world.store.insert(&action, &first_lines(&action), &terms()).await.unwrap(), Inserted::NoMachine);
    assert_eq!(world.store.action(action.id).await.unwrap(), None);
    assert_eq!(world.store.history(action.id).await.unwrap(), []);
}

async fn a_second_live_action_of_a_kind_is_refused_and_the_first_is_named(world: World) {
    let machine = world.machine().await;
    let first = world.action(machine.id, isolate()).await;
    let second = world.unknown_action(machine.id, isolate());
    let inserted = world.store.insert(&second, &first_lines(&second), &terms()).await.unwrap();
    assert_eq!(inserted, Inserted::AlreadyActive(first.id));
    assert_eq!(world.store.action(second.id).await.unwrap(), None);
    assert_eq!(world.store.history(second.id).await.unwrap(), []);
}

async fn a_kind_is_live_until_its_action_is_final(world: World) {
    let machine = world.machine().await;
    let first = world.granted(&machine, isolate()).await;
    let second = world.unknown_action(machine.id, isolate());
    let already = Inserted::AlreadyActive(first.id);
    assert_eq!(world.store.insert(&second, &first_lines(&second), &terms()).await.unwrap(), already, "granted");
    world.drive(first.id, cancel()).await;
    assert_eq!(world.store.insert(&second, &first_lines(&second), &terms()).await.unwrap(), already, "stopping");
    world.drive(first.id, report(&first, STOPPED)).await;
    assert_eq!(world.load(first.id).await.stage(), Stage::Cancelled);
    assert!(matches!(world.store.insert(&second, &first_lines(&second), &terms()).await.unwrap(), Inserted::Stored(_)));
}

async fn other_kinds_and_other_machines_are_not_in_the_way(world: World) {
    let (one, other) = (world.machine().await, world.machine().await);
    world.action(one.id, isolate()).await;
    world.action(one.id, Body::Release).await;
    world.action(other.id, isolate()).await;
}

async fn an_id_is_used_once(world: World) {
    let machine = world.machine().await;
    let first = world.action(machine.id, isolate()).await;
    world.drive(first.id, cancel()).await;
    assert!(matches!(world.store.insert(&first, &first_lines(&first), &terms()).await, Err(StoreError::Refused(_))));
    assert_eq!(world.load(first.id).await.stage(), Stage::Cancelled);
    assert_eq!(world.sound_history(first.id).await.len(), 3);
}

async fn an_action_begins_pending(world: World) {
    let machine = world.machine().await;
    let pending = world.unknown_action(machine.id, isolate());
    let grant = Grant { epoch: Epoch(1), journal: crate::world::journal() };
    let granted = forged(&pending, State::Granted { grant }).action;
    assert!(matches!(
        world.store.insert(&granted, &first_lines(&granted), &terms()).await,
        Err(StoreError::Refused(_))
    ));
    assert_eq!(world.store.action(granted.id).await.unwrap(), None);
}

async fn an_action_begins_with_a_line_in_its_history(world: World) {
    let machine = world.machine().await;
    let action = world.unknown_action(machine.id, isolate());
    assert!(matches!(world.store.insert(&action, &[], &terms()).await, Err(StoreError::Refused(_))));
    assert_eq!(world.store.action(action.id).await.unwrap(), None);
}
