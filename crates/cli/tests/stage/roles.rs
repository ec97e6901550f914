//! The processes that the tests start: this same program, told by its environment what to be.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use cli::stage::{Place, Program, Rights, Stage};

use crate::setting::{ECHO_PORT, cgroup2, close, config, exchange, logs, machine, say, start_echo, until};

/// Starts this program in the role, with its own folder for temporary files.
pub(crate) fn role(name: &str, marker: &str, temporary: &Path) -> Child {
    Command::new(std::env::current_exe().expect("our program"))
        .args(ROLE_ARGS)
        .env(ROLE, name)
        .env(MARKER, marker)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("our program")
}

/// Not a test: the process that other tests start, which plays the role its environment names.
#[test]
fn role_of_a_child_process() {
    match std::env::var(ROLE).as_deref() {
        Ok("echo") => echo(),
        Ok("say") => say_inside(),
        Ok("open_and_wait") => open_and_wait(),
        Ok("unprivileged") => unprivileged(),
        Ok("refused") => refused(),
        Ok(other) => panic!("no such role: {other}"),
        Err(_) => {}
    }
}

/// Serves for ever: what comes in goes out, and the end of one is the end of the other.
fn echo() {
    // The IPv6 wildcard takes IPv4 too.
    let listener = TcpListener::bind(("::", ECHO_PORT)).expect("bound");
    for stream in listener.incoming() {
        let mut stream = stream.expect("accepted");
        thread::spawn(move || {
            let mut all = Vec::new();
            // Answers only after the other side has closed its half.
            if stream.read_to_end(&mut all).is_ok() {
                let _ = stream.write_all(&all);
            }
        });
    }
}

/// Connects to the address in the environment and prints what comes back.
fn say_inside() {
    let to: SocketAddr = std::env::var(MARKER).expect("an address").parse().expect("an address");
    let Ok(mut stream) = TcpStream::connect_timeout(&to, SAY_PATIENCE) else { return };
    stream.write_all(b"hello").expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    println!("answer={answer}");
}

fn open_and_wait() {
    let marker = std::env::var(MARKER).expect("a marker");
    let mut config = config();
    config.cleanup_cgroups = vec![marker.clone()];
    let stage = Stage::open(config).expect("a stage");
    stage.add_machine("one").expect("a machine");
    stage.expose(ECHO_PORT).expect("exposed");
    let cgroup = cgroup2().join(&marker);
    fs::create_dir(&cgroup).expect("a group");
    for place in [Place::Hub, machine("one")] {
        let script = format!("echo $$ > {}/cgroup.procs; sleep 1000; : {marker}", cgroup.display());
        let program = Program {
            argv: ["sh", "-c", &script].map(str::to_owned).to_vec(),
            env: Vec::new(),
            log_path: PathBuf::from("/dev/null"),
        };
        stage.spawn(&place, program).expect("spawned");
    }
    until("both are in the group", || {
        fs::read_to_string(cgroup.join("cgroup.procs")).is_ok_and(|pids| pids.lines().count() >= 2)
    });
    println!("\nstanding {}", cgroup.display());
    // Until the parent kills us.
    thread::park();
}

fn unprivileged() {
    let marker = std::env::var(MARKER).expect("a marker");
    let mut config = config();
    config.program = std::env::var_os(PROGRAM).expect("a program").into();
    assert_eq!(config.rights, Rights::UserNamespace);
    let stage = Stage::open(config).unwrap_or_else(|error| panic!("{error:#}"));
    let one = stage.add_machine("one").expect("a machine");
    let logs = logs();
    start_echo(&stage, &machine("one"), &logs.path().join("one"));
    assert_eq!(say(&stage, &Place::Hub, one.ipv4.into()), "hello");
    assert_eq!(say(&stage, &Place::Hub, one.ipv6.into()), "hello");
    let user = stage.exec(&machine("one"), &["id", "-u"]).expect("id");
    assert_eq!(user.stdout.trim(), "0", "root inside");
    let nft = stage.exec(&machine("one"), &["nft", "add", "table", "inet", "only_here"]).expect("nft");
    assert!(nft.success(), "{nft:?}");
    let address = stage.expose(ECHO_PORT).expect("exposed");
    start_echo(&stage, &Place::Hub, &logs.path().join("hub"));
    exchange(TcpStream::connect(address).expect("connected"), 1);
    let argv = ["sh", "-c", &format!("sleep 1000; : {marker}")].map(str::to_owned).to_vec();
    let program = Program { argv, env: Vec::new(), log_path: PathBuf::from("/dev/null") };
    stage.spawn(&machine("one"), program).expect("spawned");
    close(stage);
}

fn refused() {
    let mut config = config();
    config.rights = match std::env::var(MARKER).as_deref() {
        Ok("root") => Rights::Root,
        _ => Rights::UserNamespace,
    };
    match Stage::open(config) {
        Ok(_) => println!("it was opened"),
        Err(error) => println!("refusal={error:#}"),
    }
}

pub(crate) const ROLE: &str = "STAGE_TEST_ROLE";
pub(crate) const MARKER: &str = "STAGE_TEST_MARKER";
pub(crate) const PROGRAM: &str = "STAGE_TEST_PROGRAM";
pub(crate) const ROLE_ARGS: [&str; 3] = ["roles::role_of_a_child_process", "--exact", "--nocapture"];
pub(crate) const SAY_PATIENCE: Duration = Duration::from_millis(300);
