//! Two small parts: holding a machine's network namespace open, and entering it.
//!
//! Each is a process of its own, so that no thread of init ever stands in another namespace.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use nix::sched::{CloneFlags, setns, unshare};

/// The hidden first argument for holding a new network namespace.
pub(super) const HOLD_PART: &str = "stage-hold";

/// The hidden first argument for running a program in a network namespace:
/// `stage-enter NAMESPACE -- PROGRAM [ARGS]`.
pub(super) const ENTER_PART: &str = "stage-enter";

/// What the holder writes when the namespace is there.
pub(super) const READY: &str = "ready";

/// The exit code of an enterer that could not start the program.
const NOT_STARTED: u8 = 127;

/// Makes a network namespace, says so, and holds it until standard input ends.
pub(super) fn hold() -> ExitCode {
    if let Err(errno) = unshare(CloneFlags::CLONE_NEWNET) {
        println!("cannot make a network namespace: {errno}");
        return ExitCode::FAILURE;
    }
    println!("{READY}");
    let told = io::stdout().flush();
    // Nothing is ever sent: this returns when init is gone.
    let ended = io::stdin().read(&mut [0; 1]);
    if told.is_ok() && ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Becomes the program, inside the namespace; the process id stays the same.
pub(super) fn enter(args: &[OsString]) -> ExitCode {
    let error = match become_program(args) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("{ENTER_PART}: {error:#}");
    ExitCode::from(NOT_STARTED)
}

/// What success would return; there is none, the program has taken over.
enum Never {}

fn become_program(args: &[OsString]) -> anyhow::Result<Never> {
    let [namespace, dashes, program, rest @ ..] = args else {
        bail!("usage: {ENTER_PART} NAMESPACE -- PROGRAM [ARGS]");
    };
    if dashes != "--" {
        bail!("expected -- before the program");
    }
    let namespace = Path::new(namespace);
    let file = File::open(namespace).with_context(|| format!("opening {}", namespace.display()))?;
    setns(&file, CloneFlags::CLONE_NEWNET).with_context(|| format!("entering {}", namespace.display()))?;
    let error = Command::new(program).args(rest).exec();
    Err(error).with_context(|| format!("starting {}", program.display()))
}
