//! What is written is read back equal, whatever it is.

use crate::engines::contract;
use crate::world::{World, first_lines, forged, terms};
use domain::action::{Action, Body, Cancel, CancelProof, Grant, Request, RequestSource, State, TimedOutWhy};
use domain::command::{Command, LibraryRef};
use domain::ids::{Digest, Epoch, JournalId};
use domain::kind::Scope;
use domain::testimony::{Artifact, Ending, Fact, StepReport, StepStatus, Testimony};
use domain::time::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::{Committed, Inserted, Stored};
use uuid::Uuid;

contract!(any_action_in_any_state_reads_back_equal);

const CASES: u32 = 200;

async fn any_action_in_any_state_reads_back_equal(world: World) {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        // The same cases in every run.
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(
            config,
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        runner
            .run(&(body(), request(), any::<(i64, i64, i64)>(), state()), |(body, request, times, state)| {
                runtime.block_on(reads_back(&world, body, request, times, state));
                Ok(())
            })
            .unwrap();
    });
}

async fn reads_back(world: &World, body: Body, request: Request, times: (i64, i64, i64), state: State) {
    let machine = world.machine().await;
    let mut action = world.unknown_action(machine.id, body);
    action.request = request;
    (action.created_at, action.updated_at, action.expires_at) =
        (Timestamp(times.0), Timestamp(times.1 / 2), Timestamp(times.2));
    let stored = world.store.insert(&action, &first_lines(&action), &terms()).await.unwrap();
    // As it was written, but for when it changed: that is after everything before it.
    let Inserted::Stored(Stored { updated_at, .. }) = stored else { panic!("{stored:?}") };
    assert_eq!(world.load(action.id).await, Action { updated_at, ..action.clone() });
    let change = forged(&action, state);
    let committed = world.store.commit(&change, None).await.unwrap();
    let Committed::Stored(Stored { updated_at, .. }) = committed else { panic!("{committed:?}") };
    let back: Action = world.load(action.id).await;
    assert_eq!(back, Action { updated_at, ..change.action });
    assert_eq!(world.store.history(action.id).await.unwrap()[1].line, change.history[0]);
}

/// Any text that every engine can hold: PostgreSQL has no NUL.
fn text() -> impl Strategy<Value = String> {
    "[^\u{0}]{0,40}"
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn request() -> impl Strategy<Value = Request> {
    let source = prop_oneof![Just(RequestSource::PublicApi), Just(RequestSource::Portal)];
    (text(), text(), source, option::of(text())).prop_map(|(requestor, comment, source, external_id)| Request {
        requestor,
        comment,
        source,
        external_id,
    })
}

fn body() -> impl Strategy<Value = Body> {
    let scope = prop_oneof![Just(Scope::Full), Just(Scope::Selective), Just(Scope::Quick)];
    prop_oneof![
        scope.prop_map(|scope| Body::Isolate { scope }),
        Just(Body::Release),
        vec(command(), 0..4).prop_map(|commands| Body::LiveResponse { commands }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let file = || {
        (text(), digest(), any::<u64>()).prop_map(|(name, sha256, size_bytes)| LibraryRef { name, sha256, size_bytes })
    };
    prop_oneof![
        file().prop_map(|file| Command::PutFile { file }),
        (file(), option::of(text())).prop_map(|(script, args)| Command::RunScript { script, args }),
        text().prop_map(|path| Command::GetFile { path }),
    ]
}

/// The server gives the numbers of sessions, so they stay far below the end of a signed column.
fn epoch() -> impl Strategy<Value = Epoch> {
    (0..=u64::MAX / 2).prop_map(Epoch)
}

fn journal() -> impl Strategy<Value = JournalId> {
    any::<u128>().prop_map(|bits| JournalId(Uuid::from_u128(bits)))
}

fn grant() -> impl Strategy<Value = Grant> {
    (epoch(), journal()).prop_map(|(epoch, journal)| Grant { epoch, journal })
}

fn cancel() -> impl Strategy<Value = Cancel> {
    (text(), text(), time()).prop_map(|(requestor, comment, at)| Cancel { requestor, comment, at })
}

fn state() -> impl Strategy<Value = State> {
    let why = prop_oneof![
        Just(TimedOutWhy::NotStarted),
        Just(TimedOutWhy::JournalLost),
        Just(TimedOutWhy::NoContact),
        Just(TimedOutWhy::Reenrolled),
    ];
    let proof = prop_oneof![
        Just(CancelProof::NeverGranted),
        testimony().prop_map(|testimony| CancelProof::Testified { testimony }),
    ];
    prop_oneof![
        Just(State::Pending),
        grant().prop_map(|grant| State::Granted { grant }),
        (grant(), cancel()).prop_map(|(grant, cancel)| State::Stopping { grant, cancel }),
        (testimony(), option::of(cancel())).prop_map(|(testimony, cancel)| State::Succeeded { testimony, cancel }),
        (testimony(), option::of(cancel())).prop_map(|(testimony, cancel)| State::Failed { testimony, cancel }),
        (why, option::of(grant()), option::of(cancel())).prop_map(|(why, grant, cancel)| State::TimedOut {
            why,
            grant,
            cancel
        }),
        (cancel(), proof).prop_map(|(cancel, proof)| State::Cancelled { cancel, proof }),
    ]
}

fn testimony() -> impl Strategy<Value = Testimony> {
    let ending = prop_oneof![
        Just(Ending::Finished),
        any::<bool>().prop_map(|began| Ending::Stopped { began }),
        text().prop_map(|why| Ending::Broke { why }),
    ];
    let fact = (any::<u64>(), time(), text()).prop_map(|(sequence, at, what)| Fact { sequence, at, what });
    (epoch(), journal(), any::<u64>(), ending, vec(step(), 0..3), vec(text(), 0..3), vec(fact, 0..3)).prop_map(
        |(epoch, journal, sequence, ending, steps, residue, facts)| Testimony {
            epoch,
            journal,
            sequence,
            ending,
            steps,
            residue,
            facts,
        },
    )
}

fn step() -> impl Strategy<Value = StepReport> {
    let status = prop_oneof![
        Just(StepStatus::Created),
        Just(StepStatus::InProgress),
        Just(StepStatus::Completed),
        Just(StepStatus::Failed),
    ];
    let artifact = (digest(), any::<u64>(), text()).prop_map(|(sha256, size_bytes, file_name)| Artifact {
        sha256,
        size_bytes,
        file_name,
    });
    (any::<u16>(), status, option::of(time()), option::of(time()), vec(text(), 0..2), option::of(artifact)).prop_map(
        |(index, status, started_at, ended_at, errors, artifact)| StepReport {
            index,
            status,
            started_at,
            ended_at,
            errors,
            artifact,
        },
    )
}
