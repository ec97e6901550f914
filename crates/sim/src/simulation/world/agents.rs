//! The agents: the production worker over a simulated disk, machine and link.

use super::super::disk::{SimDisk, passes};
use super::super::ground::{Ground, lock};
use super::super::host::SimHost;
use super::super::job::{Job, STAGING};
use super::super::machine::{AgentDies, Site};
use super::super::rules::Rule;
use super::super::setting::Fault;
use super::super::sights::Sight;
use super::{Agent, HandIn, Link, World};
use agent::boot::{self, BootError, Leftovers};
use agent::host::Host as _;
use agent::journal::{Journal, JournalError};
use agent::worker::{Crew, Event, Identity, Outgoing, Worker, WorkerError};
use domain::Kind;
use domain::grantee::{Input, Task};
use domain::ids::{ActionId, Epoch, JournalId, Nonce};
use domain::machine::Told;
use protocol::agent::{Hello, ToServer, VERSION, encode};
use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// How many places an agent passes at most before it dies in the middle of what it was told.
const FUSE_PLACES: u64 = 6;

/// How often in a thousand a task makes several calls before it gives way, and how many.
const CALLS_IN_A_ROW_PER_MILLE: u64 = 300;

/// So many calls in a row.
const CALLS_IN_A_ROW: u32 = 4;

/// How often in a thousand it is the power that fails where an agent dies in the middle of something.
const POWER_CUT_PER_MILLE: u64 = 600;

/// What the executors say of a panic of their own.
const PANICKED: &str = "the agent's own code failed";

/// A crew that takes tasks down; they are done step by step by the world.
#[derive(Clone)]
pub(super) struct SimCrew {
    site: Site,
    ground: Arc<Ground>,
    begun: Arc<Mutex<Vec<(ActionId, Task)>>>,
}

impl Crew for SimCrew {
    fn begin(&mut self, action: ActionId, task: Task) {
        passes(&self.site);
        self.ground.judge().task(&mut lock(&self.site), action, &task);
        lock(&self.begun).push((action, task));
    }
}

/// How a piece of an agent's code ended.
enum Did<T> {
    This(T),
    Died,
}

impl World {
    /// Runs a piece of an agent's code that may die in the middle.
    fn guarded<T>(&mut self, machine: usize, run: impl FnOnce() -> T) -> Did<T> {
        let fuse = {
            let mut dice = self.ground.dice();
            let dies = !self.is_healing && dice.chance(self.setting.dies_midway_per_mille);
            dies.then(|| dice.below(FUSE_PLACES) as u32)
        };
        lock(&self.hosts[machine].site).fuse = fuse;
        let done = catch_unwind(AssertUnwindSafe(run));
        lock(&self.hosts[machine].site).fuse = None;
        match done {
            Ok(done) => Did::This(done),
            Err(panic) => {
                self.died(machine, panic.as_ref());
                Did::Died
            }
        }
    }

    fn died(&mut self, machine: usize, panic: &(dyn Any + Send)) {
        if panic.is::<AgentDies>() {
            self.ground.note(|| format!("m{}: the agent dies in the middle of it", machine + 1));
            self.ground.judge().sights.see(Sight::DiedMidway);
            if self.setting.weights[Fault::Reboot as usize] > 0 && self.ground.dice().chance(POWER_CUT_PER_MILLE) {
                self.reboots(machine);
            }
            return;
        }
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let why = format!("the agent of m{} panics: {}", machine + 1, said.unwrap_or("without a word"));
        self.ground.judge().breaks(Rule::NothingImpossibleIsTried, why);
    }

