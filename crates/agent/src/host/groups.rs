//! Killing a group of processes and being sure that it is gone, also one that a dead agent left behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::HostError;
use super::cgroups::{self, Leaf};
use super::clock::{readable_within, uptime};
use super::shim::{INIT, OUTER, SHIM};

/// How long a killed group may take to be empty. A process deep in the kernel, on a dead network share for
/// instance, dies only when it comes back.
pub const KILL_LIMIT: Duration = Duration::from_secs(10);
/// The longest name of a group, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// How long an outer half without an init may take to get one or to end, before it is killed itself.
const OUTER_GRACE: Duration = Duration::from_millis(200);
/// Pause between looks where nothing announces the change.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// Where this host's groups live.
pub(super) struct Groups<'a> {
    /// Where cgroup v2 is mounted; none where it is not.
    pub(super) mount: Option<&'a Path>,
    /// Our own folder there.
    pub(super) slice: &'a str,
}

impl Groups<'_> {
    /// The leaf of `group`, where there are cgroups.
    pub(super) fn leaf(&self, group: &str) -> Option<Leaf> {
        self.mount.map(|mount| Leaf::new(mount, self.slice, group))
    }

    /// What the shims of `group` carry in their arguments.
    pub(super) fn label(&self, group: &str) -> String {
        format!("{}/{group}", self.slice)
    }

    /// The groups that exist now, whoever started them.
    pub(super) fn list(&self) -> Result<Vec<String>, HostError> {
        let mut names = BTreeSet::new();
        if let Some(mount) = self.mount {
            names.extend(cgroups::groups(mount, self.slice)?);
        }
        let prefix = self.label("");
        let labels = shims()?.into_iter().filter_map(|shim| shim.label.strip_prefix(&prefix).map(str::to_owned));
        names.extend(labels);
        Ok(names.into_iter().filter(|name| check_name(name).is_ok()).collect())
    }

    /// Kills every process of `group`, waits until none is left and removes its leaf. An absent group is killed.
    pub(super) fn kill(&self, group: &str) -> Result<(), HostError> {
        check_name(group)?;
        let deadline = uptime() + KILL_LIMIT;
        let leaf = self.leaf(group);
        loop {
            if let Some(leaf) = &leaf
                && !leaf.kill(deadline)?
            {
                return Err(still_alive(group));
            }
            // Outside the leaf there can be a shim that has not joined it yet, or there is no leaf at all.
            let shims: Vec<Shim> = shims()?.into_iter().filter(|shim| shim.label == self.label(group)).collect();
            if shims.is_empty() {
                match leaf.as_ref().map(|leaf| leaf.remove()) {
                    None | Some(Ok(())) => return Ok(()),
                    // Somebody else ends this group too, and is not through.
                    Some(Err(error)) if error.is_busy() && uptime() < deadline => thread::sleep(LOOK_PAUSE),
                    Some(Err(error)) => return Err(error),
                }
                continue;
            }
            if uptime() >= deadline {
                return Err(still_alive(group));
            }
            kill_shims(&shims, deadline)?;
        }
    }
}

/// A group's name: 1 to 64 of `a` to `z`, `0` to `9` and `-`.
pub(super) fn check_name(group: &str) -> Result<(), HostError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match !group.is_empty() && group.len() <= NAME_BYTES_MAX && group.bytes().all(plain) {
        true => Ok(()),
        false => Err(HostError::Refused(format!("{group:?} cannot name a group of processes"))),
    }
}

/// A running shim as its arguments tell.
struct Shim {
    /// A hold on the process that no reuse of its number can turn to another.
    process: OwnedFd,
    is_init: bool,
    label: String,
}

/// Kills inits, and outer halves that got none. An outer half with an init ends when the namespace is empty, and that
/// is what we want to wait for: killing it would lose the news.
fn kill_shims(shims: &[Shim], deadline: Duration) -> Result<(), HostError> {
    let io = |source| HostError::Io { what: "cannot wait for a shim".to_owned(), source };
    let inits: Vec<&Shim> = shims.iter().filter(|shim| shim.is_init).collect();
    for init in &inits {
        let _ = pidfd_send_signal(&init.process, Signal::KILL);
    }
    for init in &inits {
        readable_within(&init.process, deadline.saturating_sub(uptime())).map_err(io)?;
    }
    if !inits.is_empty() {
        return Ok(());
    }
    for outer in shims {
        if !readable_within(&outer.process, OUTER_GRACE).map_err(io)? && !has_init(&outer.label)? {
            let _ = pidfd_send_signal(&outer.process, Signal::KILL);
        }
    }
    thread::sleep(LOOK_PAUSE);
    Ok(())
}

fn has_init(label: &str) -> Result<bool, HostError> {
    Ok(shims()?.iter().any(|shim| shim.is_init && shim.label == label))
}

/// All shims on the machine, of whatever agent.
fn shims() -> Result<Vec<Shim>, HostError> {
    let entries =
        fs::read_dir("/proc").map_err(|source| HostError::Io { what: "cannot list /proc".to_owned(), source })?;
    Ok(entries.flatten().filter_map(|entry| shim(entry.file_name().to_str()?.parse().ok()?)).collect())
}

fn shim(pid: i32) -> Option<Shim> {
    // Most processes are no shims: look before opening, and once more after, since the number may have changed hands.
    shim_arguments(pid)?;
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let (is_init, label) = shim_arguments(pid)?;
    Some(Shim { process, is_init, label })
}

/// The arguments of a process that has ended, be it not yet waited for, are empty.
fn shim_arguments(pid: i32) -> Option<(bool, String)> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = line.split(|byte| *byte == 0).skip(1);
    let (shim, half, label) = (words.next()?, words.next()?, words.next()?);
    let is_init = half == INIT.as_bytes();
    let is_shim = shim == SHIM.as_bytes() && (is_init || half == OUTER.as_bytes());
    is_shim.then(|| String::from_utf8(label.to_vec()).ok()).flatten().map(|label| (is_init, label))
}

fn still_alive(group: &str) -> HostError {
    HostError::StillAlive { group: group.to_owned(), waited: KILL_LIMIT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_short() {
        for good in ["a", "0-1", "01981f2e-7c9b-4d0e-8e0a-3a1f6f0b0c0d-12", &"a".repeat(64)] {
            assert!(check_name(good).is_ok(), "{good:?}");
        }
        for bad in ["", "A", "a/b", "..", "a b", "a\0", "é", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn killing_an_absent_group_is_fine_with_and_without_cgroups() {
        let folder = tempfile::tempdir().unwrap();
        Groups { mount: None, slice: "m" }.kill("no-such-group").unwrap();
        Groups { mount: Some(folder.path()), slice: "m" }.kill("no-such-group").unwrap();
    }
}
