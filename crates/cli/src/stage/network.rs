//! The stage's network: the hub's bridge, and a cable from it to every machine.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};

use anyhow::{Context, bail};

use super::enter::{ENTER_PART, HOLD_PART, READY};
use super::processes::Processes;
use super::wire::{Link, Machine, Place};
use super::{HUB_IPV4, HUB_IPV6};

/// The machines there are. Lives in init, which itself stands in the hub.
pub(super) struct Network {
    /// Our own program, for the parts that hold and enter a namespace.
    program: PathBuf,
    machines: HashMap<String, Cabled>,
}

struct Cabled {
    /// The hub's end of its cable.
    interface: String,
    /// The machine's network namespace, as a file.
    namespace: PathBuf,
    /// While this is open, the holder holds the namespace.
    _held: ChildStdin,
}

impl Network {
    /// Sets the hub's bridge up. Its hardware address is fixed: a bridge without one takes the lowest of its ports', and
    /// a machine added later would make those that are there already talk to an address that is gone.
    ///
    /// # Errors
    /// If `ip` is missing or the kernel refuses, with what it said.
    pub(super) fn open(program: PathBuf, processes: &Processes) -> anyhow::Result<Self> {
        // Addresses are usable at once: nobody else is there who could have the same (nodad).
        let script = format!(
            "link set lo up\n\
             link add {BRIDGE} address {BRIDGE_MAC} type bridge forward_delay 0 mcast_snooping 0\n\
             link set {BRIDGE} up\n\
             addr add {HUB_IPV4}/24 dev {BRIDGE}\n\
             addr add {HUB_IPV6}/64 dev {BRIDGE} nodad\n"
        );
        ip(processes, Command::new("ip"), &script).context("cannot set up the hub")?;
        Ok(Self { program, machines: HashMap::new() })
    }

    /// Adds a machine: a new network namespace with a cable to the hub.
    ///
    /// # Errors
    /// If the name is taken, [`MACHINES_MAX`] is reached, or the kernel refuses.
    pub(super) fn add(&mut self, name: &str, processes: &Processes) -> anyhow::Result<Machine> {
        if self.machines.contains_key(name) {
            bail!("there is a machine {name:?} already");
        }
        if self.machines.len() >= MACHINES_MAX {
            bail!("a stage has room for {MACHINES_MAX} machines");
        }
        // The hub is number 1.
        let number = u8::try_from(self.machines.len() + 2).context("machine numbers are bytes")?;
        let machine = Machine {
            name: name.to_owned(),
            ipv4: Ipv4Addr::new(10, 231, 0, number),
            ipv6: Ipv6Addr::new(0xfd00, 0x231, 0, 0, 0, 0, 0, u16::from(number)),
        };
        let (holder, held) = self.hold(processes)?;
        let interface = format!("cable{number}");
        let namespace = PathBuf::from(format!("/proc/{holder}/ns/net"));
        // Both ends are born where they belong: no device ever shows up anywhere else.
        let outside = format!(
            "link add {interface} type veth peer name eth0 netns {holder}\n\
             link set {interface} master {BRIDGE} up\n"
        );
        ip(processes, Command::new("ip"), &outside).with_context(|| format!("cannot cable machine {name:?}"))?;
        let inside = format!(
            "link set lo up\n\
             addr add {}/24 dev eth0\n\
             addr add {}/64 dev eth0 nodad\n\
             link set eth0 up\n",
            machine.ipv4, machine.ipv6
        );
        self.machines.insert(name.to_owned(), Cabled { interface, namespace, _held: held });
        let place = Place::Machine(name.to_owned());
        ip(processes, self.command(&place, &["ip"])?, &inside)
            .with_context(|| format!("cannot set up machine {name:?}"))?;
        Ok(machine)
    }

    /// The command that runs `argv` at `place`.
    ///
    /// # Errors
    /// If there is no such machine, or `argv` is empty.
    pub(super) fn command<S: AsRef<OsStr>>(&self, place: &Place, argv: &[S]) -> anyhow::Result<Command> {
        let Some((program, args)) = argv.split_first() else { bail!("there is no program to run") };
        match place {
            Place::Hub => {
                let mut command = Command::new(program);
                command.args(args);
                Ok(command)
            }
            Place::Machine(name) => {
                let mut command = Command::new(&self.program);
                command.args([OsString::from(ENTER_PART), self.cabled(name)?.namespace.clone().into()]);
                command.arg("--").args(argv);
                Ok(command)
            }
        }
    }

    /// Plugs a machine's cable in or pulls it, at the hub's end.
    pub(super) fn set_link(&self, name: &str, link: Link, processes: &Processes) -> anyhow::Result<()> {
        let interface = &self.cabled(name)?.interface;
        let state = match link {
            Link::Up => "up",
            Link::Down => "down",
        };
        ip(processes, Command::new("ip"), &format!("link set {interface} {state}\n"))
    }

    fn cabled(&self, name: &str) -> anyhow::Result<&Cabled> {
        self.machines.get(name).with_context(|| format!("there is no machine {name:?}"))
    }

    /// Starts the process that holds a new network namespace; returns its id.
    fn hold(&self, processes: &Processes) -> anyhow::Result<(u32, ChildStdin)> {
        let mut command = Command::new(&self.program);
        command.arg(HOLD_PART).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = processes.spawn(&mut command)?;
        let held = holder.stdin.take().context("the holder has no standard input")?;
        let stdout = holder.stdout.take().context("the holder has no standard output")?;
        let mut said = String::new();
        // Ends at once, one way or the other: the holder writes a line or dies.
        BufReader::new(stdout).read_line(&mut said)?;
        if said.trim_end() != READY {
            bail!("no network namespace for a machine: {}", said.trim_end());
        }
        Ok((holder.id(), held))
    }
}

/// Runs `ip -batch`, which stops at the first line that fails.
fn ip(processes: &Processes, mut command: Command, script: &str) -> anyhow::Result<()> {
    let output = processes.exec(command.args(["-batch", "-"]), script)?;
    if !output.success() {
        bail!("ip failed: {}", output.stderr.trim());
    }
    Ok(())
}

const BRIDGE: &str = "hub0";

/// The hub's hardware address, of the range for local use.
const BRIDGE_MAC: &str = "02:00:0a:e7:00:01";

/// How many machines a stage has room for.
const MACHINES_MAX: usize = 250;
