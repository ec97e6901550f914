//! A server, one machine and its agent, and whoever asks: what one line of torture works with.

use super::CRASH_VARIABLE;
use super::look::Machine;
use crate::playground::{self, Wanted};
use anyhow::{Context as _, bail, ensure};
use cli::client::{ActionFilter, Answer, Client, ClientError, Explanation, History};
use cli::fleet::Fleet;
use cli::stage::{Exit, Place};
use protocol::defender::action::MachineAction;
use rustix::process::Signal;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long an agent may take to enrol, to open a session, or to come to a place.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// How long an action may take to its end once its agent is back.
const FINAL_WITHIN: Duration = Duration::from_secs(60);

/// How often a wait looks.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// A rule in the hub that leaves new connections from the addresses in a set without any answer, so that whoever tries
/// hangs, and does nothing to those that stand.
const HOLD_RULE: &str = "table inet held { set machines { type ipv4_addr; }; chain input { type filter hook input \
                         priority 0; ip saddr @machines tcp flags & (syn | ack) == syn drop; }; }";

/// A server, one machine and its agent.
pub(super) struct Rig {
    /// What it is played on.
    pub(super) fleet: Fleet,
    folder: TempDir,
    runtime: Runtime,
    client: Client,
    /// The machine's name.
    pub(super) name: String,
    machine: String,
    address: Ipv4Addr,
    lives: u32,
    cases: u32,
}

/// One life of the agent: a process, from its start to its end.
pub(super) struct Life {
    /// The places it came to, as it wrote them down.
    log: PathBuf,
    /// Where its words begin in the agent's log.
    words_from: usize,
}

impl Rig {
    /// Opens a stage with one machine called `name`, whose agent is enrolled and does not run.
    pub(super) fn open(name: &str) -> anyhow::Result<Self> {
        // A cancel answers at once: torture wants to know how it ends, not to wait in the answer.
        let server_args = vec!["--no-limits", "--cancel-wait-ms", "1"];
        let (fleet, folder) =
            playground::open(Wanted { machines: vec![name.to_string()], server_args, enrol_uses: 1 })?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = fleet.client()?;
        let address = fleet.add_machine(name)?.ipv4;
        let held = fleet.stage().exec(&Place::Hub, &["nft", HOLD_RULE])?;
        ensure!(held.success(), "nft in the hub: {}", held.stderr.trim());
        let (name, machine) = (name.to_string(), String::new());
        let mut rig = Self { fleet, folder, runtime, client, name, machine, address, lives: 0, cases: 0 };
        let life = rig.start(None)?;
        rig.wait_session(&life)?;
        rig.machine = rig.ask(|client, name| async move { client.find_machine(&name).await })?.item.id;
        rig.stop()?;
        Ok(rig)
    }

    /// Ends everything.
    pub(super) fn close(self) -> anyhow::Result<()> {
        playground::close(self.fleet, self.folder)
    }

    /// The number of the next case.
    pub(super) fn next_case(&mut self) -> u32 {
        self.cases += 1;
        self.cases
    }

    /// A file of the rig's own.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The private folder of an action on the machine.
    pub(super) fn staging(&self, action: &str) -> PathBuf {
        self.fleet.state_dir(&self.name).join("staging").join(action)
    }

    /// Looks at the machine.
    pub(super) fn look(&self) -> anyhow::Result<Machine> {
        Machine::look(&self.fleet, &self.name)
    }

    /// Starts the agent; `crash_at`: it is to kill itself at the place of this number, from 1.
    pub(super) fn start(&mut self, crash_at: Option<usize>) -> anyhow::Result<Life> {
        self.lives += 1;
        let log = self.file(&format!("places-{}", self.lives));
        let words_from = self.agent_words().len();
        let (path, at) = (log.to_string_lossy().into_owned(), crash_at.unwrap_or(0).to_string());
        let mut env = vec![("COUNTERMAND_CRASH_LOG", path.as_str())];
        if crash_at.is_some() {
            env.push((CRASH_VARIABLE, &at));
        }
        self.fleet.start_agent(&self.name, &env)?;
        Ok(Life { log, words_from })
    }

