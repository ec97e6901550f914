//! Many at once. Nothing is timed: each pair starts at a barrier, and whatever order comes, what must hold holds.

use crate::engines::contract;
use crate::world::{
    Driven, START, STOPPED, World, audited, cancel, claim, first_lines, isolate, report, run, terms, time_up,
};
use domain::action::{Action, Body, CancelProof, State};
use domain::decide::{Event, Tell};
use domain::ids::{Epoch, JournalId};
use domain::machine::Machine;
use domain::testimony::Ending;
use std::sync::Arc;
use store::{Committed, Enrolled, Inserted};
use tokio::sync::Barrier;
use uuid::Uuid;

contract!(
    of_a_cancel_and_a_grant_exactly_one_comes_first,
    five_writers_leave_only_walks_of_the_lifecycle,
    of_two_requests_of_a_kind_exactly_one_is_stored,
    of_two_machines_exactly_one_uses_up_a_token,
    a_claim_and_a_new_session_come_in_one_order,
    of_two_rivals_of_a_class_only_the_earlier_is_granted,
);

/// Runs both at once.
async fn at_once<A, B>(
    one: impl Future<Output = A> + Send + 'static,
    other: impl Future<Output = B> + Send + 'static,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let gate = Arc::new(Barrier::new(2));
    let gate_of_other = Arc::clone(&gate);
    let one = tokio::spawn(async move {
        gate.wait().await;
        one.await
    });
    let other = tokio::spawn(async move {
        gate_of_other.wait().await;
        other.await
    });
    (one.await.unwrap(), other.await.unwrap())
}

/// As `world.drive`, owned by a task.
fn driving(world: &World, action: &Action, event: Event) -> impl Future<Output = Driven> + Send + 'static {
    let (world, id) = (world.clone(), action.id);
    async move { world.drive(id, event).await }
}

async fn of_a_cancel_and_a_grant_exactly_one_comes_first(world: World) {
    let (machine, session) = world.connected().await;
    for pair in 0..1_000 {
        let action = world.action(machine.id, isolate()).await;
        let (cancelled, claimed) = if pair % 2 == 0 {
            at_once(driving(&world, &action, cancel()), driving(&world, &action, claim(session))).await
        } else {
            let (claimed, cancelled) =
                at_once(driving(&world, &action, claim(session)), driving(&world, &action, cancel())).await;
            (cancelled, claimed)
        };
        let after = world.load(action.id).await;
        match &after.state {
            State::Cancelled { proof: CancelProof::NeverGranted, .. } => {
                assert_eq!(cancelled, Driven::Changed(Tell::Nothing));
                assert!(matches!(claimed, Driven::Refused(_)), "{claimed:?}");
            }
            State::Stopping { grant, .. } => {
                assert_eq!(claimed, Driven::Changed(Tell::Grant(*grant)));
                assert_eq!(cancelled, Driven::Changed(Tell::Abort(grant.epoch)));
                let testimony = report(&after, STOPPED);
                assert_eq!(world.drive(action.id, testimony).await, Driven::Changed(Tell::Acknowledge));
            }
            other => panic!("neither or both: {other:?}"),
        }
        world.sound_history(action.id).await;
    }
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}

