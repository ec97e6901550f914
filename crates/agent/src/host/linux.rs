//! The machine itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    Collected, Copied, Cut, Host, HostError, IsolationPolicy, IsolationTable, PutRecord, PutRequest, PutSeen, Running,
    SpawnSpec, StopSignal, boot, cgroups, clock, files, groups::Groups, nftables, processes, put, sockets,
};

/// How an agent uses the machine.
#[derive(Clone, Debug)]
pub struct LinuxConfig {
    /// The agent's own folder; must exist. Files are put below it, and none of it is ever collected.
    pub state_dir: PathBuf,
    /// Our own folder in the cgroup tree, so that two agents on one machine do not meet: 1 to 64 of `a` to `z`, `0`
    /// to `9` and `-`.
    pub slice: String,
    /// Where cgroup v2 is mounted; none to do without.
    pub cgroup_mount: Option<PathBuf>,
    /// The binary that is the shim when its first argument says so.
    pub shim_program: PathBuf,
}

impl LinuxConfig {
    /// The usual: cgroups where this machine has them, and ourselves as the shim.
    #[must_use]
    pub fn new(state_dir: PathBuf, slice: String) -> Self {
        Self { state_dir, slice, cgroup_mount: cgroups::mount(), shim_program: PathBuf::from("/proc/self/exe") }
    }
}

/// The machine this process runs on.
#[derive(Debug)]
pub struct LinuxHost {
    config: LinuxConfig,
    /// The file by which users of the packet filter take turns.
    turn: PathBuf,
}

impl LinuxHost {
    /// Changes nothing on the machine. Fails if the state folder does not exist or the slice is no plain name.
    pub fn new(mut config: LinuxConfig) -> Result<Self, HostError> {
        super::groups::check_name(&config.slice)?;
        // Paths are compared and opened without following links later, so they are followed here, once.
        config.state_dir = std::fs::canonicalize(&config.state_dir)
            .map_err(|error| files::failed("cannot find", &config.state_dir, error))?;
        let turn = config.state_dir.join("nftables.turn");
        Ok(Self { config, turn })
    }

    fn nft(&self) -> nftables::Nft<'_> {
        nftables::Nft { turn: &self.turn }
    }

    fn groups(&self) -> Groups<'_> {
        Groups { mount: self.config.cgroup_mount.as_deref(), slice: &self.config.slice }
    }
}

impl Host for LinuxHost {
    fn boot_id(&self) -> Result<String, HostError> {
        boot::boot_id()
    }

    fn uptime(&self) -> Duration {
        clock::uptime()
    }

    fn pause(&self, length: Duration, stop: &StopSignal) -> bool {
        stop.wait_for(length)
    }

    fn isolation(&self) -> Result<Option<IsolationTable>, HostError> {
        self.nft().isolation()
    }

    fn isolate(&self, policy: &IsolationPolicy) -> Result<(), HostError> {
        self.nft().load(&nftables::render(policy)?)
    }

    fn restore_isolation(&self, text: &str) -> Result<(), HostError> {
        self.nft().load(text)
    }

    fn lift_isolation(&self) -> Result<(), HostError> {
        self.nft().lift()
    }

    fn cut_connections(&self, keep: &[SocketAddr]) -> Result<Cut, HostError> {
        sockets::cut_connections(keep)
    }

    fn spawn(&self, spec: &SpawnSpec) -> Result<Box<dyn Running>, HostError> {
        let config = &self.config;
        processes::spawn(config.cgroup_mount.as_deref(), &config.slice, &config.shim_program, spec)
    }

    fn kill_group(&self, group: &str) -> Result<(), HostError> {
        self.groups().kill(group)
    }

    fn groups(&self) -> Result<Vec<String>, HostError> {
        self.groups().list()
    }

    fn downloads(&self) -> PathBuf {
        self.config.state_dir.join("downloads")
    }

    fn plan_put(&self, request: &PutRequest<'_>) -> Result<PutRecord, HostError> {
        put::plan(request)
    }

    fn put(&self, record: &PutRecord, source: &Path) -> Result<(), HostError> {
        put::put(record, source)
    }

    fn observe_put(&self, record: &PutRecord) -> Result<PutSeen, HostError> {
        put::observe(record)
    }

    fn undo_put(&self, record: &PutRecord) -> Result<Option<String>, HostError> {
        put::undo(record)
    }

    fn collect(&self, path: &Path, cap_bytes: u64, out: &Path, stop: &StopSignal) -> Result<Collected, HostError> {
        files::collect(path, cap_bytes, out, &self.config.state_dir, stop)
    }

    fn copy_private(&self, source: &Path, to: &Path, mode: u32) -> Result<Copied, HostError> {
        files::copy_private(source, to, mode)
    }

    fn make_private_folder(&self, path: &Path) -> Result<PathBuf, HostError> {
        files::make_private_folder(path)?;
        Ok(path.to_owned())
    }

    fn remove_private_folder(&self, path: &Path) -> Result<(), HostError> {
        files::remove_private_folder(path)
    }

    fn private_folders(&self, path: &Path) -> Result<Vec<String>, HostError> {
        files::private_folders(path)
    }

    fn write_private(&self, to: &Path, bytes: &[u8]) -> Result<(), HostError> {
        files::write_private(to, bytes)
    }

    fn read_private(&self, path: &Path, cap_bytes: u64) -> Result<Option<Vec<u8>>, HostError> {
        files::read_private(path, cap_bytes)
    }

    fn remove_private(&self, path: &Path) -> Result<(), HostError> {
        files::remove(path)
    }
}
