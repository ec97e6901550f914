//! Groups of processes that can be killed whole: leaves of the machine's cgroup v2 tree.
//!
//! Ours lie at `<cgroup2 mount>/countermand/<slice>/<group>`. No controller is needed, only the membership: a process
//! cannot leave it by forking, by starting a session or by becoming a daemon.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::HostError;
use super::clock::{uptime, wait_ready};

/// Our folder below the mount.
const FOLDER: &str = "countermand";
/// How long to sleep on one notice of change before looking again regardless.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The same where the kernel cannot kill a group whole and we must go on killing one by one.
const KILL_AGAIN: Duration = Duration::from_millis(5);

/// Where the kernel has mounted cgroup v2, if it has.
pub(super) fn mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        right.starts_with("cgroup2 ").then(|| left.split(' ').nth(4)).flatten().map(unescape)
    })
}

/// One group's leaf.
pub(super) struct Leaf {
    path: PathBuf,
}

impl Leaf {
    /// Names the leaf; touches nothing.
    pub(super) fn new(mount: &Path, slice: &str, group: &str) -> Self {
        Self { path: mount.join(FOLDER).join(slice).join(group) }
    }

    /// Makes the leaf. False when this machine does not let us have one. A leaf with processes in it is refused.
    pub(super) fn create(&self) -> Result<bool, HostError> {
        match fs::create_dir_all(&self.path) {
            Ok(()) => {}
            Err(error) if no_cgroups_for_us(&error) => {
                tracing::warn!(path = %self.path.display(), %error, "no cgroup; the PID namespace alone must do");
                return Ok(false);
            }
            Err(error) => return Err(self.io("cannot create", error)),
        }
        if self.populated()? {
            return Err(HostError::Refused(format!("{} already has processes", self.path.display())));
        }
        Ok(true)
    }

    /// The file through which a process joins.
    pub(super) fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Kills everything in it and waits until it is empty, at most until `deadline` (on the boot clock). A leaf that
    /// does not exist is empty. False: something still lived at the deadline.
    pub(super) fn kill(&self, deadline: Duration) -> Result<bool, HostError> {
        let whole = self.kill_whole()?;
        loop {
            if !self.populated()? {
                return Ok(true);
            }
            let left = deadline.saturating_sub(uptime());
            if left.is_zero() {
                return Ok(false);
            }
            if !whole {
                self.kill_each();
            }
            self.wait_for_change(left.min(if whole { LOOK_AGAIN } else { KILL_AGAIN }))?;
        }
    }

    /// Removes the empty leaf and whatever cgroups were made below it.
    pub(super) fn remove(&self) -> Result<(), HostError> {
        remove_tree(&self.path).map_err(|error| self.io("cannot remove", error))
    }

    fn kill_whole(&self) -> Result<bool, HostError> {
        match fs::write(self.path.join("cgroup.kill"), "1") {
            Ok(()) => Ok(true),
            // Kernels before 5.14 have no such file; the leaf itself may also be gone or going, by another's hand, which
            // `populated` will say.
            Err(error) if gone(&error) => Ok(false),
            Err(error) => Err(self.io("cannot kill", error)),
        }
    }

    /// Holds the group still so that it cannot fork faster than we kill, kills, and lets it go to die.
    fn kill_each(&self) {
        let _ = fs::write(self.path.join("cgroup.freeze"), "1");
        for folder in tree(&self.path) {
            let pids = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
                if let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) {
                    let _ = pidfd_send_signal(process, Signal::KILL);
                }
            }
        }
        let _ = fs::write(self.path.join("cgroup.freeze"), "0");
    }

    fn populated(&self) -> Result<bool, HostError> {
        match fs::read_to_string(self.path.join("cgroup.events")) {
            Ok(events) => Ok(events.lines().any(|line| line == "populated 1")),
            Err(error) if gone(&error) => Ok(false),
            Err(error) => Err(self.io("cannot read the events of", error)),
        }
    }

    /// The kernel marks the events file as having exceptional data when it changes after it was read.
    fn wait_for_change(&self, limit: Duration) -> Result<(), HostError> {
        let wait = || -> io::Result<()> {
            let mut events = File::open(self.path.join("cgroup.events"))?;
            let mut text = String::new();
            events.read_to_string(&mut text)?;
            events.rewind()?;
            if text.lines().any(|line| line == "populated 1") {
                wait_ready(&mut [PollFd::new(&events, PollFlags::PRI)], Some(limit))?;
            }
            Ok(())
        };
        match wait() {
            Err(error) if !gone(&error) => Err(self.io("cannot wait for", error)),
            _ => Ok(()),
        }
    }

    fn io(&self, what: &str, source: io::Error) -> HostError {
        HostError::Io { what: format!("{what} {}", self.path.display()), source }
    }
}

/// The groups that exist in `slice`.
pub(super) fn groups(mount: &Path, slice: &str) -> Result<Vec<String>, HostError> {
    let path = mount.join(FOLDER).join(slice);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if gone(&error) => return Ok(Vec::new()),
        Err(source) => return Err(HostError::Io { what: format!("cannot list {}", path.display()), source }),
    };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(folders.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn remove_tree(path: &Path) -> io::Result<()> {
    // Deepest first: a cgroup with children cannot be removed.
    for folder in tree(path).into_iter().rev() {
        match fs::remove_dir(&folder) {
            Err(error) if !gone(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// `path` and all folders below it, parents before children.
fn tree(path: &Path) -> Vec<PathBuf> {
    let mut folders = vec![path.to_owned()];
    let mut next = 0;
    while next < folders.len() {
        let entries = fs::read_dir(&folders[next]).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let below: Vec<PathBuf> = below.map(|entry| entry.path()).collect();
        folders.extend(below);
        next += 1;
    }
    folders
}

/// A leaf may be removed while we look: then reading it says "no such file" or "no such device".
fn gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

fn no_cgroups_for_us(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound)
}

/// Mount points are listed with blanks and the like as backslash and three octal digits.
fn unescape(field: &str) -> PathBuf {
    PathBuf::from(field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn killing_and_removing_a_leaf_that_never_was_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let leaf = Leaf::new(folder.path(), "m", "a-0");
        assert!(leaf.kill(uptime()).unwrap());
        leaf.remove().unwrap();
        assert_eq!(groups(folder.path(), "m").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_older_kernels_group_is_frozen_and_killed_one_by_one() {
        let mount = mount().expect("these tests need cgroup v2");
        let leaf = Leaf::new(&mount, &format!("test-each-{}", std::process::id()), "g");
        assert!(leaf.create().unwrap(), "these tests need root");
        let deep = leaf.path.join("deep");
        fs::create_dir(&deep).unwrap();
        let mut children: Vec<_> = [leaf.procs(), deep.join("cgroup.procs")]
            .iter()
            .map(|procs| {
                let child = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
                fs::write(procs, child.id().to_string()).unwrap();
                child
            })
            .collect();
        assert!(leaf.populated().unwrap());
        leaf.kill_each();
        for child in &mut children {
            assert!(!child.wait().unwrap().success());
        }
        assert!(leaf.kill(uptime() + Duration::from_secs(10)).unwrap());
        leaf.remove().unwrap();
        assert!(!leaf.path.exists());
        fs::remove_dir(leaf.path.parent().unwrap()).unwrap();
    }

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape("/sys/fs/c\\040d"), PathBuf::from("/sys/fs/c d"));
    }
}