    /// An agent starts.
    pub(super) fn boot(&mut self, index: usize) {
        let (site, ground) = (Arc::clone(&self.hosts[index].site), Arc::clone(&self.ground));
        {
            let mut machine = lock(&site);
            machine.processes += 1;
            machine.in_session = false;
            machine.began.clear();
        }
        let fresh = JournalId(uuid::Builder::from_random_bytes(ground.dice().bytes()).into_uuid());
        let crew = SimCrew { site: Arc::clone(&site), ground: Arc::clone(&ground), begun: Arc::default() };
        let incarnation = self.hosts[index].incarnation;
        let identity = Identity { machine: self.hosts[index].id, incarnation, ..self.identity.clone() };
        let now = self.hosts[index].clock.shows();
        let host = SimHost::at_boot(Arc::clone(&site), Arc::clone(&ground));
        let taken = crew.clone();
        let booted = self.guarded(index, move || -> Result<(Worker<SimCrew>, Leftovers), BootError> {
            let disk = SimDisk::new(site, ground);
            let (journal, entries) = Journal::on(Box::new(disk), fresh).map_err(WorkerError::from)?;
            boot::take_up(journal, &entries, taken, identity, &host, Path::new(STAGING), now)
        });
        match booted {
            Did::This(Ok((worker, leftovers))) => {
                self.hosts[index].agent = Some(Agent {
                    worker,
                    leftovers,
                    incarnation,
                    crew,
                    link: Link::Down,
                    ended: VecDeque::new(),
                    jobs: vec![],
                    hand_ins: vec![],
                    stopped: BTreeSet::new(),
                });
                self.take_tasks(index);
            }
            Did::This(Err(error)) => self.boot_failed(index, &error),
            Did::Died => self.ground.judge().sights.see(Sight::DiedAtBoot),
        }
    }

    fn boot_failed(&mut self, index: usize, error: &BootError) {
        let bad = match error {
            BootError::Worker(WorkerError::Journal(JournalError::Damaged { .. }) | WorkerError::Record(_)) => true,
            BootError::Worker(_) | BootError::Host(_) => false,
        };
        if bad {
            let why = format!("the agent of m{} cannot read its own journal: {error}", index + 1);
            self.ground.judge().breaks(Rule::JournalComesFirst, why);
        }
        self.ground.note(|| format!("m{}: the agent does not start: {error}", index + 1));
    }

    /// An agent's process is gone.
    pub(super) fn agent_gone(&mut self, index: usize) {
        let Some(agent) = self.hosts[index].agent.take() else { return };
        let mut machine = lock(&self.hosts[index].site);
        machine.in_session = false;
        // What a process started dies with it, as a rule; what the rule forgets is there at the next start.
        let mut dice = self.ground.dice();
        machine.children.retain(|_, _| dice.chance(500));
        drop(dice);
        drop(machine);
        match agent.link {
            Link::Down => {}
            Link::Dialled(stream) | Link::Open(stream) => self.agent_leaves(stream),
        }
    }

    /// Something reaches the agent.
    pub(super) fn handle(&mut self, index: usize, event: Event) {
        let now = self.hosts[index].clock.shows();
        let nonce = Nonce(self.ground.dice().bytes());
        let Some(mut agent) = self.hosts[index].agent.take() else { return };
        let host = SimHost::at_boot(Arc::clone(&self.hosts[index].site), Arc::clone(&self.ground));
        let handled = self.guarded(index, || {
            if matches!(event, Event::Retry) {
                agent.leftovers.sweep_again(&host, agent.worker.grantee());
            }
            agent.worker.handle(event, nonce, now)
        });
        self.hosts[index].agent = Some(agent);
        match handled {
            Did::This(Ok(said)) => {
                self.take_tasks(index);
                self.says(index, said);
            }
            Did::This(Err(error)) => {
                self.ground.note(|| format!("m{}: the agent ends: {error}", index + 1));
                if matches!(error, WorkerError::Record(_)) {
                    self.ground.judge().breaks(Rule::JournalComesFirst, error.to_string());
                }
                self.agent_gone(index);
            }
            Did::Died => self.agent_gone(index),
        }
    }

