//! A request under a key is done once, however often it arrives; and there are only so many live responses at once.

use crate::engines::contract;
use crate::world::{START, World, cancel, first_lines, isolate, once, run, terms};
use domain::ids::ActionId;
use domain::time::Timestamp;
use store::{Inserted, Terms};

contract!(
    the_same_request_under_the_same_key_is_the_same_action,
    another_request_under_the_same_key_is_refused,
    callers_have_their_own_keys,
    a_key_expires_at_its_time_and_is_forgotten_after_it,
    a_key_is_not_used_up_by_what_was_not_done,
    two_at_once_are_one,
    so_many_live_responses_and_no_more,
    two_at_once_do_not_pass_the_limit,
);

/// Inserts one more isolation of a new machine on these terms.
async fn insert(world: &World, terms: &Terms) -> (ActionId, Inserted) {
    let machine = world.machine().await;
    let mut action = world.unknown_action(machine.id, isolate());
    action.created_at = START;
    (action.id, world.store.insert(&action, &first_lines(&action), terms).await.unwrap())
}

async fn known(world: &World, caller: &str, key: &str, now: Timestamp) -> Option<ActionId> {
    world.store.repeated(caller, key, now).await.unwrap().map(|(_, action)| action)
}

async fn the_same_request_under_the_same_key_is_the_same_action(world: World) {
    let terms = once("app", "key", "isolate");
    let (first, inserted) = insert(&world, &terms).await;
    assert!(matches!(inserted, Inserted::Stored(_)));
    assert_eq!(known(&world, "app", "key", START).await, Some(first));
    let (_, again) = insert(&world, &terms).await;
    assert_eq!(again, Inserted::Repeated(first));
    // Whatever has become of it since, and before anything else is looked at.
    world.drive(first, cancel()).await;
    let nowhere = world.unknown_action(world.unknown_machine().id, isolate());
    let late = world.store.insert(&nowhere, &first_lines(&nowhere), &terms).await.unwrap();
    assert_eq!(late, Inserted::Repeated(first));
}

async fn another_request_under_the_same_key_is_refused(world: World) {
    insert(&world, &once("app", "key", "isolate")).await;
    assert_eq!(insert(&world, &once("app", "key", "release")).await.1, Inserted::KeyTaken);
}

async fn callers_have_their_own_keys(world: World) {
    let (first, _) = insert(&world, &once("app", "key", "isolate")).await;
    let (second, inserted) = insert(&world, &once("other", "key", "release")).await;
    assert!(matches!(inserted, Inserted::Stored(_)));
    assert_eq!(known(&world, "app", "key", START).await, Some(first));
    assert_eq!(known(&world, "other", "key", START).await, Some(second));
    assert_eq!(known(&world, "app", "KEY", START).await, None);
}

async fn a_key_expires_at_its_time_and_is_forgotten_after_it(world: World) {
    let terms = once("app", "key", "isolate");
    let end = terms.once.as_ref().unwrap().expires_at;
    let (first, _) = insert(&world, &terms).await;
    assert_eq!(known(&world, "app", "key", Timestamp(end.0 - 1)).await, Some(first));
    assert_eq!(known(&world, "app", "key", end).await, None);
    assert_eq!(world.store.forget_keys(Timestamp(end.0 - 1), 10).await.unwrap(), 0);
    // One that has expired is as good as none, also before it is forgotten.
    let machine = world.machine().await;
    let mut later = world.unknown_action(machine.id, isolate());
    later.created_at = end;
    let mut anew = once("app", "key", "release");
    anew.once.as_mut().unwrap().expires_at = end.plus_seconds(1);
    assert!(matches!(world.store.insert(&later, &first_lines(&later), &anew).await.unwrap(), Inserted::Stored(_)));
    assert_eq!(known(&world, "app", "key", end).await, Some(later.id));
    insert(&world, &once("app", "second", "isolate")).await;
    insert(&world, &once("app", "third", "isolate")).await;
    assert_eq!(world.store.forget_keys(end, 1).await.unwrap(), 1);
    assert_eq!(world.store.forget_keys(end, 9).await.unwrap(), 1);
    assert_eq!(world.store.forget_keys(end, 9).await.unwrap(), 0);
    assert_eq!(world.store.forget_keys(end.plus_seconds(1), 9).await.unwrap(), 1);
}

async fn a_key_is_not_used_up_by_what_was_not_done(world: World) {
    let machine = world.machine().await;
    let active = world.action(machine.id, isolate()).await;
    let terms = once("app", "key", "isolate");
    let second = world.unknown_action(machine.id, isolate());
    let refused = world.store.insert(&second, &first_lines(&second), &terms).await.unwrap();
    assert_eq!(refused, Inserted::AlreadyActive(active.id));
    world.store.insert(&world.unknown_action(machine.id, run(&[b"x"])), &[], &terms).await.unwrap_err();
    assert_eq!(known(&world, "app", "key", START).await, None);
    world.drive(active.id, cancel()).await;
    assert!(matches!(world.store.insert(&second, &first_lines(&second), &terms).await.unwrap(), Inserted::Stored(_)));
}

async fn two_at_once_are_one(world: World) {
    for round in 0..20 {
        let terms = once("app", &round.to_string(), "isolate");
        let (one, other) = tokio::join!(insert(&world, &terms), insert(&world, &terms));
        match (one.1, other.1) {
            (Inserted::Stored(_), again) => assert_eq!(again, Inserted::Repeated(one.0)),
            (again, Inserted::Stored(_)) => assert_eq!(again, Inserted::Repeated(other.0)),
            both => panic!("{both:?}"),
        }
    }
}

fn at_most(live_responses_max: u32) -> Terms {
    Terms { live_responses_max: Some(live_responses_max), ..terms() }
}

/// Inserts one more live response on a new machine.
async fn respond(world: &World, terms: &Terms) -> (ActionId, Inserted) {
    let machine = world.machine().await;
    let action = world.unknown_action(machine.id, run(&[b"true"]));
    (action.id, world.store.insert(&action, &first_lines(&action), terms).await.unwrap())
}

async fn so_many_live_responses_and_no_more(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, run(&[b"true"])).await;
    let (waiting, stored) = respond(&world, &at_most(2)).await;
    assert!(matches!(stored, Inserted::Stored(_)));
    assert_eq!(respond(&world, &at_most(2)).await.1, Inserted::TooMany);
    assert!(matches!(insert(&world, &at_most(2)).await.1, Inserted::Stored(_)), "another kind");
    // One that is being stopped still runs.
    world.drive(granted.id, cancel()).await;
    assert_eq!(respond(&world, &at_most(2)).await.1, Inserted::TooMany);
    world.drive(waiting, cancel()).await;
    assert!(matches!(respond(&world, &at_most(2)).await.1, Inserted::Stored(_)));
    assert_eq!(respond(&world, &at_most(0)).await.1, Inserted::TooMany);
    assert!(matches!(respond(&world, &terms()).await.1, Inserted::Stored(_)), "without a limit");
}

async fn two_at_once_do_not_pass_the_limit(world: World) {
    let terms = at_most(3);
    let tries = (0..8).map(|_| respond(&world, &terms));
    let mut stored = 0;
    for (_, inserted) in futures_of(tries).await {
        stored += u32::from(matches!(inserted, Inserted::Stored(_)));
    }
    assert_eq!(stored, 3);
}

/// All of them at once.
async fn futures_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut ready = Vec::new();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                ready.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    ready
}
