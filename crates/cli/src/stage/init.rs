//! The init of a stage: process 1 of its PID namespace, standing in the hub.
//!
//! It does what the caller asks over standard input, and when that ends, for whatever reason, so
//! does everything.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::OpenOptions;
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::mount::{MsFlags, mount};
use rustix::process::Signal;
use tempfile::TempDir;

use super::network::Network;
use super::processes::Processes;
use super::relay::{self, Relay};
use super::wire::{self, Answered, Asked, Place, Program, Reply, Request, Setup};
use super::{birth, cgroups};

/// The hidden first argument.
pub(super) const PART: &str = "stage-boot";

pub(super) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            birth::report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    // The caller's death is seen on the socket; this is for the death of the process between.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut requests = BufReader::new(birth::control()?);
    let setup: Setup = wire::read(&mut requests)?.context("the caller left before the stage stood")?;
    let init = Arc::new(Init::open()?);
    init.answer(wire::OPENING, Ok(Reply::Done));
    // A message that cannot be read ends the stage like a caller that is gone.
    while let Ok(Some(asked)) = wire::read::<Asked>(&mut requests) {
        Init::serve(&init, asked);
    }
    init.close(&setup)
}

struct Init {
    processes: Arc<Processes>,
    network: Mutex<Network>,
    answers: Mutex<UnixStream>,
    /// Requests being worked on.
    busy: AtomicUsize,
    /// Holds the sockets of relays.
    sockets: Mutex<Option<TempDir>>,
    /// By port.
    relays: Mutex<HashMap<u16, Relay>>,
}

impl Init {
    fn open() -> anyhow::Result<Self> {
        mount_privately()?;
        let processes = Arc::new(Processes::default());
        let reaper = Arc::clone(&processes);
        thread::Builder::new().name("reaper".to_owned()).spawn(move || reaper.reap())?;
        let program = std::env::current_exe().context("cannot find the running program")?;
        let network = Network::open(program, &processes)?;
        let sockets = tempfile::Builder::new().prefix("countermand-stage-").tempdir()?;
        Ok(Self {
            processes,
            network: Mutex::new(network),
            answers: Mutex::new(birth::control()?),
            busy: AtomicUsize::new(0),
            sockets: Mutex::new(Some(sockets)),
            relays: Mutex::default(),
        })
    }

    /// Works on one request on a thread of its own: waiting for one process must not keep
    /// anybody from killing it.
    fn serve(init: &Arc<Self>, asked: Asked) {
        let id = asked.id;
        if init.busy.fetch_add(1, Ordering::SeqCst) >= REQUESTS_MAX {
            init.busy.fetch_sub(1, Ordering::SeqCst);
            init.answer(id, Err(format!("more than {REQUESTS_MAX} requests at once")));
            return;
        }
        let working = Arc::clone(init);
        let started = thread::Builder::new().name("request".to_owned()).spawn(move || {
            let outcome = working.handle(asked.request);
            working.busy.fetch_sub(1, Ordering::SeqCst);
            working.answer(id, outcome.map_err(|error| format!("{error:#}")));
        });
        if let Err(error) = started {
            init.busy.fetch_sub(1, Ordering::SeqCst);
            init.answer(id, Err(format!("cannot start a thread: {error}")));
        }
    }

    fn handle(&self, request: Request) -> anyhow::Result<Reply> {
        match request {
            Request::AddMachine { name } => Ok(Reply::Machine(lock(&self.network).add(&name, &self.processes)?)),
            Request::Spawn { place, program } => self.spawn(&place, &program),
            Request::Kill { pid, signal } => {
                let signal = Signal::from_named_raw(signal).context("no such signal")?;
                self.processes.kill(pid, signal)?;
                Ok(Reply::Done)
            }
            Request::Wait { pid, timeout_ms } => {
                let timeout = Duration::from_millis(timeout_ms).min(WAIT_MAX);
                Ok(Reply::Exit(self.processes.wait(pid, timeout)?))
            }
            Request::Exec { place, argv } => {
                let mut command = lock(&self.network).command(&place, &argv)?;
                Ok(Reply::Output(self.processes.exec(&mut command, "")?))
            }
            Request::SetLink { machine, link } => {
                lock(&self.network).set_link(&machine, link, &self.processes)?;
                Ok(Reply::Done)
            }
            Request::Expose { port } => self.expose(port),
        }
    }

    fn spawn(&self, place: &Place, program: &Program) -> anyhow::Result<Reply> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&program.log_path)
            .with_context(|| format!("opening the log {}", program.log_path.display()))?;
        let mut command: Command = lock(&self.network).command(place, &program.argv)?;
        command
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Reply::Pid(self.processes.spawn(&mut command)?.id()))
    }

    fn expose(&self, port: u16) -> anyhow::Result<Reply> {
        let sockets = lock(&self.sockets);
        let Some(folder) = sockets.as_ref() else { bail!("the stage is closing") };
        let socket = folder.path().join(port.to_string());
        if let Entry::Vacant(vacant) = lock(&self.relays).entry(port) {
            vacant.insert(relay::unix_to_tcp(&socket, port)?);
        }
        Ok(Reply::Socket(socket))
    }

    fn answer(&self, id: u64, outcome: Result<Reply, String>) {
        // A caller that does not hear it is gone, and the request loop will see that.
        if let Ok(line) = wire::line(&Answered { id, outcome }) {
            let _ = lock(&self.answers).write_all(&line);
        }
    }

    /// Ends every process, then removes what would outlive the namespaces. Each is tried even if
    /// another fails, and the first failure is returned.
    fn close(&self, setup: &Setup) -> anyhow::Result<()> {
        let mut outcome = self.processes.end_all();
        for folder in cgroups::folders(&setup.cleanup_cgroups)? {
            outcome = outcome.and(cgroups::remove(&folder));
        }
        for folder in cgroups::folders(&setup.cgroups_if_empty)? {
            // Not empty means: somebody else's too.
            let _ = std::fs::remove_dir(folder);
        }
        if let Some(sockets) = lock(&self.sockets).take() {
            outcome = outcome.and(sockets.close().context("cannot remove the relays' sockets"));
        }
        outcome
    }
}

/// From here on mounts stay inside, and /proc shows the stage's own processes.
fn mount_privately() -> anyhow::Result<()> {
    let nothing: Option<&str> = None;
    mount(nothing, "/", nothing, MsFlags::MS_PRIVATE | MsFlags::MS_REC, nothing)
        .context("cannot make the stage's mounts private; do user namespaces here have no rights?")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, nothing)
        .context("cannot mount /proc for the stage; a container that hides parts of it forbids that")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests worked on at once, each on a thread.
const REQUESTS_MAX: usize = 256;

/// Longest wait for a process in one request; the caller asks again.
const WAIT_MAX: Duration = Duration::from_secs(60);
