//! The processes of a stage, as their init sees them: started, waited for, killed.
//!
//! Init must also reap orphans that agents leave, so one thread reaps everything and nobody else
//! waits for a child. It peeks for an ended child first and reaps under the table's lock: then no
//! process id can be reused between looking it up and killing it, and a start that fails can reap
//! its own child undisturbed.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

use super::wire::{Exit, Output};

/// Every process that init started.
#[derive(Default)]
pub(super) struct Processes {
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Default)]
struct Table {
    /// `None` while it runs.
    exits: HashMap<u32, Option<Exit>>,
    /// How many were started; tells the reaper that there is something to wait for again.
    started: u64,
    /// No child is left, not even an orphan.
    childless: bool,
    /// Nothing may be started any more.
    closing: bool,
}

impl Processes {
    /// Starts a program in a process group of its own.
    pub(super) fn spawn(&self, command: &mut Command) -> anyhow::Result<Child> {
        let mut table = self.lock();
        if table.closing {
            bail!("the stage is closing");
        }
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        table.exits.insert(child.id(), None);
        table.started += 1;
        table.childless = false;
        self.changed.notify_all();
        Ok(child)
    }

    /// Waits until the process ends; `None` if `timeout` passes first.
    pub(super) fn wait(&self, pid: u32, timeout: Duration) -> anyhow::Result<Option<Exit>> {
        let deadline = Instant::now() + timeout;
        let mut table = self.lock();
        loop {
            let Some(exit) = table.exits.get(&pid) else {
                bail!("process {pid} was not started through this stage");
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if exit.is_some() || left.is_zero() {
                return Ok(*exit);
            }
            table = self.changed.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends a signal. One that has ended already is left alone: that is no error.
    pub(super) fn kill(&self, pid: u32, signal: Signal) -> anyhow::Result<()> {
        let table = self.lock();
        match table.exits.get(&pid) {
            None => bail!("process {pid} was not started through this stage"),
            Some(Some(_)) => Ok(()),
            // Reaping needs the lock, so the number still means this process.
            Some(None) => {
                rustix::process::kill_process(id(pid)?, signal).with_context(|| format!("cannot signal process {pid}"))
            }
        }
    }

    /// Runs a program to its end and returns what it said. It gets `input`, and
    /// [`EXEC_TIME_MAX`] before it is killed with its process group.
    pub(super) fn exec(&self, command: &mut Command, input: &str) -> anyhow::Result<Output> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let deadline = Instant::now() + EXEC_TIME_MAX;
        let mut child = self.spawn(command)?;
        let pid = child.id();
        let stdout = read_apart(child.stdout.take().context("no standard output")?);
        let stderr = read_apart(child.stderr.take().context("no standard error")?);
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ends without reading is judged by its exit, not by the broken pipe.
            let _ = stdin.write_all(input.as_bytes());
        }
        let exit = self.wait(pid, deadline.saturating_duration_since(Instant::now()))?;
        let Some(exit) = exit else {
            let _ = rustix::process::kill_process_group(id(pid)?, Signal::KILL);
            bail!(
                "{} did not end within {} s and was killed",
                command.get_program().display(),
                EXEC_TIME_MAX.as_secs()
            );
        };
        self.lock().exits.remove(&pid);
        Ok(Output { exit, stdout: text(&stdout, deadline)?, stderr: text(&stderr, deadline)? })
    }

    /// Reaps for ever. To be called on a thread of its own, once.
    pub(super) fn reap(&self) {
        loop {
            let seen = self.lock().started;
            // Only a look (NOWAIT): the child stays a zombie, and its number taken.
            match rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => self.collect(),
                Err(Errno::CHILD) => self.rest(seen),
                Err(_) => {}
            }
        }
    }

    /// Kills every process of the stage but init, and waits until all are gone.
    ///
    /// # Errors
    /// If some survive [`END_TIME_MAX`], or if this is not the init of a PID namespace.
    pub(super) fn end_all(&self) -> anyhow::Result<()> {
        if rustix::process::getpid() != Pid::INIT {
            bail!("only the init of a stage may end all processes it can see");
        }
        let deadline = Instant::now() + END_TIME_MAX;
        let mut table = self.lock();
        table.closing = true;
        while !table.childless {
            // The negative of 1 stands for every process one may signal but oneself. Again and
            // again: a process may fork while the kernel walks the list.
            let _ = rustix::process::kill_process_group(Pid::INIT, Signal::KILL);
            if Instant::now() >= deadline {
                bail!("processes survived SIGKILL for {} s", END_TIME_MAX.as_secs());
            }
            let woken = self.changed.wait_timeout(table, END_LOOK_INTERVAL);
            table = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn collect(&self) {
        let mut table = self.lock();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let exit = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, Some(signal)) => Exit::Signal(signal),
                (None, None) => continue,
            };
            let pid = pid.as_raw_nonzero().get().unsigned_abs();
            if let Some(entry) = table.exits.get_mut(&pid) {
                *entry = Some(exit);
            }
        }
        self.changed.notify_all();
    }

    /// Waits for the next start, when there is no child; `seen` is the count before looking.
    fn rest(&self, seen: u64) {
        let mut table = self.lock();
        if table.started == seen {
            table.childless = true;
            self.changed.notify_all();
        }
        while table.started == seen {
            table = self.changed.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is whole between any two of its statements, so a panic elsewhere spoils nothing.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(pid: u32) -> anyhow::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process id")
}

/// Reads on a thread, since a process that writes much to one pipe must not wait for the other.
fn read_apart(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = from.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut kept);
        // The rest is read and dropped, so that the writer does not block.
        let _ = std::io::copy(&mut from, &mut std::io::sink());
        let _ = sender.send(kept);
    });
    receiver
}

fn text(from: &Receiver<Vec<u8>>, deadline: Instant) -> anyhow::Result<String> {
    match from.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(RecvTimeoutError::Timeout) => bail!("a child of the program keeps its output open"),
        Err(RecvTimeoutError::Disconnected) => bail!("reading the program's output panicked"),
    }
}

/// How long a program that is run to its end may take.
const EXEC_TIME_MAX: Duration = Duration::from_secs(30);

/// What is kept of each of a program's outputs, in bytes.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// How long all processes may take to be gone after SIGKILL.
const END_TIME_MAX: Duration = Duration::from_secs(5);

/// How often SIGKILL is repeated meanwhile.
const END_LOOK_INTERVAL: Duration = Duration::from_millis(20);
