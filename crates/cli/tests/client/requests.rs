//! Asking for actions: the right machine, the right body, and what is done with the results.

use crate::fake::{Fake, ID, MACHINE, Said, action, changed, list, machine};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const OTHER_MACHINE: &str = "1123456789abcdef0123456789abcdef01234567";

fn with_machine() -> Fake {
    let fake = Fake::start();
    fake.on("GET /api/machines", Said::json(200, &list(&[machine(MACHINE, "web-03")])));
    fake
}

fn isolate_route() -> String {
    format!("POST /api/machines/{MACHINE}/isolate")
}

#[test]
fn isolating_by_name_finds_the_machine_first() {
    let fake = with_machine();
    fake.on(&isolate_route(), Said::json(201, &action("Isolate", "Pending")));
    let ran = fake.run(&["isolate", "web-03", "--comment", "case 812"]);
    assert_eq!((ran.code, ran.out), (0, format!("Isolate on web-03: {ID} (Pending)\n")));
    assert!(fake.asked("GET /api/machines")[0].query.contains("computerDnsName+eq+%27web-03%27"));
    let body: Value = serde_json::from_str(&fake.asked(&isolate_route())[0].body).unwrap();
    assert_eq!(body, json!({ "Comment": "case 812", "IsolationType": "Full" }));
}

