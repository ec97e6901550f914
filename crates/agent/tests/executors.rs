//! The executors against a real kernel: plan, start, observe, undo, each also when repeated or out of order.

mod rig;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use agent::executors::{
    Broke, Context, Done, Executor, Observed, ServerProof, artifact_path, executor, isolated_by, kill, sweep,
};
use agent::host::{Host, IsolationPolicy, LinuxHost, StopSignal};
use domain::command::{Command, LibraryRef};
use domain::grantee::UndoRecord;
use domain::kind::Scope;
use domain::testimony::Artifact;
use domain::{ActionId, Body, Digest};
use rig::{OTHERS, Rig, SERVER, cabled, connect, echoes, eventually, marked, servers, unique};
use serde_json::Value;

/// Proves by a real connection.
struct Real;

impl ServerProof for Real {
    fn prove(&self, _limit: Duration, _stop: &StopSignal) -> Result<(), String> {
        connect(SERVER[0]).map(drop).map_err(|error| error.to_string())
    }
}

/// Never proves anything, and gives the stop signal if it has one.
struct Never(Option<StopSignal>);

impl ServerProof for Never {
    fn prove(&self, _limit: Duration, _stop: &StopSignal) -> Result<(), String> {
        self.0.iter().for_each(StopSignal::stop);
        Err("nobody there".to_owned())
    }
}

/// One action on one machine.
struct Stage {
    rig: Rig,
    action: ActionId,
    body: Body,
    staging: PathBuf,
    server: Vec<SocketAddr>,
    proof: Box<dyn ServerProof>,
}

impl Stage {
    fn new(body: Body) -> Self {
        let rig = Rig::new();
        let staging = rig.path("staging");
        fs::create_dir(&staging).unwrap();
        Self { action: id(1), body, staging, server: servers(), proof: Box::new(Real), rig }
    }

    /// A live response, its library content in place.
    fn commands(commands: &[(Command, &str)]) -> Self {
        let stage =
            Self::new(Body::LiveResponse { commands: commands.iter().map(|(command, _)| command.clone()).collect() });
        for (command, content) in commands {
            if let Some(file) = command.library() {
                fs::write(stage.staging.join(file.sha256.to_string()), content).unwrap();
            }
        }
        stage
    }

    fn cx(&self) -> Context<'_> {
        Context {
            host: &self.rig.host,
            action: self.action,
            body: &self.body,
            staging: &self.staging,
            server: &self.server,
            proof: &*self.proof,
        }
    }

    fn executor(&self) -> &'static dyn Executor {
        executor(&self.body)
    }

    fn plan(&self) -> UndoRecord {
        self.executor().plan(&self.cx(), 0).unwrap()
    }

    fn start(&self, undo: &UndoRecord) -> Result<Done, Broke> {
        self.executor().start(&self.cx(), 0, undo, &StopSignal::new().unwrap())
    }

    fn seen(&self, undo: &UndoRecord) -> Observed {
        self.executor().observe(&self.cx(), 0, undo).unwrap()
    }

    fn undo(&self, undo: &UndoRecord) -> Vec<String> {
        self.executor().undo(&self.cx(), 0, undo).unwrap()
    }

    fn output(&self, artifact: &Artifact) -> Value {
        let bytes = fs::read(artifact_path(&self.staging, 0)).unwrap();
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (artifact.sha256, artifact.size_bytes));
        serde_json::from_slice(&bytes).unwrap()
    }
}

fn id(number: u8) -> ActionId {
    ActionId::from_parts(1, [number; 10])
}

fn isolate() -> Body {
    Body::Isolate { scope: Scope::Full }
}

fn library(name: &str, content: &str) -> LibraryRef {
    LibraryRef { name: name.to_owned(), sha256: Digest::of(content.as_bytes()), size_bytes: content.len() as u64 }
}

fn script(name: &str, content: &str, args: Option<&str>) -> Stage {
    let script = library(name, content);
    Stage::commands(&[(Command::RunScript { script, args: args.map(str::to_owned) }, content)])
}

