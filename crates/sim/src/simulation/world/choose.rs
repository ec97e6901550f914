//! What can happen next, and which of it does.

use super::super::ground::lock;
use super::super::sights::Sight;
use super::links::{down_word, up_word};
use super::{Link, ServerEnd, World};
use agent::worker::Event;
use domain::ids::ActionId;
use protocol::agent::{ToAgent, ToServer, decode};

/// How often in a thousand what comes by itself may come before what is under way.
const PAUSES_PER_MILLE: u64 = 60;

/// Something that can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Request,
    Cancel,
    CancelAnew,
    Read,
    UseCase(usize),
    ServerReads(u32),
    AgentReads(u32),
    Woken(u32),
    Heartbeat(u32),
    Sweep(usize),
    Boot(usize),
    Dial(usize),
    Job(usize, usize),
    Ended(usize),
    Retry(usize),
    HandIn(usize),
    ChildActs(usize, String),
    ChildEnds(usize, String),
}

impl World {
    /// One step; false: nothing can happen.
    pub(super) fn step(&mut self) -> bool {
        if !self.is_healing {
            let trouble = self.setting.trouble_per_mille;
            let goes_wrong = self.ground.dice().chance(trouble);
            if goes_wrong && self.fault() {
                self.show();
                return true;
            }
        }
        self.wakes_arrive();
        let mut possible = Vec::new();
        self.clients_next(&mut possible);
        if possible.is_empty() {
            self.work_next(&mut possible);
            if possible.is_empty() || self.ground.dice().chance(PAUSES_PER_MILLE) {
                self.pauses_next(&mut possible);
            }
        }
        self.choose(possible)
    }

    /// What must come to an end before anything is quiet; false: there is nothing.
    pub(super) fn work(&mut self) -> bool {
        let mut possible = Vec::new();
        self.work_next(&mut possible);
        self.choose(possible)
    }

    fn choose(&mut self, possible: Vec<(u64, Next)>) -> bool {
        let all: u64 = possible.iter().map(|(weight, _)| weight).sum();
        if all == 0 {
            return false;
        }
        let mut rolled = self.ground.dice().below(all);
        for (weight, next) in possible {
            if rolled < weight {
                self.happens(|world| world.words(&next));
                self.take(next);
                self.show();
                return true;
            }
            rolled -= weight;
        }
        false
    }

    /// Clients come now and then: so often that all requests are made in the first part of the run.
    fn clients_next(&self, possible: &mut Vec<(u64, Next)>) {
        let (requests, steps) = (self.setting.requests as u64, u64::from(self.setting.steps));
        let rolled = self.ground.dice().below(steps);
        if self.requests_left > 0 && rolled < 2 * requests {
            possible.push((1, Next::Request));
        }
        let asks = 2 * requests..(2 * requests + requests * self.setting.asks_per_request);
        if !self.requested.is_empty() && asks.contains(&rolled) {
            possible.extend([(3, Next::Cancel), (3, Next::CancelAnew), (2, Next::Read)]);
        }
    }

    pub(super) fn work_next(&self, possible: &mut Vec<(u64, Next)>) {
        for index in 0..self.use_cases.len() {
            possible.push((6, Next::UseCase(index)));
        }
        for stream in &self.streams {
            let (number, arrives) = (stream.number, self.reaches_server(stream.machine));
            let busy = match &stream.server {
                ServerEnd::Fresh => false,
                ServerEnd::Talks { busy, .. } => *busy,
                ServerEnd::Accepting | ServerEnd::Opening | ServerEnd::Gone => true,
            };
            let closed_above = !stream.agent_has_it || stream.is_cut;
            if !busy && ((!stream.up.is_empty() && arrives) || (stream.up.is_empty() && closed_above)) {
                possible.push((8, Next::ServerReads(number)));
            }
            let closed_below = matches!(stream.server, ServerEnd::Gone) || stream.is_cut;
            if stream.agent_has_it && ((!stream.down.is_empty() && arrives) || (stream.down.is_empty() && closed_below))
            {
                possible.push((8, Next::AgentReads(number)));
            }
            if stream.is_woken && !busy {
                possible.push((4, Next::Woken(number)));
            }
        }
        for (index, host) in self.hosts.iter().enumerate() {
            self.machine_next(index, host, possible);
        }
    }

