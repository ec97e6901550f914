//! Machines and their sessions.

use crate::engines::contract;
use crate::world::{START, World, audited, journal};
use domain::ids::{Digest, Epoch};
use domain::kind::Kind;
use domain::machine::{JournalSeen, TAGS_MAX, TagChange, Told};
use store::query::{ElementMatch, Key, Order, TextMatch, Value};
use store::{Enrolled, Filter, MachineField, MachineQuery, Tagged};

contract!(
    a_machine_reads_back_as_it_was_enrolled,
    an_unknown_machine_is_not_there,
    each_session_has_the_next_number,
    a_session_keeps_what_the_machine_told_and_when,
    a_session_follows_the_newest_or_is_not_opened,
    another_incarnation_opens_no_session_and_changes_nothing,
    an_unknown_machine_opens_no_session,
    a_word_from_a_machine_is_kept_with_its_time,
    a_word_from_an_unknown_machine_is_nothing,
    machines_are_listed_by_name_and_at_most_so_many,
    a_name_is_found_without_regard_to_case,
    two_machines_may_have_one_name,
    tags_are_kept_in_order_and_survive_a_session_and_an_enrolment,
    a_tag_too_many_or_on_an_unknown_machine_changes_nothing,
    machines_are_found_by_tag_and_by_address,
);

async fn a_machine_reads_back_as_it_was_enrolled(world: World) {
    let machine = world.machine().await;
    assert_eq!(world.store.machine(machine.id).await.unwrap(), Some(machine));
}

async fn an_unknown_machine_is_not_there(world: World) {
    assert_eq!(world.store.machine(world.unknown_machine().id).await.unwrap(), None);
}

async fn each_session_has_the_next_number(world: World) {
    let (one, other) = (world.machine().await, world.machine().await);
    for number in 1..=3 {
        assert_eq!(world.session(&one).await, Epoch(number));
    }
    assert_eq!(world.session(&other).await, Epoch(1));
}

async fn a_session_keeps_what_the_machine_told_and_when(world: World) {
    let mut machine = world.machine().await;
    let head = Digest::of(b"head");
    machine.told = Told {
        os_platform: "Linux".into(),
        os_version: "Debian 12 \"bookworm\"".into(),
        agent_version: "9.9.9".into(),
        last_address: Some("192.0.2.7".into()),
        boot_id: "2".into(),
        kinds: vec![Kind::Isolate, Kind::LiveResponse],
        journal: Some(JournalSeen { id: journal(), sequence: u64::MAX, head }),
    };
    machine.last_seen = START.plus_seconds(60);
    machine.session = Epoch(1);
    let opened = world.store.open_session(machine.id, 1, Epoch(0), &machine.told, machine.last_seen).await.unwrap();
    assert_eq!(opened, Some(Epoch(1)));
    assert_eq!(world.store.machine(machine.id).await.unwrap(), Some(machine));
}

async fn another_incarnation_opens_no_session_and_changes_nothing(world: World) {
    let machine = world.machine().await;
    for incarnation in [0, 2] {
        let told = Told::default();
        let opened = world.store.open_session(machine.id, incarnation, Epoch(0), &told, START.plus_seconds(9)).await;
        assert_eq!(opened.unwrap(), None);
    }
    assert_eq!(world.store.machine(machine.id).await.unwrap(), Some(machine));
}

async fn a_session_follows_the_newest_or_is_not_opened(world: World) {
    let (machine, session) = world.connected().await;
    let before = world.store.machine(machine.id).await.unwrap();
    for after in [Epoch(session.0 - 1), Epoch(session.0 + 1), Epoch(u64::MAX >> 1)] {
        let opened = world.store.open_session(machine.id, 1, after, &Told::default(), START.plus_seconds(9)).await;
        assert_eq!(opened.unwrap(), None, "{after}");
    }
    assert_eq!(world.store.machine(machine.id).await.unwrap(), before);
    let opened = world.store.open_session(machine.id, 1, session, &machine.told, START).await.unwrap();
    assert_eq!(opened, Some(Epoch(session.0 + 1)));
}

async fn an_unknown_machine_opens_no_session(world: World) {
    let unknown = world.unknown_machine();
    assert_eq!(world.store.open_session(unknown.id, 1, Epoch(0), &unknown.told, START).await.unwrap(), None);
}

