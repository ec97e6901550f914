//! What is printed: tables for people, the API's JSON for scripts, and nothing that drives a terminal.

use crate::fake::{Fake, ID, MACHINE, Said, action, changed, list, machine};
use serde_json::{Value, json};

/// Clears the screen, goes home, turns the text around, and speaks C1.
const HOSTILE: &str = "web\u{1b}[2J\u{1b}]0;x\u{7}\r\u{202e}03\u{9b}A";

fn is_harmless(text: &str) -> bool {
    text.chars()
        .all(|c| c == '\n' || !(c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')))
}

#[test]
fn a_hostile_machine_does_not_drive_the_terminal() {
    let fake = Fake::start();
    let isolation = changed(
        action("Isolate", "Failed"),
        &json!({
            "computerDnsName": HOSTILE, "requestorComment": HOSTILE, "troubleshootInfo": HOSTILE, "requestor": HOSTILE
        }),
    );
    fake.on("GET /api/machines", Said::json(200, &list(&[machine(MACHINE, HOSTILE)])))
        .on("GET /api/machineactions", Said::json(200, &list(std::slice::from_ref(&isolation))))
        .on(&format!("GET /api/machineactions/{ID}"), Said::json(200, &isolation));
    for arguments in [
        &["machines", "list"][..],
        &["machines", "show", "x"],
        &["actions", "list"],
        &["actions", "show", ID],
        &["actions", "cancel", HOSTILE],
    ] {
        for format in ["table", "json", "jsonl"] {
            let ran = fake.run(&[arguments, &["-o", format]].concat());
            assert!(is_harmless(&ran.out) && is_harmless(&ran.err), "{ran:?}");
            if format != "table" && arguments[1] != "cancel" {
                assert!(ran.json().to_string().contains("03"), "{ran:?}");
            }
        }
    }
    let ran = fake.run(&["machines", "list"]);
    assert!(ran.out.contains("web\\u{1b}[2J\\u{1b}]0;x\\u{7}\\r\\u{202e}03\\u{9b}A"), "{ran:?}");
}

#[test]
fn lists_are_tables_json_or_lines() {
    let fake = Fake::start();
    let items = [
        action("Isolate", "Pending"),
        changed(
            action("Unisolate", "InProgress"),
            &json!({
                "id": "b", "cancellationRequestor": "app"
            }),
        ),
    ];
    fake.on("GET /api/machineactions", Said::json(200, &list(&items)));
    let table = fake.run(&["actions", "list"]).out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("ID") && lines[0].contains("CREATED (UTC)"), "{table}");
    assert!(lines[1].starts_with(ID) && lines[1].contains("2026-01-07 08:00:00Z"), "{table}");
    assert!(lines[2].contains("InProgress (stopping)"), "{table}");
    let ran = fake.run(&["actions", "list", "-o", "json"]);
    assert_eq!(ran.json(), list(&items));
    let lines = fake.run(&["actions", "list", "-o", "jsonl"]).out;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, items);
}

#[test]
fn a_list_asks_for_what_was_said_and_follows_its_pages() {
    let fake = Fake::start();
    let page = |id: &str, next: &str| {
        changed(
            list(&[changed(action("Isolate", "Pending"), &json!({ "id": id }))]),
            &json!({ "@odata.nextLink": next }),
        )
    };
    fake.on(
        "GET /api/machineactions",
        Said::json(200, &page("a", &format!("{}/api/machineactions?$skip=1", fake.url))),
    )
    .on("GET /api/machineactions", Said::json(200, &page("b", &format!("{}/api/machineactions?$skip=2", fake.url))));
    let ran = fake.run(&[
        "actions",
        "list",
        "--top",
        "2",
        "--status",
        "pending,InProgress",
        "--type",
        "isolate",
        "--machine",
        MACHINE,
        "-o",
        "jsonl",
    ]);
    // The machine is looked up first, and is not there.
    assert_eq!(ran.code, 5, "{ran:?}");
    fake.on(&format!("GET /api/machines/{MACHINE}"), Said::json(200, &machine(MACHINE, "web-03")));
    let ran = fake.run(&[
        "actions",
        "list",
        "--top",
        "2",
        "--status",
        "pending,InProgress",
        "--type",
        "isolate",
        "--machine",
        MACHINE,
        "-o",
        "jsonl",
    ]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 2), "{ran:?}");
    let asked = fake.asked("GET /api/machineactions");
    assert_eq!(
        asked[0].query,
        format!(
            "%24top=2&%24filter=status+in+%28%27Pending%27%2C%27InProgress%27%29+and+type+eq+%27Isolate%27\
             +and+machineId+eq+%27{MACHINE}%27"
        )
    );
    assert_eq!((asked[1].query.as_str(), asked.len()), ("$skip=1", 2));
}

