//! The history: only ever added to, each line bound to all before it, each fact once.

use crate::engines::contract;
use crate::world::{Driven, STOPPED, World, action_id, cancel, claim, isolate, journal, line, report, testimony};
use domain::decide::Event;
use domain::history::{Line, Source};
use domain::ids::JournalId;
use domain::testimony::Ending;
use store::{NOTED_LINES_MAX, StoreError};
use uuid::Uuid;

contract!(
    lines_are_numbered_from_one_and_chained,
    an_unknown_action_has_none_and_nothing_can_be_noted_of_it,
    a_note_does_not_change_the_action,
    a_fact_told_twice_is_stored_once,
    a_fact_told_twice_at_once_is_stored_once,
    a_fact_noted_before_the_testimony_is_not_repeated_by_it,
    the_same_number_in_another_journal_or_of_another_action_is_another_fact,
    a_fact_may_have_any_number,
    late_evidence_is_kept_and_the_end_stands,
    a_line_may_say_anything,
    notes_have_an_end_and_decisions_are_written_beyond_it,
);

fn fact(line: Line, journal: JournalId, number: u64) -> Line {
    Line { fact: Some((journal, number)), source: Source::Machine, ..line }
}

async fn lines_are_numbered_from_one_and_chained(world: World) {
    let (machine, session) = world.connected().await;
    let action = world.action(machine.id, isolate()).await;
    world.drive(action.id, claim(session)).await;
    world.drive(action.id, cancel()).await;
    world.drive(action.id, report(&world.load(action.id).await, STOPPED)).await;
    let lines = world.sound_history(action.id).await;
    let numbers: Vec<u64> = lines.iter().map(|stored| stored.sequence).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

async fn an_unknown_action_has_none_and_nothing_can_be_noted_of_it(world: World) {
    let machine = world.machine().await;
    let unknown = world.unknown_action(machine.id, isolate());
    assert_eq!(world.store.history(action_id(0)).await.unwrap(), []);
    let noted = world.store.note(unknown.id, &[line(&unknown, Source::Server, "?")]).await;
    assert!(matches!(noted, Err(StoreError::Refused(_))));
    assert_eq!(world.store.history(unknown.id).await.unwrap(), []);
}

async fn a_note_does_not_change_the_action(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    world.store.note(action.id, &[fact(line(&action, Source::Machine, "started"), journal(), 3)]).await.unwrap();
    world.store.note(action.id, &[]).await.unwrap();
    assert_eq!(world.load(action.id).await, action);
    assert_eq!(world.sound_history(action.id).await.len(), 3);
}

async fn a_fact_told_twice_is_stored_once(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    let started = fact(line(&action, Source::Machine, "started"), journal(), 3);
    let in_other_words = Line { what: "did start".into(), ..started.clone() };
    for told in [started.clone(), started.clone(), in_other_words] {
        world.store.note(action.id, &[told]).await.unwrap();
    }
    let lines = world.sound_history(action.id).await;
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2].line, started);
}

async fn a_fact_told_twice_at_once_is_stored_once(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    let started = fact(line(&action, Source::Machine, "started"), journal(), 3);
    let ours = line(&action, Source::Server, "told twice");
    world.store.note(action.id, &[started.clone(), ours, started]).await.unwrap();
    assert_eq!(world.sound_history(action.id).await.len(), 4);
}

async fn a_fact_noted_before_the_testimony_is_not_repeated_by_it(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    let before = world.sound_history(action.id).await.len();
    let told = fact(line(&action, Source::Machine, "record 10"), journal(), 10);
    world.store.note(action.id, &[told]).await.unwrap();
    world.drive(action.id, report(&action, Ending::Finished)).await;
    let lines = world.sound_history(action.id).await;
    let facts: Vec<_> = lines.iter().filter_map(|stored| stored.line.fact).collect();
    assert_eq!(facts, [(journal(), 10), (journal(), 11)]);
    assert_eq!(lines.len(), before + 3);
}

async fn the_same_number_in_another_journal_or_of_another_action_is_another_fact(world: World) {
    let machine = world.machine().await;
    let (one, other) =
        (world.action(machine.id, isolate()).await, world.action(machine.id, domain::Body::Release).await);
    let elsewhere = JournalId(Uuid::from_u128(99));
    let plain = line(&one, Source::Machine, "started");
    let lines = [fact(plain.clone(), journal(), 3), fact(plain.clone(), elsewhere, 3)];
    world.store.note(one.id, &lines).await.unwrap();
    world.store.note(other.id, &lines[..1]).await.unwrap();
    assert_eq!(world.sound_history(one.id).await.len(), 3);
    assert_eq!(world.sound_history(other.id).await.len(), 2);
}

async fn a_fact_may_have_any_number(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    for number in [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX, u64::MAX] {
        let told = fact(line(&action, Source::Machine, "odd"), journal(), number);
        world.store.note(action.id, &[told]).await.unwrap();
    }
    let lines = world.sound_history(action.id).await;
    let numbers: Vec<u64> = lines.iter().filter_map(|stored| stored.line.fact).map(|fact| fact.1).collect();
    assert_eq!(numbers, [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX]);
}

async fn late_evidence_is_kept_and_the_end_stands(world: World) {
    let machine = world.machine().await;
    let granted = world.granted(&machine, isolate()).await;
    world.time_out(granted.id).await;
    let ended = world.load(granted.id).await;
    let before = world.sound_history(granted.id).await.len();
    let late = testimony(&granted, Ending::Finished);
    for _ in 0..2 {
        assert_eq!(world.drive(granted.id, Event::Reported(late.clone())).await, Driven::Late);
    }
    assert_eq!(world.load(granted.id).await, ended);
    assert_eq!(world.sound_history(granted.id).await.len(), before + 3);
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}

async fn a_line_may_say_anything(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    let said = ["", "'; DROP TABLE history; --", "Zürich \u{1F512}", "a\nb\tc"];
    let lines: Vec<Line> = said.iter().map(|what| line(&action, Source::Server, what)).collect();
    world.store.note(action.id, &lines).await.unwrap();
    let stored = world.sound_history(action.id).await;
    assert_eq!(stored[1..].iter().map(|stored| stored.line.what.as_str()).collect::<Vec<_>>(), said);
}

async fn notes_have_an_end_and_decisions_are_written_beyond_it(world: World) {
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    let told = |number| fact(line(&action, Source::Machine, "much to say"), journal(), number);
    let lines: Vec<Line> = (0..NOTED_LINES_MAX + 10).map(told).collect();
    world.store.note(action.id, &lines).await.unwrap();
    world.store.note(action.id, &lines).await.unwrap();
    assert_eq!(world.sound_history(action.id).await.len() as u64, NOTED_LINES_MAX);
    world.drive(action.id, cancel()).await;
    assert_eq!(world.sound_history(action.id).await.len() as u64, NOTED_LINES_MAX + 1);
}
