//! Removing the control groups that agents of a stage made.
//!
//! The cgroup tree is the host's: it is the one thing an agent on a stage can leave behind.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// Where the named groups are. Without a cgroup2 tree there can be none.
///
/// # Errors
/// If a name is not a plain relative path, or the mount table cannot be read.
pub(super) fn folders(names: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    for name in names {
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !plain {
            bail!("{name:?} does not name a group below the root of the cgroup tree");
        }
    }
    let mounts = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
    let Some(tree) = cgroup2_mount(&mounts) else { return Ok(Vec::new()) };
    Ok(names.iter().map(|name| tree.join(name)).collect())
}

/// Kills what is in the group and removes it with all groups below. A group that is not there is
/// removed already.
///
/// # Errors
/// If it cannot be removed within [`REMOVE_TIME_MAX`].
pub(super) fn remove(folder: &Path) -> anyhow::Result<()> {
    // Missing on kernels before 5.14; then only groups that are empty already can be removed.
    let _ = fs::write(folder.join("cgroup.kill"), "1");
    let deadline = Instant::now() + REMOVE_TIME_MAX;
    loop {
        match remove_tree(folder) {
            Ok(()) => return Ok(()),
            // Killed processes leave their group a moment later.
            Err(_) if Instant::now() < deadline => std::thread::sleep(LOOK_INTERVAL),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
            }
        }
    }
}

/// Groups contain files that cannot be removed and vanish with their folder.
fn remove_tree(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

fn cgroup2_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(point))
    })
}

const REMOVE_TIME_MAX: Duration = Duration::from_secs(2);

const LOOK_INTERVAL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{cgroup2_mount, folders};

    #[test]
    fn the_cgroup2_tree_is_found_beside_the_old_one() {
        let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(cgroup2_mount(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(cgroup2_mount("proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn the_root_of_the_tree_cannot_be_named() {
        for name in ["", "/", "..", "a/../..", "/a"] {
            assert!(folders(&[name.to_owned()]).is_err(), "{name:?}");
        }
    }
}