async fn a_word_from_a_machine_is_kept_with_its_time(world: World) {
    let machine = world.machine().await;
    let at = START.plus_seconds(77);
    world.store.seen(machine.id, at).await.unwrap();
    assert_eq!(world.store.machine(machine.id).await.unwrap().unwrap().last_seen, at);
}

async fn a_word_from_an_unknown_machine_is_nothing(world: World) {
    let unknown = world.unknown_machine();
    world.store.seen(unknown.id, START).await.unwrap();
    assert_eq!(world.store.machine(unknown.id).await.unwrap(), None);
}

async fn machines_are_listed_by_name_and_at_most_so_many(world: World) {
    let mut enrolled = Vec::new();
    for name in ["beta", "Alpha", "gamma", "alpha2"] {
        enrolled.push(enrol(&world, name).await);
    }
    let names = |limit| {
        let query = MachineQuery::all(limit);
        let store = world.store.clone();
        async move { store.machines(&query).await.unwrap().into_iter().map(|machine| machine.name).collect::<Vec<_>>() }
    };
    assert_eq!(names(10).await, ["Alpha", "alpha2", "beta", "gamma"]);
    assert_eq!(names(2).await, ["Alpha", "alpha2"]);
    assert!(names(0).await.is_empty());
    use MachineField as F;
    let of_id = || Filter::is(F::Id, Value::Machine(enrolled[0]));
    assert_eq!(world.store.machines(&MachineQuery::of(of_id(), 10)).await.unwrap()[0].name, "beta");
    let neither = Filter::All(vec![of_id(), Filter::is(F::Name, Value::Text("gamma".into()))]);
    assert!(world.store.machines(&MachineQuery::of(neither.clone(), 10)).await.unwrap().is_empty());
    assert_eq!(world.store.count_machines(&neither).await.unwrap(), 0);
    let a = Filter::Text(F::Name, TextMatch::StartsWith, "ALPHA".into());
    assert_eq!(world.store.count_machines(&a).await.unwrap(), 2);
    let told = Filter::is(F::OsPlatform, Value::Text("Linux".into()));
    assert_eq!(world.store.count_machines(&told).await.unwrap(), 4);
    assert_eq!(world.store.count_machines(&Filter::IsNull(F::LastAddress)).await.unwrap(), 4);
    let seen = |at| Filter::is(F::SeenAfter(at), Value::Flag(true));
    assert_eq!(world.store.count_machines(&seen(START)).await.unwrap(), 0);
    assert_eq!(world.store.count_machines(&seen(START.plus_seconds(-1))).await.unwrap(), 4);
    let order = vec![Order { by: Key::Field(F::Name), descending: true }];
    let falling = MachineQuery { order, skip: 1, ..MachineQuery::all(2) };
    let found = world.store.machines(&falling).await.unwrap();
    assert_eq!(found.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>(), ["beta", "alpha2"]);
}

async fn a_name_is_found_without_regard_to_case(world: World) {
    enrol(&world, "Zürich-Büro-ÄPFEL").await;
    enrol(&world, "zurich").await;
    for asked in ["zürich-büro-äpfel", "ZÜRICH-BÜRO-ÄPFEL", "Zürich-Büro-ÄPFEL"] {
        let query = MachineQuery::named(asked, 5);
        assert_eq!(world.store.machines(&query).await.unwrap().len(), 1, "{asked}");
    }
    for asked in ["", "zürich", "%", "zürich-büro-äpfe_"] {
        let query = MachineQuery::named(asked, 5);
        assert!(world.store.machines(&query).await.unwrap().is_empty(), "{asked}");
    }
}

async fn two_machines_may_have_one_name(world: World) {
    let (one, other) = (enrol(&world, "laptop").await, enrol(&world, "laptop").await);
    let query = MachineQuery::named("laptop", 5);
    let found: Vec<_> = world.store.machines(&query).await.unwrap().into_iter().map(|machine| machine.id).collect();
    assert_eq!(found, [one, other]);
}

async fn enrol(world: &World, name: &str) -> domain::MachineId {
    let mut machine = world.unknown_machine();
    machine.name = name.into();
    let token = world.token(1).await;
    assert_eq!(world.store.enrol(&machine, &token.digest, START, &audited()).await.unwrap(), Enrolled::Stored);
    machine.id
}

fn add(tag: &str) -> TagChange {
    TagChange::Add(tag.into())
}

