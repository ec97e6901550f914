//! Programs in their groups against a real kernel: whatever they try, they end when they are told to, when their time
//! is over, and when the agent dies.

mod rig;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use agent::host::{Ended, Host, HostError, LinuxHost, SpawnSpec, StopSignal};
use rig::{PATIENCE, Rig, eventually, marked, shims, unique};

/// A child in the foreground and a daemon twice removed, in a session of its own, deaf to what can be ignored. Each
/// says when it is there.
const TREE: &str = r#"
(setsid sh -c 'trap "" TERM HUP INT QUIT; : > daemon; while :; do sleep 1; done' > /dev/null 2>&1 &)
: > child
while :; do sleep 1; done
"#;

fn tree_runs(folder: &Path) {
    eventually("the tree runs", || folder.join("daemon").exists() && folder.join("child").exists());
}

fn all_gone(rig: &Rig, marker: &str) {
    assert_eq!(marked(marker), Vec::<String>::new());
    assert_eq!(shims(&format!("{}/g", rig.config.slice)), 0);
    assert_eq!(rig.host.groups().unwrap(), Vec::<String>::new());
    assert!(rig.leaf().is_none_or(|leaf| !leaf.exists()));
}

fn run(rig: &Rig, spec: &SpawnSpec) -> agent::host::Exit {
    rig.host.spawn(spec).unwrap().wait(&StopSignal::new().unwrap()).unwrap()
}

