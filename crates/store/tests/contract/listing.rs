//! Lists of actions.

use crate::engines::contract;
use crate::world::{World, action_id, cancel, isolate, run};
use domain::action::{Action, Body};
use domain::ids::ActionId;
use domain::kind::Kind;
use domain::lifecycle::{STAGES, Stage};
use domain::testimony::Ending;
use store::query::{Comparison, Key, Order, Position, TextMatch, Value};
use store::{ActionField, ActionQuery, ActionRow, Filter, StoreError};

contract!(
    actions_are_listed_newest_first_and_at_most_so_many,
    what_is_equal_is_sorted_by_id_and_pages_go_on_after_a_place,
    filters_narrow_alone_and_together,
    what_makes_no_sense_is_refused,
    every_stage_can_be_asked_for,
    the_live_actions_of_a_machine_come_oldest_first,
    the_machines_with_live_actions_are_named_once,
    a_read_sees_every_write_that_was_acknowledged_before_it,
);

fn all() -> ActionQuery {
    ActionQuery::all(100)
}

async fn listed(world: &World, query: &ActionQuery) -> Vec<ActionId> {
    ids(&world.store.actions(query).await.unwrap())
}

fn ids(actions: &[Action]) -> Vec<ActionId> {
    actions.iter().map(|action| action.id).collect()
}

/// Four actions, requested one after the other, of which the second was cancelled.
async fn four(world: &World) -> Vec<ActionId> {
    let mut all = Vec::new();
    for _ in 0..4 {
        let machine = world.machine().await;
        all.push(world.action(machine.id, isolate()).await.id);
    }
    world.drive(all[1], cancel()).await;
    all
}

async fn actions_are_listed_newest_first_and_at_most_so_many(world: World) {
    let newest_first: Vec<ActionId> = four(&world).await.into_iter().rev().collect();
    assert_eq!(listed(&world, &all()).await, newest_first);
    assert_eq!(listed(&world, &ActionQuery::all(2)).await, newest_first[..2]);
    assert_eq!(listed(&world, &ActionQuery { skip: 1, ..ActionQuery::all(2) }).await, newest_first[1..3]);
    assert_eq!(listed(&world, &ActionQuery { skip: 9, ..all() }).await, []);
    assert_eq!(listed(&world, &ActionQuery { skip: u64::MAX, ..all() }).await, []);
    assert!(listed(&world, &ActionQuery::default()).await.is_empty(), "a limit of none");
}

async fn what_is_equal_is_sorted_by_id_and_pages_go_on_after_a_place(world: World) {
    let oldest_first = four(&world).await;
    let by = |field, descending| Order { by: Key::Field(field), descending };
    let stages = STAGES.iter().zip(0..).map(|(stage, rank)| (Value::Stage(*stage), rank)).collect();
    let ranked = Order { by: Key::Rank(ActionField::Stage, stages), descending: true };
    let cancelled_last = [0, 2, 3, 1].map(|index| oldest_first[index]);
    let orders = [
        (vec![], oldest_first.iter().rev().copied().collect::<Vec<_>>()),
        (vec![by(ActionField::Requestor, false)], oldest_first.clone()),
        (vec![by(ActionField::CancelAt, true)], [1, 3, 2, 0].map(|index| oldest_first[index]).to_vec()),
        (vec![by(ActionField::CancelRequestor, false), by(ActionField::CreatedAt, false)], cancelled_last.to_vec()),
        (vec![ranked, by(ActionField::Comment, true)], [1, 3, 2, 0].map(|index| oldest_first[index]).to_vec()),
        (vec![by(ActionField::UpdatedAt, true), by(ActionField::Id, false)], {
            // The cancel came last of all.
            [1, 3, 2, 0].map(|index| oldest_first[index]).to_vec()
        }),
    ];
    for (order, expected) in orders {
        let query = ActionQuery { order, ..all() };
        assert_eq!(listed(&world, &query).await, expected, "{query:?}");
        let mut page = ActionQuery { limit: 1, ..query.clone() };
        let mut paged = Vec::new();
        while let Some(action) = world.store.actions(&page).await.unwrap().pop() {
            let machine = world.store.machine(action.machine).await.unwrap().unwrap();
            page.after = Some(page.position(ActionRow { action: &action, machine_name: &machine.name }));
            paged.push(action.id);
        }
        assert_eq!(paged, expected, "{query:?}");
    }
}

