//! What a cancel is measured against: SIGKILL for the same processes, until the kernel says that they are gone.

use crate::dice::Dice;
use crate::figures::Spread;
use crate::marks;
use crate::playground;
use anyhow::{Context as _, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A script, its child and its grandchild. Each leaves one mark when it runs.
pub(super) const SCRIPT: &str = "#!/bin/sh
# Arguments: the program that leaves marks, the witness file.
\"$1\" mark \"$2\" script
sh -c '\"$0\" mark \"$1\" child; sh -c \"\\\"\\$0\\\" mark \\\"\\$1\\\" grandchild; sleep 300; :\" \"$0\" \"$1\"; :' \"$1\" \"$2\" &
wait
";

/// How many marks the whole tree leaves.
pub(super) const TREE: usize = 3;

/// How long the tree may take to stand, and to fall.
const WITHIN: Duration = Duration::from_secs(30);

/// How long it stands before it is killed.
const RUNS_UP_TO: Duration = Duration::from_millis(40);

/// The measurement.
pub(super) struct PlainKills;

impl PlainKills {
    /// Kills so many trees, one after another.
    ///
    /// # Errors
    /// One does not come up, or does not die.
    pub(super) fn measure(count: usize, seed: u64) -> anyhow::Result<Spread> {
        let folder = tempfile::Builder::new().prefix("countermand-bench-").tempdir()?;
        let script = folder.path().join("tree.sh");
        std::fs::write(&script, SCRIPT)?;
        let (program, mut dice) = (playground::own_program()?, Dice::new(seed));
        let mut lengths = Vec::with_capacity(count);
        for number in 0..count {
            let witness = folder.path().join(format!("witness-{number}"));
            let mut tree = Tree::start(&script, &program, &witness)?;
            wait_tree(&witness)?;
            std::thread::sleep(dice.within(RUNS_UP_TO));
            lengths.push(tree.kill()?);
        }
        folder.close()?;
        Ok(Spread::of(lengths))
    }
}

/// Waits until every process of the tree has left its mark.
///
/// # Errors
/// They do not.
pub(super) fn wait_tree(witness: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + WITHIN;
    while marks::read(witness)?.len() < TREE {
        ensure!(Instant::now() < deadline, "the script did not come up within {WITHIN:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// A tree of processes in a process group of its own; killed when it is dropped.
struct Tree {
    child: Child,
}

impl Tree {
    fn start(script: &Path, program: &str, witness: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.arg(script).arg(program).arg(witness).process_group(0);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("starting a script")?;
        Ok(Self { child })
    }

    /// From the signal until the last of them is gone.
    fn kill(&mut self) -> anyhow::Result<Duration> {
        let members = self.members()?;
        ensure!(members.len() >= TREE, "the tree has {} processes", members.len());
        let began = Instant::now();
        kill_process_group(self.group()?, Signal::KILL)?;
        for member in &members {
            let left = WITHIN.saturating_sub(began.elapsed());
            let mut fds = [PollFd::new(member, PollFlags::IN)];
            let gone = poll(&mut fds, Some(&Timespec::try_from(left)?))?;
            ensure!(gone == 1, "a killed process is not gone after {WITHIN:?}");
        }
        let took = began.elapsed();
        self.child.wait()?;
        Ok(took)
    }

    /// A hold on every process of the group, which becomes readable when the process is gone.
    fn members(&self) -> anyhow::Result<Vec<OwnedFd>> {
        let mut members = Vec::new();
        for entry in std::fs::read_dir("/proc").context("reading /proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // After the name in parentheses: state, parent, process group.
            let group = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(2)?.parse::<u32>().ok());
            if group == Some(self.child.id())
                && let Some(pid) = Pid::from_raw(pid)
            {
                members.push(pidfd_open(pid, PidfdFlags::empty())?);
            }
        }
        Ok(members)
    }

    fn group(&self) -> anyhow::Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("not a process id")
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Killed and waited for already, unless the measurement broke off.
        if let Ok(None) = self.child.try_wait()
            && let Ok(group) = self.group()
        {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
