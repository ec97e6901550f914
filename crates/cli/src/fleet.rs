//! A server and agents on a stage, as separate processes: what demo, races, torture and the benchmark play with.
//!
//! Everything is real: the server's own binary with its own store, agents that enrol over the network, effects in the
//! machines' own network namespaces. Knows nothing of what is played.

use crate::client::{Client, ClientConfig, Credentials};
use crate::stage::{Exit, Leftovers, Output, Place, Program, Rights, Stage, StageConfig};
use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the server's API listens in the hub.
const API_PORT: u16 = 8443;

/// Where agents connect in the hub.
const AGENT_PORT: u16 = 8444;

/// Where a relayed server listens for agents, in the hub.
pub const AGENTS_BEHIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), AGENT_PORT);

/// How long the server may take to answer after its start.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a process may take to end after it was told to.
const END_WITHIN: Duration = Duration::from_secs(20);

/// How often a wait looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How to make a fleet.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The binary `countermand`.
    pub program: PathBuf,
    /// Where everything is kept; must exist.
    pub dir: PathBuf,
    /// By what right the stage is made.
    pub rights: Rights,
    /// The machines to come, at most 250. Each gets a folder of its own in the cgroup tree.
    pub machines: Vec<String>,
    /// Further arguments of the server.
    pub server_args: Vec<String>,
    /// How many machines one enrolment token admits; more than one for whoever enrols machines that are no processes.
    pub enrol_uses: u32,
    /// Agents reach the server through something that stands before it: it listens for them at [`AGENTS_BEHIND`] only,
    /// and whatever carries them there has to listen in the hub on the same port.
    pub relayed: bool,
}

/// What `app add --json` prints.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppSecret {
    /// The tenant.
    pub tenant: String,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// A server and agents on a stage.
pub struct Fleet {
    stage: Stage,
    config: FleetConfig,
    app: AppSecret,
    api: SocketAddr,
    server: Option<u32>,
    agents: BTreeMap<String, u32>,
}

impl Fleet {
    /// Opens a stage, starts the server, and waits until it answers.
    ///
    /// # Errors
    /// The rights or tools for a stage are missing; the server does not start (the error says where its log is).
    pub fn open(config: FleetConfig) -> anyhow::Result<Self> {
        let cleanup_cgroups = config.machines.iter().map(|name| format!("countermand/{}", slice(name))).collect();
        let countermand_group = crate::stage::cgroup_folder("countermand")?.is_some_and(|folder| !folder.exists());
        let stage = Stage::open(StageConfig {
            program: config.program.clone(),
            rights: config.rights,
            cleanup_cgroups,
            // Ours, if it was not there before; another agent's groups in it keep it in place.
            cgroups_if_empty: countermand_group.then(|| "countermand".to_string()).into_iter().collect(),
        })?;
        let data_dir = config.dir.join("server");
        let app: AppSecret = serde_json::from_str(&run_here(
            &config.program,
            &["app", "add", "fleet", "--all", "--json", "--data-dir", &data_dir.to_string_lossy()],
        )?)?;
        let api = stage.expose(API_PORT)?;
        let mut fleet = Self { stage, config, app, api, server: None, agents: BTreeMap::new() };
        fleet.start_server()?;
        Ok(fleet)
    }

    /// The stage.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The base URL of the API, from this process's own network.
    pub fn url(&self) -> String {
        format!("https://{}", self.api)
    }

    /// The authority to trust there.
    pub fn ca_file(&self) -> PathBuf {
        self.data_dir().join("ca.pem")
    }

    /// An application with every permission.
    pub fn app(&self) -> &AppSecret {
        &self.app
    }

