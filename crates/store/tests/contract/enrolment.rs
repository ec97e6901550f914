//! Enrolment by token.

use crate::engines::contract;
use crate::world::{START, World, audited};
use domain::ids::Digest;
use store::{EnrolToken, Enrolled, StoreError};

contract!(
    a_token_enrols_as_many_machines_as_it_may,
    an_unknown_token_enrols_nobody,
    a_token_expires_at_its_time,
    a_token_for_no_uses_enrols_nobody,
    a_machine_is_enrolled_once_and_a_refused_one_costs_no_use,
    a_token_added_again_takes_the_new_limits_and_keeps_its_uses,
);

async fn a_token_enrols_as_many_machines_as_it_may(world: World) {
    let token = world.token(2).await;
    for expected in [Enrolled::Stored, Enrolled::Stored, Enrolled::UsedUp, Enrolled::UsedUp] {
        let machine = world.unknown_machine();
        assert_eq!(world.store.enrol(&machine, &token.digest, START, &audited()).await.unwrap(), expected);
        let on_record = world.store.machine(machine.id).await.unwrap().is_some();
        assert_eq!(on_record, expected == Enrolled::Stored);
    }
}

async fn an_unknown_token_enrols_nobody(world: World) {
    let machine = world.unknown_machine();
    let enrolled = world.store.enrol(&machine, &Digest::of(b"guessed"), START, &audited()).await.unwrap();
    assert_eq!(enrolled, Enrolled::UnknownToken);
    assert_eq!(world.store.machine(machine.id).await.unwrap(), None);
}

async fn a_token_expires_at_its_time(world: World) {
    let token = world.token(5).await;
    let expiry = token.expires_at;
    for (now, expected) in [
        (expiry.plus_seconds(-1), Enrolled::Stored),
        (expiry, Enrolled::Expired),
        (expiry.plus_seconds(1), Enrolled::Expired),
    ] {
        let machine = world.unknown_machine();
        assert_eq!(world.store.enrol(&machine, &token.digest, now, &audited()).await.unwrap(), expected);
    }
}

async fn a_token_for_no_uses_enrols_nobody(world: World) {
    let token = world.token(0).await;
    let enrolled = world.store.enrol(&world.unknown_machine(), &token.digest, START, &audited()).await.unwrap();
    assert_eq!(enrolled, Enrolled::UsedUp);
}

async fn a_machine_is_enrolled_once_and_a_refused_one_costs_no_use(world: World) {
    let machine = world.machine().await;
    let token = world.token(1).await;
    assert!(matches!(world.store.enrol(&machine, &token.digest, START, &audited()).await, Err(StoreError::Refused(_))));
    let other = world.unknown_machine();
    assert_eq!(world.store.enrol(&other, &token.digest, START, &audited()).await.unwrap(), Enrolled::Stored);
}

async fn a_token_added_again_takes_the_new_limits_and_keeps_its_uses(world: World) {
    let token = world.token(1).await;
    assert_eq!(
        world.store.enrol(&world.unknown_machine(), &token.digest, START, &audited()).await.unwrap(),
        Enrolled::Stored
    );
    for (uses_max, expected) in [(1, Enrolled::UsedUp), (2, Enrolled::Stored), (1, Enrolled::UsedUp)] {
        world.store.add_enrol_token(&EnrolToken { uses_max, ..token.clone() }, &audited()).await.unwrap();
        let enrolled = world.store.enrol(&world.unknown_machine(), &token.digest, START, &audited()).await.unwrap();
        assert_eq!(enrolled, expected, "{uses_max}");
    }
}
