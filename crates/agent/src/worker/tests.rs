use super::*;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use domain::action::Body;
use domain::grantee::{Ran, UndoRecord};
use domain::ids::{Digest, Epoch, JournalId};
use domain::kind::{Kind, Scope};
use domain::testimony::Ending;
use protocol::agent::{GrantCore, Welcome, body_bytes};
use std::path::Path;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(5);
const NONCE: Nonce = Nonce([3; 16]);
const SESSION: Epoch = Epoch(2);
const MACHINE: MachineId = MachineId([9; 20]);

/// A crew that only notes what it was asked to do.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<Vec<Task>>>);

impl Crew for Noting {
    fn begin(&mut self, _action: ActionId, task: Task) {
        self.0.lock().expect("whole").push(task);
    }
}

struct Rig {
    worker: Worker<Noting>,
    tasks: Noting,
    key: Ed25519KeyPair,
    pkcs8: Vec<u8>,
    _folder: tempfile::TempDir,
}

fn action() -> ActionId {
    ActionId(Uuid::from_u128(1))
}

fn identity(key: &Ed25519KeyPair) -> Identity {
    let grant_key = key.public_key().as_ref().try_into().expect("32 bytes");
    Identity { machine: MACHINE, incarnation: 1, grant_key_id: "k1".into(), grant_key }
}

fn open(folder: &Path, key: &Ed25519KeyPair, tasks: &Noting) -> Worker<Noting> {
    let (journal, entries) = Journal::open(&folder.join("journal"), JournalId(Uuid::from_u128(7))).expect("journal");
    Worker::boot(journal, &entries, tasks.clone(), identity(key), NOW).expect("boots")
}

impl Rig {
    fn new() -> Self {
        Self::keyed(Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).expect("key").as_ref())
    }

    /// Another agent, enrolled with the same key.
    fn with(rig: &Rig) -> Self {
        Self::keyed(&rig.pkcs8)
    }

    fn keyed(pkcs8: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let key = Ed25519KeyPair::from_pkcs8(pkcs8).expect("key");
        let tasks = Noting::default();
        let worker = open(folder.path(), &key, &tasks);
        let mut rig = Self { worker, tasks, key, pkcs8: pkcs8.to_vec(), _folder: folder };
        let welcome = Welcome { version: 1, session: SESSION, verdicts: vec![], machine: MACHINE };
        rig.heard(ToAgent::Welcome(Box::new(welcome)));
        rig.heard(ToAgent::Offer { action: action(), kind: Kind::Isolate });
        rig
    }

    fn heard(&mut self, message: ToAgent) -> Vec<Outgoing> {
        self.event(Event::Heard(Box::new(message)))
    }

    fn event(&mut self, event: Event) -> Vec<Outgoing> {
        self.worker.handle(event, NONCE, NOW).expect("the journal is well")
    }

    fn grant(&self) -> SignedGrant {
        let body = body_bytes(&Body::Isolate { scope: Scope::Full });
        let core = GrantCore {
            machine: MACHINE,
            incarnation: 1,
            action: action(),
            epoch: SESSION,
            nonce: NONCE,
            body_sha256: Digest::of(&body),
            key_id: "k1".into(),
        };
        self.signed(core, body)
    }

    fn signed(&self, core: GrantCore, body: Vec<u8>) -> SignedGrant {
        let signature = self.key.sign(&core.signed_bytes()).as_ref().to_vec();
        SignedGrant { core, body, signature }
    }

    fn sequence(&self) -> u64 {
        self.worker.standing().journal.sequence
    }
}

#[test]
fn a_good_grant_is_journalled_before_anything_is_begun() {
    let mut rig = Rig::new();
    let grant = rig.grant();
    rig.heard(ToAgent::Grant(Box::new(grant)));
    assert_eq!(rig.sequence(), 2, "granted and started");
    assert!(matches!(rig.tasks.0.lock().expect("whole")[..], [Task::Prepare(_)]));
}

