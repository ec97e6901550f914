//! What the caller and init say to each other: one JSON value a line, answers matched by number.

use std::io::{self, BufRead, Read};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Where on the stage something runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// The network namespace with the bridge, where the server belongs.
    Hub,
    /// The machine of this name.
    Machine(String),
}

/// A program to start on the stage, and to leave running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables added to the environment that the stage was opened with.
    pub env: Vec<(String, String)>,
    /// The file that standard output and standard error are appended to.
    pub log_path: PathBuf,
}

/// A machine of the stage and where the others find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The name it was added by.
    pub name: String,
    /// Its address in 10.231.0.0/24.
    pub ipv4: Ipv4Addr,
    /// Its address in fd00:231::/64.
    pub ipv6: Ipv6Addr,
}

/// How a process of the stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What a program that was run to its end said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Standard output, cut after 1 MiB; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, under the same limits.
    pub stderr: String,
}

impl Output {
    /// Whether the program ended with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }
}

/// A machine's cable to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// Plugged in.
    Up,
    /// Pulled out: nothing arrives, and the machine sees no carrier.
    Down,
}

/// The first line to init.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    /// Groups to be emptied and removed at the end, relative to the cgroup2 mount.
    pub(super) cleanup_cgroups: Vec<String>,
    /// Groups to be removed after those if they are empty.
    pub(super) cgroups_if_empty: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    AddMachine { name: String },
    Spawn { place: Place, program: Program },
    Kill { pid: u32, signal: i32 },
    Wait { pid: u32, timeout_ms: u64 },
    Exec { place: Place, argv: Vec<String> },
    SetLink { machine: String, link: Link },
    Expose { port: u16 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answered {
    /// The request's number; [`OPENING`] for the answer to the setup.
    pub(super) id: u64,
    pub(super) outcome: Result<Reply, String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Machine(Machine),
    Pid(u32),
    Exit(Option<Exit>),
    Output(Output),
    /// The unix socket that leads to the exposed port.
    Socket(PathBuf),
}

/// Number of the first answer, which says whether the stage stands.
pub(super) const OPENING: u64 = 0;

/// Reads one line; `None` at the end of the stream.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    let length = from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if length == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(io::Error::other("a message was cut short or is too long"));
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// The line for one message, in one piece so that it can be written at once.
pub(super) fn line(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Longest message, in bytes: two outputs at their limit, with every byte escaped.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;
