//! Marks in a witness file: what an effect leaves behind, with the time at which it did.
//!
//! A mark is one line, `NANOSECONDS WORD PID`, written in one piece to the file's end. The time is CLOCK_MONOTONIC, one
//! clock for every process of this kernel, read just before the line is written: it is exact to the nanosecond, and
//! earlier than the line by the length of one `write`, some microseconds. Whoever judges by the times also compares
//! the file's length, which has no such gap.

use anyhow::Context as _;
use clap::Args;
use rustix::time::{ClockId, clock_gettime};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Leaves marks in a file; what the scripts of the race are made of.
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Mark {
    /// The witness file.
    file: PathBuf,
    /// What the marks say.
    word: String,
    /// For how long to go on; zero for one mark.
    #[arg(long, default_value_t = 0)]
    for_ms: u64,
    /// The pause between marks.
    #[arg(long, default_value_t = 3)]
    every_ms: u64,
}

impl Mark {
    /// Leaves them.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(&self.file);
        let mut file = file.with_context(|| self.file.display().to_string())?;
        let until = now_ns().saturating_add(self.for_ms.saturating_mul(1_000_000));
        loop {
            let now = self.leave(&mut file)?;
            if now >= until {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(self.every_ms.max(1)));
        }
    }

    fn leave(&self, file: &mut File) -> anyhow::Result<u64> {
        let now = now_ns();
        file.write_all(format!("{now} {} {}\n", self.word, std::process::id()).as_bytes())?;
        Ok(now)
    }
}

/// The time on CLOCK_MONOTONIC, in nanoseconds.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// A mark as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// When, on CLOCK_MONOTONIC, in nanoseconds.
    pub(crate) at_ns: u64,
    /// What it says.
    pub(crate) word: String,
    /// Who left it, as numbered in its own PID namespace.
    pub(crate) pid: i32,
}

/// The marks in a file, in the order in which they were written; none if there is no file.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Seen>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| file.display().to_string()),
    };
    text.lines().map(|line| seen(line).with_context(|| format!("{}: no mark: {line:?}", file.display()))).collect()
}

/// How long the file is, in bytes; 0 if there is none.
pub(crate) fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

fn seen(line: &str) -> Option<Seen> {
    let mut words = line.split(' ');
    let (at_ns, word, pid) = (words.next()?.parse().ok()?, words.next()?.to_string(), words.next()?.parse().ok()?);
    Some(Seen { at_ns, word, pid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_left() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("witness");
        assert_eq!(read(&file).unwrap(), []);
        let before = now_ns();
        for word in ["start", "end"] {
            Mark { file: file.clone(), word: word.into(), for_ms: 0, every_ms: 1 }.run().unwrap();
        }
        let marks = read(&file).unwrap();
        assert_eq!(marks.iter().map(|mark| mark.word.as_str()).collect::<Vec<_>>(), ["start", "end"]);
        assert!(before <= marks[0].at_ns && marks[0].at_ns <= marks[1].at_ns && marks[1].at_ns <= now_ns());
        assert!(length(&file) > 0);
    }
}
