//! A server that says anything to an agent: an impostor, or one that replays what it heard. Whatever it says, nothing
//! begins on the machine but what a grant allows that was signed for this machine, this session and this claim; and the
//! journal can always be taken up again.

use crate::desk::FixedSigner;
use crate::dice::Dice;
use crate::memory_disk::MemoryDisk;
use crate::world::{HONEST, HOSTILE, SIGNER_SEED};
use agent::journal::Journal;
use agent::worker::{Crew, Event, Identity, Worker};
use domain::action::Body;
use domain::command::Command;
use domain::grantee::{Input, Ran, Task, UndoRecord};
use domain::ids::{ActionId, Digest, Epoch, JournalId, MachineId, Nonce};
use domain::kind::{Kind, Scope};
use domain::time::Timestamp;
use protocol::agent::{DenyWhy, GrantCore, SignedGrant, ToAgent, ToServer, VerdictWord, Welcome, body_bytes, decode};
use server::signer::Signer as _;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The longest run.
const STEPS_MAX: usize = 100;

/// How many actions there are.
const ACTIONS: usize = 4;

/// The machine under trial.
const MACHINE: MachineId = HONEST;

/// Plays the run.
pub(crate) fn check(bytes: &[u8]) {
    let mut dice = Dice::new(bytes);
    let mut run = Run::new();
    for _ in 0..STEPS_MAX {
        if dice.is_spent() {
            break;
        }
        run.step(&mut dice);
    }
    run.crash();
}

/// A crew that only notes what it was asked to do.
#[derive(Clone, Default)]
struct Noting(Arc<Mutex<Vec<(ActionId, Task)>>>);

impl Crew for Noting {
    fn begin(&mut self, action: ActionId, task: Task) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((action, task));
    }
}

struct Run {
    disk: MemoryDisk,
    worker: Worker<Noting>,
    crew: Noting,
    signer: FixedSigner,
    /// Tasks that have not ended.
    tasks: Vec<(ActionId, Task)>,
    /// The last claim of each action.
    claims: BTreeMap<ActionId, (Epoch, Nonce)>,
    /// What a good grant has allowed.
    allowed: BTreeMap<ActionId, Body>,
    /// Whether a Welcome came since the agent started.
    welcomed: bool,
    nonces: u8,
}

impl Run {
    fn new() -> Self {
        let (disk, crew, signer) = (MemoryDisk::default(), Noting::default(), FixedSigner::of(SIGNER_SEED));
        let worker = boot(&disk, &crew, &signer);
        Self {
            disk,
            worker,
            crew,
            signer,
            tasks: vec![],
            claims: BTreeMap::new(),
            allowed: BTreeMap::new(),
            welcomed: false,
            nonces: 0,
        }
    }

    /// The process dies; the next one reads what is on disk.
    fn crash(&mut self) {
        self.tasks.clear();
        self.welcomed = false;
        self.worker = boot(&self.disk, &self.crew, &self.signer);
        self.collect();
    }

    fn step(&mut self, dice: &mut Dice<'_>) {
        let which = dice.below(ACTIONS);
        let action = action(which);
        let event = match dice.below(14) {
            0 => Event::Heard(Box::new(welcome(dice))),
            1 | 2 => heard(ToAgent::Offer { action, kind: Kind::Isolate }),
            3 | 4 => match self.grant(action, dice) {
                Some(grant) => {
                    self.allowed.insert(action, body(which));
                    heard(ToAgent::Grant(Box::new(grant)))
                }
                None => return,
            },
            5 => match self.grant(action, dice) {
                Some(grant) => heard(ToAgent::Grant(Box::new(self.spoilt(grant, dice)))),
                None => return,
            },
            6 => heard(ToAgent::Deny { action, why: dice.of(&[DenyWhy::Gone, DenyWhy::Busy, DenyWhy::OldSession]) }),
            7 => heard(ToAgent::Abort { action, epoch: Epoch(dice.number()) }),
            8 => heard(ToAgent::FinalAck { action, epoch: Epoch(dice.number()) }),
            9 => match decode::<ToAgent>(dice.some()) {
                Ok(message) => heard(message),
                Err(_) => return,
            },
            10 => Event::Lost,
            11 => Event::Retry,
            12 => return self.crash(),
            _ if self.tasks.is_empty() => return,
            _ => {
                let task = self.tasks.swap_remove(dice.below(self.tasks.len().min(256)));
                match ended(task, dice) {
                    Some(input) => Event::Ended(input),
                    None => return,
                }
            }
        };
        self.handle(event);
    }

