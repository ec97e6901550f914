//! Opening stages, looking at the host, and waiting for things to become true.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use cli::stage::{Place, Program, Stage, StageConfig};

use crate::roles::{MARKER, ROLE, ROLE_ARGS};

/// Something like HTTP: a request, the half close, the whole answer.
pub(crate) fn exchange(mut stream: TcpStream, number: usize) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request: Vec<u8> = format!("{number:05}").into_bytes().repeat(20_000);
    let mut writer = stream.try_clone().expect("a second handle");
    let sent = request.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).expect("sent");
        writer.shutdown(Shutdown::Write).expect("half closed");
    });
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    writing.join().expect("the writer");
    assert!(answer == request, "{number}: {} bytes came back", answer.len());
}

pub(crate) fn open() -> Stage {
    Stage::open(config()).expect("a stage")
}

pub(crate) fn config() -> StageConfig {
    let is_root = rustix::process::geteuid().is_root();
    assert!(is_root || std::env::var_os(ROLE).is_some(), "these tests need root; run `cargo xtask test`");
    let mut config = StageConfig::new().expect("a configuration");
    config.program = PathBuf::from(env!("CARGO_BIN_EXE_countermand"));
    config
}

pub(crate) fn close(stage: Stage) {
    let left = stage.close().expect("closed");
    assert!(left.is_empty(), "{left}");
}

pub(crate) fn machine(name: &str) -> Place {
    Place::Machine(name.to_owned())
}

pub(crate) fn logs() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for logs")
}

/// Starts an echo server at the place and waits until it listens.
pub(crate) fn start_echo(stage: &Stage, place: &Place, log_path: &Path) {
    let program = std::env::current_exe().expect("our program");
    let mut argv = vec![program.to_string_lossy().into_owned()];
    argv.extend(ROLE_ARGS.map(str::to_owned));
    let env = vec![(ROLE.to_owned(), "echo".to_owned())];
    stage.spawn(place, Program { argv, env, log_path: log_path.to_owned() }).expect("spawned");
    until("the echo server listens", || {
        let listening = stage.exec(place, &["ss", "-Hltn"]).expect("ss").stdout;
        listening.contains(&format!(":{ECHO_PORT}"))
    });
}

/// What the echo server at `to` answers to `hello` from this place; empty if there is no way.
pub(crate) fn say(stage: &Stage, from: &Place, to: IpAddr) -> String {
    let program = std::env::current_exe().expect("our program");
    let program = program.to_string_lossy();
    let role = format!("{ROLE}=say");
    let to = format!("{MARKER}={}", SocketAddr::new(to, ECHO_PORT));
    let mut argv = vec!["env", &role, &to, &program];
    argv.extend(ROLE_ARGS);
    let output = stage.exec(from, &argv).expect("our program");
    let answer = output.stdout.lines().find_map(|line| line.split("answer=").nth(1));
    answer.unwrap_or_default().to_owned()
}

/// A word that no other run uses.
pub(crate) fn marker(what: &str) -> String {
    format!("stage-test-{what}-{}", std::process::id())
}

/// Command lines on the host, in all namespaces, that contain the marker.
pub(crate) fn processes_with(marker: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc") {
        let line = fs::read(entry.expect("an entry").path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(marker) {
            found.push(line);
        }
    }
    found
}

pub(crate) fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}

pub(crate) fn nft_on_host() -> String {
    let output = Command::new("nft").args(["list", "ruleset"]).output().expect("nft");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn cgroup2() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let found = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    PathBuf::from(found.expect("a cgroup2 tree").split(' ').nth(1).expect("a mount point"))
}

/// Looks again and again until the condition holds; fails after [`PATIENCE`].
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

pub(crate) const ECHO_PORT: u16 = 7007;
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
