//! Whoever does the work: each task of the worker in a thread of its own, its end sent back as an input.

use crate::executors::{self, Broke, Context, ServerProof, StopSignal, executor};
use crate::host::Host;
use crate::worker::{Crew, Event};
use domain::action::Body;
use domain::grantee::{Input, Ran, Task, UndoRecord};
use domain::ids::{ActionId, Digest};
use domain::time::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The pause between tries to kill what does not die.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// How long the content that an action needs may take to come.
const PREPARE_LIMIT: Duration = Duration::from_secs(120);

/// Where library content comes from.
pub trait Content: Send + Sync {
    /// Fetches the content with this digest to `to`, verified. Gives up when `stopped` says so or `limit` is over.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn fetch(&self, sha256: &Digest, to: &Path, limit: Duration, stopped: &dyn Fn() -> bool) -> Result<(), String>;
}

/// What the crew works with.
#[derive(Clone)]
pub struct Tools {
    /// The machine.
    pub host: Arc<dyn Host>,
    /// Where each action has its private folder.
    pub staging: PathBuf,
    /// Where library content comes from.
    pub content: Arc<dyn Content>,
    /// How to tell whether the server can be reached.
    pub proof: Arc<dyn ServerProof + Send + Sync>,
    /// The server's addresses as they are known now.
    pub server: Arc<dyn Fn() -> Vec<SocketAddr> + Send + Sync>,
    /// Tells the time, for display.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Where ends are sent.
    pub ended: Arc<dyn Fn(Event) + Send + Sync>,
}

/// The crew of a real machine.
pub struct Threads {
    tools: Tools,
    stops: HashMap<ActionId, StopSignal>,
}

impl Threads {
    /// A crew with nothing to do.
    pub fn new(tools: Tools) -> Self {
        Self { tools, stops: HashMap::new() }
    }

    fn stop_signal(&mut self, action: ActionId) -> std::io::Result<StopSignal> {
        if let Some(stop) = self.stops.get(&action) {
            return Ok(stop.clone());
        }
        let stop = StopSignal::new()?;
        self.stops.insert(action, stop.clone());
        Ok(stop)
    }
}

impl Crew for Threads {
    fn begin(&mut self, action: ActionId, task: Task) {
        if matches!(task, Task::Retire) {
            self.stops.remove(&action);
            return retire(&self.tools, action);
        }
        let stop = match self.stop_signal(action) {
            Ok(stop) => stop,
            Err(e) => return cannot_begin(&self.tools, action, task, &e),
        };
        if matches!(task, Task::Kill) {
            // Before the thread is there: what runs stops now.
            stop.stop();
        }
        let (tools, job) = (self.tools.clone(), task.clone());
        let spawned = std::thread::Builder::new().name("task".into()).spawn(move || {
            let input = work(&tools, action, job, &stop);
            (tools.ended)(Event::Ended(input));
        });
        if let Err(e) = spawned {
            cannot_begin(&self.tools, action, task, &e);
        }
    }
}

/// Does a task, however long it takes, and returns the input that its end is. A panic in an executor is an error of the
/// step, not the end of the agent.
pub fn work(tools: &Tools, action: ActionId, task: Task, stop: &StopSignal) -> Input {
    let started_at = (tools.now)();
    match task {
        Task::Prepare(body) => Input::Prepared { action, result: guarded(|| prepare(tools, action, &body, stop)) },
        Task::Plan(body, step) => {
            let result = guarded(|| with(tools, action, &body, |cx| executor(&body).plan(cx, step)));
            Input::Planned { action, step, result: result.map_err(|broke| broke.why) }
        }
        Task::Run(body, step, undo) => {
            let run = |cx: &Context<'_>| executor(&body).start(cx, step, &undo, stop);
            let (error, artifact) = match guarded(|| with(tools, action, &body, run)) {
                Ok(done) => (None, done.artifact),
                Err(broke) => (Some(broke.why), broke.artifact),
            };
            let result = Ran { started_at, ended_at: (tools.now)(), error, artifact };
            Input::Ran { action, step, result }
        }
        Task::Kill => {
            kill(tools, action);
            Input::Killed { action }
        }
        Task::Undo(body, step, undo) => undo_step(tools, action, &body, step, &undo),
        Task::Retire => {
            retire(tools, action);
            // Nobody waits for this end.
            Input::Retry
        }
    }
}

