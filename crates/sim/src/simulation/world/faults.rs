//! What befalls the world.

use super::super::engine;
use super::super::ground::lock;
use super::super::rules::Rule;
use super::super::setting::Fault;
use super::super::sights::Sight;
use super::{Ended, Link, World, empty_disk, set_up_entry};
use agent::worker::Event;
use domain::ids::Digest;
use domain::time::{TICKS_PER_SECOND, Timestamp};
use server::actions::{ActionError, Origin, Returning};
use std::sync::Arc;
use store::{EnrolToken, Enrolled};

/// How often in a thousand a machine that is enrolled again has no journal any more.
const JOURNAL_LOST_PER_MILLE: u64 = 500;

/// What a use case says that decided anew for ever.
const NEVER_DECIDED: &str = "times under one";

/// An hour, in seconds.
const HOUR: i64 = 3600;

/// Ten years, in seconds.
const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;

impl World {
    /// Something goes wrong; false: nothing can.
    pub(super) fn fault(&mut self) -> bool {
        let all: u64 = self.setting.weights.iter().sum();
        if all == 0 {
            return false;
        }
        let mut rolled = self.ground.dice().below(all);
        for fault in Fault::ALL {
            let weight = self.setting.weights[fault as usize];
            if rolled < weight {
                return self.befalls(fault);
            }
            rolled -= weight;
        }
        false
    }

    /// This befalls some part of the world; false: there is none that it can befall.
    fn befalls(&mut self, fault: Fault) -> bool {
        let machine = self.ground.dice().index(self.hosts.len());
        match fault {
            Fault::Cut => self.some_stream_is_cut(),
            Fault::GiveUp => self.agent_gives_up(machine),
            Fault::Partition => {
                let online = !lock(&self.hosts[machine].site).is_online;
                self.happens(|_| format!("FAULT: m{} {} the server", machine + 1, reaches(online)));
                lock(&self.hosts[machine].site).is_online = online;
                true
            }
            Fault::AgentDies => self.agent_dies(machine),
            Fault::Reboot => self.reboots(machine),
            Fault::JournalLost => self.loses_journal(machine),
            Fault::Snapshot => {
                self.happens(|_| format!("FAULT: the state of m{} is noted", machine + 1));
                let snapshot = lock(&self.hosts[machine].site).clone();
                self.hosts[machine].snapshot = Some(snapshot);
                true
            }
            Fault::SetBack => self.is_set_back(machine),
            Fault::DiskFull => {
                let full = !lock(&self.hosts[machine].site).disk.is_full;
                let word = if full { "is full" } else { "has room again" };
                self.happens(|_| format!("FAULT: the disk of m{} {word}", machine + 1));
                lock(&self.hosts[machine].site).disk.is_full = full;
                true
            }
            Fault::ReplicaDies => self.replica_dies_or_comes(),
            Fault::ClockJumps => self.clock_jumps(machine),
            Fault::Deaf => {
                let deaf = !lock(&self.hosts[machine].site).is_deaf_when_isolated;
                let word = if deaf { "too" } else { "no more" };
                self.happens(|_| format!("FAULT: an isolation of m{} cuts off the server {word}", machine + 1));
                lock(&self.hosts[machine].site).is_deaf_when_isolated = deaf;
                true
            }
            Fault::Reenrol => self.enrols_again(machine),
            Fault::Expire => {
                let Some(replica) = self.some_replica() else { return false };
                self.happens(|_| format!("r{}: looks for what is overdue", replica + 1));
                self.expire(replica);
                true
            }
        }
    }

    fn some_stream_is_cut(&mut self) -> bool {
        let whole: Vec<u32> = self.streams.iter().filter(|stream| !stream.is_cut).map(|stream| stream.number).collect();
        if whole.is_empty() {
            return false;
        }
        let number = whole[self.ground.dice().index(whole.len())];
        self.happens(|_| format!("FAULT: s{number} is cut"));
        self.cut(number);
        true
    }

    fn agent_gives_up(&mut self, machine: usize) -> bool {
        let Some(Link::Dialled(stream) | Link::Open(stream)) = self.hosts[machine].agent.as_ref().map(|at| at.link)
        else {
            return false;
        };
        self.happens(|_| format!("FAULT: the agent of m{} gives s{stream} up", machine + 1));
        self.lost(machine, stream);
        true
    }

    fn agent_dies(&mut self, machine: usize) -> bool {
        if self.hosts[machine].agent.is_none() {
            return false;
        }
        self.happens(|_| format!("FAULT: the agent of m{} dies", machine + 1));
        self.agent_gone(machine);
        true
    }

    /// The power of a machine goes off and on.
    pub(super) fn reboots(&mut self, machine: usize) -> bool {
        self.happens(|_| format!("FAULT: the power of m{} goes off and on", machine + 1));
        self.agent_gone(machine);
        let unsynced = !lock(&self.hosts[machine].site).disk.unsynced.is_empty();
        lock(&self.hosts[machine].site).reboot(&mut self.ground.dice());
        let mut judge = self.ground.judge();
        if unsynced {
            judge.sights.see(Sight::UnsyncedLost);
        }
        judge.rebooted(machine);
        true
    }

