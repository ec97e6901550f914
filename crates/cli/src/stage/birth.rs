//! The first process of a stage: makes the namespaces, then starts init inside them.
//!
//! It stays outside the new PID namespace and waits for init, so that the caller has one child to
//! wait for.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use super::init;
use super::wire::{self, Answered};

/// The hidden first argument.
pub(super) const PART: &str = "stage-init";

/// A second argument: make a user namespace too.
pub(super) const IN_USER_NAMESPACE: &str = "--user-namespace";

pub(super) fn main(args: &[OsString]) -> ExitCode {
    let in_user_namespace = args.iter().any(|arg| arg == IN_USER_NAMESPACE);
    match run(in_user_namespace) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(in_user_namespace: bool) -> anyhow::Result<ExitCode> {
    // Away from the caller's terminal: Ctrl-C is the caller's to handle, by closing the stage.
    rustix::process::setsid().context("cannot leave the caller's session")?;
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    if in_user_namespace {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    if let Err(errno) = unshare(flags) {
        bail!("cannot make the stage's namespaces ({errno}): {}", what_is_missing(errno, in_user_namespace));
    }
    if in_user_namespace {
        // Groups must be given up before an unprivileged process may map one.
        write("/proc/self/setgroups", "deny")?;
        write("/proc/self/uid_map", &format!("0 {} 1", uid.as_raw()))?;
        write("/proc/self/gid_map", &format!("0 {} 1", gid.as_raw()))?;
    }
    // Only children enter the new PID namespace; the first one is its init.
    let program = std::env::current_exe().context("cannot find the running program")?;
    let status = Command::new(&program)
        .arg(init::PART)
        .status()
        .with_context(|| format!("cannot start {} as the stage's init", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn what_is_missing(errno: Errno, in_user_namespace: bool) -> String {
    if !in_user_namespace {
        return "root lacks CAP_SYS_ADMIN, as in most containers; \
                give it, or open the stage in a user namespace"
            .to_owned();
    }
    match errno {
        Errno::ENOSPC | Errno::EUSERS => {
            "no more user namespaces are allowed; raise the sysctl user.max_user_namespaces".to_owned()
        }
        Errno::EINVAL | Errno::ENOSYS => {
            "this kernel is built without user namespaces (CONFIG_USER_NS); run as root".to_owned()
        }
        _ => "user namespaces are switched off for this user; set the sysctl \
              kernel.unprivileged_userns_clone=1 (Debian) or \
              kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), or run as root"
            .to_owned(),
    }
}

fn write(path: &str, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {text:?} to {path}"))
}

/// Says on the control socket why there will be no stage.
pub(super) fn report(error: &anyhow::Error) {
    let answer = Answered { id: wire::OPENING, outcome: Err(format!("{error:#}")) };
    let sent = control().and_then(|mut control| control.write_all(&wire::line(&answer)?));
    if let Err(lost) = sent {
        eprintln!("stage: {error:#} (and the caller could not be told: {lost})");
    }
}

/// The socket to the caller, which is standard input.
pub(super) fn control() -> io::Result<UnixStream> {
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}
