//! Starting a program inside its own group, and waiting for it: for its end, for a stop, for its time to be over.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::clock::{readable_within, timer, uptime, wait_ready};
use super::groups::{Groups, check_name};
use super::pipes::{Captured, Tap};
use super::shim::{Launch, OUTER, Place, SHIM, Said, hear, say};
use super::{Ended, Exit, HostError, Running, SpawnSpec, StopSignal};

/// How long the shim may take until the program runs.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Starts `spec` and returns once its program runs.
pub(super) fn spawn(
    mount: Option<&Path>,
    slice: &str,
    shim: &Path,
    spec: &SpawnSpec,
) -> Result<Box<dyn Running>, HostError> {
    check_name(&spec.group)?;
    let groups = Groups { mount, slice };
    let procs = match groups.leaf(&spec.group) {
        Some(leaf) => leaf.create()?.then(|| leaf.procs()),
        None => None,
    };
    let cannot = |source| HostError::Io { what: "cannot start the shim".to_owned(), source };
    let (lifeline, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|e| cannot(e.into()))?;
    let mut outer = Command::new(shim)
        .args([SHIM, OUTER, &groups.label(&spec.group)])
        .env_clear()
        .current_dir("/")
        // A signal meant for the agent's process group, from a terminal say, is not meant for the script.
        .process_group(0)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    let outputs = (outer.stdout.take(), outer.stderr.take());
    let mut script = Script {
        mount: mount.map(Path::to_owned),
        slice: slice.to_owned(),
        group: spec.group.clone(),
        run_limit: spec.run_limit,
        began: uptime(),
        lifeline: Some(lifeline),
        outer: Some(outer),
        stdout: None,
        stderr: None,
    };
    // From here on dropping `script` ends and reaps whatever was begun.
    script.stdout = tap(outputs.0, spec.stdout_cap_bytes).map_err(cannot)?;
    script.stderr = tap(outputs.1, spec.stderr_cap_bytes).map_err(cannot)?;
    script.launch(procs, spec)?;
    Ok(Box::new(script))
}

/// A started program.
struct Script {
    mount: Option<PathBuf>,
    slice: String,
    group: String,
    run_limit: Duration,
    began: Duration,
    /// Its other end is with the shim; closing this one ends everything.
    lifeline: Option<OwnedFd>,
    outer: Option<Child>,
    stdout: Option<Tap>,
    stderr: Option<Tap>,
}

impl Running for Script {
    fn wait(mut self: Box<Self>, stop: &StopSignal) -> Result<Exit, HostError> {
        let ended = self.attend(stop).map_err(|source| self.io("cannot attend", source))?;
        let lasted = uptime().saturating_sub(self.began);
        self.end()?;
        let captured = |tap: Option<Tap>| tap.map_or(Ok(Captured::default()), Tap::finish);
        let stdout = captured(self.stdout.take()).map_err(|source| self.io("cannot read from", source))?;
        let stderr = captured(self.stderr.take()).map_err(|source| self.io("cannot read from", source))?;
        Ok(Exit { ended, stdout, stderr, lasted })
    }
}

impl Script {
    /// Tells the shim what to do and waits for it to say that it did.
    fn launch(&mut self, procs: Option<PathBuf>, spec: &SpawnSpec) -> Result<(), HostError> {
        let launch = Launch {
            program: spec.program.clone(),
            args: spec.args.clone(),
            env: spec.env.clone(),
            cwd: spec.cwd.clone(),
        };
        let lifeline = self.lifeline()?;
        let talk = || -> io::Result<Option<Said>> {
            set_socket_timeout(lifeline, Timeout::Send, Some(START_LIMIT))?;
            say(lifeline, &Place { procs })?;
            say(lifeline, &launch)?;
            if !readable_within(lifeline, START_LIMIT)? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the shim says nothing"));
            }
            hear(lifeline)
        };
        match talk() {
            Ok(Some(Said::Started)) => {
                self.began = uptime();
                Ok(())
            }
            Ok(Some(Said::Failed(why))) => Err(HostError::NotStarted(why)),
            // Killed between its start and its word, it may have run: only the shim itself can say that it did not.
            Ok(other) => Err(self.io(
                "no word from the shim of",
                io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ended early ({other:?})")),
            )),
            // A shim that no longer listens has mostly said why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => match hear(lifeline) {
                Ok(Some(Said::Failed(why))) => Err(HostError::NotStarted(why)),
                _ => Err(self.io("cannot talk to the shim of", error)),
            },
            Err(error) => Err(self.io("cannot talk to the shim of", error)),
        }
    }

    /// Reads what it writes until it ends, is to be stopped or has run too long.
    fn attend(&mut self, stop: &StopSignal) -> io::Result<Ended> {
        let limit = timer((self.began + self.run_limit).saturating_sub(uptime()))?;
        loop {
            let lifeline = self.lifeline.as_ref().ok_or(io::ErrorKind::NotConnected)?;
            let always = [lifeline.as_fd(), stop.as_fd(), limit.as_fd()];
            let outputs = [&self.stdout, &self.stderr].map(|tap| tap.as_ref().and_then(Tap::open));
            let watched = always.into_iter().chain(outputs.into_iter().flatten());
            let mut fds: Vec<PollFd<'_>> = watched.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            wait_ready(&mut fds, None)?;
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            // Its own end comes first: what has ended cannot be stopped any more.
            if ready[0] {
                return Ok(last_words(hear(lifeline)?, ready[1]));
            }
            if ready[1] {
                return Ok(Ended::Stopped);
            }
            if ready[2] {
                return Ok(Ended::TimedOut);
            }
            for tap in [&mut self.stdout, &mut self.stderr].into_iter().flatten() {
                tap.take_ready()?;
            }
        }
    }

    /// Kills what is left, waits until all of it is gone, and reaps the shim.
    fn end(&mut self) -> Result<(), HostError> {
        let groups = Groups { mount: self.mount.as_deref(), slice: &self.slice };
        let killed = groups.kill(&self.group);
        self.lifeline = None;
        let outer = self.outer.take();
        killed?;
        if let Some(mut outer) = outer {
            outer.wait().map_err(|source| self.io("cannot reap the shim of", source))?;
        }
        Ok(())
    }

    fn lifeline(&self) -> Result<&OwnedFd, HostError> {
        self.lifeline.as_ref().ok_or_else(|| self.io("cannot reach", io::ErrorKind::NotConnected.into()))
    }

    fn io(&self, what: &str, source: io::Error) -> HostError {
        HostError::Io { what: format!("{what} group {}", self.group), source }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if self.outer.is_some()
            && let Err(error) = self.end()
        {
            tracing::error!(group = self.group, %error, "a group of processes does not end");
        }
    }
}

/// What the end of the lifeline means. A program that was killed while it was to stop was stopped: whoever gave the
/// signal may also have killed the group, and its end comes by either way.
fn last_words(said: Option<Said>, to_stop: bool) -> Ended {
    let kill = rustix::process::Signal::KILL.as_raw();
    match said {
        Some(Said::Exited(code)) => Ended::Code(code),
        Some(Said::Signalled(signal)) if !(to_stop && signal == kill) => Ended::Signal(signal),
        _ if to_stop => Ended::Stopped,
        // The shim itself was killed, by whomever.
        _ => Ended::Signal(kill),
    }
}

fn tap(pipe: Option<impl Into<OwnedFd>>, cap_bytes: usize) -> io::Result<Option<Tap>> {
    pipe.map(|pipe| Tap::new(pipe, cap_bytes)).transpose()
}
