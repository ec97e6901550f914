//! A server, a proxy and machines with agents, and what can be done to them.

use super::answers::Life;
use super::clocks;
use super::fault::{Fault, What, Who};
use super::ground;
use super::proxy::{Control, Line, Way};
use crate::playground;
use anyhow::{Context as _, bail, ensure};
use cli::client::Client;
use cli::fleet::{AGENTS_BEHIND, Fleet, FleetConfig};
use cli::stage::{HUB_IPV4, Place, Program, Rights};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How large an agent's disk is, and the server's, in MiB. The server takes no results when less than 1024 are free.
const AGENT_DISK_MIB: u32 = 48;
const SERVER_DISK_MIB: u32 = 1536;

/// How long an agent may take to enrol.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);

/// How long the server may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// The pause between two looks, and before something is started again that died.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Its name.
    pub(super) name: String,
    /// Its id at the server.
    pub(super) id: String,
    address: Ipv4Addr,
}

/// What runs, and what is done to it just now.
#[derive(Debug, Default)]
struct Standing {
    /// Killed, and to stay away for now.
    away: BTreeSet<Who>,
    /// Died, or could not be started: not before then.
    again_at: Vec<(Who, Instant)>,
    /// The server was started while its clock was off: its certificate may be of a wrong time.
    started_off: bool,
    server_clock_off: bool,
    lines: Vec<Line>,
    /// How often something ended that nobody had killed.
    died: usize,
}

/// Everything that is played with.
pub(super) struct World {
    fleet: RwLock<Fleet>,
    standing: Mutex<Standing>,
    control: Control,
    library: String,
    folder: PathBuf,
    /// The machines, by their numbers.
    pub(super) machines: Vec<Machine>,
    /// Whoever asks.
    pub(super) client: Client,
}