    /// The tasks that the agent began.
    fn take_tasks(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        let now = host.clock.shows();
        let Some(agent) = &mut host.agent else { return };
        for (action, task) in std::mem::take(&mut *lock(&agent.crew.begun)) {
            match task {
                Task::Kill => {
                    agent.stopped.insert(action);
                    agent.jobs.iter().filter(|job| job.action == action).for_each(Job::stop);
                }
                Task::Retire => drop(agent.stopped.remove(&action)),
                _ => {}
            }
            let is_stopped = agent.stopped.contains(&action);
            agent.jobs.push(Job::new(action, task, &host.site, &self.ground, now, is_stopped));
        }
    }

    /// What the agent says goes on its stream; a final waits until its artifacts are there.
    fn says(&mut self, index: usize, said: Vec<Outgoing>) {
        let Some(agent) = &mut self.hosts[index].agent else { return };
        let Link::Open(stream) = agent.link else { return };
        for outgoing in said {
            if let ToServer::Final { action, testimony } = &outgoing.message {
                self.ground.judge().testified(&lock(&self.hosts[index].site), *action, testimony);
            }
            match outgoing.artifacts.is_empty() {
                true => self.send_up(stream, &outgoing.message),
                false => {
                    if let Some(agent) = &mut self.hosts[index].agent {
                        agent.hand_ins.push(HandIn { stream, outgoing, at: None });
                    }
                }
            }
        }
    }

    /// An agent dials.
    pub(super) fn dial(&mut self, index: usize, replica: usize) {
        let stream = self.new_stream(index, replica);
        if let Some(agent) = &mut self.hosts[index].agent {
            agent.link = Link::Dialled(stream);
        }
        self.accept(stream);
    }

    /// An agent says Hello on the stream that it dialled and heard the first word on.
    pub(super) fn say_hello(&mut self, index: usize, stream: u32, after: Epoch) {
        let host = SimHost::at_boot(Arc::clone(&self.hosts[index].site), Arc::clone(&self.ground));
        let boot_id = host.boot_id().unwrap_or_default();
        let Some(agent) = &mut self.hosts[index].agent else { return };
        let standing = agent.worker.standing();
        let told = Told {
            os_platform: "Linux".into(),
            os_version: "simulated".into(),
            agent_version: "0".into(),
            last_address: None,
            boot_id,
            kinds: vec![Kind::LiveResponse, Kind::Isolate, Kind::Release],
            journal: None,
        };
        let hello = ToServer::Hello(Box::new(Hello {
            version_min: VERSION,
            version_max: VERSION,
            incarnation: agent.incarnation,
            after,
            told,
            journal: standing.journal,
            listed: standing.listed.into_iter().map(Into::into).collect(),
        }));
        self.send_up(stream, &hello);
    }

    /// The next part of a task.
    pub(super) fn job_goes_on(&mut self, index: usize, job: usize) {
        let now = self.hosts[index].clock.shows();
        let Some(agent) = &mut self.hosts[index].agent else { return };
        let retires = matches!(agent.jobs[job].task, Task::Retire);
        let calls = if self.ground.dice().chance(CALLS_IN_A_ROW_PER_MILLE) { CALLS_IN_A_ROW } else { 1 };
        if let Some(input) = agent.jobs[job].go_on(now, calls) {
            agent.jobs.remove(job);
            self.look_at(&input);
            if let (false, Some(agent)) = (retires, &mut self.hosts[index].agent) {
                agent.ended.push_back(input);
            }
        }
    }

    fn look_at(&self, input: &Input) {
        let error = match input {
            Input::Prepared { result: Err(why), .. } | Input::Planned { result: Err(why), .. } => why,
            Input::Ran { result, .. } => match &result.error {
                Some(why) => why,
                None => return,
            },
            Input::UndoEnded { result: Err(why), .. } => {
                self.ground.judge().sights.see(Sight::UndoFailed);
                why
            }
            _ => return,
        };
        if error.starts_with(PANICKED) {
            self.ground.judge().breaks(Rule::NothingImpossibleIsTried, "an executor panics".into());
        }
    }

    /// The frame of a message, on its way to the server.
    pub(super) fn frame(message: &ToServer) -> Vec<u8> {
        encode(message).unwrap_or_default()
    }
}
