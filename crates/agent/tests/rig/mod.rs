//! What tests against a real kernel need. They need root too, and fail without it.
#![allow(dead_code, unreachable_pub, reason = "each test binary has this module and uses a part of it")]

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use agent::host::{LinuxConfig, LinuxHost, SpawnSpec};
use nix::sched::{CloneFlags, unshare};

/// Nothing here takes longer unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A host with a state folder of its own, which goes when this goes.
pub struct Rig {
    pub state: tempfile::TempDir,
    pub config: LinuxConfig,
    pub host: LinuxHost,
}

impl Rig {
    pub fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests need root");
        let state = tempfile::tempdir().unwrap();
        let mut config = LinuxConfig::new(state.path().to_owned(), unique("test"));
        config.shim_program = shim();
        Self { host: LinuxHost::new(config.clone()).unwrap(), state, config }
    }

    pub fn without_cgroups() -> Self {
        let mut rig = Self::new();
        rig.config.cgroup_mount = None;
        rig.host = LinuxHost::new(rig.config.clone()).unwrap();
        rig
    }

    /// Once with cgroups, where the machine must have them, and once without.
    pub fn both() -> [Self; 2] {
        let rig = Self::new();
        assert!(rig.config.cgroup_mount.is_some(), "these tests need cgroup v2");
        [rig, Self::without_cgroups()]
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.state.path().join(name)
    }

    /// A shell script as group `g`, with `marker` in the environment of all that comes of it.
    pub fn script(&self, marker: &str, text: &str) -> SpawnSpec {
        SpawnSpec {
            group: "g".to_owned(),
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), text.to_owned()],
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("MARKER".to_owned(), marker.to_owned())],
            cwd: self.state.path().to_owned(),
            stdout_cap_bytes: 1024 * 1024,
            stderr_cap_bytes: 1024 * 1024,
            run_limit: Duration::from_secs(300),
        }
    }

    pub fn leaf(&self) -> Option<PathBuf> {
        self.config.cgroup_mount.as_ref().map(|mount| mount.join("countermand").join(&self.config.slice).join("g"))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(leaf) = self.leaf() {
            let _ = fs::remove_dir(leaf.parent().unwrap());
        }
    }
}

pub fn shim() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_countermand-agent"))
}

/// A name that no other test, and no other run, has.
pub fn unique(word: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{word}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until `there` says so; panics with `what` if it does not in time.
pub fn eventually(what: &str, mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !there() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// The living processes with `MARKER=marker` in their environment.
pub fn marked(marker: &str) -> Vec<String> {
    let needle = format!("MARKER={marker}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let names = processes.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(needle.len()).any(|window| window == needle.as_bytes())
        })
        .collect()
}

/// The shims that are alive and carry this label in their arguments.
pub fn shims(label: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|word| word == label.as_bytes())).count()
}

type Errand = Box<dyn FnOnce() + Send>;

/// A network of its own, and a thread that lives in it. The machine's own network is never touched.
pub struct Net {
    errands: Sender<Errand>,
    pub thread_id: i32,
}

impl Net {
    pub fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests need root");
        let (errands, inbox) = channel::<Errand>();
        let (born, birth) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ip("link set lo up");
            born.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            for errand in inbox {
                errand();
            }
        });
        Self { thread_id: birth.recv().unwrap(), errands }
    }

    /// Does `work` in this network; threads and children that it starts are in it too.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, result) = channel();
        self.errands.send(Box::new(move || drop(answer.send(work())))).unwrap();
        result.recv().expect("the work in the network panicked")
    }
}

pub const SERVER: [&str; 2] = ["10.77.0.1:8443", "[fd77::1]:8443"];
/// Another machine, and another port of the server's.
pub const OTHERS: [&str; 4] = ["10.77.0.9:8443", "[fd77::9]:8443", "10.77.0.1:8444", "[fd77::1]:8444"];
pub const OURS: [&str; 2] = ["10.77.0.2", "fd77::2"];

/// Two networks with a cable: ours, and that of the server and everyone else, where all listen and answer.
pub fn cabled() -> (Net, Net) {
    let (ours, theirs) = (Net::new(), Net::new());
    let peer = theirs.thread_id;
    ours.run(move || {
        ip(&format!("link add v0 type veth peer name v1 netns {peer}"));
        for address in ["10.77.0.2/24", "fd77::2/64 nodad"] {
            ip(&format!("addr add {address} dev v0"));
        }
        ip("link set v0 up");
    });
    theirs.run(|| {
        for address in ["10.77.0.1/24", "10.77.0.9/24", "fd77::1/64 nodad", "fd77::9/64 nodad"] {
            ip(&format!("addr add {address} dev v1"));
        }
        ip("link set v1 up");
        for address in SERVER.iter().chain(&OTHERS) {
            listen(address);
        }
    });
    ours.run(|| {
        for address in SERVER.iter().chain(&OTHERS) {
            eventually("the cable carries", || connect(address).is_ok());
        }
    });
    (ours, theirs)
}

/// Listens in the calling thread's network, and sends back what comes.
pub fn listen(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                let mut back = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut stream, &mut back);
            });
        }
    });
    address
}

pub fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(1))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Connects from a chosen address and port; at most a second.
pub fn connect_from(from: &str, to: &str) -> std::io::Result<()> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(Duration::from_secs(1)))?;
    bind(&socket, &from)?;
    // Closing with a reset keeps the pair of ports free for the next try.
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    Ok(connect(&socket, &to)?)
}

/// True if what is sent comes back.
pub fn echoes(stream: &TcpStream) -> bool {
    use std::io::{Read, Write};
    let mut stream = stream;
    let mut back = [0; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut back).is_ok() && &back == b"ping"
}

pub fn servers() -> Vec<SocketAddr> {
    SERVER.iter().map(|address| address.parse().unwrap()).collect()
}

pub fn at(address: &str, port: u16) -> String {
    SocketAddr::new(address.parse::<IpAddr>().unwrap(), port).to_string()
}

pub fn ip(args: &str) {
    command("ip", &args.split(' ').collect::<Vec<_>>());
}

pub fn nft(rules: &str) -> String {
    command("nft", &[rules])
}

fn command(program: &str, args: &[&str]) -> String {
    let output = Command::new(Path::new("/usr/sbin").join(program)).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
