//! Collecting and putting files on a real file system.

mod rig;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use agent::host::{Collected, Host, HostError, PutRecord, PutRequest, PutSeen, StopSignal};
use rig::Rig;

const CAP: u64 = 1_000_000;

/// A rig, and a folder beside its state.
fn folder() -> (Rig, tempfile::TempDir) {
    (Rig::new(), tempfile::tempdir().unwrap())
}

fn collect(rig: &Rig, path: impl AsRef<Path>) -> Result<Collected, HostError> {
    rig.host.collect(path.as_ref(), CAP, &rig.path("out"), &StopSignal::new().unwrap())
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_file_is_collected_whole() {
    let (rig, folder) = folder();
    let content: Vec<u8> = (0..500_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let path = folder.path().join("a file");
    fs::write(&path, &content).unwrap();
    for _ in 0..2 {
        let collected = collect(&rig, &path).unwrap();
        let packed = fs::read(rig.path("out")).unwrap();
        assert_eq!(unpacked(&rig.path("out")), content);
        assert_eq!((collected.read_bytes, collected.gz_bytes), (content.len() as u64, packed.len() as u64));
        assert_eq!(collected.gz_sha256, domain::Digest::of(&packed).to_string());
    }
    fs::write(&path, b"").unwrap();
    assert_eq!(collect(&rig, &path).unwrap().read_bytes, 0);
}

#[test]
fn what_is_no_plain_file_on_a_plain_path_is_refused() {
    let (rig, folder) = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("real")).unwrap();
    fs::write(at("real/file"), b"x").unwrap();
    symlink(at("real/file"), at("link")).unwrap();
    symlink(at("real"), at("linked")).unwrap();
    assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    assert!(Command::new("mknod").arg(at("device")).args(["c", "1", "5"]).status().unwrap().success());
    let socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::write(rig.path("secret"), b"x").unwrap();
    let refused: Vec<PathBuf> = vec![
        at("link"),
        at("linked/file"),
        at("fifo"),
        at("device"),
        at("real"),
        at("real/../real/file"),
        "relative".into(),
        "".into(),
        "/".into(),
        "/proc/version".into(),
        "/proc/self/root/etc/passwd".into(),
        "/sys/kernel/uevent_seqnum".into(),
        "/dev/zero".into(),
        rig.path("secret"),
    ];
    for path in refused {
        let outcome = collect(&rig, &path);
        assert!(matches!(outcome, Err(HostError::Refused(_))), "{}: {outcome:?}", path.display());
        assert!(!rig.path("out").exists());
    }
    for path in [at("socket"), at("missing"), at("nul\0byte")] {
        assert!(collect(&rig, &path).is_err(), "{}", path.display());
    }
    drop(socket);
}

#[test]
fn a_file_above_the_cap_is_refused_and_leaves_nothing() {
    let (rig, folder) = folder();
    let path = folder.path().join("big");
    File::create(&path).unwrap().set_len(CAP + 1).unwrap();
    assert!(
        matches!(collect(&rig, &path), Err(HostError::TooLarge { size_bytes, cap_bytes: CAP, .. }) if size_bytes == CAP + 1)
    );
    assert!(!rig.path("out").exists());
    File::create(&path).unwrap().set_len(CAP).unwrap();
    assert_eq!(collect(&rig, &path).unwrap().read_bytes, CAP);
}

#[test]
fn a_file_that_grows_faster_than_it_is_read_comes_to_an_end() {
    let (rig, folder) = folder();
    let path = folder.path().join("log");
    let mut log = File::create(&path).unwrap();
    log.write_all(&[7; 1000]).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let writer = thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) && log.metadata().unwrap().len() < CAP / 2 {
            log.write_all(&[7; 1000]).unwrap();
        }
    });
    let collected = collect(&rig, &path).unwrap();
    over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert!(collected.read_bytes >= 1000 && collected.read_bytes <= CAP / 2 + 1000);
    assert_eq!(unpacked(&rig.path("out")).len() as u64, collected.read_bytes);
}

#[test]
fn a_stop_ends_collecting_and_leaves_nothing() {
    let (rig, folder) = folder();
    let path = folder.path().join("file");
    fs::write(&path, b"x").unwrap();
    let stop = StopSignal::new().unwrap();
    stop.stop();
    assert!(matches!(rig.host.collect(&path, CAP, &rig.path("out"), &stop), Err(HostError::Stopped)));
    assert!(!rig.path("out").exists());
}