impl World {
    /// Opens it: everybody runs, is known, and has the right time.
    pub(super) fn open(folder: &Path, machines: usize, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Self> {
        let library = clocks::library()?;
        let names: Vec<String> = (0..machines).map(|number| format!("m{number}")).collect();
        // Before the stage opens: it keeps the mounts that there are then.
        for who in (0..machines).map(Who::Machine).chain([Who::Server]) {
            let (disk, mib) = disk_of(folder, who);
            ground::disk(&disk, mib)?;
        }
        clocks::make(folder, names.iter().map(String::as_str).chain(["server"]))?;
        let mut fleet = Fleet::open(FleetConfig {
            program: playground::binary()?,
            dir: folder.to_path_buf(),
            rights: Rights::Root,
            machines: names.clone(),
            server_args: ["--no-limits", "--cancel-wait-ms", "1000"].map(String::from).to_vec(),
            enrol_uses: 1,
            relayed: true,
        })?;
        let control = start_proxy(&fleet, folder)?;
        let client = fleet.client()?;
        let mut known = Vec::new();
        for name in names {
            let address = fleet.add_machine(&name)?.ipv4;
            let env = clocks::env(folder, &library, &name);
            let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            fleet.start_agent(&name, &env)?;
            let id = runtime.block_on(known_as(&client, &name))?;
            known.push(Machine { name, id, address });
        }
        fleet.stop_server(Signal::TERM)?;
        let standing = Standing { lines: vec![Line::default(); known.len()], ..Standing::default() };
        let world = Self {
            fleet: RwLock::new(fleet),
            standing: Mutex::new(standing),
            control,
            library,
            folder: folder.to_path_buf(),
            machines: known,
            client,
        };
        world.heal()?;
        Ok(world)
    }

    /// Ends everything.
    pub(super) fn close(self) -> anyhow::Result<()> {
        let leftovers = self.fleet.into_inner().unwrap_or_else(PoisonError::into_inner).close()?;
        ensure!(leftovers.is_empty(), "the stage did not end clean: {leftovers}");
        Ok(())
    }

    /// Where everything is kept.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where witnesses lie, and programs that leave them are known by.
    pub(super) fn witnesses(&self) -> PathBuf {
        self.folder.join("witnesses")
    }

    /// How often something ended by itself.
    pub(super) fn died(&self) -> usize {
        self.standing().died
    }

    /// Does it.
    pub(super) fn begin(&self, fault: &Fault) -> anyhow::Result<()> {
        match (fault.what, fault.who) {
            (What::Kill, who) => {
                self.standing().away.insert(who);
                self.kill(who)
            }
            (What::Pause, who) => self.signal(who, Signal::STOP),
            (What::Line(up, down), who) => self.line(who, |line| (line.up, line.down) = (up, down)),
            (What::HalfClose(true), who) => self.line(who, |line| line.ended_up += 1),
            (What::HalfClose(false), who) => self.line(who, |line| line.ended_down += 1),
            (What::Drop, who) => self.line(who, |line| line.dropped += 1),
            (What::Clock(seconds), who) => self.clock(who, seconds),
            (What::DiskFull(left_kib), who) => ground::fill(&disk_of(&self.folder, who).0, left_kib),
        }
    }

    /// Takes it back. `drop`: connections that were held are dropped, and what was held back never arrives.
    pub(super) fn end(&self, fault: &Fault, drop: bool) -> anyhow::Result<()> {
        match (fault.what, fault.who) {
            (What::Kill, who) => {
                self.standing().away.remove(&who);
                Ok(())
            }
            (What::Pause, who) => self.signal(who, Signal::CONT),
            (What::Line(..), who) => self.line(who, |line| {
                (line.up, line.down) = (Way::Open, Way::Open);
                line.dropped += u64::from(drop);
            }),
            // What is left of such a connection is of no use to anybody.
            (What::HalfClose(_), who) => self.line(who, |line| line.dropped += 1),
            (What::Drop, _) => Ok(()),
            (What::Clock(_), who) => self.clock(who, 0),
            (What::DiskFull(_), who) => {
                let (disk, mib) = disk_of(&self.folder, who);
                ground::free(&disk, mib)
            }
        }
    }

    /// Starts what should run and does not, like any init system.
    ///
    /// # Errors
    /// The stage does not answer.
    pub(super) fn supervise(&self) -> anyhow::Result<()> {
        let everybody = (0..self.machines.len()).map(Who::Machine).chain([Who::Server]);
        for who in everybody {
            if self.runs(who)? {
                continue;
            }
            let mut standing = self.standing();
            if standing.away.contains(&who)
                || standing.again_at.iter().any(|(other, at)| *other == who && Instant::now() < *at)
            {
                continue;
            }
            standing.again_at.retain(|(other, _)| *other != who);
            drop(standing);
            if let Err(error) = self.start(who) {
                println!("  {who} cannot be started: {error:#}");
                self.standing().again_at.push((who, Instant::now() + AGAIN_AFTER));
            }
        }
        Ok(())
    }

    /// Once everything was taken back: whoever has to be started anew is, and the server answers.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn heal(&self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.standing().started_off) {
            // Its certificate is of another time; an operator who sets the clock right restarts it.
            self.write().stop_server(Signal::TERM)?;
        }
        let deadline = Instant::now() + ANSWERS_WITHIN;
        loop {
            self.supervise()?;
            let address: SocketAddr = self.read().url().trim_start_matches("https://").parse()?;
            let hub = self.read().stage().exec(&Place::Hub, &["ss", "-Htln", "sport", "=", ":8443"])?;
            let listens = !hub.stdout.trim().is_empty();
            if listens && std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                break;
            }
            ensure!(Instant::now() < deadline, "the server does not come back");
            std::thread::sleep(LOOK_EVERY);
        }
        for who in (0..self.machines.len()).map(Who::Machine) {
            while !self.runs(who)? {
                ensure!(Instant::now() < deadline, "{who} does not come back");
                self.supervise()?;
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// The action whose mark our packet filter table on a machine carries; none: there is no table.
    ///
    /// # Errors
    /// The machine cannot be looked at.
    pub(super) fn isolated_by(&self, machine: usize) -> anyhow::Result<Option<String>> {
        let listed = self.read().look(&self.name(machine)?, &["nft", "--stateless", "list", "ruleset"])?;
        ensure!(listed.success(), "nft: {}", listed.stderr.trim());
        let Some((_, table)) = listed.stdout.split_once("table inet countermand {") else { return Ok(None) };
        let mark = table.lines().find_map(|line| line.trim().strip_prefix("comment "));
        Ok(Some(mark.unwrap_or("no mark").trim_matches('"').to_string()))
    }

    /// A file in a machine's downloads folder, if it is there.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn downloaded(&self, machine: usize, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match std::fs::read(self.download_path(machine, name)?) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => Ok(Some(read?)),
        }
    }

    /// Removes it, as whoever owns the machine may do at any time.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn remove_download(&self, machine: usize, name: &str) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.download_path(machine, name)?)?)
    }

    /// Copies what tells what happened: logs, store and journals.
    ///
    /// # Errors
    /// They cannot be copied.
    pub(super) fn keep(&self, to: &Path, wrong: &[Life]) -> anyhow::Result<()> {
        std::fs::create_dir_all(to)?;
        let machines = self.machines.iter().map(|machine| machine.name.clone());
        for name in machines.clone().chain(["server".into()]) {
            let log = self.read().log(&name);
            std::fs::copy(&log, to.join(format!("{name}.log"))).with_context(|| log.display().to_string())?;
        }
        for name in ["countermand.db", "countermand.db-wal"] {
            // The second is there only after a kill.
            let _ = std::fs::copy(self.folder.join("server").join(name), to.join(name));
        }
        for name in machines {
            let _ = std::fs::copy(self.read().state_dir(&name).join("journal"), to.join(format!("{name}.journal")));
        }
        for life in wrong {
            if let Some(witness) = &life.wish.witness {
                let _ = std::fs::copy(witness, to.join(format!("witness-{}", life.id)));
            }
        }
        Ok(())
    }

    fn download_path(&self, machine: usize, name: &str) -> anyhow::Result<PathBuf> {
        Ok(self.read().state_dir(&self.name(machine)?).join("downloads").join(name))
    }

    fn name(&self, machine: usize) -> anyhow::Result<String> {
        Ok(self.machines.get(machine).context("no such machine")?.name.clone())
    }

    fn kill(&self, who: Who) -> anyhow::Result<()> {
        match who {
            Who::Server => self.write().stop_server(Signal::KILL),
            Who::Machine(number) => {
                let name = self.name(number)?;
                self.write().stop_agent(&name, Signal::KILL)
            }
            Who::Everybody => bail!("nobody kills everybody"),
        }
    }

    /// One that is dead just now feels no signal.
    fn signal(&self, who: Who, signal: Signal) -> anyhow::Result<()> {
        if !self.runs(who)? {
            return Ok(());
        }
        match who {
            Who::Server => self.read().signal_server(signal),
            Who::Machine(number) => self.read().signal_agent(&self.name(number)?, signal),
            Who::Everybody => bail!("nobody signals everybody"),
        }
    }

    fn line(&self, who: Who, change: impl Fn(&mut Line)) -> anyhow::Result<()> {
        let mut standing = self.standing();
        for (number, line) in standing.lines.iter_mut().enumerate() {
            if who == Who::Everybody || who == Who::Machine(number) {
                change(line);
                self.control.set(self.machines[number].address, *line)?;
            }
        }
        Ok(())
    }

    fn clock(&self, who: Who, seconds: i64) -> anyhow::Result<()> {
        match who {
            Who::Machine(number) => clocks::set(&self.folder, &self.name(number)?, seconds),
            Who::Server | Who::Everybody => {
                self.standing().server_clock_off = seconds != 0;
                clocks::set(&self.folder, "server", seconds)
            }
        }
    }

    /// Whether it runs; one that ended by itself is noted.
    fn runs(&self, who: Who) -> anyhow::Result<bool> {
        let ended = match who {
            Who::Server => {
                let mut fleet = self.write();
                if !fleet.server_runs() {
                    return Ok(false);
                }
                fleet.wait_server(Duration::ZERO)?
            }
            Who::Machine(number) => {
                let name = self.name(number)?;
                let mut fleet = self.write();
                if !fleet.agent_runs(&name) {
                    return Ok(false);
                }
                fleet.wait_agent(&name, Duration::ZERO)?
            }
            Who::Everybody => bail!("nobody is everybody"),
        };
        if let Some(exit) = ended {
            println!("  {who} ended by itself: {exit:?}");
            let mut standing = self.standing();
            standing.died += 1;
            standing.again_at.push((who, Instant::now() + AGAIN_AFTER));
        }
        Ok(ended.is_none())
    }

    fn start(&self, who: Who) -> anyhow::Result<()> {
        match who {
            Who::Server => {
                let mut standing = self.standing();
                standing.started_off = standing.server_clock_off;
                drop(standing);
                self.write().launch_server(&clocks::env(&self.folder, &self.library, "server")).map(drop)
            }
            Who::Machine(number) => {
                let name = self.name(number)?;
                let env = clocks::env(&self.folder, &self.library, &name);
                let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                self.write().start_agent(&name, &env)
            }
            Who::Everybody => bail!("nobody starts everybody"),
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Fleet> {
        self.fleet.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Fleet> {
        self.fleet.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start_proxy(fleet: &Fleet, folder: &Path) -> anyhow::Result<Control> {
    let control = folder.join("proxy");
    let listen = SocketAddr::from((HUB_IPV4, AGENTS_BEHIND.port()));
    let argv = [
        playground::own_program()?,
        "proxy".into(),
        "--listen".into(),
        listen.to_string(),
        "--to".into(),
        AGENTS_BEHIND.to_string(),
        "--control".into(),
        control.to_string_lossy().into_owned(),
    ];
    let program = Program { argv: argv.to_vec(), env: vec![], log_path: folder.join("proxy.log") };
    fleet.stage().spawn(&Place::Hub, program)?;
    Control::connect(&control)
}

/// Somebody's disk, and how large that is, in MiB.
fn disk_of(folder: &Path, who: Who) -> (PathBuf, u32) {
    match who {
        Who::Machine(number) => (folder.join(format!("agent-m{number}")), AGENT_DISK_MIB),
        Who::Server | Who::Everybody => (folder.join("server"), SERVER_DISK_MIB),
    }
}

async fn known_as(client: &Client, name: &str) -> anyhow::Result<String> {
    let deadline = Instant::now() + KNOWN_WITHIN;
    loop {
        match client.find_machine(name).await {
            Ok(machine) => return Ok(machine.item.id),
            Err(error) if Instant::now() > deadline => return Err(error).context("the agent did not enrol"),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
