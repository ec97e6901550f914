//! The audit log: a change and its line are one.

use crate::engines::contract;
use crate::world::{START, World, audited, cancel, first_lines, forged, isolate, run, terms};
use domain::audit::{CallerKind, Entry, Head, LOG_START, Outcome, StoredEntry, Walk};
use domain::ids::Digest;
use domain::machine::Machine;
use domain::permission::Permission;
use domain::time::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::{Application, Committed, Inserted, LibraryFile, Reenrolment};

contract!(
    every_change_of_a_caller_brings_its_line,
    what_was_not_done_leaves_no_line,
    a_line_of_its_own_is_numbered_like_the_others,
    lines_are_read_in_pages,
    many_writers_make_one_chain,
    any_line_reads_back_equal,
);

const CASES: u32 = 200;

/// The whole log, which holds and is as long as it says.
async fn sound(world: &World) -> Vec<StoredEntry> {
    let head = world.store.audit_head().await.unwrap();
    let lines = world.store.audit_lines(0, 1_000_000).await.unwrap();
    let mut walk = Walk::new(LOG_START, vec![head]);
    lines.iter().for_each(|line| walk.step(line).unwrap());
    assert_eq!(walk.end(), Ok(head));
    lines
}

async fn length(world: &World) -> u64 {
    sound(world).await.len() as u64
}

fn named(operation: &str) -> Entry {
    Entry::new(START, CallerKind::Administrator, "", operation)
}

fn file(name: &str) -> LibraryFile {
    LibraryFile {
        name: name.into(),
        sha256: Digest::of(b"one"),
        size_bytes: 3,
        description: None,
        parameters_description: None,
        has_parameters: false,
        created_by: "someone".into(),
        created_at: START,
        updated_at: START,
    }
}

fn again(machine: &Machine) -> Reenrolment {
    let (name, told) = (machine.name.clone(), machine.told.clone());
    Reenrolment { machine: machine.id, incarnation: machine.incarnation + 1, name, told, ends: vec![] }
}

async fn every_change_of_a_caller_brings_its_line(world: World) {
    let machine = world.machine().await;
    let bound = world.token_for(machine.id).await;
    let before = length(&world).await as usize;
    let (store, action) = (&world.store, world.unknown_action(machine.id, isolate()));
    let with = |operation: &str| store::Terms { audit: named(operation), ..terms() };
    store.insert(&action, &first_lines(&action), &with("insert")).await.unwrap();
    let change = world.decide(action.id, cancel()).await;
    store.commit(&change, Some(&named("commit"))).await.unwrap();
    store.put_library_file(&file("a.sh"), b"one", false, &named("put")).await.unwrap();
    assert!(store.delete_library_file("a.sh", &named("delete")).await.unwrap());
    let token =
        store::EnrolToken { digest: Digest::of(b"t"), uses_max: 1, expires_at: START.plus_seconds(9), machine: None };
    store.add_enrol_token(&token, &named("token")).await.unwrap();
    store.enrol(&world.unknown_machine(), &token.digest, START, &named("enrol")).await.unwrap();
    store.reenrol(&again(&machine), &bound.digest, START, &named("reenrol")).await.unwrap();
    let application = Application {
        client_id: "a".into(),
        name: "a".into(),
        secret_hash: String::new(),
        permissions: vec![Permission::MachineReadAll],
        created_at: START,
    };
    store.put_application(&application, &named("application")).await.unwrap();
    let lines = sound(&world).await;
    let operations: Vec<&str> = lines[before..].iter().map(|line| line.entry.operation.as_str()).collect();
    assert_eq!(operations, ["insert", "commit", "put", "delete", "token", "enrol", "reenrol", "application"]);
}