#[test]
fn isolate_is_proven_seen_and_undone_as_often_as_one_likes() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let stage = Stage::new(isolate());
        let undo = stage.plan();
        assert_eq!(stage.undo(&undo), Vec::<String>::new(), "undo before anything happened");
        assert_eq!(stage.seen(&undo), Observed::Absent);
        for _ in 0..2 {
            stage.start(&undo).unwrap();
            assert_eq!(stage.seen(&undo), Observed::Present);
            assert_eq!(isolated_by(&stage.rig.host).unwrap(), Some(stage.action.to_string()));
        }
        assert!(connect(OTHERS[0]).is_err());
        for _ in 0..2 {
            assert_eq!(stage.undo(&undo), Vec::<String>::new());
            assert_eq!(stage.seen(&undo), Observed::Absent);
            assert!(echoes(&connect(OTHERS[0]).unwrap()));
        }
    });
}

#[test]
fn isolate_undone_gives_back_an_earlier_isolation_and_leaves_a_later_one() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let stage = Stage::new(isolate());
        let load = |mark: &str| {
            stage.rig.host.isolate(&IsolationPolicy { mark: mark.to_owned(), allow: servers() }).unwrap();
            stage.rig.host.isolation().unwrap()
        };
        let earlier = load("earlier");
        let undo = stage.plan();
        stage.start(&undo).unwrap();
        stage.undo(&undo);
        assert_eq!(stage.rig.host.isolation().unwrap(), earlier);
        stage.start(&undo).unwrap();
        let later = load("later");
        stage.undo(&undo);
        assert_eq!(stage.rig.host.isolation().unwrap(), later);
    });
}

#[test]
fn isolate_that_cannot_prove_its_link_takes_itself_back() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let mut stage = Stage::new(isolate());
        stage.proof = Box::new(Never(None));
        let undo = stage.plan();
        let broke = stage.start(&undo).unwrap_err();
        assert!(broke.why.contains("could not reach the server") && broke.why.contains("nobody there"), "{broke:?}");
        assert_eq!(stage.seen(&undo), Observed::Absent);
        assert!(echoes(&connect(OTHERS[0]).unwrap()));
    });
}

#[test]
fn isolate_stopped_while_proving_takes_itself_back_at_once() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let stop = StopSignal::new().unwrap();
        let mut stage = Stage::new(isolate());
        stage.proof = Box::new(Never(Some(stop.clone())));
        let undo = stage.plan();
        let broke = stage.executor().start(&stage.cx(), 0, &undo, &stop).unwrap_err();
        assert_eq!(broke.why, "stopped");
        assert_eq!(stage.seen(&undo), Observed::Absent);
    });
}

#[test]
fn isolate_without_a_server_to_keep_is_refused() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let mut stage = Stage::new(isolate());
        stage.server.clear();
        let undo = stage.plan();
        assert!(stage.start(&undo).unwrap_err().why.contains("refused"));
        assert_eq!(stage.rig.host.isolation().unwrap(), None);
    });
}

#[test]
fn release_lifts_and_undone_isolates_again() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let stage = Stage::new(Body::Release);
        stage.rig.host.isolate(&IsolationPolicy { mark: "earlier".to_owned(), allow: servers() }).unwrap();
        let earlier = stage.rig.host.isolation().unwrap();
        let undo = stage.plan();
        stage.undo(&undo);
        assert_eq!(stage.rig.host.isolation().unwrap(), earlier, "undo before anything happened");
        for _ in 0..2 {
            stage.start(&undo).unwrap();
            assert_eq!((stage.rig.host.isolation().unwrap(), stage.seen(&undo)), (None, Observed::Present));
        }
        for _ in 0..2 {
            stage.undo(&undo);
            assert_eq!(stage.rig.host.isolation().unwrap(), earlier);
            assert_eq!(stage.seen(&undo), Observed::Absent);
        }
    });
}

#[test]
fn release_of_what_is_not_isolated_is_done_and_has_nothing_to_undo() {
    let (ours, _theirs) = cabled();
    ours.run(|| {
        let stage = Stage::new(Body::Release);
        let undo = stage.plan();
        stage.start(&undo).unwrap();
        stage.undo(&undo);
        assert_eq!((stage.rig.host.isolation().unwrap(), stage.seen(&undo)), (None, Observed::Absent));
    });
}

