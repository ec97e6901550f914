//! The state of everything, in lines.

use super::super::ground::lock;
use super::{Link, ServerEnd, World};
use domain::grantee::{Phase, Task};

impl World {
    /// Writes the state into the film, as far as it is other than before.
    pub(super) fn show(&self) {
        if self.ground.film().is_recorded() {
            let state = self.state();
            self.ground.film().state(state);
        }
    }

    fn state(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let judge = self.ground.judge();
        for row in judge.rows() {
            let action = &row.action;
            let grant = action.state.grant().map_or(String::new(), |grant| format!(", grant {}", grant.epoch));
            let cancel = if action.state.cancel().is_some() { ", cancel accepted" } else { "" };
            lines.push(format!(
                "a{} {:?} on m{}: {}{grant}{cancel}; begun {:?}",
                row.number,
                action.kind(),
                row.machine + 1,
                action.stage(),
                row.starts
            ));
        }
        drop(judge);
        for index in 0..self.hosts.len() {
            lines.push(self.machine_line(index));
            lines.extend(self.agent_line(index));
        }
        for stream in &self.streams {
            let server = match &stream.server {
                ServerEnd::Accepting => "not accepted yet".into(),
                ServerEnd::Fresh => "no Hello yet".into(),
                ServerEnd::Opening => "opening".into(),
                ServerEnd::Talks { talk, .. } => format!("session {}", talk.session()),
                ServerEnd::Gone => "closed by the server".into(),
            };
            let left = if stream.agent_has_it { "" } else { ", given up by the agent" };
            let cut = if stream.is_cut { ", cut" } else { "" };
            lines.push(format!(
                "s{} m{}-r{}: {server}{left}{cut}; {} up, {} down",
                stream.number,
                stream.machine + 1,
                stream.replica + 1,
                stream.up.len(),
                stream.down.len()
            ));
        }
        lines
    }

    fn machine_line(&self, index: usize) -> String {
        let machine = lock(&self.hosts[index].site);
        let isolated = match &machine.isolation {
            Some(table) => format!(", isolated by {}", self.group_words(&table.mark)),
            None => String::new(),
        };
        let alive = machine.children.iter().map(|(group, child)| {
            let of = self.group_words(group);
            if child.process == machine.processes { of } else { format!("{of} (orphan)") }
        });
        let alive: Vec<String> = alive.collect();
        let files: Vec<&str> =
            machine.downloads.keys().map(String::as_str).filter(|name| !name.starts_with('.')).collect();
        let flags = [
            (!machine.is_online, "offline"),
            (machine.is_deaf_when_isolated, "deaf when isolated"),
            (machine.disk.is_full, "disk full"),
            (!machine.disk.unsynced.is_empty(), "journal not synced"),
        ];
        let flags: Vec<&str> = flags.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
        format!(
            "m{} boot {}: {} records{isolated}; runs {alive:?}; files {files:?}; {flags:?}",
            index + 1,
            machine.boots,
            machine.disk.records.len()
        )
    }

    pub(super) fn agent_line(&self, index: usize) -> Option<String> {
        let agent = self.hosts[index].agent.as_ref()?;
        let link = match agent.link {
            Link::Down => "no stream".into(),
            Link::Dialled(stream) => format!("dialled s{stream}"),
            Link::Open(stream) => format!("open on s{stream}"),
        };
        let held = agent.worker.grantee().all().filter(|(_, held)| !held.acknowledged()).map(|(action, held)| {
            let phase = match &held.phase {
                Phase::Granted => "granted",
                Phase::Started => "started",
                Phase::Stopped { .. } => "stopped",
                Phase::Final { finished: true, .. } => "finished",
                Phase::Final { finished: false, .. } => "ended clean",
            };
            format!("{} {phase}", self.ground.judge().name(*action))
        });
        let held: Vec<String> = held.collect();
        let jobs: Vec<String> = (0..agent.jobs.len()).map(|job| self.job_words(index, job)).collect();
        Some(format!("m{} agent: {link}; holds {held:?}; does {jobs:?}", index + 1))
    }

    pub(super) fn job_words(&self, machine: usize, job: usize) -> String {
        let Some(job) = self.hosts[machine].agent.as_ref().and_then(|agent| agent.jobs.get(job)) else {
            return "nothing".into();
        };
        let task = match &job.task {
            Task::Prepare(_) => "prepares".into(),
            Task::Plan(_, step) => format!("plans step {step}"),
            Task::Run(_, step, _) => format!("runs step {step}"),
            Task::Kill => "kills".into(),
            Task::Undo(_, step, _) => format!("undoes step {step}"),
            Task::Retire => "retires".into(),
        };
        let stopped = if job.is_stopped() { ", told to stop" } else { "" };
        format!("{} {task}{stopped}", self.ground.judge().name(job.action))
    }

    /// An action's name where an id is the beginning of a word.
    pub(super) fn group_words(&self, word: &str) -> String {
        let id = word.get(..36).and_then(domain::ActionId::parse);
        id.map_or_else(|| word.to_owned(), |id| format!("{}{}", self.ground.judge().name(id), &word[36..]))
    }
}
