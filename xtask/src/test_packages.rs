//! The Debian packages the tests need, and how they get onto the machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::program;

/// Installs what is missing, or fails naming it.
pub(crate) fn install_missing() -> anyhow::Result<()> {
    let missing: Vec<&str> = NEEDED.iter().filter(|needed| !is_there(needed)).map(|needed| needed.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    println!("    missing packages: {names}");
    if program::find("apt-get").is_none() {
        bail!("the tests need these Debian packages or their like: {names}");
    }
    let as_root = if program::is_root()? {
        None
    } else if program::sudo_works() {
        Some("sudo")
    } else {
        bail!("run as root, or first run: apt-get install {names}");
    };
    program::run(&mut apt_get(as_root, &["update"]))
        .and_then(|()| {
            let install = ["install", "--yes", "--no-install-recommends"];
            program::run(apt_get(as_root, &install).args(&missing))
        })
        .with_context(|| format!("cannot install {names}"))
}

struct Needed {
    package: &'static str,
    probe: Probe,
}

enum Probe {
    /// A program by this name can be found.
    Program(&'static str),
    /// This file exists.
    File(&'static str),
    /// Python can import this.
    PythonModule(&'static str),
    /// This file exists in the folder of some architecture's libraries.
    Library(&'static str),
}

fn is_there(needed: &Needed) -> bool {
    match needed.probe {
        Probe::Program(name) => program::find(name).is_some(),
        Probe::File(path) => Path::new(path).exists(),
        Probe::PythonModule(name) => {
            let mut import = Command::new("python3");
            import.args(["-c", &format!("import {name}")]).stderr(std::process::Stdio::null());
            import.status().is_ok_and(|status| status.success())
        }
        Probe::Library(path) => {
            std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().any(|entry| entry.path().join(path).exists())
        }
    }
}

fn apt_get(as_root: Option<&str>, args: &[&str]) -> Command {
    let mut command = match as_root {
        Some(sudo) => {
            let mut command = Command::new(sudo);
            command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
            command
        }
        None => {
            let mut command = Command::new("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        }
    };
    command.args(args);
    command
}

const NEEDED: [Needed; 10] = [
    Needed { package: "nftables", probe: Probe::Program("nft") },
    Needed { package: "iproute2", probe: Probe::Program("ip") },
    Needed { package: "util-linux", probe: Probe::Program("setpriv") },
    Needed { package: "procps", probe: Probe::Program("pgrep") },
    // aws-lc and SQLite are built from C.
    Needed { package: "gcc", probe: Probe::Program("cc") },
    Needed { package: "libc6-dev", probe: Probe::File("/usr/include/stdio.h") },
    // Token libraries of others are tried against the server.
    Needed { package: "python3-venv", probe: Probe::PythonModule("ensurepip") },
    Needed { package: "nodejs", probe: Probe::Program("node") },
    Needed { package: "npm", probe: Probe::Program("npm") },
    // Chaos bends clocks with it.
    Needed { package: "libfaketime", probe: Probe::Library("faketime/libfaketime.so.1") },
];

#[cfg(test)]
mod tests {
    use super::{Needed, Probe, is_there};

    #[test]
    fn an_absent_program_is_missed() {
        let absent = Needed { package: "x", probe: Probe::Program("no-such-program-anywhere") };
        let present = Needed { package: "x", probe: Probe::Program("sh") };
        assert!(!is_there(&absent));
        assert!(is_there(&present));
        assert!(!is_there(&Needed { package: "x", probe: Probe::Library("no-such-library.so") }));
    }
}