async fn five_writers_leave_only_walks_of_the_lifecycle(world: World) {
    let mut actions = Vec::new();
    for _ in 0..8 {
        let (machine, _) = world.connected().await;
        for body in [isolate(), Body::Release, run(&[b"true"])] {
            actions.push((machine.clone(), world.action(machine.id, body).await));
        }
    }
    let writers: Vec<_> =
        (0..5_u64).map(|writer| tokio::spawn(one_of_five_writers(world.clone(), actions.clone(), writer))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for (_, action) in &actions {
        world.time_out(action.id).await;
        assert!(world.load(action.id).await.stage().is_final());
        world.sound_history(action.id).await;
    }
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
    assert!(world.store.machines_with_live_actions().await.unwrap().is_empty());
}

async fn one_of_five_writers(world: World, actions: Vec<(Machine, Action)>, writer: u64) {
    let mut dice = Dice(writer + 1);
    for _ in 0..60 {
        let (machine, action) = &actions[dice.below(actions.len() as u64) as usize];
        let newest = world.store.machine(machine.id).await.unwrap().unwrap().session;
        let stands = world.load(action.id).await;
        let testimony = |ending| match stands.state.grant() {
            Some(_) => report(&stands, ending),
            None => time_up(&stands, newest),
        };
        let event = match dice.below(16) {
            0..=5 => claim(newest),
            6 => claim(Epoch(newest.0.saturating_sub(1))),
            7 => Event::Claimed { session: newest, journal: JournalId(Uuid::from_u128(99)) },
            8..=9 => cancel(),
            10 => testimony(Ending::Finished),
            11 => testimony(Ending::Broke { why: "no space".into() }),
            12..=13 => testimony(STOPPED),
            14 => time_up(&stands, newest),
            _ => {
                world.session(machine).await;
                continue;
            }
        };
        world.drive(action.id, event).await;
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

async fn of_two_requests_of_a_kind_exactly_one_is_stored(world: World) {
    let machine = world.machine().await;
    for _ in 0..100 {
        let (first, second) =
            (world.unknown_action(machine.id, isolate()), world.unknown_action(machine.id, isolate()));
        let request = |action: &Action| {
            let (store, action) = (world.store.clone(), action.clone());
            async move { store.insert(&action, &first_lines(&action), &terms()).await.unwrap() }
        };
        let stored = match at_once(request(&first), request(&second)).await {
            (Inserted::Stored(_), Inserted::AlreadyActive(active)) if active == first.id => first.id,
            (Inserted::AlreadyActive(active), Inserted::Stored(_)) if active == second.id => second.id,
            other => panic!("{other:?}"),
        };
        assert_eq!(world.store.live_actions(machine.id).await.unwrap().len(), 1);
        world.drive(stored, cancel()).await;
    }
}

async fn of_two_machines_exactly_one_uses_up_a_token(world: World) {
    for _ in 0..100 {
        let token = world.token(1).await;
        let enrol = || {
            let (store, machine) = (world.store.clone(), world.unknown_machine());
            async move { store.enrol(&machine, &token.digest, START, &audited()).await.unwrap() }
        };
        match at_once(enrol(), enrol()).await {
            (Enrolled::Stored, Enrolled::UsedUp) | (Enrolled::UsedUp, Enrolled::Stored) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn a_claim_and_a_new_session_come_in_one_order(world: World) {
    let (machine, mut session) = world.connected().await;
    for _ in 0..100 {
        let action = world.action(machine.id, isolate()).await;
        let opening = {
            let (world, machine) = (world.clone(), machine.clone());
            async move { world.session(&machine).await }
        };
        let (claimed, newer) = at_once(driving(&world, &action, claim(session)), opening).await;
        let after = world.load(action.id).await;
        match claimed {
            Driven::Changed(Tell::Grant(grant)) => assert_eq!(after.state, State::Granted { grant }),
            Driven::NotNow(Committed::SessionMoved) => assert_eq!(after, action),
            other => panic!("{other:?}"),
        }
        let late = world.drive(action.id, claim(session)).await;
        assert!(!matches!(late, Driven::Changed(_)), "an old session was granted after the new one began: {late:?}");
        world.time_out(action.id).await;
        session = newer;
    }
}

async fn of_two_rivals_of_a_class_only_the_earlier_is_granted(world: World) {
    let (machine, session) = world.connected().await;
    for _ in 0..100 {
        let earlier = world.action(machine.id, isolate()).await;
        let later = world.action(machine.id, Body::Release).await;
        let rivals = (driving(&world, &later, claim(session)), driving(&world, &earlier, claim(session)));
        let (of_later, of_earlier) = at_once(rivals.0, rivals.1).await;
        assert!(matches!(of_earlier, Driven::Changed(Tell::Grant(_))), "{of_earlier:?}");
        assert_eq!(of_later, Driven::NotNow(Committed::ClassBusy(earlier.id)));
        for action in [earlier, later] {
            world.time_out(action.id).await;
        }
    }
}