fn undo_step(tools: &Tools, action: ActionId, body: &Body, step: u16, undo: &UndoRecord) -> Input {
    let result = guarded(|| with(tools, action, body, |cx| executor(body).undo(cx, step, undo)));
    if let Err(broke) = &result {
        tracing::error!(%action, step, why = broke.why, "an undo failed and will be tried again");
    }
    Input::UndoEnded { action, step, result: result.map_err(|broke| broke.why) }
}

/// Does not return before every process of the action is dead, however long that takes.
fn kill(tools: &Tools, action: ActionId) {
    while let Err(broke) = guarded(|| executors::kill(&*tools.host, action)) {
        tracing::error!(%action, why = broke.why, "processes do not die; killing them again");
        match StopSignal::new() {
            Ok(never) => drop(tools.host.pause(KILL_AGAIN, &never)),
            // No descriptor is left to wait with.
            Err(_) => std::thread::sleep(KILL_AGAIN),
        }
    }
}

fn with<T>(tools: &Tools, action: ActionId, body: &Body, run: impl FnOnce(&Context<'_>) -> T) -> T {
    let staging = folder(&tools.staging, action);
    let server = (tools.server)();
    run(&Context { host: &*tools.host, action, body, staging: &staging, server: &server, proof: &*tools.proof })
}

/// Fetches the content that the commands name into the action's private folder.
fn prepare(tools: &Tools, action: ActionId, body: &Body, stop: &StopSignal) -> Result<(), String> {
    let folder = folder(&tools.staging, action);
    // Left over from an attempt that never started: its content may be half-written.
    tools.host.remove_private_folder(&folder).map_err(|e| Broke::from(e).why)?;
    let folder = tools.host.make_private_folder(&folder).map_err(|e| Broke::from(e).why)?;
    let mut fetched = BTreeSet::new();
    for file in body.commands().iter().filter_map(|command| command.library()) {
        if fetched.insert(file.sha256) {
            let to = folder.join(file.sha256.to_string());
            tools.content.fetch(&file.sha256, &to, PREPARE_LIMIT, &|| stop.is_stopped())?;
        }
    }
    Ok(())
}

fn folder(staging: &Path, action: ActionId) -> PathBuf {
    staging.join(action.to_string())
}

/// Removes what an action that is over has left in our own folders.
fn retire(tools: &Tools, action: ActionId) {
    let folder = folder(&tools.staging, action);
    if let Err(e) = tools.host.remove_private_folder(&folder) {
        tracing::warn!(folder = %folder.display(), why = Broke::from(e).why, "a private folder stays behind");
    }
}

/// A task that cannot even begin, for want of threads or descriptors. A kill and an undo are tried again.
fn cannot_begin(tools: &Tools, action: ActionId, task: Task, e: &std::io::Error) {
    tracing::error!(%action, error = %e, "a task could not be begun");
    let why = format!("the agent is out of resources: {e}");
    let at = (tools.now)();
    let input = match task {
        Task::Prepare(_) => Input::Prepared { action, result: Err(why) },
        Task::Plan(_, step) => Input::Planned { action, step, result: Err(why) },
        Task::Run(_, step, _) => {
            let result = Ran { started_at: at, ended_at: at, error: Some(why), artifact: None };
            Input::Ran { action, step, result }
        }
        Task::Undo(_, step, _) => Input::UndoEnded { action, step, result: Err(why) },
        Task::Kill => {
            // In the worker's own thread: nothing may go on before this is done.
            kill(tools, action);
            Input::Killed { action }
        }
        Task::Retire => return,
    };
    (tools.ended)(Event::Ended(input));
}

/// The result of `run`, or of its panic.
fn guarded<T, E: From<Panicked>>(run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Panicked.into()))
}

struct Panicked;

impl From<Panicked> for String {
    fn from(_: Panicked) -> Self {
        "the agent's own code failed; see its log".into()
    }
}

impl From<Panicked> for Broke {
    fn from(panicked: Panicked) -> Self {
        Self { why: panicked.into(), artifact: None }
    }
}