    fn machine_next(&self, index: usize, host: &super::Host, possible: &mut Vec<(u64, Next)>) {
        let machine = lock(&host.site);
        for (group, child) in machine.children.iter().filter(|(_, child)| child.ended.is_none()) {
            if child.acts == 0 || !self.is_healing {
                possible.push((4, Next::ChildActs(index, group.clone())));
            }
            possible.push((2, Next::ChildEnds(index, group.clone())));
        }
        let Some(agent) = &host.agent else { return possible.push((4, Next::Boot(index))) };
        if agent.link == Link::Down && machine.reaches_server() && self.replicas.iter().any(Option::is_some) {
            possible.push((6, Next::Dial(index)));
        }
        for (number, job) in agent.jobs.iter().enumerate() {
            let waits = job.waits_for().is_some_and(|group| {
                machine.children.get(&group).is_some_and(|child| child.ended.is_none()) && !job.is_stopped()
            });
            if !waits {
                possible.push((if job.is_slow { 1 } else { 16 }, Next::Job(index, number)));
            }
        }
        if !agent.ended.is_empty() {
            possible.push((8, Next::Ended(index)));
        }
        if agent.hand_ins.iter().any(|hand_in| hand_in.at.is_none()) && machine.reaches_server() {
            possible.push((6, Next::HandIn(index)));
        }
    }

    /// What comes by itself from time to time.
    pub(super) fn pauses_next(&self, possible: &mut Vec<(u64, Next)>) {
        for stream in &self.streams {
            if matches!(&stream.server, ServerEnd::Talks { busy: false, .. }) && self.reaches_server(stream.machine) {
                possible.push((1, Next::Heartbeat(stream.number)));
            }
        }
        for (index, replica) in self.replicas.iter().enumerate() {
            if replica.is_some() {
                possible.push((1, Next::Sweep(index)));
            }
        }
        for (index, host) in self.hosts.iter().enumerate() {
            if host.agent.is_some() {
                possible.push((1, Next::Retry(index)));
            }
        }
    }

    /// Some replica that is alive.
    pub(super) fn some_replica(&self) -> Option<usize> {
        let alive: Vec<usize> = (0..self.replicas.len()).filter(|index| self.replicas[*index].is_some()).collect();
        (!alive.is_empty()).then(|| alive[self.ground.dice().index(alive.len())])
    }

    pub(super) fn take(&mut self, next: Next) {
        match next {
            Next::UseCase(index) => self.use_case_goes_on(index),
            Next::ServerReads(stream) => self.server_reads(stream),
            Next::AgentReads(stream) => self.agent_reads(stream),
            Next::Woken(stream) => self.woken(stream),
            Next::Heartbeat(stream) => self.talk(stream, "beats", |talk| async move { talk.heartbeat().await }),
            Next::Sweep(replica) => self.sweep(replica),
            Next::Boot(machine) => self.boot(machine),
            Next::Job(machine, job) => self.job_goes_on(machine, job),
            Next::Ended(machine) => {
                let agent = self.hosts[machine].agent.as_mut();
                if let Some(input) = agent.and_then(|agent| agent.ended.pop_front()) {
                    self.handle(machine, Event::Ended(input));
                }
            }
            Next::Retry(machine) => self.handle(machine, Event::Retry),
            Next::ChildActs(machine, group) => self.child_acts(machine, &group),
            Next::ChildEnds(machine, group) => self.child_ends(machine, &group),
            Next::Request | Next::Cancel | Next::CancelAnew | Next::Read | Next::Dial(_) | Next::HandIn(_) => {
                if let Some(replica) = self.some_replica() {
                    self.take_at(replica, &next);
                }
            }
        }
    }

    fn take_at(&mut self, replica: usize, next: &Next) {
        let newest = self.requested.last().copied();
        let any = self.any_requested();
        match (next, newest, any) {
            (Next::Request, ..) => {
                self.requests_left -= 1;
                self.request_any(replica);
            }
            (Next::CancelAnew, Some(id), _) | (Next::Cancel, _, Some(id)) => self.cancel(replica, id),
            (Next::Read, _, Some(id)) => self.read(replica, id),
            (Next::Dial(machine), ..) => self.dial(*machine, replica),
            (Next::HandIn(machine), ..) => self.hand_in(*machine, replica),
            _ => {}
        }
    }

