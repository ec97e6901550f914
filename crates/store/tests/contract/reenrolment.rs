//! Enrolling a machine again, under its own record and on a token that is for it.

use crate::engines::contract;
use crate::world::{Driven, START, World, audited, cancel, claim, isolate, report, run};
use domain::action::{Body, State, TimedOutWhy};
use domain::decide::{Change, Event, Tell};
use domain::hello::on_enrolment;
use domain::ids::{Digest, Epoch};
use domain::lifecycle::Stage;
use domain::machine::{Machine, Told};
use domain::testimony::Ending;
use domain::time::Timestamp;
use store::{Committed, EnrolToken, Enrolled, Reenrolment, StoreError};

contract!(
    it_keeps_its_record_and_gets_the_next_incarnation_and_a_new_session,
    the_earlier_incarnation_opens_no_session_and_its_session_claims_nothing,
    what_is_open_ends_with_it_and_what_waits_can_still_be_granted,
    an_end_that_was_not_decided_on_what_stands_changes_nothing,
    something_open_that_is_not_ended_changes_nothing,
    an_end_that_is_none_is_refused_and_changes_nothing,
    a_token_is_for_one_machine_once,
    a_token_for_a_machine_enrols_no_new_one_and_another_enrols_nobody_again,
    a_token_for_an_unknown_machine_or_for_many_uses_is_refused,
    a_token_reads_back_and_stays_with_its_machine,
    an_incarnation_is_not_left_out_or_given_twice,
    of_two_enrolments_at_once_one_is_stored,
);

const LATER: Timestamp = Timestamp(START.0 + 7);

/// The machine enrolled again, with the ends of what is open on it now.
async fn again(world: &World, machine: &Machine) -> Reenrolment {
    let mut ends: Vec<Change> = Vec::new();
    for action in world.store.live_actions(machine.id).await.unwrap() {
        if let Some(event) = on_enrolment(&action) {
            ends.push(world.decide(action.id, event).await);
        }
    }
    let stands = world.store.machine(machine.id).await.unwrap().unwrap();
    let told = Told { os_platform: "Linux".into(), ..Told::default() };
    Reenrolment { machine: machine.id, incarnation: stands.incarnation + 1, name: "Anew".into(), told, ends }
}

async fn enrolled(world: &World, again: &Reenrolment, token: &EnrolToken) -> Enrolled {
    world.store.reenrol(again, &token.digest, LATER, &audited()).await.unwrap()
}

/// Everything that could have changed.
async fn everything(world: &World, machine: &Machine) -> String {
    let machine_stands = world.store.machine(machine.id).await.unwrap();
    let live = world.store.live_actions(machine.id).await.unwrap();
    format!("{machine_stands:?} {live:?} {}", world.store.commit_number().await.unwrap())
}

async fn it_keeps_its_record_and_gets_the_next_incarnation_and_a_new_session(world: World) {
    let (machine, session) = world.connected().await;
    let token = world.token_for(machine.id).await;
    let again = again(&world, &machine).await;
    let before = world.store.commit_number().await.unwrap();
    assert_eq!(enrolled(&world, &again, &token).await, Enrolled::Stored);
    assert!(world.store.commit_number().await.unwrap() > before);
    let stands = world.store.machine(machine.id).await.unwrap().unwrap();
    let expected = Machine {
        name: "Anew".into(),
        incarnation: 2,
        session: Epoch(session.0 + 1),
        last_seen: LATER,
        told: again.told,
        ..machine
    };
    assert_eq!(stands, expected);
    let by_name = store::MachineQuery::named("ANEW", 5);
    assert_eq!(world.store.machines(&by_name).await.unwrap(), [expected]);
}

async fn the_earlier_incarnation_opens_no_session_and_its_session_claims_nothing(world: World) {
    let (machine, session) = world.connected().await;
    let waits = world.action(machine.id, isolate()).await;
    let token = world.token_for(machine.id).await;
    assert_eq!(enrolled(&world, &again(&world, &machine).await, &token).await, Enrolled::Stored);
    let newest = world.newest(machine.id).await;
    assert_eq!(world.store.open_session(machine.id, 1, newest, &machine.told, LATER).await.unwrap(), None);
    assert_eq!(world.drive(waits.id, claim(session)).await, Driven::NotNow(Committed::SessionMoved));
    assert_eq!(world.load(waits.id).await, waits);
    let opened = world.store.open_session(machine.id, 2, newest, &machine.told, LATER).await.unwrap();
    assert_eq!(opened, Some(Epoch(session.0 + 2)));
}

