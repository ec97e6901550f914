//! The caller's side: opening a stage, asking its init for things, closing it.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rustix::process::Signal;

use super::leftovers::{Leftovers, Traces};
use super::relay::{self, Relay};
use super::wire::{self, Answered, Asked, Exit, Link, Machine, Output, Place, Program, Reply, Request, Setup};
use super::{birth, cgroups};

/// By what right the namespaces are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// As root. Agents on the stage may use the host's cgroup tree.
    Root,
    /// In a user namespace, in which the caller is root; for everybody else.
    UserNamespace,
}

/// How to open a stage.
#[derive(Debug, Clone)]
pub struct StageConfig {
    /// The binary that plays the stage's hidden parts; its `main` calls
    /// [`hidden_main`](super::hidden_main) first.
    pub program: PathBuf,
    /// By what right the namespaces are made.
    pub rights: Rights,
    /// Groups that agents on the stage make, relative to the root of the cgroup2 tree. At the end
    /// what is in them is killed and they are removed, with all groups below.
    pub cleanup_cgroups: Vec<String>,
    /// Groups that are removed after those if nothing is left in them.
    pub cgroups_if_empty: Vec<String>,
}

impl StageConfig {
    /// The running binary; root's rights for root, a user namespace for others; no groups.
    ///
    /// # Errors
    /// If the running binary cannot be found.
    pub fn new() -> anyhow::Result<Self> {
        let is_root = rustix::process::geteuid().is_root();
        Ok(Self {
            program: std::env::current_exe().context("cannot find the running program")?,
            rights: if is_root { Rights::Root } else { Rights::UserNamespace },
            cleanup_cgroups: Vec::new(),
            cgroups_if_empty: Vec::new(),
        })
    }
}

/// An open stage. Dropping it closes it; [`close`](Self::close) also tells what remained.
///
/// Every method blocks its thread until the stage has answered; from asynchronous code call them
/// through `spawn_blocking`. Several threads may call at once.
pub struct Stage {
    program: PathBuf,
    birth: Child,
    requests: Mutex<UnixStream>,
    answers: Arc<Answers>,
    next_id: AtomicU64,
    relays: Mutex<HashMap<u16, (SocketAddr, Relay)>>,
    traces: Traces,
    closed: bool,
}

impl Stage {
    /// Opens a stage with a hub and no machine.
    ///
    /// # Errors
    /// If the rights for it are missing (the error names what to change), or `ip` is.
    pub fn open(config: StageConfig) -> anyhow::Result<Self> {
        cgroups::folders(&config.cleanup_cgroups)?;
        cgroups::folders(&config.cgroups_if_empty)?;
        let mut traces = Traces::before(&config.cleanup_cgroups)?;
        let (ours, theirs) = UnixStream::pair().context("cannot make a socket pair")?;
        let mut command = Command::new(&config.program);
        command.arg(birth::PART).stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        if config.rights == Rights::UserNamespace {
            command.arg(birth::IN_USER_NAMESPACE);
        }
        let birth = command.spawn().with_context(|| format!("cannot start {}", config.program.display()))?;
        // The command still holds their end, and we wait for the last of those to go.
        drop(command);
        let answers = Arc::new(Answers::default());
        let opening = answers.expect(wire::OPENING);
        let from = BufReader::new(ours.try_clone()?);
        let reading = Arc::clone(&answers);
        let mut stage = Self {
            program: config.program,
            birth,
            requests: Mutex::new(ours),
            answers,
            next_id: AtomicU64::new(wire::OPENING + 1),
            relays: Mutex::default(),
            traces: Traces::default(),
            closed: false,
        };
        thread::Builder::new().name("stage-answers".to_owned()).spawn(move || reading.read_all(from))?;
        // A stage that died at birth says why in its answer; that counts, not the broken pipe.
        let _ =
            stage.send(&Setup { cleanup_cgroups: config.cleanup_cgroups, cgroups_if_empty: config.cgroups_if_empty });
        received(&opening, OPEN_TIME_MAX).context("cannot open a stage")?;
        traces.remember(stage.birth.id())?;
        stage.traces = traces;
        Ok(stage)
    }