    /// Kills the agent.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        self.fleet.stop_agent(&self.name, Signal::KILL)
    }

    /// After a trial that broke off: whatever is under way comes to an end, and no agent runs.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        self.hold(false)?;
        self.start(None)?;
        let live = |id: String| ActionFilter {
            statuses: vec!["Pending".into(), "InProgress".into()],
            machine_id: Some(id),
            ..ActionFilter::default()
        };
        wait(FINAL_WITHIN, || {
            let found = self.ask(|client, id| async move { client.actions(&live(id), 1).await })?;
            Ok(found.item.is_empty())
        })?;
        self.stop()
    }

    /// Waits until the agent has killed itself, and says at which places it was.
    pub(super) fn wait_death(&mut self, life: &Life) -> anyhow::Result<Vec<String>> {
        match self.fleet.wait_agent(&self.name, SOON)? {
            Some(Exit::Signal(9)) => life.places(),
            Some(exit) => bail!("the agent ended otherwise than by its crash place: {exit:?}"),
            None => bail!("the agent did not come to its crash place; it came to {:?}", life.places()?),
        }
    }

    /// Waits until the agent has come to the place `name`.
    pub(super) fn wait_place(&self, life: &Life, name: &str) -> anyhow::Result<()> {
        wait(SOON, || Ok(life.places()?.iter().any(|place| place == name)))
            .with_context(|| format!("the agent did not come to {name}"))
    }

    /// Waits until the agent has a session.
    pub(super) fn wait_session(&self, life: &Life) -> anyhow::Result<()> {
        let opened =
            || Ok(self.agent_words().get(life.words_from..).is_some_and(|words| words.contains("session open")));
        wait(SOON, opened).context("the agent opened no session")
    }

    /// Lets new connections of the machine to the hub hang, or no more.
    pub(super) fn hold(&self, held: bool) -> anyhow::Result<()> {
        let command = match held {
            true => format!("add element inet held machines {{ {} }}", self.address),
            false => "flush set inet held machines".to_string(),
        };
        let done = self.fleet.stage().exec(&Place::Hub, &["nft", &command])?;
        ensure!(done.success(), "nft in the hub: {}", done.stderr.trim());
        Ok(())
    }

    /// Asks the API something about the machine, whose name (or id, once known) is handed over.
    pub(super) fn ask<T, F>(&self, request: impl FnOnce(Client, String) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let machine = if self.machine.is_empty() { self.name.clone() } else { self.machine.clone() };
        Ok(self.runtime.block_on(request(self.client.clone(), machine))?)
    }

    /// Asks to cancel. Returns whether that was taken; false: refused as too late.
    pub(super) fn cancel(&self, action: &str) -> anyhow::Result<bool> {
        match self.runtime.block_on(self.client.cancel(action, "torture")) {
            Ok(_) => Ok(true),
            Err(ClientError::Api { status: 400, .. }) => Ok(false),
            Err(error) => Err(error).context("cancelling"),
        }
    }

    /// Waits for the action's end.
    pub(super) fn wait_final(&self, action: &str) -> anyhow::Result<MachineAction> {
        let mut seen = None;
        wait(FINAL_WITHIN, || {
            let found = self.ask(|client, _| async move { client.action(action).await })?.item;
            let is_final = !matches!(found.status.as_str(), "Pending" | "InProgress");
            seen = Some(found);
            Ok(is_final)
        })
        .with_context(|| format!("not final within {FINAL_WITHIN:?}: {seen:?}"))?;
        seen.context("no answer")
    }

    /// Waits until the agent has forgotten the action: its private folder is gone.
    pub(super) fn wait_forgotten(&self, lives: &[&Life], action: &str) -> anyhow::Result<()> {
        let staging = self.staging(action);
        let acknowledged = || -> anyhow::Result<bool> {
            let mut places = Vec::new();
            for life in lives {
                places.extend(life.places()?);
            }
            let was_told = places.iter().any(|place| place == "journal.after.acknowledged");
            Ok(was_told && !staging.exists())
        };
        wait(SOON, acknowledged).context("the agent keeps the action's private folder, or was not acknowledged")
    }

    /// The history of an action, and what is said of it in plain words.
    pub(super) fn told(&self, action: &str) -> anyhow::Result<(History, Explanation)> {
        let history: Answer<History> = self.ask(|client, _| async move { client.history(action).await })?;
        let explained: Answer<Explanation> = self.ask(|client, _| async move { client.explain(action).await })?;
        Ok((history.item, explained.item))
    }

    /// The last lines of the agent's own log.
    pub(super) fn agent_tail(&self, lines: usize) -> String {
        let words = self.agent_words();
        let all: Vec<&str> = words.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn agent_words(&self) -> String {
        let bytes = std::fs::read(self.fleet.log(&self.name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Life {
    /// The places it came to so far, in order.
    pub(super) fn places(&self) -> anyhow::Result<Vec<String>> {
        let text = read_or_empty(&self.log)?;
        // A line that is being written has no end yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        Ok(whole.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name.to_string()).collect())
    }
}

fn read_or_empty(path: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => Ok(read?),
    }
}

/// Looks until it is so.
pub(super) fn wait(limit: Duration, mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "it did not come about within {} s", limit.as_secs());
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