/// A folder to put into, a source, and what was planned.
struct Put {
    rig: Rig,
    record: PutRecord,
}

impl Put {
    /// With or without an older file of the wanted name.
    fn planned(older: bool) -> Self {
        let rig = Rig::new();
        let source = rig.path("source");
        fs::write(&source, b"ours").unwrap();
        if older {
            fs::create_dir(rig.host.downloads()).unwrap();
            fs::write(rig.host.downloads().join("name"), b"older").unwrap();
        }
        let folder = rig.host.downloads();
        let request = PutRequest { folder: &folder, name: "name", id: "a-0", source: &source, mode: 0o640 };
        let before = listing(&folder);
        let record = rig.host.plan_put(&request).unwrap();
        assert_eq!(listing(&folder), before, "planning only reads");
        Self { rig, record }
    }

    fn put(&self) {
        self.rig.host.put(&self.record, &self.rig.path("source")).unwrap();
    }

    fn seen(&self) -> PutSeen {
        self.rig.host.observe_put(&self.record).unwrap()
    }

    fn undo(&self) -> Option<String> {
        self.rig.host.undo_put(&self.record).unwrap()
    }

    fn wanted(&self) -> PathBuf {
        self.record.folder.join(&self.record.name)
    }

    fn aside(&self) -> PathBuf {
        self.record.folder.join(&self.record.aside)
    }

    fn listing(&self) -> Vec<(String, String)> {
        listing(&self.record.folder)
    }

    fn as_before(&self, older: bool) {
        let expected = if older { vec![("name".to_owned(), "older".to_owned())] } else { vec![] };
        assert_eq!(self.listing(), expected);
        assert_eq!(self.seen(), PutSeen::Absent);
    }
}