async fn tags_are_kept_in_order_and_survive_a_session_and_an_enrolment(world: World) {
    let mut machine = world.machine().await;
    let before = world.store.commit_number().await.unwrap();
    for tag in ["b'\"\\é", "a", "b'\"\\é"] {
        let tagged = world.store.tag(machine.id, &add(tag), &audited()).await.unwrap();
        machine.tags = machine.tags_after(&add(tag)).unwrap();
        assert_eq!(tagged, Tagged::Stored(Box::new(machine.clone())));
    }
    assert!(world.store.commit_number().await.unwrap() > before);
    assert_eq!(machine.tags.len(), 2);
    world.session(&machine).await;
    assert_eq!(world.store.machine(machine.id).await.unwrap().unwrap().tags, machine.tags);
    let token = world.token_for(machine.id).await;
    let (name, told) = (machine.name.clone(), Told::default());
    let again = store::Reenrolment { machine: machine.id, incarnation: 2, name, told, ends: vec![] };
    assert_eq!(world.store.reenrol(&again, &token.digest, START, &audited()).await.unwrap(), Enrolled::Stored);
    assert_eq!(world.store.machine(machine.id).await.unwrap().unwrap().tags, machine.tags);
    world.store.tag(machine.id, &TagChange::Remove("a".into()), &audited()).await.unwrap();
    assert_eq!(world.store.machine(machine.id).await.unwrap().unwrap().tags, machine.tags[..1]);
}

async fn a_tag_too_many_or_on_an_unknown_machine_changes_nothing(world: World) {
    let machine = world.machine().await;
    for number in 0..TAGS_MAX {
        world.store.tag(machine.id, &add(&number.to_string()), &audited()).await.unwrap();
    }
    let before = world.store.commit_number().await.unwrap();
    assert_eq!(world.store.tag(machine.id, &add("one more"), &audited()).await.unwrap(), Tagged::TooMany);
    assert_eq!(world.store.tag(world.unknown_machine().id, &add("x"), &audited()).await.unwrap(), Tagged::NoMachine);
    assert_eq!(world.store.commit_number().await.unwrap(), before);
    assert_eq!(world.store.machine(machine.id).await.unwrap().unwrap().tags.len(), TAGS_MAX);
}

async fn machines_are_found_by_tag_and_by_address(world: World) {
    let (one, other) = (world.machine().await, world.machine().await);
    world.store.tag(one.id, &add("Linux servers"), &audited()).await.unwrap();
    world.store.tag(one.id, &add("Linux"), &audited()).await.unwrap();
    world.store.tag(other.id, &add("linux 100%_"), &audited()).await.unwrap();
    let told = Told { last_address: Some("192.0.2.7".into()), ..Told::default() };
    world.store.open_session(other.id, 1, Epoch(0), &told, START).await.unwrap();
    use MachineField as F;
    let found = async |filter: Filter<F>| {
        let query = MachineQuery::of(filter.clone(), 10);
        let found = world.store.machines(&query).await.unwrap();
        assert_eq!(world.store.count_machines(&filter).await.unwrap(), found.len() as u64);
        found.into_iter().map(|machine| machine.id).collect::<Vec<_>>()
    };
    let tagged = |how, tag: &str| Filter::Element(F::Tags, how, tag.into());
    for (tag, expected) in [("Linux", vec![one.id]), ("linux", vec![]), ("linux 100%_", vec![other.id]), ("", vec![])] {
        assert_eq!(found(tagged(ElementMatch::Is, tag)).await, expected, "{tag}");
    }
    for (start, expected) in [
        ("Lin", vec![one.id]),
        ("l", vec![other.id]),
        ("", vec![one.id, other.id]),
        ("%", vec![]),
        ("Linux servers!", vec![]),
    ] {
        assert_eq!(found(tagged(ElementMatch::StartsWith, start)).await, expected, "{start}");
    }
    let at = |address: &str| Filter::is(F::LastAddress, Value::Text(address.into()));
    for (address, expected) in [("192.0.2.7", vec![other.id]), ("192.0.2.70", vec![]), ("", vec![])] {
        assert_eq!(found(at(address)).await, expected, "{address}");
    }
    let not = |filter| Filter::Not(Box::new(filter));
    assert_eq!(found(not(tagged(ElementMatch::Is, "Linux"))).await, [other.id]);
    let name = Filter::is(F::Name, Value::Text(one.name.clone()));
    let all = Filter::All(vec![name, tagged(ElementMatch::Is, "Linux")]);
    assert_eq!(found(all.clone()).await, [one.id]);
    assert_eq!(found(Filter::All(vec![all, at("192.0.2.7")])).await, []);
}