async fn what_is_open_ends_with_it_and_what_waits_can_still_be_granted(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    let stopping = world.granted(&machine, run(&[b"true"])).await;
    world.drive(stopping.id, cancel()).await;
    let waits = world.action(machine.id, Body::Release).await;
    let token = world.token_for(machine.id).await;
    assert_eq!(enrolled(&world, &again(&world, &machine).await, &token).await, Enrolled::Stored);
    for (action, cancelled) in [(&granted, false), (&stopping, true)] {
        let ended = world.load(action.id).await;
        let State::TimedOut { why, grant, cancel } = &ended.state else { panic!("{ended:?}") };
        assert_eq!((*why, *grant, cancel.is_some()), (TimedOutWhy::Reenrolled, action.state.grant(), cancelled));
        world.sound_history(action.id).await;
        // What the earlier enrolment says of it is late evidence at most.
        let told = world.drive(action.id, report(action, Ending::Finished)).await;
        assert_eq!((told, world.load(action.id).await), (Driven::Late, ended));
    }
    let newest = world.newest(machine.id).await;
    let session = world.store.open_session(machine.id, 2, newest, &machine.told, LATER).await.unwrap().unwrap();
    assert!(matches!(world.drive(waits.id, claim(session)).await, Driven::Changed(Tell::Grant(_))));
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}

async fn an_end_that_was_not_decided_on_what_stands_changes_nothing(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    let token = world.token_for(machine.id).await;
    let decided_before = again(&world, &machine).await;
    world.drive(granted.id, cancel()).await;
    let before = everything(&world, &machine).await;
    assert_eq!(enrolled(&world, &decided_before, &token).await, Enrolled::Moved);
    assert_eq!(everything(&world, &machine).await, before);
    world.drive(granted.id, report(&world.load(granted.id).await, Ending::Finished)).await;
    assert_eq!(enrolled(&world, &decided_before, &token).await, Enrolled::Moved, "it has ended");
    assert_eq!(world.load(granted.id).await.stage(), Stage::Succeeded);
    assert_eq!(enrolled(&world, &again(&world, &machine).await, &token).await, Enrolled::Stored, "no use was lost");
}

async fn something_open_that_is_not_ended_changes_nothing(world: World) {
    let (machine, session) = world.connected().await;
    let waits = world.action(machine.id, isolate()).await;
    let token = world.token_for(machine.id).await;
    let decided_before = again(&world, &machine).await;
    assert!(matches!(world.drive(waits.id, claim(session)).await, Driven::Changed(Tell::Grant(_))));
    let before = everything(&world, &machine).await;
    assert_eq!(enrolled(&world, &decided_before, &token).await, Enrolled::Moved);
    assert_eq!(everything(&world, &machine).await, before);
}

async fn an_end_that_is_none_is_refused_and_changes_nothing(world: World) {
    let machine = world.machine().await;
    let (first, second) = (world.granted(&machine, isolate()).await, world.granted(&machine, run(&[b"true"])).await);
    let token = world.token_for(machine.id).await;
    let sound = again(&world, &machine).await;
    let ends_not = world.decide(second.id, cancel()).await;
    let mut skips = world.decide(second.id, Event::Disowned { why: TimedOutWhy::Reenrolled, newest: None }).await;
    skips.action.revision += 1;
    let mut silent = world.decide(second.id, Event::Disowned { why: TimedOutWhy::Reenrolled, newest: None }).await;
    silent.history.clear();
    let before = everything(&world, &machine).await;
    for unsound in [ends_not, skips, silent] {
        let ends =
            vec![world.decide(first.id, Event::Disowned { why: TimedOutWhy::Reenrolled, newest: None }).await, unsound];
        let unsound = Reenrolment { ends, ..sound.clone() };
        let refused = world.store.reenrol(&unsound, &token.digest, LATER, &audited()).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
        assert_eq!(everything(&world, &machine).await, before, "the first end is not kept without the second");
        assert_eq!(world.load(first.id).await, first);
    }
    assert_eq!(enrolled(&world, &sound, &token).await, Enrolled::Stored);
}

