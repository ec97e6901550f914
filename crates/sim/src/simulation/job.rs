//! A task of the agent's crew, done call by call without a thread of its own.
//!
//! What an executor does next follows from nothing but what the machine answered it so far. So a task that is to give
//! way between two calls is simply left (by unwinding), and later done again from its start: the calls that were made
//! are answered from the log, the next one is made truly. What a stop or a crash meets is then decided between any two
//! calls, in one thread, the same in every run.

use super::ground::{Ground, lock};
use super::host::SimHost;
use super::machine::Site;
use agent::crew::{Tools, work};
use agent::executors::StopSignal;
use domain::grantee::{Input, Task};
use domain::ids::ActionId;
use domain::time::Timestamp;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Where the agents have their private folders.
pub(super) const STAGING: &str = "/agent/staging";

/// How often in a thousand a task is slow.
const SLOW_PER_MILLE: u64 = 120;

/// A task under way.
pub(super) struct Job {
    /// The action it is of.
    pub action: ActionId,
    /// The task.
    pub task: Task,
    /// It gets its turn less often than others.
    pub(crate) is_slow: bool,
    tools: Tools,
    log: Arc<Mutex<Log>>,
}

/// What was called so far, and how far this time.
pub(super) struct Log {
    calls: Vec<Call>,
    position: usize,
    may_call: u32,
    gave_way: bool,
    stop: Option<StopSignal>,
    stopped_at: Option<usize>,
    waits_for: Option<String>,
    /// What the task's clock shows.
    now: Timestamp,
    /// What it shows once this time's call is made.
    next_at: Timestamp,
    began_at: Timestamp,
}

struct Call {
    name: &'static str,
    answer: Box<dyn Any + Send>,
    at: Timestamp,
}

/// A task gives way.
struct GivesWay;

impl Job {
    /// Begins a task; nothing is done yet. `is_stopped`: the action's work was told to stop before.
    pub(super) fn new(
        action: ActionId,
        task: Task,
        site: &Site,
        ground: &Arc<Ground>,
        now: Timestamp,
        is_stopped: bool,
    ) -> Self {
        let log = Arc::new(Mutex::new(Log {
            calls: vec![],
            position: 0,
            may_call: 0,
            gave_way: false,
            stop: None,
            stopped_at: is_stopped.then_some(0),
            waits_for: None,
            now,
            next_at: now,
            began_at: now,
        }));
        let runs = match &task {
            Task::Run(body, ..) => Some((action, body.kind())),
            _ => None,
        };
        let host = SimHost::of_a_job(Arc::clone(site), Arc::clone(ground), Arc::clone(&log), runs);
        let clock = Arc::clone(&log);
        let tools = Tools {
            host: Arc::new(host.clone()),
            staging: PathBuf::from(STAGING),
            content: Arc::new(host.clone()),
            proof: Arc::new(host),
            server: Arc::new(|| vec![std::net::SocketAddr::from(([192, 0, 2, 1], 8443))]),
            now: Arc::new(move || lock(&clock).now),
            ended: Arc::new(|_| {}),
        };
        let is_slow = ground.dice().chance(SLOW_PER_MILLE);
        Self { action, task, is_slow, tools, log }
    }

    /// Tells it to stop.
    pub(super) fn stop(&self) {
        let mut log = lock(&self.log);
        if log.stopped_at.is_none() {
            log.stopped_at = Some(log.calls.len());
        }
    }

    /// Whether it was told to stop.
    pub(super) fn is_stopped(&self) -> bool {
        lock(&self.log).stopped_at.is_some()
    }

    /// The group of processes whose end it waits for.
    pub(super) fn waits_for(&self) -> Option<String> {
        lock(&self.log).waits_for.clone()
    }

    /// Goes on by so many calls, at `now`. Returns the input that its end is.
    pub(super) fn go_on(&mut self, now: Timestamp, calls: u32) -> Option<Input> {
        let Ok(stop) = StopSignal::new() else { return None };
        {
            let mut log = lock(&self.log);
            (log.position, log.may_call, log.gave_way) = (0, calls, false);
            (log.waits_for, log.now, log.next_at) = (None, log.began_at, now);
            if log.stopped_at == Some(0) {
                stop.stop();
            }
            log.stop = Some(stop.clone());
        }
        let (tools, action, task) = (&self.tools, self.action, self.task.clone());
        let worked = catch_unwind(AssertUnwindSafe(|| work(tools, action, task, &stop)));
        let gave_way = lock(&self.log).gave_way;
        match worked {
            // The executors' own net caught what let the task give way.
            _ if gave_way => None,
            Ok(input) => Some(input),
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// The answer to a task's next call, if the call was made an earlier time.
pub(super) fn answered<T: Clone + 'static>(log: &Mutex<Log>, name: &'static str) -> Option<T> {
    let mut log = lock(log);
    let call = log.calls.get(log.position)?;
    assert_eq!(call.name, name, "a task called otherwise the second time");
    let answer = call.answer.downcast_ref::<T>().expect("a call answers one type").clone();
    let at = call.at;
    log.advance(at);
    Some(answer)
}

/// Gives way if the task made its calls of this time.
pub(super) fn turn(log: &Mutex<Log>) {
    let mut guard = lock(log);
    if guard.gave_way || guard.may_call == 0 {
        guard.gave_way = true;
        drop(guard);
        resume_unwind(Box::new(GivesWay));
    }
}

/// Gives way until the group of processes ends.
pub(super) fn wait_for(log: &Mutex<Log>, group: &str) {
    let mut guard = lock(log);
    (guard.may_call, guard.waits_for) = (0, Some(group.into()));
    drop(guard);
    turn(log);
}

/// Writes a call and its answer down. A call that only looks does not use up the turn.
pub(super) fn made<T: Clone + Send + 'static>(log: &Mutex<Log>, name: &'static str, answer: &T, only_looks: bool) {
    let mut log = lock(log);
    let at = log.next_at;
    log.calls.push(Call { name, answer: Box::new(answer.clone()), at });
    log.may_call -= u32::from(!only_looks);
    log.advance(at);
}

impl Log {
    fn advance(&mut self, at: Timestamp) {
        self.position += 1;
        self.now = at;
        if self.stopped_at == Some(self.position)
            && let Some(stop) = &self.stop
        {
            stop.stop();
        }
    }

    /// Whether the task was told to stop before the call that is made now.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped_at.is_some_and(|at| at <= self.calls.len())
    }
}
