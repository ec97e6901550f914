//! A stage: a throw-away world for real agents with real effects.
//!
//! Demo, races and torture isolate machines, kill processes and change firewalls. On a stage they
//! do so for real, and never to the computer they run on: a stage has mount, network and PID
//! namespaces of its own. Inside is a *hub*, a network namespace with a bridge, where a server can
//! run; every *machine* is a further network namespace with one cable to that bridge.
//!
//! Nothing is left behind, however the caller ends. The first process of the stage's PID namespace
//! (its *init*) reads from a socket that only the caller holds. When the caller is done, or dies,
//! that socket ends, init ends, and the kernel takes every process of the stage and then its
//! networks away. Networks have no names and no files, so nothing holds them.
//!
//! The binary that opens a stage must call [`hidden_main`] first in its `main`: the stage's own
//! processes are the same program under hidden first arguments, since a thread of a running program
//! cannot safely move between namespaces.
//!
//! Not isolated: files (paths mean the same inside and outside), the host name, the cgroup tree,
//! and `/sys`, which keeps showing the host's network devices.

mod birth;
mod cgroups;
mod enter;
mod handle;
mod init;
mod leftovers;
mod network;
mod processes;
mod relay;
mod wire;

use std::ffi::OsString;
use std::process::ExitCode;

pub use handle::{Rights, Stage, StageConfig};
pub use leftovers::Leftovers;
pub use wire::{Exit, Link, Machine, Output, Place, Program};

/// Where the hub is found by every machine.
pub const HUB_IPV4: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 231, 0, 1);

/// Where the hub is found by every machine, by IPv6.
pub const HUB_IPV6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xfd00, 0x231, 0, 0, 0, 0, 0, 1);

/// Where a group of the cgroup tree is, named relative to its root; `None` without a cgroup2 tree.
///
/// # Errors
/// If the name is not a plain relative path, or the mount table cannot be read.
pub fn cgroup_folder(name: &str) -> anyhow::Result<Option<std::path::PathBuf>> {
    Ok(cgroups::folders(&[name.to_owned()])?.pop())
}

/// Plays a part of the stage if the arguments (the program's name first) ask for one, and returns
/// how the process is to end. `None` means that the program was called by a user.
///
/// To be called before anything that starts a thread.
pub fn hidden_main(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    let part = args.next()?;
    let rest: Vec<OsString> = args.collect();
    match part.to_str()? {
        birth::PART => Some(birth::main(&rest)),
        init::PART => Some(init::main()),
        enter::HOLD_PART => Some(enter::hold()),
        enter::ENTER_PART => Some(enter::enter(&rest)),
        _ => None,
    }
}