async fn filters_narrow_alone_and_together(world: World) {
    use ActionField as F;
    let (one, other) = (world.machine().await, world.machine().await);
    let isolated = world.action(one.id, isolate()).await;
    let released = world.action(one.id, Body::Release).await;
    let elsewhere = world.action(other.id, isolate()).await;
    world.drive(elsewhere.id, cancel()).await;
    let on = |id| Filter::is(F::Machine, Value::Machine(id));
    let kind = || Filter::is(F::Kind, Value::Kind(Kind::Isolate));
    let id = || Filter::is(F::Id, Value::Action(isolated.id));
    let among = |stages: &[Stage]| Filter::OneOf(F::Stage, stages.iter().copied().map(Value::Stage).collect());
    let live = [Stage::Pending, Stage::Granted, Stage::Stopping];
    let (ended, mixed) = ([Stage::Cancelled], [Stage::Pending, Stage::Cancelled]);
    let names = vec![Value::Text(one.name.to_uppercase()), Value::Text("nobody".into())];
    let cancelled = || Filter::IsNull(F::CancelAt);
    let after = |at| Filter::Compare(F::UpdatedAt, Comparison::Greater, Value::Time(at));
    for (filter, expected) in [
        (Filter::Known(true), vec![elsewhere.id, released.id, isolated.id]),
        (Filter::Known(false), vec![]),
        (Filter::Unknown, vec![]),
        (Filter::Not(Box::new(Filter::Unknown)), vec![]),
        (on(one.id), vec![released.id, isolated.id]),
        (Filter::Not(Box::new(on(one.id))), vec![elsewhere.id]),
        (Filter::OneOf(F::MachineName, names), vec![released.id, isolated.id]),
        (
            Filter::Text(F::MachineName, TextMatch::EndsWith, one.name[3..].to_uppercase()),
            vec![released.id, isolated.id],
        ),
        (kind(), vec![elsewhere.id, isolated.id]),
        (Filter::All(vec![on(one.id), kind()]), vec![isolated.id]),
        (Filter::Any(vec![on(other.id), kind()]), vec![elsewhere.id, isolated.id]),
        (id(), vec![isolated.id]),
        (Filter::All(vec![id(), on(other.id)]), vec![]),
        (among(&live), vec![released.id, isolated.id]),
        (among(&ended), vec![elsewhere.id]),
        (among(&mixed), vec![elsewhere.id, released.id, isolated.id]),
        (among(&[]), vec![]),
        (Filter::All(vec![among(&ended), on(one.id)]), vec![]),
        (Filter::All(vec![id(), on(one.id), kind(), among(&live)]), vec![isolated.id]),
        (on(world.unknown_machine().id), vec![]),
        (cancelled(), vec![released.id, isolated.id]),
        (Filter::Not(Box::new(cancelled())), vec![elsewhere.id]),
        (after(released.updated_at), vec![elsewhere.id]),
        (Filter::Text(F::CancelComment, TextMatch::Contains, "alse".into()), vec![elsewhere.id]),
        (Filter::Not(Box::new(Filter::Text(F::CancelComment, TextMatch::Contains, "alse".into()))), vec![]),
    ] {
        let found = listed(&world, &ActionQuery { filter: filter.clone(), ..all() }).await;
        assert_eq!(found, expected, "{filter:?}");
        assert_eq!(world.store.count_actions(&filter).await.unwrap(), expected.len() as u64, "{filter:?}");
    }
}

async fn what_makes_no_sense_is_refused(world: World) {
    use ActionField as F;
    world.action(world.machine().await.id, isolate()).await;
    let filters = [
        Filter::is(F::Id, Value::Text("x".into())),
        Filter::is(F::Stage, Value::Kind(Kind::Isolate)),
        Filter::Compare(F::Kind, Comparison::Less, Value::Kind(Kind::Isolate)),
        Filter::Not(Box::new(Filter::All(vec![Filter::Text(F::CreatedAt, TextMatch::Contains, "2".into())]))),
        Filter::OneOf(F::CancelAt, vec![Value::Rank(1)]),
    ];
    for filter in filters {
        assert!(matches!(world.store.count_actions(&filter).await, Err(StoreError::Refused(_))), "{filter:?}");
        let query = ActionQuery { filter, ..all() };
        assert!(matches!(world.store.actions(&query).await, Err(StoreError::Refused(_))), "{query:?}");
    }
    let order = vec![Order { by: Key::Field(F::Stage), descending: false }];
    let place = |keys, id| Some(Position { keys, id });
    let time = Some(Value::Time(domain::Timestamp(1)));
    for query in [
        ActionQuery { order, ..all() },
        ActionQuery { after: place(vec![], Value::Action(action_id(1))), ..all() },
        ActionQuery { after: place(vec![None], Value::Action(action_id(1))), ..all() },
        ActionQuery { after: place(vec![time.clone()], Value::Rank(1)), ..all() },
        ActionQuery { after: place(vec![time.clone(), time], Value::Action(action_id(1))), ..all() },
    ] {
        assert!(matches!(world.store.actions(&query).await, Err(StoreError::Refused(_))), "{query:?}");
    }
}

async fn every_stage_can_be_asked_for(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    world.drive(action.id, crate::world::report(&action, Ending::Finished)).await;
    for stage in STAGES {
        let filter = Filter::is(ActionField::Stage, Value::Stage(stage));
        let found = listed(&world, &ActionQuery { filter, ..all() }).await;
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