    fn loses_journal(&mut self, machine: usize) -> bool {
        self.happens(|_| format!("FAULT: m{} loses its journal", machine + 1));
        self.agent_gone(machine);
        lock(&self.hosts[machine].site).disk = empty_disk();
        true
    }

    fn is_set_back(&mut self, machine: usize) -> bool {
        let Some(snapshot) = self.hosts[machine].snapshot.clone() else { return false };
        self.happens(|_| format!("FAULT: m{} is set back to its noted state", machine + 1));
        self.agent_gone(machine);
        {
            let mut at = lock(&self.hosts[machine].site);
            let (boots, processes, is_online) = (at.boots, at.processes, at.is_online);
            let unseen = at.was_set_back_unseen;
            *at = snapshot;
            (at.boots, at.processes, at.is_online) = (boots, processes, is_online);
            // What it went through stays true of it.
            (at.was_set_back, at.was_set_back_unseen) = (true, unseen || at.was_set_back_unseen);
            at.reboot(&mut self.ground.dice());
        }
        let mut judge = self.ground.judge();
        judge.set_back(machine);
        judge.sights.see(Sight::SetBack);
        true
    }

    fn replica_dies_or_comes(&mut self) -> bool {
        let replica = self.ground.dice().index(self.replicas.len());
        if self.replicas[replica].is_some() {
            self.happens(|_| format!("FAULT: r{} dies", replica + 1));
            self.replica_dies(replica);
        } else {
            self.happens(|_| format!("r{} comes back", replica + 1));
            self.replicas[replica] = Some(self.new_replica());
        }
        true
    }

    fn clock_jumps(&mut self, machine: usize) -> bool {
        let (seconds, of_a_replica) = {
            let mut dice = self.ground.dice();
            let seconds = if dice.chance(250) { TEN_YEARS } else { HOUR };
            (if dice.chance(500) { seconds } else { -seconds }, dice.chance(500))
        };
        let replica = self.some_replica().filter(|_| of_a_replica);
        let (clock, name) = match replica.and_then(|index| Some((self.replicas[index].as_ref()?, index))) {
            Some((replica, index)) => (replica.clock.clone(), format!("r{}", index + 1)),
            None => (self.hosts[machine].clock.clone(), format!("m{}", machine + 1)),
        };
        self.happens(|_| format!("FAULT: the clock of {name} jumps by {} h", seconds / HOUR));
        clock.jump(seconds * TICKS_PER_SECOND);
        if let (true, Some(replica)) = (seconds == TEN_YEARS, replica) {
            self.expire(replica);
        }
        self.ground.judge().sights.see(Sight::ClockJumped);
        true
    }

    /// A machine is enrolled again. The agent that runs knows nothing of it until it is started anew.
    fn enrols_again(&mut self, machine: usize) -> bool {
        let Some(replica) = self.some_replica() else { return false };
        self.happens(|_| format!("m{} is enrolled again", machine + 1));
        let (id, name, secret) = (self.hosts[machine].id, format!("m{}", machine + 1), format!("again {}", self.steps));
        let digest = Digest::of(secret.as_bytes());
        let token = EnrolToken { digest, uses_max: 1, expires_at: Timestamp(i64::MAX), machine: Some(id) };
        let engine = Arc::clone(&self.engine);
        if engine::wait(async move { engine.add_enrol_token(&token, &set_up_entry()).await }).is_err() {
            return false;
        }
        let Some(at) = &self.replicas[replica] else { return false };
        let (actions, now) = (at.actions.clone(), at.clock.shows());
        self.begin(replica, format!("m{} enrols again", machine + 1), None, async move {
            let returning = Returning { machine: id, name: &name, token: &secret };
            Ended::EnrolledAgain(machine, actions.reenrol(&returning, now, &Origin::default(), |_| Ok(())).await)
        });
        true
    }

    pub(super) fn enrolled_again(&mut self, machine: usize, result: Result<(Enrolled, u32, ()), ActionError>) {
        if let Err(ActionError::Store(error)) = &result
            && error.to_string().contains(NEVER_DECIDED)
        {
            self.ground.judge().breaks(Rule::EverythingEnds, error.to_string());
        }
        if let Ok((Enrolled::Stored, incarnation, ())) = result {
            self.hosts[machine].incarnation = incarnation;
            if self.ground.dice().chance(JOURNAL_LOST_PER_MILLE) {
                self.loses_journal(machine);
            }
            if self.is_healing {
                self.agent_gone(machine);
            }
        }
    }

    /// Every agent tries again what failed.
    pub(super) fn all_retry(&mut self) {
        for machine in 0..self.hosts.len() {
            if self.hosts[machine].agent.is_some() {
                self.happens(|_| format!("m{}: the agent tries again what failed", machine + 1));
                self.handle(machine, Event::Retry);
                self.show();
            }
        }
    }
}

fn reaches(online: bool) -> &'static str {
    if online { "reaches" } else { "no longer reaches" }
}