#[test]
fn put_file_puts_and_takes_back() {
    let stage = Stage::commands(&[(Command::PutFile { file: library("tool.sh", "content") }, "content")]);
    let put = stage.rig.host.downloads().join("tool.sh");
    let undo = stage.plan();
    assert!(!put.exists());
    for _ in 0..2 {
        assert_eq!(stage.start(&undo).unwrap(), Done::default());
        assert_eq!((stage.seen(&undo), fs::read(&put).unwrap()), (Observed::Present, b"content".to_vec()));
    }
    for _ in 0..2 {
        assert_eq!(stage.undo(&undo), Vec::<String>::new());
        assert!(!put.exists());
        assert_eq!(stage.seen(&undo), Observed::Absent);
    }
}

#[test]
fn hostile_names_and_content_that_was_not_authorised_are_refused() {
    for name in ["../x", "/etc/x", "a/b", "..", "", "x\0"] {
        let put = Stage::commands(&[(Command::PutFile { file: library(name, "c") }, "c")]);
        assert!(put.executor().plan(&put.cx(), 0).is_err(), "{name:?}");
        let run = script(name, "c", None);
        assert!(run.executor().plan(&run.cx(), 0).is_err(), "{name:?}");
        assert!(run.start(&UndoRecord(vec![])).is_err(), "{name:?}");
    }
    let put = Stage::commands(&[(Command::PutFile { file: library("name", "authorised") }, "other")]);
    assert!(put.executor().plan(&put.cx(), 0).unwrap_err().why.contains("authorised"));
    let run =
        Stage::commands(&[(Command::RunScript { script: library("name", "authorised"), args: None }, "touch ran")]);
    assert!(run.start(&run.plan()).unwrap_err().why.contains("authorised"));
    assert!(!run.staging.join("work-0/ran").exists());
}

