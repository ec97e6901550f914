//! The end of a run: every fault is healed, everything comes to rest, and then all of it is looked at.

use super::super::ground::lock;
use super::super::rules::Rule;
use super::{ServerEnd, World};
use std::sync::Arc;

/// The most steps until everything is quiet between two rounds of what comes by itself.
const QUIET_WITHIN_STEPS: u32 = 20_000;

/// So many rounds of heartbeats, sweeps and retries must be enough.
const ROUNDS_MAX: u32 = 14;

impl World {
    /// Heals every fault, lets everything come to rest, and looks at all of it.
    pub(super) fn heal(&mut self) {
        self.happens(|_| "every fault is healed".into());
        self.is_healing = true;
        self.ground.heal();
        for index in 0..self.replicas.len() {
            match &self.replicas[index] {
                Some(replica) => replica.clock.set_right(),
                None => self.replicas[index] = Some(self.new_replica()),
            }
        }
        for host in &self.hosts {
            host.clock.set_right();
            let mut machine = lock(&host.site);
            (machine.is_online, machine.is_deaf_when_isolated, machine.disk.is_full) = (true, false, false);
        }
        self.enrolled_agents_start_anew();
        self.show();
        for _ in 0..ROUNDS_MAX {
            if !self.comes_to_rest() || self.is_broken() {
                return;
            }
            if self.ground.judge().all_final() {
                if self.is_settled() {
                    return self.look_at_the_end();
                }
                // What ended without its machine is told at the next Hello.
                self.all_dial_anew();
            }
            self.round();
        }
        self.comes_to_rest();
        let has_ended = self.ground.judge().all_final() && self.is_settled();
        if !self.is_broken() && !has_ended {
            self.never_ends();
        }
    }

    /// An agent whose enrolment is over is heard by nobody until it is started with the new one. An enrolment whose answer
    /// was lost is made anew.
    fn enrolled_agents_start_anew(&mut self) {
        for index in 0..self.hosts.len() {
            let id = self.hosts[index].id;
            let engine = Arc::clone(&self.engine);
            let known = super::super::engine::wait(async move { engine.machine(id).await });
            let enrolled = known.ok().flatten().map_or(1, |machine| machine.incarnation);
            self.hosts[index].incarnation = enrolled;
            if self.hosts[index].agent.as_ref().is_some_and(|agent| agent.incarnation != enrolled) {
                self.agent_gone(index);
            }
        }
    }

    fn comes_to_rest(&mut self) -> bool {
        for _ in 0..QUIET_WITHIN_STEPS {
            if self.is_broken() {
                return false;
            }
            if self.is_quiet() {
                return true;
            }
            if !self.work() {
                return true;
            }
        }
        self.ground.judge().breaks(Rule::EverythingEnds, "it never comes to rest".into());
        false
    }

    /// Whether nothing is under way. A wake that nobody took counts as being under way.
    fn is_quiet(&mut self) -> bool {
        let streams = self.streams.iter().all(|stream| {
            let talks = matches!(&stream.server, ServerEnd::Talks { busy: false, .. });
            talks && stream.agent_has_it && !stream.is_cut && stream.up.is_empty() && stream.down.is_empty()
        });
        let agents = self.hosts.iter().all(|host| {
            host.agent.as_ref().is_some_and(|agent| {
                matches!(agent.link, super::Link::Open(_))
                    && agent.ended.is_empty()
                    && agent.jobs.is_empty()
                    && agent.hand_ins.is_empty()
            }) && lock(&host.site).children.values().all(|child| child.ended.is_some())
        });
        self.wakes_arrive();
        streams && agents && self.use_cases.is_empty() && !self.streams.iter().any(|stream| stream.is_woken)
    }

    /// Whether every agent was told that its testimony is kept, and looks for nothing any more that an earlier one left.
    fn is_settled(&self) -> bool {
        let settled = |agent: &super::Agent| {
            agent.worker.grantee().listed().is_empty() && agent.leftovers == agent::boot::Leftovers::Gone
        };
        self.hosts.iter().all(|host| host.agent.as_ref().is_some_and(settled))
    }

    fn all_dial_anew(&mut self) {
        for machine in 0..self.hosts.len() {
            if let Some(super::Link::Open(stream)) = self.hosts[machine].agent.as_ref().map(|agent| agent.link) {
                self.happens(|_| format!("m{}: the agent dials anew", machine + 1));
                self.lost(machine, stream);
            }
        }
        self.comes_to_rest();
    }

    /// What comes by itself, once each.
    fn round(&mut self) {
        let numbers: Vec<u32> = self.streams.iter().map(|stream| stream.number).collect();
        for number in numbers {
            self.happens(|_| format!("s{number}: a heartbeat"));
            self.talk(number, "beats", |talk| async move { talk.heartbeat().await });
        }
        for replica in 0..self.replicas.len() {
            self.happens(|_| format!("r{}: the sweep", replica + 1));
            self.sweep(replica);
        }
        self.all_retry();
    }

    fn never_ends(&self) {
        let judge = self.ground.judge();
        let live: Vec<String> = judge
            .rows()
            .into_iter()
            .filter(|row| !row.action.stage().is_final())
            .map(|row| format!("a{} is {} on m{}", row.number, row.action.stage(), row.machine + 1))
            .collect();
        drop(judge);
        let why =
            if live.is_empty() { "an agent is never told that its testimony is kept".into() } else { live.join("; ") };
        self.ground.judge().breaks(Rule::EverythingEnds, why);
    }

    fn look_at_the_end(&mut self) {
        let engine = Arc::clone(&self.engine);
        let found = super::super::engine::wait(async move { engine.integrity().await });
        match found {
            Ok(found) if found.is_empty() => {}
            Ok(found) => self.ground.judge().breaks(Rule::HistoriesAreWalks, found.join("; ")),
            Err(error) => self.ground.judge().breaks(Rule::AcknowledgedStays, error.to_string()),
        }
        let ids: Vec<domain::ActionId> = self.ground.judge().rows().iter().map(|row| row.action.id).collect();
        for id in ids {
            let engine = Arc::clone(&self.engine);
            let read = super::super::engine::wait(async move { engine.action(id).await }).unwrap_or_default();
            self.ground.judge().read(id, read.as_ref());
        }
        for host in &self.hosts {
            self.ground.judge().at_the_end(&lock(&host.site));
        }
    }
}