async fn what_was_not_done_leaves_no_line(world: World) {
    let machine = world.machine().await;
    let action = world.action(machine.id, isolate()).await;
    world.store.put_library_file(&file("a.sh"), b"one", false, &audited()).await.unwrap();
    let before = length(&world).await;
    let twin = world.unknown_action(machine.id, isolate());
    let inserted = world.store.insert(&twin, &first_lines(&twin), &terms()).await.unwrap();
    assert_eq!(inserted, Inserted::AlreadyActive(action.id));
    let nowhere = world.unknown_action(world.unknown_machine().id, isolate());
    let inserted = world.store.insert(&nowhere, &first_lines(&nowhere), &terms()).await.unwrap();
    assert_eq!(inserted, Inserted::NoMachine);
    let no_history = world.unknown_action(machine.id, run(&[b"true"]));
    world.store.insert(&no_history, &[], &terms()).await.unwrap_err();
    let change = world.decide(action.id, cancel()).await;
    let stale = domain::decide::Change { from_revision: 7, ..change.clone() };
    assert_eq!(world.store.commit(&stale, Some(&audited())).await.unwrap(), Committed::Moved);
    let forged = forged(
        &action,
        domain::State::Granted {
            grant: domain::Grant { epoch: domain::Epoch(u64::MAX), journal: crate::world::journal() },
        },
    );
    world.store.commit(&forged, Some(&audited())).await.unwrap_err();
    let put = world.store.put_library_file(&file("a.sh"), b"one", false, &audited()).await.unwrap();
    assert_eq!(put, store::LibraryPut::Exists);
    assert!(!world.store.delete_library_file("b.sh", &audited()).await.unwrap());
    let unknown = Digest::of(b"unknown");
    world.store.enrol(&world.unknown_machine(), &unknown, START, &audited()).await.unwrap();
    world.store.reenrol(&again(&machine), &unknown, START, &audited()).await.unwrap();
    assert_eq!(length(&world).await, before);
}

async fn a_line_of_its_own_is_numbered_like_the_others(world: World) {
    assert_eq!(world.store.audit_head().await.unwrap(), LOG_START);
    let refused = Entry { outcome: Outcome::Refused { status: 403, code: "Forbidden".into() }, times: 3, ..audited() };
    let number = world.store.commit_number().await.unwrap();
    world.store.audit(&refused).await.unwrap();
    assert_eq!(world.store.commit_number().await.unwrap(), number + 1);
    world.machine().await;
    let lines = sound(&world).await;
    assert_eq!(lines.iter().map(|line| line.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(lines[0].entry, refused);
}

async fn lines_are_read_in_pages(world: World) {
    for number in 0..5 {
        world.store.audit(&named(&number.to_string())).await.unwrap();
    }
    let whole = sound(&world).await;
    assert_eq!(world.store.audit_lines(0, 2).await.unwrap(), whole[..2]);
    assert_eq!(world.store.audit_lines(2, 2).await.unwrap(), whole[2..4]);
    assert_eq!(world.store.audit_lines(4, 2).await.unwrap(), whole[4..]);
    assert_eq!(world.store.audit_lines(5, 2).await.unwrap(), []);
    assert_eq!(world.store.audit_lines(0, 0).await.unwrap(), []);
}

/// Some of them are refused in the middle of their group: their lines are not in it, nor is there a gap.
async fn many_writers_make_one_chain(world: World) {
    let machine = world.machine().await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (world, machine) = (world.clone(), machine.id);
        writers.spawn(async move {
            if number % 4 == 0 {
                let action = world.unknown_action(machine, isolate());
                let _ = world.store.insert(&action, &[], &terms()).await.unwrap_err();
            } else {
                world.store.audit(&named(&number.to_string())).await.unwrap();
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    assert_eq!(length(&world).await, 2 + 30);
}

async fn any_line_reads_back_equal(world: World) {
    let runtime = tokio::runtime::Handle::current();
    // The same cases in every run.
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    tokio::task::block_in_place(|| {
        let told = runner.run(&entries(), |entry| {
            let back = runtime.block_on(async {
                let head: Head = world.store.audit_head().await.unwrap();
                world.store.audit(&entry).await.unwrap();
                world.store.audit_lines(head.sequence, 2).await.unwrap()
            });
            prop_assert_eq!(back.into_iter().map(|line| line.entry).collect::<Vec<_>>(), vec![entry]);
            Ok(())
        });
        told.unwrap();
    });
    sound(&world).await;
}

fn entries() -> impl Strategy<Value = Entry> {
    let texts = vec(option::of(".{0,20}"), 5);
    let outcome = prop_oneof![
        Just(Outcome::Done),
        Just(Outcome::Unchanged),
        (any::<u16>(), ".{0,9}").prop_map(|(status, code)| Outcome::Refused { status, code }),
    ];
    let digest = || option::of(any::<[u8; 32]>().prop_map(Digest));
    let kind = prop::sample::select(domain::audit::CALLER_KINDS.map(|(kind, _)| kind).to_vec());
    (any::<i64>(), kind, ".{0,20}", ".{0,20}", texts, outcome, (digest(), digest()), 1..u32::MAX).prop_map(
        |(at, kind, caller, operation, mut texts, outcome, (comment, content), times)| {
            let mut text = || texts.pop().flatten();
            let (address, machine, action, object, correlation) = (text(), text(), text(), text(), text());
            let at = Timestamp(at);
            Entry {
                at,
                kind,
                caller,
                address,
                operation,
                machine,
                action,
                object,
                outcome,
                correlation,
                comment,
                content,
                times,
            }
        },
    )
}
