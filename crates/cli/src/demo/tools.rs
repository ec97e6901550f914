//! What the demo needs of this machine, and what it does without.

use crate::stage::Rights;
use anyhow::{bail, ensure};
use std::path::Path;
use std::process::Command;

/// Where programs of the system are.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// The programs, and the Debian packages they are in.
const NEEDED: [(&str, &str); 2] = [("ip", "iproute2"), ("nft", "nftables")];

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// By what right the stage is made.
    pub(super) rights: Rights,
    /// Whether machines can be isolated.
    pub(super) packet_filter: bool,
}

/// Looks, and as root on Debian or Ubuntu installs what is missing, saying so.
///
/// # Errors
/// There is no way to a network namespace here.
pub(super) fn find(no_install: bool) -> anyhow::Result<Found> {
    let root = rustix::process::geteuid().is_root();
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| !there(program)).map(|(_, package)| *package).collect();
    if !missing.is_empty() && root && !no_install && there("apt-get") {
        install(&missing)?;
    }
    if !there("ip") {
        bail!("the demo needs the program ip: apt-get install iproute2");
    }
    let rights = if root { Rights::Root } else { Rights::UserNamespace };
    Ok(Found { rights, packet_filter: there("nft") })
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    println!("Installing what this machine lacks for it: {} (--no-install leaves that out).", packages.join(" "));
    // The list of packages may be too old for what the mirror has; updating it first is what a person would do.
    for args in [&["update"][..], &[&["install", "-y", "--no-install-recommends"], packages].concat()] {
        let output = Command::new("apt-get").arg("-qq").args(args).env("DEBIAN_FRONTEND", "noninteractive").output()?;
        ensure!(
            output.status.success(),
            "apt-get {} failed: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn there(program: &str) -> bool {
    FOLDERS.iter().any(|folder| Path::new(folder).join(program).exists())
}