async fn a_token_is_for_one_machine_once(world: World) {
    let (machine, other) = (world.machine().await, world.machine().await);
    let token = world.token_for(machine.id).await;
    assert_eq!(enrolled(&world, &again(&world, &other).await, &token).await, Enrolled::OtherMachine);
    let mut late = token.clone();
    late.expires_at = LATER;
    world.store.add_enrol_token(&late, &audited()).await.unwrap();
    assert_eq!(enrolled(&world, &again(&world, &machine).await, &token).await, Enrolled::Expired);
    world.store.add_enrol_token(&token, &audited()).await.unwrap();
    assert_eq!(enrolled(&world, &again(&world, &machine).await, &token).await, Enrolled::Stored);
    assert_eq!(enrolled(&world, &again(&world, &machine).await, &token).await, Enrolled::UsedUp);
    let unknown = EnrolToken { digest: Digest::of(b"guessed"), ..token };
    assert_eq!(enrolled(&world, &again(&world, &machine).await, &unknown).await, Enrolled::UnknownToken);
    for (id, incarnation) in [(machine.id, 2), (other.id, 1)] {
        assert_eq!(world.store.machine(id).await.unwrap().unwrap().incarnation, incarnation);
    }
}

async fn a_token_for_a_machine_enrols_no_new_one_and_another_enrols_nobody_again(world: World) {
    let machine = world.machine().await;
    let (bound, free) = (world.token_for(machine.id).await, world.token(1).await);
    let new = world.unknown_machine();
    assert_eq!(world.store.enrol(&new, &bound.digest, START, &audited()).await.unwrap(), Enrolled::OtherMachine);
    assert_eq!(world.store.machine(new.id).await.unwrap(), None);
    assert_eq!(enrolled(&world, &again(&world, &machine).await, &free).await, Enrolled::OtherMachine);
    assert_eq!(world.store.machine(machine.id).await.unwrap(), Some(machine));
    assert_eq!(
        world.store.enrol(&new, &free.digest, START, &audited()).await.unwrap(),
        Enrolled::Stored,
        "no use was lost"
    );
}

async fn a_token_for_an_unknown_machine_or_for_many_uses_is_refused(world: World) {
    let machine = world.machine().await;
    let token = world.token(1).await;
    let digest = Digest::of(b"bound");
    let unknown = EnrolToken { digest, machine: Some(world.unknown_machine().id), ..token.clone() };
    let many = EnrolToken { digest, machine: Some(machine.id), uses_max: 2, ..token };
    for refused in [unknown, many] {
        let added = world.store.add_enrol_token(&refused, &audited()).await;
        assert!(matches!(added, Err(StoreError::Refused(_))), "{refused:?}");
        assert_eq!(world.store.enrol_token(&digest).await.unwrap(), None);
    }
}

async fn a_token_reads_back_and_stays_with_its_machine(world: World) {
    let (machine, other) = (world.machine().await, world.machine().await);
    let (bound, free) = (world.token_for(machine.id).await, world.token(3).await);
    for token in [&bound, &free] {
        assert_eq!(world.store.enrol_token(&token.digest).await.unwrap().as_ref(), Some(token));
    }
    assert_eq!(world.store.enrol_token(&Digest::of(b"guessed")).await.unwrap(), None);
    let moved = [
        EnrolToken { machine: Some(other.id), ..bound.clone() },
        EnrolToken { machine: None, ..bound.clone() },
        EnrolToken { machine: Some(other.id), uses_max: 1, ..free },
    ];
    for token in moved {
        assert!(
            matches!(world.store.add_enrol_token(&token, &audited()).await, Err(StoreError::Refused(_))),
            "{token:?}"
        );
    }
    assert_eq!(world.store.enrol_token(&bound.digest).await.unwrap(), Some(bound));
}

async fn an_incarnation_is_not_left_out_or_given_twice(world: World) {
    let machine = world.machine().await;
    let token = world.token_for(machine.id).await;
    for incarnation in [0, 1, 3, u32::MAX] {
        let again = Reenrolment { incarnation, ..again(&world, &machine).await };
        assert_eq!(enrolled(&world, &again, &token).await, Enrolled::Moved, "{incarnation}");
    }
    assert_eq!(world.store.machine(machine.id).await.unwrap(), Some(machine));
}

async fn of_two_enrolments_at_once_one_is_stored(world: World) {
    for _ in 0..50 {
        let (machine, _) = world.connected().await;
        let again = again(&world, &machine).await;
        let (one, other) = (world.token_for(machine.id).await, world.token_for(machine.id).await);
        let enrol = |token: EnrolToken| {
            let (world, again) = (world.clone(), again.clone());
            tokio::spawn(async move { enrolled(&world, &again, &token).await })
        };
        let (one, other) = (enrol(one), enrol(other));
        let mut both = [one.await.unwrap(), other.await.unwrap()];
        both.sort_by_key(|enrolled| *enrolled == Enrolled::Moved);
        assert_eq!(both, [Enrolled::Stored, Enrolled::Moved]);
        assert_eq!(world.store.machine(machine.id).await.unwrap().unwrap().incarnation, 2);
    }
}