    /// The server's data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.config.dir.join("server")
    }

    /// A client with every permission.
    ///
    /// # Errors
    /// The authority's file cannot be read.
    pub fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(ClientConfig {
            base_url: self.url(),
            ca_file: Some(self.ca_file()),
            credentials: Credentials::Client {
                tenant: self.app.tenant.clone(),
                client_id: self.app.client_id.clone(),
                client_secret: self.app.client_secret.clone(),
            },
        })?)
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// It does not.
    pub fn start_server(&mut self) -> anyhow::Result<()> {
        let pid = self.launch_server(&[])?;
        let deadline = Instant::now() + READY_WITHIN;
        while !self.answers() {
            let ended = self.stage.wait(pid, Duration::ZERO)?;
            if ended.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(self.log("server")).unwrap_or_default();
                bail!("the server did not start ({ended:?}); it said: {}", said.trim());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Starts the server and does not wait. `env` is added to its environment. Returns its process id on the stage.
    ///
    /// # Errors
    /// It runs already, or cannot be started.
    pub fn launch_server(&mut self, env: &[(String, String)]) -> anyhow::Result<u32> {
        ensure!(self.server.is_none(), "the server runs already");
        let mut argv = vec![self.config.program.to_string_lossy().into_owned(), "serve".into()];
        let agents = if self.config.relayed { AGENTS_BEHIND.to_string() } else { format!("0.0.0.0:{AGENT_PORT}") };
        for (flag, value) in [
            ("--data-dir", self.data_dir().to_string_lossy().into_owned()),
            ("--api-listen", format!("0.0.0.0:{API_PORT}")),
            ("--agent-listen", agents),
            ("--public-name", crate::stage::HUB_IPV4.to_string()),
        ] {
            argv.extend([flag.into(), value]);
        }
        argv.extend(self.config.server_args.iter().cloned());
        let program = Program { argv, env: env.to_vec(), log_path: self.log("server") };
        let pid = self.stage.spawn(&Place::Hub, program)?;
        self.server = Some(pid);
        Ok(pid)
    }

    /// Sends the server a signal and waits for its end.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop_server(&mut self, signal: Signal) -> anyhow::Result<()> {
        let Some(pid) = self.server.take() else { return Ok(()) };
        self.stage.kill(pid, signal)?;
        self.stage.wait(pid, END_WITHIN)?.context("the server does not end")?;
        Ok(())
    }

    /// Whether the server was started and is not known to have ended.
    pub fn server_runs(&self) -> bool {
        self.server.is_some()
    }

    /// Whether a machine's agent was started and is not known to have ended.
    pub fn agent_runs(&self, name: &str) -> bool {
        self.agents.contains_key(name)
    }

    /// Sends the server a signal and does not wait: to pause it, or to let it go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal_server(&self, signal: Signal) -> anyhow::Result<()> {
        self.stage.kill(self.server.context("the server does not run")?, signal)
    }

    /// Waits for the server's end; `None` if it still runs after `timeout`.
    ///
    /// # Errors
    /// It was never started.
    pub fn wait_server(&mut self, timeout: Duration) -> anyhow::Result<Option<Exit>> {
        let exit = self.stage.wait(self.server.context("the server does not run")?, timeout)?;
        if exit.is_some() {
            self.server = None;
        }
        Ok(exit)
    }

    /// Adds a machine. Its agent is not started.
    ///
    /// # Errors
    /// The name is not among those that were announced, or taken.
    pub fn add_machine(&self, name: &str) -> anyhow::Result<crate::stage::Machine> {
        ensure!(self.config.machines.iter().any(|known| known == name), "the machine {name} was not announced");
        self.stage.add_machine(name)
    }

    /// An enrolment token.
    ///
    /// # Errors
    /// The command fails.
    pub fn enrol_token(&self) -> anyhow::Result<String> {
        let uses = self.config.enrol_uses.to_string();
        let dir = self.data_dir();
        let token =
            run_here(&self.config.program, &["enrol-token", "--uses", &uses, "--data-dir", &dir.to_string_lossy()])?;
        Ok(token.trim().to_string())
    }

    /// Starts the agent of a machine, which enrols if it never did. `env` is added to its environment.
    ///
    /// # Errors
    /// It runs already, or cannot be started.
    pub fn start_agent(&mut self, name: &str, env: &[(&str, &str)]) -> anyhow::Result<()> {
        ensure!(!self.agents.contains_key(name), "the agent of {name} runs already");
        let state_dir = self.state_dir(name);
        let mut argv = vec![self.config.program.to_string_lossy().into_owned(), "agent".into()];
        argv.extend(["--state-dir".into(), state_dir.to_string_lossy().into_owned()]);
        argv.extend(["--slice".into(), slice(name), "--name".into(), name.to_string()]);
        let mut env: Vec<(String, String)> = env.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect();
        if !state_dir.join("identity.json").exists() {
            argv.extend(["--server".into(), format!("https://{}:{API_PORT}", crate::stage::HUB_IPV4)]);
            argv.extend(["--server-ca".into(), self.ca_file().to_string_lossy().into_owned()]);
            env.push(("COUNTERMAND_ENROL_TOKEN".into(), self.enrol_token()?));
        }
        let program = Program { argv, env, log_path: self.log(name) };
        let pid = self.stage.spawn(&Place::Machine(name.to_string()), program)?;
        self.agents.insert(name.to_string(), pid);
        Ok(())
    }

    /// Sends an agent a signal and waits for its end.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop_agent(&mut self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let Some(pid) = self.agents.remove(name) else { return Ok(()) };
        self.stage.kill(pid, signal)?;
        self.stage.wait(pid, END_WITHIN)?.with_context(|| format!("the agent of {name} does not end"))?;
        Ok(())
    }

    /// Sends an agent a signal and does not wait: to pause it, or to let it go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal_agent(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let pid = *self.agents.get(name).with_context(|| format!("the agent of {name} does not run"))?;
        self.stage.kill(pid, signal)
    }

    /// Waits for an agent's end; `None` if it still runs after `timeout`.
    ///
    /// # Errors
    /// It was never started.
    pub fn wait_agent(&mut self, name: &str, timeout: Duration) -> anyhow::Result<Option<Exit>> {
        let pid = *self.agents.get(name).with_context(|| format!("the agent of {name} does not run"))?;
        let exit = self.stage.wait(pid, timeout)?;
        if exit.is_some() {
            self.agents.remove(name);
        }
        Ok(exit)
    }

    /// Runs a program on a machine, for looking.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn look(&self, name: &str, argv: &[&str]) -> anyhow::Result<Output> {
        self.stage.exec(&Place::Machine(name.to_string()), argv)
    }

    /// An agent's own folder.
    pub fn state_dir(&self, name: &str) -> PathBuf {
        self.config.dir.join(format!("agent-{name}"))
    }

    /// Where a process's output is kept: `server`, or a machine's name.
    pub fn log(&self, name: &str) -> PathBuf {
        self.config.dir.join(format!("{name}.log"))
    }

    /// Ends everything and tells what remained.
    ///
    /// # Errors
    /// That cannot be found out.
    pub fn close(self) -> anyhow::Result<Leftovers> {
        self.stage.close()
    }

    /// Whether the server answers at all; TLS is for the client to check.
    fn answers(&self) -> bool {
        let probe = ["ss", "-Htln", "sport", "=", &format!(":{API_PORT}")];
        let listening = self.stage.exec(&Place::Hub, &probe).is_ok_and(|output| !output.stdout.trim().is_empty());
        listening && std::net::TcpStream::connect_timeout(&self.api, Duration::from_secs(1)).is_ok()
    }
}

/// The folder of a machine's agent in the cgroup tree: no other run's.
fn slice(name: &str) -> String {
    format!("stage-{}-{name}", std::process::id())
}

fn run_here(program: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| format!("{}", program.display()))?;
    if !output.status.success() {
        bail!("countermand {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