#[test]
fn a_script_runs_with_its_arguments_and_its_output_is_kept() {
    let text = "printf '%s|' \"$@\"; echo \"$HOME $LANG $(pwd)\" >&2; exit 3";
    for head in ["", "#!/bin/sh\n"] {
        let stage = script("say.sh", &format!("{head}{text}"), Some(r#"-a "two words" '$HOME; touch x'"#));
        let undo = stage.plan();
        let artifact = stage.start(&undo).unwrap().artifact.unwrap();
        assert_eq!(artifact.file_name, "say.sh.json");
        let output = stage.output(&artifact);
        assert_eq!((&output["script_name"], &output["exit_code"]), (&"say.sh".into(), &3.into()));
        assert_eq!(output["script_output"], "-a|two words|$HOME; touch x|");
        assert_eq!(output["script_errors"], format!("/root C.UTF-8 {}\n", stage.staging.join("work-0").display()));
        assert_eq!(stage.seen(&undo), Observed::Absent, "nothing of it runs any more");
        let residue = stage.undo(&undo);
        assert_eq!(residue, stage.undo(&undo));
        assert!(residue[0].contains("say.sh ran for 0.") && residue[0].contains("exit code 3"), "{residue:?}");
    }
}

#[test]
fn arguments_that_cannot_be_split_are_refused_before_anything_runs() {
    let stage = script("s", "touch ran", Some("'open"));
    assert!(stage.executor().plan(&stage.cx(), 0).is_err());
    assert!(stage.start(&UndoRecord(vec![])).is_err());
    assert!(!stage.staging.join("work-0/ran").exists());
    assert_eq!(stage.undo(&UndoRecord(vec![])), Vec::<String>::new(), "it never ran");
}

#[test]
fn output_that_is_too_long_or_no_text_is_kept_as_far_as_it_goes() {
    let stage = script("s", "printf 'a\\377b'; head -c 2000000 /dev/zero | tr '\\0' e >&2", None);
    let artifact = stage.start(&stage.plan()).unwrap().artifact.unwrap();
    let output = stage.output(&artifact);
    assert_eq!(output["script_output"], "a\u{fffd}b");
    let errors = output["script_errors"].as_str().unwrap();
    assert!(
        errors.starts_with("eeee") && errors.ends_with("\n[countermand: cut: only the first 1048576 bytes are kept]\n")
    );
}

#[test]
fn a_stopped_script_is_dead_keeps_its_output_and_is_told_of() {
    let marker = unique("marker");
    let text = format!(
        "export MARKER={marker}; echo begun; (setsid sh -c 'trap \"\" TERM; sleep 1000' &) ; : > up; sleep 1000"
    );
    let stage = script("long.sh", &text, None);
    let undo = stage.plan();
    let stop = StopSignal::new().unwrap();
    let broke = thread::scope(|scope| {
        let run = scope.spawn(|| stage.executor().start(&stage.cx(), 0, &undo, &stop));
        eventually("it runs", || stage.staging.join("work-0/up").exists() && !marked(&marker).is_empty());
        assert_eq!(stage.seen(&undo), Observed::Present);
        stop.stop();
        run.join().unwrap().unwrap_err()
    });
    assert_eq!(marked(&marker), Vec::<String>::new());
    assert_eq!((broke.why.as_str(), stage.seen(&undo)), ("stopped", Observed::Absent));
    let output = stage.output(&broke.artifact.unwrap());
    assert_eq!((&output["exit_code"], &output["script_output"]), (&(-1).into(), &"begun\n".into()));
    assert_eq!(output["script_errors"], "[countermand: stopped]\n");
    let residue = stage.undo(&undo);
    assert!(residue[0].contains("long.sh ran for") && residue[0].contains("was stopped"), "{residue:?}");
}

#[test]
fn an_actions_processes_are_killed_from_outside_and_those_of_others_are_not() {
    let (one, two) = (unique("marker"), unique("marker"));
    let stage = script("s", &format!("export MARKER={one}; sh -c 'sleep 1000'"), None);
    let undo = stage.plan();
    let mut other = stage.rig.script(&two, "sleep 1000");
    other.group = format!("{}-0", id(2));
    let others = stage.rig.host.spawn(&other).unwrap();
    thread::scope(|scope| {
        let run = scope.spawn(|| stage.start(&undo));
        eventually("it runs", || !marked(&one).is_empty());
        kill(&stage.rig.host, stage.action).unwrap();
        assert_eq!(marked(&one), Vec::<String>::new());
        assert!(!marked(&two).is_empty());
        // Killed by another hand is an end of its own; whoever killed knows why.
        assert!(run.join().unwrap().unwrap().artifact.is_some());
    });
    sweep(&LinuxHost::new(stage.rig.config.clone()).unwrap(), &|_| false).unwrap();
    assert_eq!(marked(&two), Vec::<String>::new());
    drop(others);
    assert!(stage.rig.host.groups().unwrap().is_empty());
}

#[test]
fn get_file_gives_a_compressed_copy_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence");
    fs::write(&path, b"what was found").unwrap();
    let stage = Stage::commands(&[(Command::GetFile { path: path.to_str().unwrap().to_owned() }, "")]);
    let undo = stage.plan();
    let artifact = stage.start(&undo).unwrap().artifact.unwrap();
    let packed = fs::read(artifact_path(&stage.staging, 0)).unwrap();
    let expected = (Digest::of(&packed), packed.len() as u64, "evidence.gz");
    assert_eq!((artifact.sha256, artifact.size_bytes, artifact.file_name.as_str()), expected);
    assert_eq!((stage.undo(&undo), stage.seen(&undo)), (vec![], Observed::Absent));
    let stage = Stage::commands(&[(Command::GetFile { path: "/proc/kcore".to_owned() }, "")]);
    assert!(stage.start(&stage.plan()).unwrap_err().why.contains("refused"));
}

#[test]
fn a_step_that_does_not_exist_is_an_error() {
    let stage = Stage::commands(&[]);
    assert!(stage.executor().plan(&stage.cx(), 0).is_err());
}
