//! `countermand audit`, as a process, on a data directory that `countermand` itself has filled.

use std::path::Path;
use std::process::{Command, Output};

/// How many lines the log has.
const LINES: usize = 6;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countermand"));
    command.args(arguments).env_remove("COUNTERMAND_DATA_DIR");
    command.output().expect("it starts")
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// A data directory with a log, its lines as exported, and its head.
struct Ground {
    dir: tempfile::TempDir,
    lines: Vec<String>,
    head: String,
}

impl Ground {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        for number in 0..LINES {
            let name = format!("app \"{number}\"");
            done(&run(&["app", "add", &name, "--all", "--data-dir", data.to_str().unwrap()]));
        }
        let mut ground = Self { dir, lines: vec![], head: String::new() };
        let verified = done(&ground.in_data("verify", &[]));
        ground.head = verified.lines().find_map(|line| line.strip_prefix("head ")).expect("a head").to_string();
        assert!(verified.contains("lines 1 to 6 hold: 6 in all, nothing is left out"), "{verified}");
        ground.lines = lines(&done(&ground.in_data("export", &[])));
        assert_eq!(ground.lines.len(), LINES);
        ground
    }

    fn in_data(&self, command: &str, arguments: &[&str]) -> Output {
        let data = self.dir.path().join("data");
        run(&[&["audit", command, "--data-dir", data.to_str().unwrap()], arguments].concat())
    }

    /// What is said of a file of these bytes.
    fn verify(&self, bytes: impl AsRef<[u8]>, arguments: &[&str]) -> Output {
        let file = self.dir.path().join("tried.jsonl");
        std::fs::write(&file, bytes).unwrap();
        run(&[&["audit", "verify", "--file", file.to_str().unwrap()], arguments].concat())
    }
}

/// The lines of a text, each with its end.
fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(String::from).collect()
}

