//! A run whose story is told: what may not happen yet, and how far it is to go.

use super::super::ground::lock;
use super::super::rules::Rule;
use super::choose::Next;
use super::servers::HORIZON_SECONDS;
use super::{Outcome, World};
use domain::Stage;
use domain::ids::ActionId;
use domain::testimony::StepStatus;
use domain::time::TICKS_PER_SECOND;
use server::actions::Wanted;

/// The most steps of one part of a story.
const PART_STEPS: u32 = 4_000;

impl World {
    /// A client requests this of the machine.
    pub(in super::super) fn asks_for(&mut self, machine: usize, wanted: Wanted) {
        let replica = self.some_replica().unwrap_or_default();
        self.happens(|_| format!("a client wants something of m{}", machine + 1));
        self.request(replica, machine, wanted);
    }

    /// A client asks for a cancel of the action with this number.
    pub(in super::super) fn asks_for_cancel(&mut self, number: usize) {
        self.plays_until(&["reads Grant"], |world| world.id_of(number).is_some());
        let (replica, id) = (self.some_replica().unwrap_or_default(), self.id_of(number));
        self.happens(|_| format!("a client asks for a cancel of a{number}"));
        if let Some(id) = id {
            self.cancel(replica, id);
        }
    }

    fn id_of(&self, number: usize) -> Option<ActionId> {
        self.ground.judge().rows().get(number - 1).map(|row| row.action.id)
    }

    /// Plays on, without what is held back, until this has happened.
    pub(in super::super) fn plays(&mut self, held: &[&str], until: &str) {
        let mut happened = until == "is on record" && self.id_of(1).is_some();
        for _ in 0..PART_STEPS {
            if happened || self.is_broken() {
                return;
            }
            match self.plays_a_step(held) {
                Some(words) => happened = words.contains(until) || (until == "is on record" && self.id_of(1).is_some()),
                None => break,
            }
        }
        if !happened {
            self.must(false, &format!("{until:?} happens"));
        }
    }

    /// Plays on, without what is held back, until this is so.
    pub(in super::super) fn plays_until(&mut self, held: &[&str], until: impl Fn(&Self) -> bool) {
        for _ in 0..PART_STEPS {
            if until(self) || self.is_broken() || self.plays_a_step(held).is_none() {
                break;
            }
        }
        if !self.is_broken() && !until(self) {
            self.must(false, "the story goes on");
        }
    }

    /// Plays on, without what is held back, until everything that was requested has ended.
    pub(in super::super) fn plays_on(&mut self, held: &[&str]) {
        self.plays_until(held, |world| world.use_cases.is_empty() && world.ground.judge().all_final());
    }

    /// One step of what is not held back. None: nothing can happen.
    fn plays_a_step(&mut self, held: &[&str]) -> Option<String> {
        self.wakes_arrive();
        let mut possible = Vec::new();
        self.work_next(&mut possible);
        let pauses = possible.is_empty() || self.ground.dice().chance(PAUSES_PER_MILLE);
        if pauses {
            self.pauses_next(&mut possible);
        }
        let mut allowed: Vec<(String, Next)> =
            possible.into_iter().map(|(_, next)| (self.words(&next), next)).collect();
        allowed.retain(|(words, _)| !held.iter().any(|held| words.contains(held)));
        if allowed.is_empty() {
            // Only what is held back is left for now: time goes on.
            let mut pauses = Vec::new();
            self.pauses_next(&mut pauses);
            allowed = pauses.into_iter().map(|(_, next)| (self.words(&next), next)).collect();
        }
        if allowed.is_empty() {
            return None;
        }
        let index = self.ground.dice().index(allowed.len());
        let (words, next) = allowed.swap_remove(index);
        self.happens(|_| words.clone());
        self.take(next);
        self.show();
        Some(words)
    }

