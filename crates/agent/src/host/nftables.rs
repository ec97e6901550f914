//! Isolation: one table of our own in the kernel's packet filter, put there and taken away whole.
//!
//! The table is `inet countermand`. Its hooks come before those of every usual table, its policy is to drop, and it
//! is always replaced in one transaction: at no instant is there a half of it. Tables of others are never touched.
//!
//! What it does not hold: frames that a bridge passes on without routing them, and programs that write raw frames to
//! a network card. Both need root on the machine.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::clock::uptime;
use super::tool::tell;
use super::{HostError, IsolationPolicy, IsolationTable};

/// The longest mark, in bytes.
const MARK_BYTES_MAX: usize = 64;
/// How long to wait for an `nft` that is at work.
const TURN_LIMIT: Duration = Duration::from_secs(30);
/// Pause between looks whether it is done.
const TURN_PAUSE: Duration = Duration::from_millis(5);
/// Create if missing, then delete: together they remove the table whether or not it is there.
const REMOVE: &str = "table inet countermand\ndelete table inet countermand\n";

/// The table that isolates by `policy`, in the language of `nft`.
///
/// Refuses a mark that is not plain (letters, digits and `-`, 1 to 64 of them) and a policy that allows nothing:
/// such a table could never be lifted from afar.
pub fn render(policy: &IsolationPolicy) -> Result<String, HostError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let mark = &policy.mark;
    if mark.is_empty() || mark.len() > MARK_BYTES_MAX || !mark.bytes().all(plain) {
        return Err(HostError::Refused(format!("{mark:?} cannot mark an isolation table")));
    }
    if policy.allow.is_empty() {
        return Err(HostError::Refused("isolation needs at least one server address to keep open".to_owned()));
    }
    let (v4, v6): (Vec<SocketAddr>, Vec<SocketAddr>) = policy
        .allow
        .iter()
        .map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()))
        .partition(SocketAddr::is_ipv4);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "table inet countermand {{\n  comment \"{mark}\"");
    text.push_str(&set("server4", "ipv4_addr", &v4));
    text.push_str(&set("server6", "ipv6_addr", &v6));
    text.push_str(CHAINS);
    Ok(text)
}

/// The packet filter, spoken to by one `nft` at a time.
///
/// Turns are kept by a lock on a file, which each `nft` holds as its standard input: if the agent dies while one is at
/// work, its successor waits for that one to end, instead of looking and undoing too early.
pub(super) struct Nft<'a> {
    pub(super) turn: &'a Path,
}

impl Nft<'_> {
    /// What isolates: the table that is loaded now, or none.
    pub(super) fn isolation(&self) -> Result<Option<IsolationTable>, HostError> {
        // Listing the names first tells "no such table" from "nft cannot" without reading error messages.
        let tables = self.tell(&["list", "tables", "inet"], "")?;
        if !tables.lines().any(|line| line.trim() == "table inet countermand") {
            return Ok(None);
        }
        let text = self.tell(&["--stateless", "list", "table", "inet", "countermand"], "")?;
        let mark = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.starts_with("set ") && !line.starts_with("chain "))
            .find_map(|line| line.strip_prefix("comment \"")?.strip_suffix('"'))
            .unwrap_or_default()
            .to_owned();
        Ok(Some(IsolationTable { mark, text }))
    }

    /// Loads `table` in the place of whatever our table was, in one transaction, after a trial run.
    pub(super) fn load(&self, table: &str) -> Result<(), HostError> {
        let transaction = format!("{REMOVE}{table}");
        self.tell(&["--check", "--file", "-"], &transaction)?;
        self.tell(&["--file", "-"], &transaction).map(drop)
    }

    /// Removes our table; nothing to do if it is not there.
    pub(super) fn lift(&self) -> Result<(), HostError> {
        self.tell(&["--file", "-"], REMOVE).map(drop)
    }

    fn tell(&self, args: &[&str], input: &str) -> Result<String, HostError> {
        let failed = |source| HostError::Io { what: format!("cannot use {}", self.turn.display()), source };
        let mut turn = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.turn)
            .map_err(failed)?;
        take_turn(&turn).map_err(failed)?;
        let write = |turn: &mut File| -> io::Result<()> {
            turn.set_len(0)?;
            turn.write_all(input.as_bytes())?;
            turn.rewind()
        };
        write(&mut turn).map_err(failed)?;
        tell("nft", args, Stdio::from(turn))
    }
}

