//! What goes into the machine's functions and comes out of them: plain values.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Captured;

/// Who may still be reached while the machine is isolated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsolationPolicy {
    /// Whose table it is, kept in the table itself: 1 to 64 letters, digits and `-`.
    pub mark: String,
    /// Addresses and TCP ports that stay reachable, from here only; at least one.
    pub allow: Vec<SocketAddr>,
}

/// The isolation table as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsolationTable {
    /// The mark of the policy it was made from; empty if it carries none.
    pub mark: String,
    /// The whole table, in a form that can be loaded again.
    pub text: String,
}

/// What became of the connections that were open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// How many were closed.
    pub closed: usize,
    /// How many are still there: the kernel cannot close them, and they stay mute until they time out.
    pub left: usize,
}

/// A program to run.
#[derive(Clone, Debug)]
pub struct SpawnSpec {
    /// The name of its group: 1 to 64 of `a` to `z`, `0` to `9` and `-`.
    pub group: String,
    /// The program, by its path.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Where it starts.
    pub cwd: PathBuf,
    /// How much of its standard output is kept, in bytes.
    pub stdout_cap_bytes: usize,
    /// How much of its standard error is kept, in bytes.
    pub stderr_cap_bytes: usize,
    /// How long it may run, suspended time included.
    pub run_limit: Duration,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal, not sent by us.
    Signal(i32),
    /// We stopped it because we were told to.
    Stopped,
    /// We stopped it because its time was over.
    TimedOut,
}

/// The end of a program, and what it wrote.
#[derive(Clone, Debug)]
pub struct Exit {
    /// How it ended.
    pub ended: Ended,
    /// Its standard output.
    pub stdout: Captured,
    /// Its standard error.
    pub stderr: Captured,
    /// How long it ran.
    pub lasted: Duration,
}

/// A file to be put on the machine.
#[derive(Clone, Copy, Debug)]
pub struct PutRequest<'a> {
    /// The folder, absolute and without links; created if missing.
    pub folder: &'a std::path::Path,
    /// The name it shall have there.
    pub name: &'a str,
    /// A name for this very request, of which no other makes use; it becomes part of a file name.
    pub id: &'a str,
    /// The content: a file of ours.
    pub source: &'a std::path::Path,
    /// Its permission bits.
    pub mode: u32,
}

/// What undo needs to know of a file that is put; written down before it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRecord {
    /// The folder.
    pub folder: PathBuf,
    /// The wanted name.
    pub name: String,
    /// The name under which the new file is written first and the older one is kept afterwards.
    pub aside: String,
    /// The permission bits.
    pub mode: u32,
    /// SHA-256 of what is put, lower-case hex.
    pub sha256: String,
    /// What had the wanted name when this was planned.
    pub before: Option<FileIdentity>,
}

/// Which file, with which content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// The file system's device number.
    pub device: u64,
    /// The inode's number on it.
    pub inode: u64,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
}

impl FileIdentity {
    /// Device and inode: the same file, whatever is in it.
    #[must_use]
    pub fn inode(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// What is seen where a file was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutSeen {
    /// The file, as put.
    Present,
    /// All as it was before, with nothing left over.
    Absent,
    /// Neither: half put, or changed by someone else.
    Changed,
}

/// A file that was collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// Bytes read from the file.
    pub read_bytes: u64,
    /// Size of the compressed copy, in bytes.
    pub gz_bytes: u64,
    /// SHA-256 of the compressed copy, lower-case hex.
    pub gz_sha256: String,
}

/// A file of ours that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// Its first bytes, at most 128.
    pub head: Vec<u8>,
}

/// Why the machine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The operating system refused.
    #[error("{what}")]
    Io {
        /// What was tried, on what.
        what: String,
        /// The system's own words.
        source: io::Error,
    },
    /// One of the machine's tools refused or is missing.
    #[error("{tool}: {said}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// What it printed.
        said: String,
    },
    /// It was asked for what must not be done; nothing was touched.
    #[error("refused: {0}")]
    Refused(String),
    /// A program could not be started; nothing of it ran.
    #[error("not started: {0}")]
    NotStarted(String),
    /// Processes outlive being killed.
    #[error("processes of group {group} still live {waited:?} after they were killed")]
    StillAlive {
        /// Their group.
        group: String,
        /// How long it was waited.
        waited: Duration,
    },
    /// A file is larger than allowed.
    #[error("{} has {size_bytes} bytes, more than the allowed {cap_bytes}", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The most that is allowed.
        cap_bytes: u64,
    },
    /// The stop signal was given before the work was done; nothing of it is left.
    #[error("stopped")]
    Stopped,
}

impl HostError {
    /// Whether something was in use, by somebody else for a moment.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy)
    }
}