#[test]
fn a_server_that_takes_one_comparison_is_asked_for_more_and_sifted() {
    let fake = Fake::start();
    let isolation = |status: &str, id: &str, created: &str| {
        changed(action("Isolate", status), &json!({ "id": id, "creationDateTimeUtc": created }))
    };
    let pending = isolation("Pending", "a", "2026-01-07T08:00:00.1Z");
    let in_progress = isolation("InProgress", "b", "2026-01-07T08:00:00.12Z");
    fake.on("GET /api/machineactions", Said::error(400, "ODataError", "one only"))
        .on("GET /api/machineactions", Said::json(200, &list(&[action("Unisolate", "Pending"), pending.clone()])))
        .on("GET /api/machineactions", Said::json(200, &list(std::slice::from_ref(&in_progress))));
    let ran = fake.run(&["actions", "list", "--status", "Pending,InProgress", "--type", "Isolate", "-o", "json"]);
    assert_eq!((ran.code, ran.json()), (0, list(&[in_progress, pending])));
    let queries: Vec<_> = fake.asked("GET /api/machineactions").into_iter().map(|asked| asked.query).collect();
    assert_eq!(
        queries[1..],
        ["%24top=10000&%24filter=status+eq+%27Pending%27", "%24top=10000&%24filter=status+eq+%27InProgress%27"]
    );
}

#[test]
fn a_page_elsewhere_does_not_get_the_token() {
    let (fake, thief) = (Fake::start(), Fake::start());
    let next = json!({ "@odata.nextLink": format!("{}/api/machines?$skip=1", thief.url) });
    fake.on("GET /api/machines", Said::json(200, &changed(list(&[machine(MACHINE, "a")]), &next)));
    let ran = fake.run(&["machines", "list"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(thief.asked("GET /api/machines").is_empty());
}

#[test]
fn a_history_that_was_changed_is_said_to_be() {
    let line = json!({ "sequence": 7, "at": "2026-01-07T08:00:00Z", "source": "machine", "what": { "step": 1 },
                       "status": null, "hash": "0123456789abcdef" });
    for (verified, code, words) in [(true, 0, "The chain of hashes holds."), (false, 1, "does NOT hold")] {
        let fake = Fake::start();
        let history = json!({ "action": ID, "lines": [line], "verified": verified });
        fake.on(&format!("GET /api/countermand/actions/{ID}/history"), Said::json(200, &history));
        let ran = fake.run(&["actions", "history", ID]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(format!("{}{}", ran.out, ran.err).contains(words), "{ran:?}");
        assert!(ran.out.contains("0123456789ab") && ran.out.contains("{\"step\":1}"), "{ran:?}");
    }
}

#[test]
fn showing_an_action_tells_what_it_waits_for() {
    let fake = Fake::start();
    let explanation = json!({ "stage": "Pending", "waitingFor": "the device to begin it", "residue": [],
                              "machineLastSeen": "2026-01-06T00:00:00Z" });
    fake.on(&format!("GET /api/machineactions/{ID}"), Said::json(200, &action("Isolate", "Pending")))
        .on(&format!("GET /api/countermand/actions/{ID}"), Said::json(200, &explanation));
    let ran = fake.run(&["actions", "show", ID]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let words: Vec<String> =
        ran.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "Status Pending",
        "Waits for the device to begin it",
        "Machine last seen (UTC) 2026-01-06 00:00:00Z",
        "Comment case 812",
    ] {
        assert!(words.iter().any(|line| line == expected), "{ran:?}");
    }
}