    fn handle(&mut self, event: Event) {
        self.welcomed |= matches!(&event, Event::Heard(message) if matches!(**message, ToAgent::Welcome(_)));
        self.nonces = self.nonces.wrapping_add(1);
        let outgoing = self.worker.handle(event, Nonce([self.nonces; 16]), Timestamp(5));
        for outgoing in outgoing.expect("the disk is well, and so is the journal") {
            if let ToServer::Claim { session, action, nonce, .. } = outgoing.message {
                self.claims.insert(action, (session, nonce));
            }
            protocol::agent::encode(&outgoing.message).expect("what is said fits into a frame");
        }
        self.collect();
    }

    /// Takes over what the crew was asked for, and looks whether it may be.
    fn collect(&mut self) {
        let begun = std::mem::take(&mut *self.crew.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (action, task) in begun {
            if let Task::Prepare(body) | Task::Plan(body, _) | Task::Run(body, _, _) = &task {
                assert_eq!(self.allowed.get(&action), Some(body), "begun without a grant that allows it");
                assert!(self.welcomed, "begun before a Welcome");
            }
            self.tasks.push((action, task));
        }
    }

    /// The grant that answers the last claim of `action`, as the server would sign it.
    fn grant(&self, action: ActionId, dice: &mut Dice<'_>) -> Option<SignedGrant> {
        let (epoch, nonce) = *self.claims.get(&action)?;
        let which = (0..ACTIONS).find(|which| self::action(*which) == action)?;
        // Now and then one of an earlier claim or session, signed as well: recorded once, played again.
        let epoch = if dice.byte() == 255 { Epoch(dice.number()) } else { epoch };
        Some(self.signed(&body(which), action, epoch, nonce))
    }

    fn signed(&self, body: &Body, action: ActionId, epoch: Epoch, nonce: Nonce) -> SignedGrant {
        let body = body_bytes(body);
        let core = GrantCore {
            machine: MACHINE,
            incarnation: 1,
            action,
            epoch,
            nonce,
            body_sha256: Digest::of(&body),
            key_id: self.signer.key_id().into(),
        };
        let signature = self.signer.sign(&core.signed_bytes());
        SignedGrant { core, body, signature }
    }

    /// A grant with one thing about it that is not as the server signs it, and a body that nothing has allowed.
    fn spoilt(&self, mut grant: SignedGrant, dice: &mut Dice<'_>) -> SignedGrant {
        // Of no action here.
        const OTHER: Body = Body::LiveResponse { commands: vec![] };
        let core = &mut grant.core;
        match dice.below(8) {
            0 => grant.body = body_bytes(&OTHER),
            1 => {
                grant.body = body_bytes(&OTHER);
                core.body_sha256 = Digest::of(&grant.body);
            }
            2 => core.action = action(ACTIONS),
            3 => core.key_id = "other".into(),
            4 => grant.signature = dice.some().to_vec(),
            5 => {
                let byte = dice.below(grant.signature.len().clamp(1, 256));
                grant.signature[byte] ^= 1 << dice.below(8);
            }
            6 => {
                let other = FixedSigner::of(SIGNER_SEED + 1);
                grant.signature = other.sign(&core.signed_bytes());
            }
            _ => {
                core.machine = HOSTILE;
                grant.signature = self.signer.sign(&grant.core.signed_bytes());
            }
        }
        grant
    }
}

fn boot(disk: &MemoryDisk, crew: &Noting, signer: &FixedSigner) -> Worker<Noting> {
    let id = JournalId(Uuid::from_u128(42));
    let (journal, entries) = Journal::on(Box::new(disk.clone()), id).expect("a journal of ours opens");
    let identity = Identity {
        machine: MACHINE,
        incarnation: 1,
        grant_key_id: signer.key_id().into(),
        grant_key: signer.public_key(),
    };
    Worker::boot(journal, &entries, crew.clone(), identity, Timestamp(5)).expect("a journal of ours is understood")
}

fn heard(message: ToAgent) -> Event {
    Event::Heard(Box::new(message))
}

fn action(which: usize) -> ActionId {
    ActionId(Uuid::from_u128(which as u128 + 1))
}

fn body(which: usize) -> Body {
    match which {
        0 => Body::Isolate { scope: Scope::Full },
        1 => Body::Release,
        _ => {
            let get = |path: &str| Command::GetFile { path: path.into() };
            Body::LiveResponse { commands: vec![get("/etc/hosts"), get("/etc/passwd")] }
        }
    }
}

fn welcome(dice: &mut Dice<'_>) -> ToAgent {
    let session = Epoch(dice.number());
    let word = |dice: &mut Dice<'_>| match dice.below(3) {
        0 => VerdictWord::Continue,
        1 => VerdictWord::Abort(Epoch(dice.number())),
        _ => VerdictWord::Forget,
    };
    let verdicts = dice.list(ACTIONS, 1000, |dice| (action(dice.below(ACTIONS + 1)), word(dice)));
    ToAgent::Welcome(Box::new(Welcome { version: 1, session, verdicts, machine: MACHINE }))
}