    /// The binary that plays the stage's hidden parts.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Adds a machine with a cable to the hub. It has interfaces `lo` and `eth0`, and no process.
    ///
    /// # Errors
    /// If the name is taken, or there are 250 machines already.
    pub fn add_machine(&self, name: &str) -> anyhow::Result<Machine> {
        match self.ask(Request::AddMachine { name: name.to_owned() }, ANSWER_TIME_MAX)? {
            Reply::Machine(machine) => Ok(machine),
            other => unexpected(&other),
        }
    }

    /// Starts a program and leaves it running, in a process group of its own, with nothing on
    /// standard input. Returns its process id *inside the stage*.
    ///
    /// # Errors
    /// If the place is unknown, or the log cannot be opened. A program that is not there is an
    /// error in the hub; on a machine the process ends with code 127 and its log says why.
    pub fn spawn(&self, place: &Place, program: Program) -> anyhow::Result<u32> {
        match self.ask(Request::Spawn { place: place.clone(), program }, ANSWER_TIME_MAX)? {
            Reply::Pid(pid) => Ok(pid),
            other => unexpected(&other),
        }
    }

    /// Sends a signal to a process that [`spawn`](Self::spawn) started. If it has ended already,
    /// nothing happens.
    ///
    /// # Errors
    /// If the process was not started through this stage.
    pub fn kill(&self, pid: u32, signal: Signal) -> anyhow::Result<()> {
        self.done(Request::Kill { pid, signal: signal.as_raw() })
    }

    /// Waits until a process that [`spawn`](Self::spawn) started ends; `None` if `timeout` passes
    /// first. A timeout of zero only looks.
    ///
    /// # Errors
    /// If the process was not started through this stage.
    pub fn wait(&self, pid: u32, timeout: Duration) -> anyhow::Result<Option<Exit>> {
        let deadline = Instant::now() + timeout;
        loop {
            let slice = deadline.saturating_duration_since(Instant::now()).min(WAIT_SLICE);
            let timeout_ms = u64::try_from(slice.as_millis())?;
            match self.ask(Request::Wait { pid, timeout_ms }, slice + ANSWER_TIME_MAX)? {
                Reply::Exit(None) if Instant::now() < deadline => {}
                Reply::Exit(exit) => return Ok(exit),
                other => return unexpected(&other),
            }
        }
    }

    /// Runs a program to its end and returns what it said: for looking at a place. It gets 30 s,
    /// and 1 MiB for each output.
    ///
    /// # Errors
    /// If the place is unknown, or the program takes too long; not if the program fails.
    pub fn exec(&self, place: &Place, argv: &[&str]) -> anyhow::Result<Output> {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        match self.ask(Request::Exec { place: place.clone(), argv }, ANSWER_TIME_MAX)? {
            Reply::Output(output) => Ok(output),
            other => unexpected(&other),
        }
    }

    /// Plugs a machine's cable in, or pulls it.
    ///
    /// # Errors
    /// If there is no such machine.
    pub fn set_link(&self, machine: &str, link: Link) -> anyhow::Result<()> {
        self.done(Request::SetLink { machine: machine.to_owned(), link })
    }

    /// Makes a TCP port of the hub reachable from outside, and returns the address on 127.0.0.1 to
    /// connect to. Nobody needs to listen on the port yet; until then connections are closed at
    /// once. Asked twice, it returns the same address.
    ///
    /// # Errors
    /// If a socket cannot be opened.
    pub fn expose(&self, port: u16) -> anyhow::Result<SocketAddr> {
        let mut relays = lock(&self.relays);
        if let Some((address, _)) = relays.get(&port) {
            return Ok(*address);
        }
        let socket = match self.ask(Request::Expose { port }, ANSWER_TIME_MAX)? {
            Reply::Socket(socket) => socket,
            other => return unexpected(&other),
        };
        let (address, relay) = relay::tcp_to_unix(socket).context("cannot relay to the stage")?;
        relays.insert(port, (address, relay));
        Ok(address)
    }