    /// One of the actions; more often than not one that is under way.
    fn any_requested(&self) -> Option<ActionId> {
        let (judge, mut dice) = (self.ground.judge(), self.ground.dice());
        let is_open = |id: &&ActionId| judge.row(**id).is_some_and(|row| row.action.stage().is_open());
        let open: Vec<ActionId> = self.requested.iter().filter(is_open).copied().collect();
        let from = if open.is_empty() || dice.chance(300) { &self.requested } else { &open };
        (!from.is_empty()).then(|| from[dice.index(from.len())])
    }

    fn woken(&mut self, stream: u32) {
        if let Some(stream) = self.stream(stream) {
            stream.is_woken = false;
        }
        let lost = !self.is_healing && self.ground.dice().chance(self.setting.wake_lost_per_mille);
        if lost {
            self.ground.note(|| "the wake is lost".into());
            return self.ground.judge().sights.see(Sight::WakeLost);
        }
        self.talk(stream, "is woken", |talk| async move { talk.look().await });
    }

    fn child_acts(&mut self, machine: usize, group: &str) {
        let mut at = lock(&self.hosts[machine].site);
        if let Some(child) = at.children.get_mut(group) {
            child.acts += 1;
        }
        if let Some(action) = group.get(..36).and_then(domain::ActionId::parse) {
            self.ground.judge().acts(action, "acts");
        }
    }

    fn child_ends(&mut self, machine: usize, group: &str) {
        let code = i32::from(self.ground.dice().chance(200));
        if let Some(child) = lock(&self.hosts[machine].site).children.get_mut(group) {
            child.ended = Some(code);
        }
    }

    /// What happens, for the film.
    pub(super) fn words(&self, next: &Next) -> String {
        let first = |up: bool, number: u32| {
            let stream = self.streams.iter().find(|stream| stream.number == number);
            let frame = stream.and_then(|stream| if up { stream.up.front() } else { stream.down.front() });
            match frame {
                None => "that it is closed".into(),
                Some(frame) if up => decode::<ToServer>(frame).map_or("nothing", |message| up_word(&message)).into(),
                Some(frame) => self.down_words(frame),
            }
        };
        match next {
            Next::Request => "a client requests something".into(),
            Next::Cancel | Next::CancelAnew => "a client asks for a cancel".into(),
            Next::Read => "a client looks".into(),
            Next::UseCase(index) => {
                format!("r{}: {} goes on", self.use_cases[*index].replica + 1, self.use_cases[*index].what)
            }
            Next::ServerReads(stream) => format!("s{stream}: the server reads {}", first(true, *stream)),
            Next::AgentReads(stream) => format!("s{stream}: the agent reads {}", first(false, *stream)),
            Next::Woken(stream) => format!("s{stream}: the server is woken"),
            Next::Heartbeat(stream) => format!("s{stream}: a heartbeat"),
            Next::Sweep(replica) => format!("r{}: the sweep", replica + 1),
            Next::Boot(machine) => format!("m{}: the agent starts", machine + 1),
            Next::Dial(machine) => format!("m{}: the agent dials", machine + 1),
            Next::Job(machine, job) => format!("m{}: {}", machine + 1, self.job_words(*machine, *job)),
            Next::Ended(machine) => format!("m{}: the agent hears of a task's end", machine + 1),
            Next::Retry(machine) => format!("m{}: the agent tries again what failed", machine + 1),
            Next::HandIn(machine) => format!("m{}: an artifact is handed in", machine + 1),
            Next::ChildActs(machine, group) => {
                format!("m{}: a process of {} acts", machine + 1, self.group_words(group))
            }
            Next::ChildEnds(machine, group) => {
                format!("m{}: a process of {} ends", machine + 1, self.group_words(group))
            }
        }
    }

    fn down_words(&self, frame: &[u8]) -> String {
        let Ok(message) = decode::<ToAgent>(frame) else { return "nothing".into() };
        let word = down_word(&message);
        match message {
            ToAgent::Welcome(welcome) => format!("{word}, session {}", welcome.session),
            ToAgent::Grant(grant) => {
                format!("{word} {} of {}", grant.core.epoch, self.ground.judge().name(grant.core.action))
            }
            ToAgent::Newest { session } => format!("{word}: session {session}"),
            ToAgent::Abort { action, epoch } => {
                format!("{word} of {}, grant {epoch}", self.ground.judge().name(action))
            }
            ToAgent::Deny { action, why } => format!("{word} of {}: {why:?}", self.ground.judge().name(action)),
            ToAgent::Offer { action, .. } | ToAgent::FinalAck { action, .. } => {
                format!("{word} of {}", self.ground.judge().name(action))
            }
        }
    }
}
