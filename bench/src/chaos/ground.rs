//! Ground of its own: mounts that nobody else sees, all in memory. They go with the last process that stands on them,
//! however the run ends.

use anyhow::Context as _;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::path::{Path, PathBuf};

/// Where everything is kept. The folder itself is on every Linux and stays as it is for everybody else.
const FOLDER: &str = "/mnt";

/// The most memory that everything in it may take, in MiB.
const FOLDER_MIB: u32 = 3072;

/// Where libfaketime keeps what it shares between processes, in MiB: a killed process leaves its own behind.
const SHARED_MEMORY: (&str, u32) = ("/dev/shm", 64);

/// Enters a mount namespace of its own; from here on this process and all its children see memory at the run's folder.
/// To be called before anything that starts a thread.
///
/// # Errors
/// The rights for it are missing.
pub(super) fn take() -> anyhow::Result<PathBuf> {
    unshare(CloneFlags::CLONE_NEWNS).context("cannot enter a mount namespace; chaos needs root")?;
    let nothing: Option<&str> = None;
    mount(nothing, "/", nothing, MsFlags::MS_PRIVATE | MsFlags::MS_REC, nothing).context("making mounts private")?;
    memory(Path::new(FOLDER), FOLDER_MIB)?;
    memory(Path::new(SHARED_MEMORY.0), SHARED_MEMORY.1)?;
    // Process ids tell this run's processes from another run's, which stands on the same path.
    let folder = Path::new(FOLDER).join(format!("chaos-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

/// Makes a folder that is a disk of this size, in memory.
///
/// # Errors
/// It cannot be mounted.
pub(super) fn disk(folder: &Path, mib: u32) -> anyhow::Result<()> {
    std::fs::create_dir(folder).with_context(|| folder.display().to_string())?;
    memory(folder, mib)
}

fn memory(folder: &Path, mib: u32) -> anyhow::Result<()> {
    let options = format!("size={mib}m,mode=0700");
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options.as_str()))
        .with_context(|| format!("mounting memory at {}", folder.display()))
}

/// Leaves so much room on a disk, in KiB: it is made as small as what it holds. Others write meanwhile, so it takes a
/// few tries.
///
/// # Errors
/// It does not become full.
pub(super) fn fill(disk: &Path, left_kib: u64) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for _ in 0..FILL_TRIES {
        let found = rustix::fs::statvfs(disk).with_context(|| disk.display().to_string())?;
        let used_kib = (found.f_blocks - found.f_bfree) * found.f_frsize / 1024;
        outcome = resize(disk, &format!("size={}k", used_kib + left_kib));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Gives the room back: a disk of this size, in MiB.
///
/// # Errors
/// It cannot be made larger.
pub(super) fn free(disk: &Path, mib: u32) -> anyhow::Result<()> {
    resize(disk, &format!("size={mib}m"))
}

fn resize(disk: &Path, options: &str) -> anyhow::Result<()> {
    let nothing: Option<&str> = None;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(nothing, disk, nothing, flags, Some(options)).with_context(|| format!("{} with {options}", disk.display()))
}

/// How often a disk is made as small as what it holds, before that is given up.
const FILL_TRIES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_and_a_freed_one_does() {
        // In a thread of its own: only that one, and none of the other tests, enters the ground.
        let tried = std::thread::spawn(|| {
            let folder = take().unwrap();
            let small = folder.join("disk");
            disk(&small, 4).unwrap();
            std::fs::write(small.join("a"), vec![1; 1 << 20]).unwrap();
            fill(&small, 0).unwrap();
            let full = std::fs::write(small.join("b"), vec![1; 1 << 16]).is_err();
            free(&small, 4).unwrap();
            (full, std::fs::write(small.join("b"), vec![1; 1 << 16]).is_ok())
        });
        assert_eq!(tried.join().unwrap(), (true, true));
        assert!(!Path::new(FOLDER).join(format!("chaos-{}", std::process::id())).exists());
    }
}