    /// Every stream is cut.
    pub(in super::super) fn cut_all(&mut self) {
        let numbers: Vec<u32> = self.streams.iter().map(|stream| stream.number).collect();
        for number in numbers {
            self.happens(|_| format!("FAULT: s{number} is cut"));
            self.cut(number);
        }
    }

    /// Every replica and the agent of a machine die and come back.
    pub(in super::super) fn everything_restarts(&mut self, machine: usize) {
        for replica in 0..self.replicas.len() {
            self.happens(|_| format!("FAULT: r{} dies and comes back", replica + 1));
            self.replica_dies(replica);
            self.replicas[replica] = Some(self.new_replica());
        }
        self.happens(|_| format!("FAULT: the agent of m{} dies", machine + 1));
        self.agent_gone(machine);
    }

    /// A machine cannot be reached for longer than the horizon, and a replica looks for what is overdue.
    pub(in super::super) fn machine_falls_silent(&mut self, machine: usize) {
        self.happens(|_| format!("FAULT: m{} is not heard of for three days", machine + 1));
        lock(&self.hosts[machine].site).is_online = false;
        self.cut_all();
        self.ground.pass((HORIZON_SECONDS + 1) * TICKS_PER_SECOND);
        for replica in 0..self.replicas.len() {
            self.replica_dies(replica);
            self.replicas[replica] = Some(self.new_replica());
        }
        self.expire(0);
    }

    /// It can be reached again.
    pub(in super::super) fn machine_is_back(&mut self, machine: usize) {
        self.happens(|_| format!("m{} reaches the server again", machine + 1));
        lock(&self.hosts[machine].site).is_online = true;
    }

    /// An isolation of this machine cuts off the server too.
    pub(in super::super) fn isolation_cuts_off(&mut self, machine: usize) {
        lock(&self.hosts[machine].site).is_deaf_when_isolated = true;
    }

    /// Whether the journals fail.
    pub(in super::super) fn journal_fails(&mut self, fails: bool) {
        self.ground.faults().journal_per_mille = if fails { 1000 } else { 0 };
    }

    /// The stage of the action with this number.
    pub(in super::super) fn stage_of(&self, number: usize) -> Option<Stage> {
        self.ground.judge().rows().get(number - 1).map(|row| row.action.stage())
    }

    /// Whether something of the action with this number was begun on its machine.
    pub(in super::super) fn acted(&self, number: usize) -> bool {
        self.ground.judge().rows().get(number - 1).is_some_and(|row| !row.starts.is_empty())
    }

    /// Whether the agent of a machine holds an action in this phase.
    pub(in super::super) fn holds(&self, machine: usize, phase: &str) -> bool {
        self.agent_line(machine).is_some_and(|line| line.contains(phase))
    }

    /// What became of the steps, as its machine says.
    pub(in super::super) fn steps_of(&self, number: usize) -> Vec<StepStatus> {
        let judge = self.ground.judge();
        let rows = judge.rows();
        let words = rows.get(number - 1).and_then(|row| row.action.state.testimony());
        words.map_or(vec![], |words| words.steps.iter().map(|step| step.status).collect())
    }

    /// The action with this number must have ended so.
    pub(in super::super) fn must_end(&mut self, number: usize, stages: &[Stage]) {
        let stage = self.stage_of(number);
        let ends = stage.is_some_and(|stage| stages.contains(&stage));
        self.must(ends, &format!("a{number} ends as {stages:?}, and is {stage:?}"));
    }

    /// This must be so.
    pub(in super::super) fn must(&mut self, is_so: bool, what: &str) {
        if !is_so {
            self.ground.judge().breaks(Rule::AsTheStoryGoes, what.to_owned());
        }
    }

    /// The story is told: everything is healed and looked at.
    pub(in super::super) fn ends(mut self) -> Outcome {
        if !self.is_broken() {
            self.heal();
        }
        self.outcome()
    }
}

/// How often in a thousand what comes by itself may come before what is under way.
const PAUSES_PER_MILLE: u64 = 60;