#[test]
fn a_grant_that_was_not_signed_as_it_is_begins_nothing() {
    let rig = Rig::new();
    let good = rig.grant();
    let other_key = Ed25519KeyPair::generate().expect("key");
    let changed = |change: fn(&mut GrantCore)| {
        let mut grant = good.clone();
        change(&mut grant.core);
        grant
    };
    let signed_anew = |rig: &Rig, change: fn(&mut GrantCore)| {
        let mut core = good.core.clone();
        change(&mut core);
        rig.signed(core, good.body.clone())
    };
    let mut forged = good.clone();
    forged.signature = other_key.sign(&good.core.signed_bytes()).as_ref().to_vec();
    let mut unsigned = good.clone();
    unsigned.signature.clear();
    let mut other_body = good.clone();
    other_body.body = body_bytes(&Body::Release);
    // Whether it answers our claim and so ends the action; what does not is as if it had never come.
    let bad = [
        ("another key", true, forged),
        ("no signature", true, unsigned),
        ("another body", true, other_body),
        ("another epoch", true, changed(|core| core.epoch = Epoch(3))),
        ("another key id, signed", true, signed_anew(&rig, |core| core.key_id = "k2".into())),
        ("another hash, signed", true, signed_anew(&rig, |core| core.body_sha256 = Digest([0; 32]))),
        ("another action", false, changed(|core| core.action = ActionId(Uuid::from_u128(2)))),
        ("another machine, signed", false, signed_anew(&rig, |core| core.machine = MachineId([8; 20]))),
        ("another enrolment, signed", false, signed_anew(&rig, |core| core.incarnation = 2)),
        ("another session, signed", false, signed_anew(&rig, |core| core.epoch = Epoch(1))),
        ("another claim, signed", false, signed_anew(&rig, |core| core.nonce = Nonce([4; 16]))),
    ];
    for (what, ends, grant) in bad {
        let mut fresh = Rig::with(&rig);
        fresh.heard(ToAgent::Grant(Box::new(grant)));
        assert!(fresh.tasks.0.lock().expect("whole").is_empty(), "{what}: nothing may begin");
        assert_eq!(fresh.sequence(), if ends { 2 } else { 0 }, "{what}");
        let good = good.clone();
        fresh.heard(ToAgent::Grant(Box::new(good)));
        assert_eq!(fresh.tasks.0.lock().expect("whole").is_empty(), ends, "{what}: what is ended stays ended");
    }
}

#[test]
fn a_recorded_grant_starts_nothing_a_second_time() {
    let mut rig = Rig::new();
    let grant = rig.grant();
    for _ in 0..3 {
        rig.heard(ToAgent::Grant(Box::new(grant.clone())));
    }
    assert_eq!(rig.tasks.0.lock().expect("whole").len(), 1);
}

#[test]
fn a_final_names_the_artifacts_that_must_be_there_first() {
    let mut rig = Rig::new();
    let grant = rig.grant();
    rig.heard(ToAgent::Grant(Box::new(grant)));
    rig.event(Event::Ended(Input::Prepared { action: action(), result: Ok(()) }));
    rig.event(Event::Ended(Input::Planned { action: action(), step: 0, result: Ok(UndoRecord(vec![])) }));
    let artifact = domain::testimony::Artifact { sha256: Digest([1; 32]), size_bytes: 1, file_name: "out.json".into() };
    let result = Ran { started_at: NOW, ended_at: NOW, error: None, artifact: Some(artifact) };
    let said = rig.event(Event::Ended(Input::Ran { action: action(), step: 0, result }));
    match said.as_slice() {
        [_phase, Outgoing { message: ToServer::Final { testimony, .. }, artifacts, waits_at_most }] => {
            assert_eq!((testimony.ending.clone(), artifacts.as_slice()), (Ending::Finished, &[0][..]));
            assert_eq!(*waits_at_most, None, "the results are what was asked for");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_what_was_stopped_does_not_wait_for_ever_for_its_artifacts() {
    let mut rig = Rig::new();
    let grant = rig.grant();
    let epoch = grant.core.epoch;
    rig.heard(ToAgent::Grant(Box::new(grant)));
    rig.event(Event::Ended(Input::Prepared { action: action(), result: Ok(()) }));
    rig.event(Event::Ended(Input::Planned { action: action(), step: 0, result: Ok(UndoRecord(vec![])) }));
    rig.heard(ToAgent::Abort { action: action(), epoch });
    let artifact = domain::testimony::Artifact { sha256: Digest([1; 32]), size_bytes: 1, file_name: "out.json".into() };
    let result = Ran { started_at: NOW, ended_at: NOW, error: Some("stopped".into()), artifact: Some(artifact) };
    rig.event(Event::Ended(Input::Ran { action: action(), step: 0, result }));
    rig.event(Event::Ended(Input::Killed { action: action() }));
    let said = rig.event(Event::Ended(Input::UndoEnded { action: action(), step: 0, result: Ok(vec![]) }));
    let end = said.iter().find(|outgoing| matches!(outgoing.message, ToServer::Final { .. }));
    let end = end.unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!((end.artifacts.as_slice(), end.waits_at_most), (&[0][..], Some(STOPPED_WAITS_AT_MOST)));
}
