//! Stages on a real kernel. These tests need root, and say so rather than pass without it.

mod roles;
mod setting;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cli::stage::{Exit, HUB_IPV4, HUB_IPV6, Link, Place, Program, Stage};
use rustix::process::Signal;

use roles::{MARKER, PROGRAM, ROLE, ROLE_ARGS, role};
use setting::{ECHO_PORT, PATIENCE, cgroup2, close, config, exchange, is_empty, logs, machine, marker};
use setting::{nft_on_host, open, processes_with, say, start_echo, until};

#[test]
fn machines_reach_the_hub_and_each_other_by_both_protocols() {
    let stage = open();
    let one = stage.add_machine("one").expect("a machine");
    let two = stage.add_machine("two").expect("a machine");
    assert!(stage.add_machine("two").is_err(), "a name is taken once");
    let places = [
        (Place::Hub, IpAddr::from(HUB_IPV4), IpAddr::from(HUB_IPV6)),
        (machine("one"), one.ipv4.into(), one.ipv6.into()),
        (machine("two"), two.ipv4.into(), two.ipv6.into()),
    ];
    let logs = logs();
    for (index, (place, ..)) in places.iter().enumerate() {
        start_echo(&stage, place, &logs.path().join(index.to_string()));
    }
    for (from, ..) in &places {
        for (_, ipv4, ipv6) in &places {
            assert_eq!(say(&stage, from, *ipv4), "hello", "{from:?} to {ipv4}");
            assert_eq!(say(&stage, from, *ipv6), "hello", "{from:?} to {ipv6}");
        }
    }
    close(stage);
}

#[test]
fn a_pulled_cable_cuts_one_machine_off_until_it_is_plugged_in() {
    let stage = open();
    let one = stage.add_machine("one").expect("a machine");
    stage.add_machine("two").expect("a machine");
    let logs = logs();
    start_echo(&stage, &machine("one"), &logs.path().join("one"));
    assert_eq!(say(&stage, &machine("two"), one.ipv4.into()), "hello");
    stage.set_link("one", Link::Down).expect("pulled");
    let shown = stage.exec(&machine("one"), &["ip", "link", "show", "eth0"]).expect("ip");
    assert!(shown.stdout.contains("NO-CARRIER"), "{shown:?}");
    assert_eq!(say(&stage, &machine("two"), one.ipv4.into()), "", "nothing gets through");
    stage.set_link("one", Link::Up).expect("plugged in");
    until("the cable carries again", || say(&stage, &machine("two"), one.ipv4.into()) == "hello");
    close(stage);
}

#[test]
fn a_firewall_on_one_machine_shows_nowhere_else() {
    let host_before = nft_on_host();
    let stage = open();
    stage.add_machine("one").expect("a machine");
    stage.add_machine("two").expect("a machine");
    let added = stage.exec(&machine("one"), &["nft", "add", "table", "inet", "only_here"]).expect("nft");
    assert!(added.success(), "{added:?}");
    let list = ["nft", "list", "ruleset"];
    assert!(stage.exec(&machine("one"), &list).expect("nft").stdout.contains("only_here"));
    assert_eq!(stage.exec(&machine("two"), &list).expect("nft").stdout, "");
    assert_eq!(stage.exec(&Place::Hub, &list).expect("nft").stdout, "");
    assert!(!nft_on_host().contains("only_here"));
    close(stage);
    assert_eq!(nft_on_host(), host_before);
}

