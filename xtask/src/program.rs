//! Running other programs, with their output shown as it comes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// The cargo that runs us, so that a toolchain override holds for the children too.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs to the end; a non-zero exit is an error that shows the command line.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    println!("    $ {}", shown(command));
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    succeed(command, status)
}

/// Like [`run`], but kills the program and fails once `limit` has passed.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> anyhow::Result<()> {
    println!("    $ {}", shown(command));
    let mut child = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return succeed(command, status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("`{}` did not end within {} s and was killed", shown(command), limit.as_secs());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// A program that runs beside others, its output in a file.
pub(crate) struct Beside {
    shown: String,
    child: std::process::Child,
    log: PathBuf,
}

/// Starts a program beside others.
pub(crate) fn beside(command: &mut Command, log: &Path) -> anyhow::Result<Beside> {
    let shown = shown(command);
    println!("    $ {shown} &");
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
    Ok(Beside { shown, child, log: log.to_path_buf() })
}

impl Beside {
    /// Waits for its end, at most for `limit`, and shows what it said.
    pub(crate) fn finish(mut self, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break Some(status),
                None if Instant::now() >= deadline => break None,
                None => std::thread::sleep(POLL_INTERVAL),
            }
        };
        print!("{}", std::fs::read_to_string(&self.log)?);
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("`{}` failed: {status}", self.shown),
            // Dropped, and so killed.
            None => bail!("`{}` did not end within {} s and was killed", self.shown, limit.as_secs()),
        }
    }
}

impl Drop for Beside {
    /// Whoever started it gave up: it does not go on alone.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Ended between the two: nothing to do.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs to the end and returns standard output; standard error goes through.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    succeed(command, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("the output of `{}` is not text", shown(command)))
}

/// Where `program` is, looking also in the folders that only root's PATH has.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Whether the effective user is root.
pub(crate) fn is_root() -> anyhow::Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")
        .context("cannot read /proc/self/status; tests run on Linux only")?;
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    Ok(uids.split_whitespace().nth(1) == Some("0"))
}

/// Whether `sudo -n` works here: installed, and asking no password.
pub(crate) fn sudo_works() -> bool {
    Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn succeed(command: &Command, status: ExitStatus) -> anyhow::Result<()> {
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

const POLL_INTERVAL: Duration = Duration::from_millis(50);