/// How a task ends; none for one whose end nobody waits for.
fn ended((action, task): (ActionId, Task), dice: &mut Dice<'_>) -> Option<Input> {
    let broke = |dice: &mut Dice<'_>| (dice.below(4) == 0).then(|| dice.text());
    let result = |broke: Option<String>| broke.map_or(Ok(()), Err);
    Some(match task {
        Task::Prepare(_) => Input::Prepared { action, result: result(broke(dice)) },
        Task::Plan(_, step) => {
            let result = result(broke(dice)).map(|()| UndoRecord(dice.some().to_vec()));
            Input::Planned { action, step, result }
        }
        Task::Run(_, step, _) => {
            let result = Ran { started_at: Timestamp(5), ended_at: Timestamp(6), error: broke(dice), artifact: None };
            Input::Ran { action, step, result }
        }
        Task::Kill => Input::Killed { action },
        Task::Undo(_, step, _) => {
            let result = result(broke(dice)).map(|()| dice.list(2, 20, |dice| dice.text()));
            Input::UndoEnded { action, step, result }
        }
        Task::Retire => return None,
    })
}

/// Runs of choices: which action, which word, its fields.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // Welcome, offer, grant; then the tasks end one after the other.
    let granted = [0, 0, 2, 0, 0, 1, 0, 3, 0];
    let after = |rest: &[u8]| [&granted[..], rest].concat();
    let ends = [0, 13, 0, 1, 0, 13, 0, 1, 3, 1, 2, 3, 0, 13, 0, 1, 0, 13, 0, 1];
    vec![
        vec![],
        granted.to_vec(),
        after(&ends),
        // Stopped on the way, by the server and by a crash.
        after(&[&ends[..10], &[0, 7, 2, 0, 13, 0, 0, 13, 0, 1, 0, 8, 2]].concat()),
        after(&[&ends[..10], &[0, 12, 0, 13, 0, 0, 13, 0, 1, 0, 0, 3, 1, 0, 1, 2]].concat()),
        // Grants that are not as they should be.
        (0..8).flat_map(|how| [0, 0, 2, 0, 1, 1, 1, 5, 0, how, 3, 1, 2, 3]).collect(),
        // An old grant in a new session; the link goes away and comes back.
        after(&[0, 10, 0, 0, 3, 0, 0, 3, 0, 0, 3, 255, 2, 0, 11]),
        // A live response, and everything breaks.
        [&[0, 0, 2, 0, 2, 1, 2, 3, 0][..], &[0, 13, 0, 0, 120, 1].repeat(8)].concat(),
    ]
}