#[test]
fn processes_are_waited_for_and_killed_by_who_started_them() {
    let stage = open();
    stage.add_machine("one").expect("a machine");
    let logs = logs();
    let log_path = logs.path().join("log");
    let script = |text: &str| Program {
        argv: vec!["sh".to_owned(), "-c".to_owned(), text.to_owned()],
        env: vec![("WORD".to_owned(), "from the caller".to_owned())],
        log_path: log_path.clone(),
    };
    let ended = stage.spawn(&machine("one"), script("echo $WORD; exit 7")).expect("spawned");
    assert_eq!(stage.wait(ended, PATIENCE).expect("known"), Some(Exit::Code(7)));
    assert_eq!(fs::read_to_string(&log_path).expect("a log"), "from the caller\n");
    stage.kill(ended, Signal::KILL).expect("killing what has ended does nothing");

    let running = stage.spawn(&Place::Hub, script("exec sleep 1000")).expect("spawned");
    assert_eq!(stage.wait(running, Duration::ZERO).expect("known"), None);
    stage.kill(running, Signal::TERM).expect("killed");
    assert_eq!(stage.wait(running, PATIENCE).expect("known"), Some(Exit::Signal(Signal::TERM.as_raw())));

    assert!(stage.kill(1, Signal::KILL).is_err(), "init is not the caller's");
    assert!(stage.wait(99_999, Duration::ZERO).is_err());
    assert!(stage.spawn(&machine("three"), script("")).is_err());
    let absent = Program { argv: vec!["/no/such/program".to_owned()], env: Vec::new(), log_path: log_path.clone() };
    assert!(stage.spawn(&Place::Hub, absent.clone()).is_err());
    let absent = stage.spawn(&machine("one"), absent).expect("the enterer");
    assert_eq!(stage.wait(absent, PATIENCE).expect("known"), Some(Exit::Code(127)));
    close(stage);
}

#[test]
fn init_reaps_orphans_and_ends_daemons() {
    let marker = marker("daemon");
    let stage = open();
    // The daemon's parent ends at once, so that it becomes init's child; so does a short-lived one.
    let script = format!("setsid sh -c 'sleep 1000; : {marker}' & setsid true & exit 0");
    let run = stage.exec(&Place::Hub, &["sh", "-c", &format!("({script}) >/dev/null 2>&1 </dev/null")]);
    assert!(run.expect("sh").success());
    assert!(!processes_with(&marker).is_empty(), "the daemon outlives its parent");
    let zombies = || stage.exec(&Place::Hub, &["ps", "-e", "-o", "stat="]).expect("ps").stdout;
    until("no zombie is left", || !zombies().lines().any(|state| state.starts_with('Z')));
    close(stage);
    assert_eq!(processes_with(&marker), Vec::<String>::new());
}

#[test]
fn the_relay_carries_a_hundred_exchanges_at_once_and_half_closes() {
    let stage = open();
    let address = stage.expose(ECHO_PORT).expect("exposed");
    assert_eq!(stage.expose(ECHO_PORT).expect("exposed"), address, "asked twice is asked once");
    let logs = logs();
    start_echo(&stage, &Place::Hub, &logs.path().join("hub"));
    let begun = Instant::now();
    // All are open before the first one speaks.
    let streams: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).expect("connected")).collect();
    let talks: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(number, stream)| thread::spawn(move || exchange(stream, number)))
        .collect();
    for talk in talks {
        talk.join().expect("an exchange");
    }
    println!("100 exchanges of 100 kB each way took {:?}", begun.elapsed());
    close(stage);
    assert!(TcpStream::connect(address).is_err(), "the relay ends with the stage");
}