fn listing(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn put_and_taken_back_each_as_often_as_one_likes() {
    for older in [false, true] {
        let put = Put::planned(older);
        for _ in 0..2 {
            put.put();
            assert_eq!(put.seen(), PutSeen::Present);
            assert_eq!(fs::read(put.wanted()).unwrap(), b"ours");
            assert_eq!(fs::metadata(put.wanted()).unwrap().permissions().mode() & 0o7777, 0o640);
        }
        for _ in 0..3 {
            assert_eq!(put.undo(), None);
            put.as_before(older);
        }
    }
}

#[test]
fn undo_before_anything_was_put_does_nothing() {
    for older in [false, true] {
        let put = Put::planned(older);
        assert_eq!(put.undo(), None);
        put.as_before(older);
    }
}

#[test]
fn undo_and_putting_on_work_after_a_death_at_every_instruction() {
    // What each instruction of putting leaves behind, in their order.
    type Instruction = (&'static str, fn(&Put));
    let instructions: [Instruction; 4] = [
        ("folder made", |put| fs::create_dir_all(&put.record.folder).unwrap()),
        ("side file created", |put| drop(File::create(put.aside()).unwrap())),
        ("half written", |put| fs::write(put.aside(), b"ou").unwrap()),
        ("written", |put| fs::write(put.aside(), b"ours").unwrap()),
    ];
    for older in [false, true] {
        for dead_after in 0..=instructions.len() + 1 {
            for put_on in [false, true] {
                let put = Put::planned(older);
                for (_, instruction) in instructions.iter().take(dead_after) {
                    instruction(&put);
                }
                if dead_after > instructions.len() {
                    // The rename itself, by another hand.
                    if older {
                        fs::rename(put.wanted(), put.rig.path("kept")).unwrap();
                    }
                    fs::rename(put.aside(), put.wanted()).unwrap();
                    if older {
                        fs::rename(put.rig.path("kept"), put.aside()).unwrap();
                    }
                    assert_eq!(put.seen(), PutSeen::Present);
                }
                if put_on {
                    put.put();
                    assert_eq!(put.seen(), PutSeen::Present, "older {older}, dead after {dead_after}");
                }
                for _ in 0..2 {
                    assert_eq!(put.undo(), None, "older {older}, dead after {dead_after}");
                    put.as_before(older);
                }
            }
        }
    }
}

#[test]
fn what_someone_else_changed_since_is_left_alone_and_named() {
    for older in [false, true] {
        let put = Put::planned(older);
        put.put();
        fs::write(put.wanted(), b"theirs").unwrap();
        assert_eq!(put.seen(), PutSeen::Changed);
        for _ in 0..2 {
            let line = put.undo().expect("a line that says so");
            assert!(line.contains("changed"), "{line}");
            assert_eq!(line.contains(&put.record.aside), older, "{line}");
            assert_eq!(fs::read(put.wanted()).unwrap(), b"theirs");
        }
    }
}

#[test]
fn what_someone_else_removed_stays_removed_and_the_older_is_not_lost() {
    let put = Put::planned(true);
    put.put();
    fs::remove_file(put.wanted()).unwrap();
    let line = put.undo().expect("a line that says so");
    assert!(line.contains("removed") && line.contains(&put.record.aside), "{line}");
    assert_eq!(fs::read(put.aside()).unwrap(), b"older");
    let put = Put::planned(false);
    put.put();
    fs::remove_file(put.wanted()).unwrap();
    assert_eq!(put.undo(), None);
}

#[test]
fn a_name_taken_or_replaced_after_planning_is_not_overwritten() {
    for older in [false, true] {
        let put = Put::planned(older);
        fs::create_dir_all(&put.record.folder).unwrap();
        let _ = fs::remove_file(put.wanted());
        fs::write(put.rig.path("theirs"), b"theirs").unwrap();
        fs::rename(put.rig.path("theirs"), put.wanted()).unwrap();
        assert!(put.rig.host.put(&put.record, &put.rig.path("source")).is_err());
        assert_eq!(fs::read(put.wanted()).unwrap(), b"theirs");
        put.undo();
        assert_eq!(put.listing(), [("name".to_owned(), "theirs".to_owned())]);
    }
}

#[test]
fn names_that_are_no_names_and_targets_that_are_no_files_are_refused() {
    let rig = Rig::new();
    fs::write(rig.path("source"), b"ours").unwrap();
    let folder = rig.host.downloads();
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    symlink("/etc/passwd", folder.join("link")).unwrap();
    let long = "n".repeat(256);
    for name in ["", ".", "..", "a/b", "/etc/passwd", "../x", "nul\0", &long, "folder", "link", ".countermand-a-0"] {
        let source = rig.path("source");
        let request = PutRequest { folder: &folder, name, id: "a-0", source: &source, mode: 0o600 };
        assert!(rig.host.plan_put(&request).is_err(), "{name:?}");
    }
}

#[test]
fn a_source_that_changed_after_planning_is_not_put() {
    let put = Put::planned(false);
    fs::write(put.rig.path("source"), b"something else").unwrap();
    assert!(put.rig.host.put(&put.record, &put.rig.path("source")).is_err());
    assert_eq!(put.undo(), None);
    put.as_before(false);
}

#[test]
fn a_private_folder_goes_with_all_that_is_in_it_and_nothing_a_link_leads_to() {
    let (rig, elsewhere) = folder();
    let (staging, kept) = (rig.path("staging"), elsewhere.path().join("kept"));
    fs::write(&kept, b"x").unwrap();
    assert_eq!(rig.host.private_folders(&staging).unwrap(), Vec::<String>::new());
    rig.host.make_private_folder(&staging).unwrap();
    rig.host.make_private_folder(&staging.join("b")).unwrap();
    fs::create_dir(staging.join("b/deep")).unwrap();
    symlink(elsewhere.path(), staging.join("b/deep/link")).unwrap();
    symlink(elsewhere.path(), staging.join("a")).unwrap();
    assert_eq!(rig.host.private_folders(&staging).unwrap(), ["a", "b"]);
    for name in ["a", "b", "b", "never-there"] {
        rig.host.remove_private_folder(&staging.join(name)).unwrap();
    }
    assert_eq!(rig.host.private_folders(&staging).unwrap(), Vec::<String>::new());
    assert_eq!(fs::read(&kept).unwrap(), b"x");
    let above = rig.host.remove_private_folder(&staging.join(".."));
    assert!(matches!(above, Err(HostError::Refused(_))), "{above:?}");
}