    /// Ends everything on the stage and waits until it is gone.
    ///
    /// # Errors
    /// If this cannot be found out. That something remains is not an error but in the result.
    pub fn close(mut self) -> anyhow::Result<Leftovers> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<Leftovers> {
        self.closed = true;
        lock(&self.relays).clear();
        // Fails only if init is gone already.
        let _ = lock(&self.requests).shutdown(Shutdown::Write);
        if !self.answers.ended(CLOSE_TIME_MAX) {
            // Its death takes init with it.
            self.birth.kill().context("cannot end the stage")?;
        }
        self.birth.wait().context("cannot wait for the stage's end")?;
        self.traces.look(self.answers.trouble())
    }

    fn done(&self, request: Request) -> anyhow::Result<()> {
        match self.ask(request, ANSWER_TIME_MAX)? {
            Reply::Done => Ok(()),
            other => unexpected(&other),
        }
    }

    fn ask(&self, request: Request, patience: Duration) -> anyhow::Result<Reply> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.expect(id);
        self.send(&Asked { id, request }).context("the stage is gone")?;
        received(&answer, patience)
    }

    fn send(&self, message: &impl serde::Serialize) -> anyhow::Result<()> {
        let line = wire::line(message)?;
        Ok(lock(&self.requests).write_all(&line)?)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        match self.end() {
            Ok(leftovers) if leftovers.is_empty() => {}
            Ok(leftovers) => eprintln!("stage: {leftovers}"),
            Err(error) => eprintln!("stage: {error:#}"),
        }
    }
}

/// Brings each answer to the thread that waits for it.
#[derive(Default)]
struct Answers {
    state: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    by_id: HashMap<u64, Sender<Result<Reply, String>>>,
    /// Init's last words, if it could not end well.
    trouble: Option<String>,
    /// The stage is gone: nobody will answer.
    ended: bool,
    on_end: Vec<Sender<()>>,
}

impl Answers {
    fn expect(&self, id: u64) -> Receiver<Result<Reply, String>> {
        let (sender, receiver) = channel();
        let mut state = lock(&self.state);
        // After the end the sender is dropped here, which the receiver sees.
        if !state.ended {
            state.by_id.insert(id, sender);
        }
        receiver
    }

    /// Reads until the last process of the stage has closed the socket.
    fn read_all(&self, mut from: BufReader<UnixStream>) {
        while let Ok(Some(Answered { id, outcome })) = wire::read(&mut from) {
            let mut state = lock(&self.state);
            match (state.by_id.remove(&id), outcome) {
                // One that waited too long is gone, and its answer with it.
                (Some(waiting), outcome) => drop(waiting.send(outcome)),
                (None, Err(error)) if id == wire::OPENING => state.trouble = Some(error),
                (None, _) => {}
            }
        }
        let mut state = lock(&self.state);
        state.ended = true;
        state.by_id.clear();
        state.on_end.clear();
    }

    /// Whether the stage ends within `patience`.
    fn ended(&self, patience: Duration) -> bool {
        let (sender, receiver) = channel();
        {
            let mut state = lock(&self.state);
            if state.ended {
                return true;
            }
            state.on_end.push(sender);
        }
        // The end drops the sender.
        !matches!(receiver.recv_timeout(patience), Err(std::sync::mpsc::RecvTimeoutError::Timeout))
    }

    fn trouble(&self) -> Option<String> {
        lock(&self.state).trouble.take()
    }
}

fn received(answer: &Receiver<Result<Reply, String>>, patience: Duration) -> anyhow::Result<Reply> {
    use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
    match answer.recv_timeout(patience) {
        Ok(outcome) => outcome.map_err(|error| anyhow!(error)),
        Err(Timeout) => bail!("the stage did not answer within {} s", patience.as_secs()),
        Err(Disconnected) => bail!("the stage is gone"),
    }
}

fn unexpected<T>(reply: &Reply) -> anyhow::Result<T> {
    bail!("the stage answered something else than it was asked: {reply:?}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long opening may take.
const OPEN_TIME_MAX: Duration = Duration::from_secs(30);

/// How long an answer may take; more than what init gives a program.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// How long init may take to end everything before it is killed.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(20);

/// Longest wait for a process in one request.
const WAIT_SLICE: Duration = Duration::from_secs(30);
