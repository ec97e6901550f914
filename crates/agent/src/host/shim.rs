//! The shim: our own binary, started again between the agent and a program that it runs, so that the program and all
//! that comes of it can be killed whole, and die by themselves when the agent dies.
//!
//! ```text
//! agent ── outer: joins the cgroup leaf, makes a PID namespace ── init: its process 1 ── the program ── ...
//!   └───────────────────────── one socket: the lifeline ────────────┘
//! ```
//!
//! Process 1 of a PID namespace takes everything in it along when it ends: that is the kernel's promise and holds for
//! daemons and for what ignores signals. Init ends when the program ends, and when the lifeline ends, that is when
//! the agent does. No signal on parent's death is used: that follows the parent *thread*, not the process.
//!
//! `/proc` stays that of the machine, so that a responder's script sees the machine's processes. Their numbers are not
//! those that `kill` takes inside the namespace.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, WaitOptions, WaitStatus, getegid, geteuid, setsid, wait};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The hidden first argument.
pub(super) const SHIM: &str = "shim";
/// The second argument of the outer half.
pub(super) const OUTER: &str = "outer";
/// The second argument of the inner half, process 1 of the namespace.
pub(super) const INIT: &str = "init";
/// The longest message on the lifeline, either way.
const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// Starting a file that another process still holds open for writing fails; it lasts for moments only.
const BUSY_RETRIES_MAX: u32 = 100;
/// Pause between these retries.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// To the outer half: where it belongs.
#[derive(Serialize, Deserialize)]
pub(super) struct Place {
    /// The file through which it joins its cgroup; none where no cgroup is to be had.
    pub(super) procs: Option<PathBuf>,
}

/// To init: what it starts.
#[derive(Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: PathBuf,
}

/// From either half to the agent.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    /// The program runs.
    Started,
    /// It does not, and nothing of it ever did.
    Failed(String),
    /// It ended by itself.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
}

/// Acts as the shim if the process was started as one, and says with what to exit. Binaries that hold an agent call
/// this first thing in `main`, before any thread exists.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != SHIM {
        return None;
    }
    Some(shim_main(args))
}

/// The shim. `args` are those after the word `shim`: which half this is, and the group's label.
pub fn shim_main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let half = args.next().unwrap_or_default();
    let label = args.next().unwrap_or_default();
    let outcome = match half.to_str() {
        Some(OUTER) => outer(&label),
        Some(INIT) => init(),
        _ => Err("not meant to be started by hand".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // If nobody listens, nobody is there who would want to know.
            let _ = say(io::stdin(), &Said::Failed(why));
            ExitCode::FAILURE
        }
    }
}

/// Sends one message on the lifeline.
pub(super) fn say(lifeline: impl AsFd, message: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "arguments and environment are too long"));
    }
    loop {
        match send(&lifeline, &bytes, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            answer => return Ok(answer.map(drop)?),
        }
    }
}

/// Waits for one message; none when the other end is gone.
pub(super) fn hear<T: DeserializeOwned>(lifeline: impl AsFd) -> io::Result<Option<T>> {
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    loop {
        match recv(&lifeline, bytes.as_mut_slice(), RecvFlags::empty()) {
            // "Reset" only says that the other end went without reading everything; its last words come after.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(error) => return Err(error.into()),
            // No message is empty.
            Ok((0, _)) => return Ok(None),
            Ok((count, _)) => return Ok(Some(serde_json::from_slice(&bytes[..count])?)),
        }
    }
}

fn outer(label: &OsString) -> Result<(), String> {
    let place: Place = must_hear()?;
    if let Some(procs) = place.procs {
        // "0" is the writer itself. If the leaf is gone, so is the wish that we run.
        fs::write(&procs, "0").map_err(|error| format!("cannot join {}: {error}", procs.display()))?;
    }
    own_pid_namespace()?;
    let mut init = Command::new("/proc/self/exe")
        .args([SHIM, INIT])
        .arg(label)
        .env_clear()
        .spawn()
        .map_err(|error| format!("cannot start the first process of a PID namespace: {error}"))?;
    // Init is gone only when all in its namespace are. The agent waits for us, and so for that.
    init.wait().map(drop).map_err(|error| format!("cannot wait for init: {error}"))
}

/// The next child will be process 1 of a new namespace. Without the right to make one, a user namespace gives it,
/// in which everyone stays who he is.
fn own_pid_namespace() -> Result<(), String> {
    let Err(refused) = unshare(CloneFlags::CLONE_NEWPID) else { return Ok(()) };
    let (user, group) = (geteuid(), getegid());
    let maps = || -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{0} {0} 1", user.as_raw()))?;
        fs::write("/proc/self/gid_map", format!("{0} {0} 1", group.as_raw()))
    };
    maps().map_err(|error| {
        format!("this machine lets us make no PID namespace ({refused}; within a user namespace: {error}); without one a program could outlive its cancel, so it is not run")
    })
}

fn init() -> Result<(), String> {
    let launch: Launch = must_hear()?;
    // From here on the end of the lifeline ends us, and with us everything.
    thread::Builder::new()
        .spawn(|| {
            let _: io::Result<Option<Said>> = hear(io::stdin());
            std::process::exit(1);
        })
        .map_err(|error| format!("cannot watch the lifeline: {error}"))?;
    setsid().map_err(|error| format!("cannot begin a session: {error}"))?;
    let program = start(&launch)?;
    let program = Pid::from_child(&program);
    let _ = say(io::stdin(), &Said::Started);
    loop {
        // All orphans of the namespace come to us; they are reaped here and forgotten.
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => {
                let _ = say(io::stdin(), &ended(status));
                return Ok(());
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("cannot wait for the program: {error}")),
        }
    }
}

fn start(launch: &Launch) -> Result<Child, String> {
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).env_clear().envs(launch.env.iter().cloned()).current_dir(&launch.cwd);
    command.stdin(Stdio::null()).process_group(0);
    let mut retries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && retries < BUSY_RETRIES_MAX => {
                retries += 1;
                thread::sleep(BUSY_PAUSE);
            }
            answer => return answer.map_err(|error| format!("cannot start {}: {error}", launch.program.display())),
        }
    }
}

fn ended(status: WaitStatus) -> Said {
    let status = std::process::ExitStatus::from_raw(status.as_raw());
    match (status.code(), status.signal()) {
        (Some(code), _) => Said::Exited(code),
        (None, signal) => Said::Signalled(signal.unwrap_or_default()),
    }
}

fn must_hear<T: DeserializeOwned>() -> Result<T, String> {
    hear(io::stdin())
        .map_err(|error| format!("cannot understand the agent: {error}"))?
        .ok_or_else(|| "the agent is gone".to_owned())
}