#[test]
fn a_log_is_verified_exported_and_verified_alone() {
    let ground = Ground::new();
    let held = done(&ground.verify(ground.lines.concat(), &["--head", &ground.head]));
    assert!(held.contains("nothing is left out") && held.contains(&format!("head {}", ground.head)), "{held}");
    assert!(
        done(&ground.in_data("verify", &["--head", &ground.head])).contains("lines 1 to 6 hold"),
        "it adds no line"
    );

    let first: serde_json::Value = serde_json::from_str(&ground.lines[0]).unwrap();
    let names: Vec<&str> = first.as_object().unwrap().keys().map(String::as_str).collect();
    for name in ["sequence", "at", "callerKind", "caller", "operation", "outcome", "times", "previousHash", "hash"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!((&first["callerKind"], &first["operation"]), (&"Administrator".into(), &"countermand app add".into()));
}

#[test]
fn an_export_may_begin_later_and_says_what_it_rests_on() {
    let ground = Ground::new();
    let later = done(&ground.in_data("export", &["--from-sequence", "3"]));
    assert_eq!(lines(&later), ground.lines[2..]);
    let held = done(&ground.verify(&later, &["--head", &ground.head]));
    let fourth: serde_json::Value = serde_json::from_str(&ground.lines[3]).unwrap();
    assert!(held.contains("lines 3 to 6 hold: 4 in all, if the line before them is 2:"), "{held}");
    let since = fourth["at"].as_str().unwrap();
    assert_eq!(lines(&done(&ground.in_data("export", &["--since", since]))), ground.lines[3..]);
    assert_eq!(done(&ground.in_data("export", &["--from-sequence", "7"])), "");

    // A head that was kept of the line before is one that it rests on.
    let third: serde_json::Value = serde_json::from_str(&ground.lines[2]).unwrap();
    let before = format!("2:{}", third["previousHash"].as_str().unwrap());
    done(&ground.verify(&later, &["--head", &before, "--head", &ground.head]));
    let other = format!("2:{}", third["hash"].as_str().unwrap());
    assert!(
        refusal(&ground.verify(&later, &["--head", &other])).contains("line 2: is not the one whose hash was kept")
    );
    let earlier = format!("1:{}", third["hash"].as_str().unwrap());
    assert!(refusal(&ground.verify(&later, &["--head", &earlier])).contains("begins with line 3"));
}

#[test]
fn a_line_that_was_altered_is_named_whatever_was_altered() {
    let ground = Ground::new();
    for (number, line) in ground.lines.iter().enumerate() {
        let fields: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = fields.as_object().unwrap();
        for (name, value) in fields {
            let other = match (name.as_str(), value) {
                ("at", _) => "\"2026-11-01T00:00:00Z\"".to_string(),
                ("callerKind", _) => "\"Server\"".to_string(),
                ("outcome", _) => "\"Unchanged\"".to_string(),
                ("previousHash" | "hash", _) => format!("\"{}\"", "0a".repeat(32)),
                // Into a number that the line may have: its own place is then empty.
                (_, serde_json::Value::Number(value)) => (value.as_u64().unwrap() + 1).to_string(),
                (_, value) => format!("\"{}!\"", value.as_str().unwrap().trim_end_matches('!')),
            };
            let altered = line.replacen(&format!("\"{name}\":{value}"), &format!("\"{name}\":{other}"), 1);
            assert_ne!(&altered, line, "{name}");
            let mut whole = ground.lines.clone();
            whole[number] = altered;
            let said = refusal(&ground.verify(whole.concat(), &[]));
            // A first line with another number seems to be that line.
            let named = if name == "sequence" && number == 0 { 2 } else { number + 1 };
            assert!(said.contains(&format!("line {named}")), "{name} of line {}: {said}", number + 1);
        }
        let mut whole = ground.lines.clone();
        whole[number] = line.replacen(':', ": ", 1);
        let said = refusal(&ground.verify(whole.concat(), &[]));
        assert!(said.contains(&format!("line {} does not read: it is not written as", number + 1)), "{said}");
    }
}

#[test]
fn a_line_that_was_deleted_moved_or_cut_off_is_named() {
    let ground = Ground::new();
    let kept = ["--head", ground.head.as_str()];
    for number in 0..LINES {
        let mut deleted = ground.lines.clone();
        deleted.remove(number);
        let output = ground.verify(deleted.concat(), &kept);
        if number == 0 {
            // What is not there cannot be told from what was not exported; it is said.
            assert!(done(&output).contains("lines 2 to 6 hold: 5 in all, if the line before them is 1:"));
        } else {
            assert!(refusal(&output).contains(&format!("line {}: is missing", number + 1)));
        }

        let said = refusal(&ground.verify(ground.lines[..number].concat(), &kept));
        let expected = if number == 0 { "there is no line".into() } else { format!("line {}: is missing", number + 1) };
        assert!(said.contains(&expected), "{said}");

        if number + 1 < LINES {
            let mut moved = ground.lines.clone();
            moved.swap(number, number + 1);
            let said = refusal(&ground.verify(moved.concat(), &kept));
            let expected = if number == 0 {
                "line 1: is out of its order".into()
            } else {
                format!("line {}: is missing", number + 1)
            };
            assert!(said.contains(&expected), "{said}");
        }
    }
    let whole = ground.lines.concat();
    let said = refusal(&ground.verify(&whole[..whole.len() - 1], &[]));
    assert!(said.contains("line 6 does not read: it is cut off"), "{said}");
    let endless = [&ground.lines[0], &"x".repeat(1 << 20)].map(String::as_str).concat();
    let said = refusal(&ground.verify(endless, &[]));
    assert!(said.contains("line 2 does not read: it is longer than 16384 bytes"), "{said}");
    assert!(refusal(&ground.verify([0xff, b'\n'], &[])).contains("line 1 does not read"));
}

#[test]
fn a_store_is_held_against_the_head_that_was_kept() {
    let ground = Ground::new();
    let (sequence, hash) = ground.head.split_once(':').unwrap();
    let other = format!("{sequence}:{}", "0a".repeat(32));
    assert!(
        refusal(&ground.in_data("verify", &["--head", &other])).contains("line 6: is not the one whose hash was kept")
    );
    let further = format!("9:{hash}");
    let said = refusal(&ground.in_data("verify", &["--head", &further]));
    assert!(said.contains("line 7: is missing: the log ends before it, and once went on to line 9"), "{said}");
    for bad in ["6", "6:", "x:0", &format!("-6:{hash}")] {
        assert_eq!(ground.in_data("verify", &["--head", bad]).status.code(), Some(2), "{bad}");
    }
}

#[test]
fn nothing_is_made_in_a_directory_that_is_no_servers_and_no_file_is_overwritten() {
    let ground = Ground::new();
    let empty = ground.dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for command in ["verify", "export"] {
        let said = refusal(&run(&["audit", command, "--data-dir", empty.to_str().unwrap()]));
        assert!(said.contains("not a server's data directory"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);

    let file = ground.dir.path().join("exported.jsonl");
    let to_file = |file: &Path| ground.in_data("export", &["--save-to", file.to_str().unwrap()]);
    assert_eq!(done(&to_file(&file)), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), ground.lines.concat());
    assert!(refusal(&to_file(&file)).contains("cannot make"));
    let both = ["--since", "2026-11-01T00:00:00Z", "--from-sequence", "2"];
    assert_eq!(ground.in_data("export", &both).status.code(), Some(2));
    assert_eq!(ground.in_data("export", &["--since", "yesterday"]).status.code(), Some(2));
}

#[test]
fn the_help_has_an_example() {
    for (command, example) in
        [("verify", "countermand audit verify --file"), ("export", "countermand audit export --save-to")]
    {
        assert!(done(&run(&["audit", command, "--help"])).contains(example));
    }
}