#[test]
fn the_relay_closes_when_nobody_listens() {
    let stage = open();
    let address = stage.expose(ECHO_PORT).expect("exposed");
    let mut stream = TcpStream::connect(address).expect("the relay listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut said = Vec::new();
    // Ended or reset, but not silent.
    let outcome = stream.read_to_end(&mut said);
    assert!(outcome.is_ok() || outcome.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
    close(stage);
}

#[test]
fn a_caller_killed_without_warning_leaves_nothing() {
    let marker = marker("killed");
    let temporary = logs();
    let mut caller = role("open_and_wait", &marker, temporary.path());
    let mut said = BufReader::new(caller.stdout.take().expect("standard output"));
    let mut line = String::new();
    while !line.starts_with("standing ") {
        line.clear();
        assert!(said.read_line(&mut line).expect("a line") > 0, "the caller ended early");
    }
    let cgroup = line.trim().strip_prefix("standing ").map(PathBuf::from).expect("a path");
    // The caller itself, and two programs on its stage.
    until("its programs run", || processes_with(&marker).len() >= 2);
    assert!(cgroup.exists(), "{}", cgroup.display());
    assert!(!is_empty(temporary.path()), "the relay's socket lies here");
    caller.kill().expect("kill -9");
    caller.wait().expect("waited");
    until("all its processes are gone", || processes_with(&marker).is_empty());
    until("its cgroup is gone", || !cgroup.exists());
    until("its sockets are gone", || is_empty(temporary.path()));
    let devices = Command::new("ip").args(["-o", "link"]).output().expect("ip");
    let devices = String::from_utf8_lossy(&devices.stdout).into_owned();
    assert!(!devices.contains("hub0") && !devices.contains("cable"), "{devices}");
}

#[test]
fn close_removes_the_named_cgroups_and_what_is_in_them() {
    let name = marker("group");
    let mut config = config();
    config.cleanup_cgroups = vec![name.clone()];
    let cgroup = cgroup2().join(&name);
    let stage = Stage::open(config).expect("a stage");
    let inner = cgroup.join("inner");
    let script = format!("mkdir -p {0} && echo $$ > {0}/cgroup.procs && exec sleep 1000", inner.display());
    let logs = logs();
    let argv = ["sh", "-c", &script].map(str::to_owned).to_vec();
    let pid = stage.spawn(&Place::Hub, Program { argv, env: Vec::new(), log_path: logs.path().join("log") });
    pid.expect("spawned");
    until("the process is in its group", || {
        fs::read_to_string(inner.join("cgroup.procs")).is_ok_and(|pids| !pids.is_empty())
    });
    close(stage);
    assert!(!cgroup.exists());

    let mut bad = setting::config();
    bad.cleanup_cgroups = vec!["../elsewhere".to_owned()];
    assert!(Stage::open(bad).is_err(), "only groups of the tree can be named");
}

#[test]
fn an_unprivileged_user_opens_a_stage_in_a_user_namespace() {
    let marker = marker("nobody");
    // Copies, since nobody may not enter the home that the build may lie in.
    let programs = logs();
    fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).expect("open to all");
    let copied = |from: &Path, name: &str| {
        let to = programs.path().join(name);
        fs::copy(from, &to).expect("copied");
        to
    };
    let test = copied(&std::env::current_exe().expect("our program"), "test");
    let program = copied(Path::new(env!("CARGO_BIN_EXE_countermand")), "countermand");
    let output = Command::new("setpriv")
        .args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"])
        .arg(test)
        .args(ROLE_ARGS)
        .current_dir("/")
        .env(ROLE, "unprivileged")
        .env(MARKER, &marker)
        .env(PROGRAM, program)
        .stdin(Stdio::null())
        .output()
        .expect("setpriv");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if let Some(refusal) = said.lines().find(|line| line.contains("cannot open a stage")) {
        // Then the error must be of use to who reads it.
        assert!(refusal.contains("user namespaces"), "{refusal}");
        panic!("user namespaces are off here, so this cannot be tested: {refusal}");
    }
    assert!(output.status.success(), "{said}");
    assert_eq!(processes_with(&marker), Vec::<String>::new());
}

#[test]
fn a_refusal_names_what_is_missing() {
    let without_user_namespaces = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"";
    let refusals: [(&[&str], &str, &str); 2] = [
        (&["unshare", "-Ur", "sh", "-c", without_user_namespaces], "user", "user.max_user_namespaces"),
        (&["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"], "root", "CAP_SYS_ADMIN"),
    ];
    for (wrapper, rights, named) in refusals {
        let output = Command::new(wrapper[0])
            .args(&wrapper[1..])
            .arg(std::env::current_exe().expect("our program"))
            .args(ROLE_ARGS)
            .env(ROLE, "refused")
            .env(MARKER, rights)
            .output()
            .expect("the wrapper");
        let said = String::from_utf8_lossy(&output.stdout);
        let refusal = said.lines().find(|line| line.contains("refusal=")).unwrap_or_default();
        assert!(refusal.contains(named), "{said} {}", String::from_utf8_lossy(&output.stderr));
    }
}