#[test]
fn a_program_ends_with_its_code_and_its_words() {
    for rig in Rig::both() {
        let marker = unique("marker");
        let exit = run(&rig, &rig.script(&marker, "echo out; echo err >&2; cat; exit 3"));
        assert_eq!(exit.ended, Ended::Code(3));
        assert_eq!((exit.stdout.bytes.as_slice(), exit.stderr.bytes.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert!(!exit.stdout.truncated && !exit.stderr.truncated);
        let exit = run(&rig, &rig.script(&marker, "kill -USR1 $$"));
        assert_eq!(exit.ended, Ended::Signal(10));
        all_gone(&rig, &marker);
    }
}

#[test]
fn it_gets_the_environment_it_was_given_and_no_more() {
    let rig = Rig::new();
    let mut spec = rig.script("x", "");
    (spec.program, spec.args) = ("/usr/bin/env".into(), vec![]);
    let exit = run(&rig, &spec);
    let mut words: Vec<_> = std::str::from_utf8(&exit.stdout.bytes).unwrap().lines().collect();
    words.sort_unstable();
    assert_eq!(words, ["MARKER=x", "PATH=/usr/bin:/bin"]);
}

#[test]
fn it_sees_the_machines_processes() {
    let rig = Rig::new();
    let exit = run(&rig, &rig.script("x", &format!("test -d /proc/{}", std::process::id())));
    assert_eq!(exit.ended, Ended::Code(0));
}

#[test]
fn what_it_leaves_behind_dies_with_it() {
    for rig in Rig::both() {
        let marker = unique("marker");
        let script =
            TREE.replace("while :; do sleep 1; done\n", "until [ -e daemon ]; do sleep 0.01; done; echo bye\n");
        let exit = run(&rig, &rig.script(&marker, &script));
        assert_eq!((exit.ended, exit.stdout.bytes.as_slice()), (Ended::Code(0), &b"bye\n"[..]));
        all_gone(&rig, &marker);
    }
}

#[test]
fn a_stop_ends_children_and_daemons_and_keeps_what_was_said() {
    for rig in Rig::both() {
        let marker = unique("marker");
        let running = rig.host.spawn(&rig.script(&marker, &format!("echo begun; {TREE}"))).unwrap();
        let stop = StopSignal::new().unwrap();
        let waiter = stop.clone();
        let thread = thread::spawn(move || running.wait(&waiter));
        tree_runs(rig.state.path());
        assert!(marked(&marker).len() >= 2);
        stop.stop();
        let exit = thread.join().unwrap().unwrap();
        assert_eq!((exit.ended, exit.stdout.bytes.as_slice()), (Ended::Stopped, &b"begun\n"[..]));
        all_gone(&rig, &marker);
    }
}

#[test]
fn a_stop_given_before_is_a_stop() {
    let rig = Rig::new();
    let stop = StopSignal::new().unwrap();
    stop.stop();
    let exit = rig.host.spawn(&rig.script("x", "sleep 1000")).unwrap().wait(&stop).unwrap();
    assert_eq!(exit.ended, Ended::Stopped);
}

#[test]
fn told_to_stop_and_killed_by_another_hand_is_a_stop_and_ended_before_is_an_end() {
    for rig in Rig::both() {
        let stop = StopSignal::new().unwrap();
        stop.stop();
        let running = rig.host.spawn(&rig.script("x", "sleep 1000")).unwrap();
        rig.host.kill_group("g").unwrap();
        assert_eq!(running.wait(&stop).unwrap().ended, Ended::Stopped);
        let running = rig.host.spawn(&rig.script("x", "exit 3")).unwrap();
        eventually("it ends", || shims(&format!("{}/g", rig.config.slice)) == 0);
        assert_eq!(running.wait(&stop).unwrap().ended, Ended::Code(3));
    }
}

#[test]
fn its_time_is_limited() {
    for rig in Rig::both() {
        let marker = unique("marker");
        let mut spec = rig.script(&marker, TREE);
        spec.run_limit = Duration::from_millis(300);
        let exit = run(&rig, &spec);
        assert_eq!(exit.ended, Ended::TimedOut);
        assert!(exit.lasted >= spec.run_limit && exit.lasted < PATIENCE, "{:?}", exit.lasted);
        all_gone(&rig, &marker);
    }
}

#[test]
fn output_beyond_the_cap_is_read_and_thrown_away() {
    let rig = Rig::new();
    let mut spec = rig.script("x", "head -c 5000000 /dev/zero; head -c 1000 /dev/zero >&2; exit 7");
    (spec.stdout_cap_bytes, spec.stderr_cap_bytes) = (1234, 1000);
    let exit = run(&rig, &spec);
    assert_eq!(exit.ended, Ended::Code(7));
    assert_eq!((exit.stdout.bytes.len(), exit.stdout.truncated), (1234, true));
    assert_eq!((exit.stderr.bytes.len(), exit.stderr.truncated), (1000, false));
}

#[test]
fn a_flood_of_output_does_not_delay_a_stop() {
    let rig = Rig::new();
    let mut spec = rig.script("x", "exec cat /dev/zero");
    spec.stdout_cap_bytes = 10;
    let running = rig.host.spawn(&spec).unwrap();
    let stop = StopSignal::new().unwrap();
    let waiter = stop.clone();
    let thread = thread::spawn(move || running.wait(&waiter));
    stop.stop();
    assert_eq!(thread.join().unwrap().unwrap().ended, Ended::Stopped);
}

#[test]
fn what_forks_without_end_is_killed_whole() {
    for rig in Rig::both() {
        let marker = unique("marker");
        let script = "n=0; while [ $n -lt 500 ]; do (sleep 1000 &); n=$((n+1)); : > forking; done; sleep 1000";
        let running = rig.host.spawn(&rig.script(&marker, script)).unwrap();
        eventually("it forks", || rig.path("forking").exists());
        rig.host.kill_group("g").unwrap();
        assert_eq!(marked(&marker), Vec::<String>::new());
        assert_eq!(running.wait(&StopSignal::new().unwrap()).unwrap().ended, Ended::Signal(9));
        all_gone(&rig, &marker);
    }
}

#[test]
fn dropping_it_ends_it() {
    for rig in Rig::both() {
        let marker = unique("marker");
        let running = rig.host.spawn(&rig.script(&marker, TREE)).unwrap();
        tree_runs(rig.state.path());
        drop(running);
        all_gone(&rig, &marker);
    }
}

#[test]
fn another_agent_finds_and_kills_what_it_did_not_start() {
    for rig in Rig::both() {
        let marker = unique("marker");
        let running = rig.host.spawn(&rig.script(&marker, TREE)).unwrap();
        tree_runs(rig.state.path());
        let other = LinuxHost::new(rig.config.clone()).unwrap();
        assert_eq!(other.groups().unwrap(), ["g"]);
        for _ in 0..2 {
            other.kill_group("g").unwrap();
            assert_eq!(marked(&marker), Vec::<String>::new());
        }
        drop(running);
        all_gone(&rig, &marker);
    }
}

#[test]
fn a_program_that_is_not_there_is_said_to_be_not_started() {
    for rig in Rig::both() {
        let marker = unique("marker");
        let mut spec = rig.script(&marker, "");
        spec.program = "/no/such/program".into();
        let refused = rig.host.spawn(&spec).map(drop).unwrap_err();
        assert!(matches!(&refused, HostError::NotStarted(why) if why.contains("/no/such/program")), "{refused:?}");
        all_gone(&rig, &marker);
    }
}

#[test]
fn arguments_that_are_too_long_are_an_error_and_leave_nothing() {
    for rig in Rig::both() {
        let marker = unique("marker");
        let mut spec = rig.script(&marker, "");
        spec.args.push("a".repeat(200_000));
        assert!(rig.host.spawn(&spec).is_err());
        all_gone(&rig, &marker);
    }
}

#[test]
fn a_group_that_runs_is_not_started_again() {
    let rig = Rig::new();
    let running = rig.host.spawn(&rig.script("x", "sleep 1000")).unwrap();
    assert!(matches!(rig.host.spawn(&rig.script("x", "")).map(drop), Err(HostError::Refused(_))));
    drop(running);
}

#[test]
fn a_group_with_cgroups_of_its_own_making_is_removed() {
    let rig = Rig::new();
    let leaf = rig.leaf().unwrap();
    let script = format!(
        "mkdir -p {0}/deep/er; echo 0 > {0}/deep/er/cgroup.procs; : > child; : > daemon; sleep 1000",
        leaf.display()
    );
    let marker = unique("marker");
    let running = rig.host.spawn(&rig.script(&marker, &script)).unwrap();
    tree_runs(rig.state.path());
    rig.host.kill_group("g").unwrap();
    drop(running);
    all_gone(&rig, &marker);
}

#[test]
fn everything_dies_when_the_agent_does() {
    for (rig, mode) in Rig::both().into_iter().zip(["cgroups", "bare"]) {
        let marker = unique("marker");
        let mut agent = agent_process("an_agent", &rig, &marker, mode).spawn().unwrap();
        tree_runs(rig.state.path());
        assert!(marked(&marker).len() >= 2);
        agent.kill().unwrap();
        agent.wait().unwrap();
        // No one sweeps yet: this is the lifeline's doing alone.
        eventually("all die", || marked(&marker).is_empty());
        eventually("the shims end", || shims(&format!("{}/g", rig.config.slice)) == 0);
        let left = rig.host.groups().unwrap();
        assert_eq!(left.len(), usize::from(mode == "cgroups"), "the empty leaf is left for the sweep");
        for group in left {
            rig.host.kill_group(&group).unwrap();
        }
        all_gone(&rig, &marker);
    }
}

#[test]
fn without_being_root_a_user_namespace_does() {
    let rig = Rig::new();
    let marker = unique("marker");
    fs::set_permissions(rig.state.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut command = agent_process("an_agent", &rig, &marker, "cgroups");
    std::os::unix::process::CommandExt::gid(&mut command, 65_534);
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    let mut agent = command.spawn().unwrap();
    tree_runs(rig.state.path());
    let owner = fs::metadata(rig.path("daemon")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 65_534);
    agent.kill().unwrap();
    agent.wait().unwrap();
    eventually("all die", || marked(&marker).is_empty());
}

/// This test binary again, as an agent that runs [`TREE`] until it is killed.
fn agent_process(name: &str, rig: &Rig, marker: &str, mode: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored"]).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    let facts = [("T_STATE", rig.state.path().to_str().unwrap()), ("T_SLICE", &rig.config.slice)];
    command.envs(facts).envs([("T_MARKER", marker), ("T_MODE", mode)]);
    command
}

#[test]
#[ignore = "not a test: the process that other tests kill"]
fn an_agent() {
    let fact = |name| std::env::var(name).unwrap();
    let mut config = agent::host::LinuxConfig::new(fact("T_STATE").into(), fact("T_SLICE"));
    config.shim_program = rig::shim();
    if fact("T_MODE") == "bare" {
        config.cgroup_mount = None;
    }
    let spec = SpawnSpec {
        group: "g".to_owned(),
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), TREE.to_owned()],
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("MARKER".to_owned(), fact("T_MARKER"))],
        cwd: config.state_dir.clone(),
        stdout_cap_bytes: 10,
        stderr_cap_bytes: 10,
        run_limit: Duration::from_secs(300),
    };
    let host = LinuxHost::new(config).unwrap();
    host.spawn(&spec).unwrap().wait(&StopSignal::new().unwrap()).unwrap();
}
