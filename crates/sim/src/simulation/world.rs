//! The world of one run: clients, replicas over one store, streams, machines with their agents; and one thread that
//! decides what happens next.

mod agents;
mod choose;
mod clients;
mod direct;
mod end;
mod faults;
mod links;
mod servers;
mod show;

use super::dice::Dice;
use super::film::Film;
use super::gate::GatedStore;
use super::ground::{Ground, SimClock, SimSigner};
use super::job::Job;
use super::library;
use super::machine::{DiskImage, Machine, Site};
use super::rules::Breach;
use super::setting::Setting;
use super::sights::Sights;
use agent::boot::Leftovers;
use agent::worker::{Identity, Outgoing, Worker};
use agents::SimCrew;
use domain::action::Action;
use domain::audit::{CallerKind, Entry};
use domain::grantee::Input;
use domain::ids::{ActionId, Digest, Epoch, MachineId};
use domain::machine::Told;
use domain::time::{TICKS_PER_SECOND, Timestamp};
use server::actions::{ActionError, Actions};
use server::agent_link::talk::{Desk, Said, Talk, TalkError};
use server::signer::Signer as _;
use server::wake::Wake;
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use store::{EnrolToken, Enrolled, Store};
use tokio::sync::Notify;

/// When every run begins.
const BEGINS_AT: Timestamp = Timestamp(1_800_000_000 * TICKS_PER_SECOND);

/// The token that every machine enrols with.
const TOKEN: &[u8] = b"enrol";

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The rule that is broken, if one is.
    pub breach: Option<Breach>,
    /// How many steps it took.
    pub steps: u32,
    /// What was seen.
    pub sights: Sights,
    /// What happened, if it was recorded.
    pub film: Vec<String>,
    /// How many calls could have failed, and the one that was made to.
    pub calls: u64,
    /// The call that was made to fail.
    pub failed: Option<String>,
}

/// A replica of the server.
struct Replica {
    actions: Actions,
    wake: Arc<Wake>,
    desk: Desk,
    clock: SimClock,
}

/// A use case under way.
struct UseCase {
    number: u64,
    replica: usize,
    speaks_for: Option<(MachineId, u32)>,
    what: String,
    about: Option<ActionId>,
    future: Pin<Box<dyn Future<Output = Ended>>>,
}

/// What a use case came to.
enum Ended {
    Requested(Result<Action, ActionError>),
    Cancelled(ActionId, Result<Action, ActionError>),
    Read(Result<Action, ActionError>),
    Accepted(u32, Result<protocol::agent::ToAgent, TalkError>),
    Opened(u32, Result<(Talk, protocol::agent::ToAgent), TalkError>),
    Said(u32, Result<Said, TalkError>),
    EnrolledAgain(usize, Result<(Enrolled, u32, ()), ActionError>),
    HandedIn { machine: usize, stream: u32, outgoing: Outgoing, taken: bool },
    Nothing,
}

/// One stream between a machine and a replica.
struct Stream {
    number: u32,
    machine: usize,
    incarnation: u32,
    replica: usize,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
    is_cut: bool,
    is_woken: bool,
    agent_has_it: bool,
    server: ServerEnd,
}

/// The server's end of a stream.
enum ServerEnd {
    /// The first word was not said yet.
    Accepting,
    /// No Hello was heard.
    Fresh,
    /// Hello is being answered.
    Opening,
    /// There is a talk; `busy`: it is being looked after.
    Talks { talk: Arc<Talk>, notify: Arc<Notify>, busy: bool },
    /// It is closed.
    Gone,
}

/// An agent that runs.
struct Agent {
    worker: Worker<SimCrew>,
    leftovers: Leftovers,
    incarnation: u32,
    crew: SimCrew,
    link: Link,
    ended: VecDeque<Input>,
    jobs: Vec<Job>,
    hand_ins: Vec<HandIn>,
    stopped: BTreeSet<ActionId>,
}

/// An artifact that is handed in, and what is to be said when it is there.
struct HandIn {
    stream: u32,
    outgoing: Outgoing,
    /// The replica that is taking it.
    at: Option<usize>,
}

/// An agent's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Dialled(u32),
    Open(u32),
}

/// A machine and the agent on it.
struct Host {
    id: MachineId,
    site: Site,
    agent: Option<Agent>,
    clock: SimClock,
    snapshot: Option<Machine>,
    incarnation: u32,
}

/// The world of one run.
pub struct World {
    ground: Arc<Ground>,
    setting: Setting,
    engine: Arc<dyn Store>,
    sites: Arc<Vec<(MachineId, Site)>>,
    signer: Arc<SimSigner>,
    identity: Identity,
    replicas: Vec<Option<Replica>>,
    hosts: Vec<Host>,
    streams: Vec<Stream>,
    use_cases: Vec<UseCase>,
    requested: Vec<ActionId>,
    requests_left: usize,
    streams_ever: u32,
    use_cases_ever: u64,
    steps: u32,
    is_healing: bool,
}