fn take_turn(file: &File) -> io::Result<()> {
    let deadline = uptime() + TURN_LIMIT;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if uptime() < deadline => thread::sleep(TURN_PAUSE),
            answer => return Ok(answer?),
        }
    }
}

fn set(name: &str, address: &str, elements: &[SocketAddr]) -> String {
    let mut elements: Vec<String> =
        elements.iter().map(|element| format!("{} . {}", element.ip(), element.port())).collect();
    elements.sort();
    elements.dedup();
    let line = match elements.is_empty() {
        true => String::new(),
        false => format!("    elements = {{ {} }}\n", elements.join(", ")),
    };
    format!("  set {name} {{\n    type {address} . inet_service\n{line}  }}\n")
}

/// The rules. Inbound packets count as the server's only within a connection that began here, since a source port
/// proves nothing: the kernel must know the connection, or the segment must be one that cannot open any (no SYN). The
/// second lets the agent's own stream live that was open before the table was there, of which the kernel's connection
/// tracking knows nothing until this side sends: the word to stop would otherwise be lost just then. ICMP errors about our own connections are let in because a path with a small MTU is otherwise a
/// black hole; the neighbour and router messages must come from this link (hop limit 255).
const CHAINS: &str = r#"  chain input {
    type filter hook input priority -310; policy drop;
    iif "lo" accept
    ip saddr . tcp sport @server4 ct state established,related accept
    ip6 saddr . tcp sport @server6 ct state established,related accept
    ip saddr . tcp sport @server4 tcp flags ! syn accept
    ip6 saddr . tcp sport @server6 tcp flags ! syn accept
    ct state related icmp type destination-unreachable accept
    ct state related icmpv6 type { destination-unreachable, packet-too-big } accept
    udp sport 67 udp dport 68 accept
    ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
    ip6 hoplimit 255 icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
  }
  chain output {
    type filter hook output priority -310; policy drop;
    oif "lo" accept
    ip daddr . tcp dport @server4 accept
    ip6 daddr . tcp dport @server6 accept
    udp sport 68 udp dport 67 accept
    udp sport 546 udp dport 547 accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain forward {
    type filter hook forward priority -310; policy drop;
  }
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mark: &str, allow: &[&str]) -> IsolationPolicy {
        IsolationPolicy { mark: mark.to_owned(), allow: allow.iter().map(|a| a.parse().unwrap()).collect() }
    }

    #[test]
    fn each_server_address_stands_once_in_the_set_of_its_family() {
        let text =
            render(&policy("a-1", &["10.0.0.1:443", "[fd00::1]:443", "10.0.0.1:443", "[::ffff:10.0.0.2]:9"])).unwrap();
        assert!(text.contains("comment \"a-1\""));
        assert!(text.contains("elements = { 10.0.0.1 . 443, 10.0.0.2 . 9 }"), "{text}");
        assert!(text.contains("elements = { fd00::1 . 443 }"), "{text}");
    }

    #[test]
    fn a_family_without_server_has_an_empty_set() {
        let text = render(&policy("a", &["10.0.0.1:443"])).unwrap();
        assert!(text.contains("set server6 {\n    type ipv6_addr . inet_service\n  }"), "{text}");
    }

    #[test]
    fn nothing_but_the_listed_is_accepted() {
        let text = render(&policy("a", &["10.0.0.1:443"])).unwrap();
        assert_eq!(text.matches("policy drop").count(), 3);
        assert_eq!(text.matches("accept").count(), 16);
        assert!(!text.contains("dport 53"));
    }

    #[test]
    fn a_mark_cannot_smuggle_in_rules() {
        for mark in ["", "a\"", "a\nb", "a}", "a b", &"a".repeat(65)] {
            assert!(matches!(render(&policy(mark, &["10.0.0.1:1"])), Err(HostError::Refused(_))), "{mark:?}");
        }
    }

    #[test]
    fn a_policy_without_any_server_is_refused() {
        assert!(matches!(render(&policy("a", &[])), Err(HostError::Refused(_))));
    }
}
