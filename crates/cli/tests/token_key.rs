//! `countermand token-key`, as a process, on a data directory.

use serde_json::Value;
use server::admin;
use server::config::{Config, DataConfig};
use server::tokens::TokenKeys;
use std::path::Path;
use std::process::{Command, Output};

fn run(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countermand"));
    command.arg("token-key").args(arguments).arg("--data-dir").arg(dir);
    command.output().expect("it starts")
}

/// The id and the state of each key that is shown.
fn keys(output: &Output) -> Vec<(String, String)> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
    rows.map(|row| (row["id"].as_str().unwrap().into(), row["state"].as_str().unwrap().into())).collect()
}

fn states(keys: &[(String, String)]) -> Vec<&str> {
    keys.iter().map(|(_, state)| state.as_str()).collect()
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn a_key_is_rotated_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert!(
        refusal(&run(dir, &["list"])).contains("no token key"),
        "nothing is made in a directory that is no server's"
    );
    assert!(refusal(&run(dir, &["rotate"])).contains("not a server's data directory"));
    TokenKeys::open(dir, 3599).unwrap();
    drop(admin::open_store(&Config { data: DataConfig { dir: dir.into() }, ..Config::default() }).unwrap());
    let first = keys(&run(dir, &["list", "--json"]));
    assert_eq!(states(&first), ["signs"]);

    let both = keys(&run(dir, &["rotate", "--json"]));
    assert_eq!((states(&both), &both[0]), (vec!["signs", "waits"], &first[0]));
    let three = keys(&run(dir, &["rotate", "--after-minutes", "0", "--json"]));
    assert_eq!(states(&three), ["verifies", "signs", "waits"]);
    let left = keys(&run(dir, &["remove", &first[0].0, "--json"]));
    assert_eq!(left, three[1..]);

    assert!(refusal(&run(dir, &["remove", &first[0].0])).contains("there is no token key"));
    assert!(refusal(&run(dir, &["remove", &left[0].0])).contains("the only key that can sign"));
    let text = String::from_utf8(run(dir, &["list"]).stdout).unwrap();
    assert!(text.contains("new tokens are signed with it") && text.contains("signs from 20"), "{text}");
    assert_eq!(run(dir, &["rotate", "--after-minutes", "-1"]).status.code(), Some(2));

    let exported = Command::new(env!("CARGO_BIN_EXE_countermand"))
        .args(["audit", "export", "--data-dir"])
        .arg(dir)
        .output()
        .expect("it starts");
    let log = String::from_utf8(exported.stdout).unwrap();
    assert_eq!(log.matches("countermand token-key rotate").count(), 2, "{log}");
    assert_eq!(log.matches("countermand token-key remove").count(), 3, "the refused ones too: {log}");
    assert!(log.contains(&first[0].0), "which key: {log}");
}

#[test]
fn an_issuers_file_that_is_wrong_is_said_before_anything_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("issuers.json");
    for (content, expected) in [
        (None, "No such file"),
        (Some("{}"), "missing field `issuers`"),
        (Some(r#"{"issuers":[{"issuer":"http://a","audiences":["x"]}]}"#), "https"),
        (Some(r#"{"issuers":[{"issuer":"https://a","audiences":["x"],"ca_file":"/nowhere.pem"}]}"#), "/nowhere.pem"),
    ] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_countermand"));
        command.args(["serve", "--api-listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0", "--issuers"]).arg(&file);
        let output = command.arg("--data-dir").arg(dir.path().join("data")).output().expect("it starts");
        let said = refusal(&output);
        assert!(said.contains(expected), "{said}");
    }
}