impl World {
    /// A world over this store, which must be empty; nothing has happened in it.
    pub fn new(seed: u64, setting: Option<Setting>, engine: Arc<dyn Store>, recorded: bool) -> Self {
        let mut dice = Dice::new(seed);
        let drawn = Setting::drawn(&mut dice);
        let setting = setting.unwrap_or(drawn);
        let ground = Arc::new(Ground::new(dice.split(), Film::new(recorded), setting.faults.clone(), BEGINS_AT));
        let sites: Vec<(MachineId, Site)> = (0..setting.machines)
            .map(|index| {
                let id = MachineId([index as u8 + 1; 20]);
                (id, Arc::new(Mutex::new(Machine::new(index, id))))
            })
            .collect();
        let signer = Arc::new(SimSigner::new());
        let identity = Identity {
            machine: MachineId([0; 20]),
            incarnation: 1,
            grant_key_id: library::key_id(),
            grant_key: signer.public_key(),
        };
        let mut hosts = Vec::new();
        for (id, site) in &sites {
            let skew = if dice.chance(500) { 0 } else { dice.below(72_000_000_000) as i64 - 36_000_000_000 };
            let clock = SimClock::new(Arc::clone(&ground), skew);
            hosts.push(Host { id: *id, site: Arc::clone(site), agent: None, clock, snapshot: None, incarnation: 1 });
        }
        let mut world = Self {
            requests_left: setting.requests,
            ground,
            setting,
            engine,
            sites: Arc::new(sites),
            signer,
            identity,
            replicas: vec![],
            hosts,
            streams: vec![],
            use_cases: vec![],
            requested: vec![],
            streams_ever: 0,
            use_cases_ever: 0,
            steps: 0,
            is_healing: false,
        };
        world.set_up();
        world
    }

    /// The library, the machines' enrolment, and the replicas.
    fn set_up(&mut self) {
        let engine = Arc::clone(&self.engine);
        let token =
            EnrolToken { digest: Digest::of(TOKEN), uses_max: 100, expires_at: Timestamp(i64::MAX), machine: None };
        let sites = Arc::clone(&self.sites);
        super::engine::wait(async move {
            engine.add_enrol_token(&token, &set_up_entry()).await?;
            for (file, content) in library::files(BEGINS_AT) {
                engine.put_library_file(&file, content, false, &set_up_entry()).await?;
            }
            for (index, (id, _)) in sites.iter().enumerate() {
                let machine = domain::machine::Machine {
                    id: *id,
                    name: format!("m{}", index + 1),
                    incarnation: 1,
                    session: Epoch(0),
                    first_seen: BEGINS_AT,
                    last_seen: BEGINS_AT,
                    told: Told::default(),
                    tags: vec![],
                };
                engine.enrol(&machine, &Digest::of(TOKEN), BEGINS_AT, &set_up_entry()).await?;
            }
            Ok::<(), store::StoreError>(())
        })
        .unwrap_or_else(|error| {
            self.ground
                .judge()
                .breaks(super::rules::Rule::NothingImpossibleIsTried, format!("the store cannot be set up: {error}"))
        });
        for _ in 0..self.setting.replicas {
            let replica = self.new_replica();
            self.replicas.push(Some(replica));
        }
    }

    fn new_replica(&self) -> Replica {
        let gate = GatedStore::new(Arc::clone(&self.engine), Arc::clone(&self.ground), Arc::clone(&self.sites));
        let wake = Arc::new(Wake::default());
        let actions = Actions::new(Arc::new(gate), Arc::clone(&wake));
        let clock = SimClock::new(Arc::clone(&self.ground), 0);
        let desk =
            Desk { actions: actions.clone(), clock: Arc::new(clock.clone()), signer: Arc::clone(&self.signer) as _ };
        Replica { actions, wake, desk, clock }
    }

    /// Whether a rule is broken.
    fn is_broken(&self) -> bool {
        self.ground.judge().breach().is_some()
    }

    /// The run, to its end.
    pub fn run(mut self) -> Outcome {
        self.show();
        while self.steps < self.setting.steps && !self.is_broken() {
            if !self.step() {
                break;
            }
        }
        if !self.is_broken() {
            self.heal();
        }
        self.outcome()
    }

    fn outcome(self) -> Outcome {
        let breach = self.ground.judge().breach().cloned();
        if let Some(breach) = &breach {
            self.ground.film().note(format!("BROKEN {breach}"));
        }
        let sights = self.ground.judge().sights.clone();
        let film = std::mem::take(&mut *self.ground.film()).into_lines();
        let faults = self.ground.faults().clone();
        Outcome { breach, steps: self.steps, sights, film, calls: faults.calls, failed: faults.failed }
    }

    /// A step begins: time goes on, and the film says what happens.
    fn happens(&mut self, what: impl FnOnce(&Self) -> String) {
        let passed = self.ground.dice().between(10_000, 500_000) as i64;
        self.ground.pass(passed);
        for host in &self.hosts {
            let mut machine = super::ground::lock(&host.site);
            machine.uptime += std::time::Duration::from_nanos(passed.unsigned_abs() * 100);
        }
        self.steps += 1;
        if self.ground.film().is_recorded() {
            let line = format!("{:>5}  {}", self.steps, what(self));
            self.ground.film().note(line);
        }
    }
}

/// What a machine's disk looks like that was never used.
fn empty_disk() -> DiskImage {
    DiskImage::default()
}

/// A line of the audit log, for what an administrator does past the replicas.
fn set_up_entry() -> Entry {
    Entry::new(BEGINS_AT, CallerKind::Administrator, "", "set-up")
}