#[test]
fn a_name_of_two_machines_is_never_guessed() {
    let fake = Fake::start();
    let twins = [machine(MACHINE, "web-03"), machine(OTHER_MACHINE, "web-03")];
    fake.on("GET /api/machines", Said::json(200, &list(&twins)));
    let ran = fake.run(&["isolate", "web-03", "--comment", "x"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains(MACHINE) && ran.err.contains(OTHER_MACHINE), "{ran:?}");
}

#[test]
fn waiting_for_an_action_ends_with_what_became_of_it() {
    let failed = changed(
        action("Unisolate", "Failed"),
        &json!({
            "troubleshootInfo": "nft said no; left behind: table x; table y"
        }),
    );
    let expired = changed(action("Unisolate", "TimeOut"), &json!({ "troubleshootInfo": "NotStarted" }));
    let cancelled = changed(
        action("Unisolate", "Cancelled"),
        &json!({
            "cancellationRequestor": "bo", "cancellationComment": "no"
        }),
    );
    for (end, code, words) in [
        (action("Unisolate", "Succeeded"), 0, "Succeeded\n"),
        (failed, 7, "Failed - nft said no\n    left behind: table x\n    left behind: table y\n"),
        (expired, 7, "TimeOut - expired before it started; nothing was done\n"),
        (cancelled, 7, "Cancelled, by bo: no\n"),
        (action("Unisolate", "TimeOut"), 4, "TimeOut - outcome unknown: the machine did not say how it ended\n"),
        (action("Unisolate", "InProgress"), 4, "InProgress\n"),
    ] {
        let fake = with_machine();
        fake.on(&format!("POST /api/machines/{MACHINE}/unisolate"), Said::json(201, &action("Unisolate", "Pending")))
            .on(&format!("GET /api/machineactions/{ID}"), Said::json(200, &end));
        let ran = fake.run(&["release", "web-03", "--comment", "x", "--wait", "--timeout", "1"]);
        assert_eq!((ran.code, ran.out), (code, format!("{ID}  {words}")));
    }
}

#[test]
fn a_second_isolation_is_refused_with_a_hint() {
    let fake = with_machine();
    fake.on(&isolate_route(), Said::error(400, "ActiveRequestAlreadyExists", "Action is already in progress"));
    let ran = fake.run(&["isolate", "web-03", "--comment", "x"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains(&format!("countermand actions list --machine {MACHINE}")), "{ran:?}");
}

#[test]
fn an_answer_that_cannot_be_read_does_not_hide_that_the_request_arrived() {
    let fake = with_machine();
    fake.on(&isolate_route(), Said::bytes(b"<html>"));
    let ran = fake.run(&["isolate", "web-03", "--comment", "x"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("it may have arrived all the same"), "{ran:?}");
}

fn command(index: u16, kind: &str, key: &str, value: &str, status: &str) -> Value {
    json!({ "index": index, "startTime": null, "endTime": null, "commandStatus": status, "errors": [],
            "command": { "type": kind, "params": [{ "key": key, "value": value }] } })
}

fn live_response(fake: &Fake, status: &str) {
    let ended = changed(
        action("LiveResponse", status),
        &json!({ "commands": [
        command(0, "PutFile", "FileName", "tool", "Completed"),
        command(1, "RunScript", "ScriptName", "use.sh", "Completed"),
        command(2, "GetFile", "Path", "/tmp/../etc/found", if status == "Succeeded" { "Completed" } else { "Failed" }),
    ] }),
    );
    fake.on(
        &format!("POST /api/machines/{MACHINE}/runliveresponse"),
        Said::json(201, &action("LiveResponse", "Pending")),
    )
    .on(&format!("GET /api/machineactions/{ID}"), Said::json(200, &ended));
    let transcript = json!({ "script_name": "use.sh", "exit_code": 3, "script_output": "one\n\u{1b}[2Jtwo\n", "script_errors": "e" });
    fake.on("GET /blob/1", Said::json(200, &transcript)).on("GET /blob/2", Said::bytes(b"\x1f\x8bzip"));
    for index in 1..=if status == "Succeeded" { 2 } else { 1 } {
        let link = json!({ "@odata.context": "x", "value": format!("{}/blob/{index}?sig=s", fake.url) });
        let route = format!("GET /api/machineactions/{ID}/GetLiveResponseResultDownloadLink(index={index})");
        fake.on(&route, Said::json(200, &link));
    }
}

#[test]
fn a_live_response_is_asked_for_in_order_and_its_results_are_saved() {
    let fake = with_machine();
    live_response(&fake, "Succeeded");
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("case");
    let ran = fake.run(&[
        "live-response",
        "web-03",
        "--comment",
        "c",
        "--get",
        "/tmp/../etc/found",
        "--run",
        "use.sh",
        "--args",
        "-v 1",
        "--put",
        "tool",
        "--save-to",
        target.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let body = &fake.asked(&format!("POST /api/machines/{MACHINE}/runliveresponse"))[0].body;
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        body["Commands"],
        json!([
            { "type": "PutFile", "params": [{ "key": "FileName", "value": "tool" }] },
            { "type": "RunScript", "params": [{ "key": "ScriptName", "value": "use.sh" }, { "key": "Args", "value": "-v 1" }] },
            { "type": "GetFile", "params": [{ "key": "Path", "value": "/tmp/../etc/found" }] },
        ])
    );
    let blob = &fake.asked("GET /blob/2")[0];
    assert_eq!((blob.authorization.as_str(), blob.query.as_str()), ("", "sig=s"));
    let found = target.join(format!("{ID}-2-found.gz"));
    assert_eq!(std::fs::read(&found).unwrap(), b"\x1f\x8bzip");
    assert_eq!(std::fs::metadata(&found).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 2);
}

#[test]
fn what_a_script_said_is_printed_harmlessly_even_if_a_later_command_failed() {
    let fake = with_machine();
    live_response(&fake, "Failed");
    let ran = fake.run(&["live-response", "web-03", "--comment", "c", "--run", "use.sh", "--wait"]);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.out.ends_with("--- use.sh: exit code 3\none\n\\u{1b}[2Jtwo\n--- use.sh: errors\ne\n"), "{ran:?}");
}

#[test]
fn an_upload_is_a_form_and_is_built_again_for_a_new_token() {
    let fake = Fake::start();
    let file = json!({ "fileName": "triage.sh", "sha256": "ab", "description": null, "creationTime": "x",
                       "lastUpdatedTime": "x", "createdBy": "app", "hasParameters": true });
    fake.on("POST /api/libraryfiles", Said::error(401, "Unauthorized", "expired"))
        .on("POST /api/libraryfiles", Said::json(200, &file))
        .on("GET /api/libraryfiles", Said::json(200, &list(&[file])))
        .on("DELETE /api/libraryfiles/triage.sh", Said::json(204, &Value::Null));
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("triage.sh");
    std::fs::write(&script, "#!/bin/sh\necho hello\n").unwrap();
    let ran = fake.run(&["library", "upload", script.to_str().unwrap(), "--parameters", "a path", "--override"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Uploaded triage.sh (sha256 ab)\n"), "{ran:?}");
    let body = &fake.asked("POST /api/libraryfiles")[1].body;
    for part in [
        "name=\"file\"; filename=\"triage.sh\"",
        "echo hello",
        "name=\"HasParameters\"\r\n\r\ntrue",
        "name=\"OverrideIfExists\"\r\n\r\ntrue",
        "name=\"ParametersDescription\"\r\n\r\na path",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert!(fake.run(&["library", "list"]).out.contains("triage.sh"));
    assert_eq!(fake.run(&["library", "delete", "triage.sh"]).code, 0);
    assert_eq!(fake.run(&["library", "delete", "nothing"]).code, 5);
}
