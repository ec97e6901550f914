//! The machine: its packet filter, its processes, its files. The only code that touches them.
//!
//! Knows nothing of actions, messages or journals. What it offers is the trait [`Host`]; [`LinuxHost`] is the machine
//! itself. Everything that changes something may be run twice, and says in a comment why that does no harm.

mod boot;
mod cgroups;
mod clock;
mod files;
mod groups;
mod linux;
mod nftables;
mod pipes;
mod processes;
mod put;
pub mod shim;
mod sockets;
mod stop;
mod tool;
mod words;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use files::check_file_name;
pub use groups::KILL_LIMIT;
pub use linux::{LinuxConfig, LinuxHost};
pub use nftables::render;
pub use pipes::Captured;
pub use stop::StopSignal;
pub use words::{
    Collected, Copied, Cut, Ended, Exit, FileIdentity, HostError, IsolationPolicy, IsolationTable, PutRecord,
    PutRequest, PutSeen, SpawnSpec,
};

/// What can be asked of a machine. All functions may block; none of them is for an async task.
pub trait Host: Send + Sync {
    /// The kernel's name for this boot, a UUID; another one after every start of the machine.
    fn boot_id(&self) -> Result<String, HostError>;

    /// Time since boot, suspended time included. For lengths of time only.
    fn uptime(&self) -> Duration;

    /// Sleeps for `length`, less if `stop` is given; true if it was given.
    fn pause(&self, length: Duration, stop: &StopSignal) -> bool;

    /// The isolation table that is loaded now, read from the kernel.
    fn isolation(&self) -> Result<Option<IsolationTable>, HostError>;

    /// Cuts the machine from the network but for what `policy` allows, at once and whole; replaces an older table.
    fn isolate(&self, policy: &IsolationPolicy) -> Result<(), HostError>;

    /// Loads a table as [`Host::isolation`] returned it, in the place of whatever is loaded.
    fn restore_isolation(&self, text: &str) -> Result<(), HostError>;

    /// Removes our isolation table, and no other; nothing to do if there is none.
    fn lift_isolation(&self) -> Result<(), HostError>;

    /// Closes the connections that are open to anything but this machine itself and `keep`.
    fn cut_connections(&self, keep: &[SocketAddr]) -> Result<Cut, HostError>;

    /// Starts a program in a group of its own and returns once it runs. Dropping what is returned kills the group;
    /// so does the end of this process, however it comes.
    fn spawn(&self, spec: &SpawnSpec) -> Result<Box<dyn Running>, HostError>;

    /// Kills every process of a group and returns when none is left; at most [`KILL_LIMIT`], then
    /// [`HostError::StillAlive`]. A group that does not exist is killed already. Works for groups that an earlier
    /// agent left behind.
    fn kill_group(&self, group: &str) -> Result<(), HostError>;

    /// The names of our groups that exist now, whoever started them.
    fn groups(&self) -> Result<Vec<String>, HostError>;

    /// Where files that are put on the machine go.
    fn downloads(&self) -> PathBuf;

    /// Decides how a file will be put and notes what undo will need. Reads only.
    fn plan_put(&self, request: &PutRequest<'_>) -> Result<PutRecord, HostError>;

    /// Puts `source` as planned; doing so twice is doing so once.
    fn put(&self, record: &PutRecord, source: &Path) -> Result<(), HostError>;

    /// Looks whether the file is there as put.
    fn observe_put(&self, record: &PutRecord) -> Result<PutSeen, HostError>;

    /// Takes the file back, and brings back what it replaced. If someone changed it since, leaves it alone and returns
    /// a line that says so. May run when nothing or only a part was put, and any number of times.
    fn undo_put(&self, record: &PutRecord) -> Result<Option<String>, HostError>;

    /// Copies a regular file, compressed with gzip, to the new file `out`. Refuses links, what is not a file, the
    /// kernel's trees, the agent's own state, and more than `cap_bytes`. A file that grows is copied to where it
    /// ended at first. On an error, or when `stop` is given, `out` does not exist.
    fn collect(&self, path: &Path, cap_bytes: u64, out: &Path, stop: &StopSignal) -> Result<Collected, HostError>;

    /// Copies a file of ours into a private folder under another name and mode (permission bits).
    fn copy_private(&self, source: &Path, to: &Path, mode: u32) -> Result<Copied, HostError>;

    /// Makes a folder for root alone, if it is not there, and returns its path.
    fn make_private_folder(&self, path: &Path) -> Result<PathBuf, HostError>;

    /// Removes a private folder and all that is in it; nothing to do if it is not there. A link is removed, not followed.
    fn remove_private_folder(&self, path: &Path) -> Result<(), HostError>;

    /// The names of what is in a private folder; none if it is not there. Names that are not UTF-8 are none of ours.
    fn private_folders(&self, path: &Path) -> Result<Vec<String>, HostError>;

    /// Writes a file into a private folder, durably, for root alone.
    fn write_private(&self, to: &Path, bytes: &[u8]) -> Result<(), HostError>;

    /// Reads a file in a private folder, at most its first `cap_bytes`; none if it does not exist.
    fn read_private(&self, path: &Path, cap_bytes: u64) -> Result<Option<Vec<u8>>, HostError>;

    /// Removes a file from a private folder; nothing to do if it is not there.
    fn remove_private(&self, path: &Path) -> Result<(), HostError>;
}

/// A program that was started.
pub trait Running: Send {
    /// Waits until it ends by itself, `stop` is given or its time is over; in every case its whole group is gone when
    /// this returns [`Exit`]. [`HostError::StillAlive`] if that cannot be had.
    fn wait(self: Box<Self>, stop: &StopSignal) -> Result<Exit, HostError>;
}
