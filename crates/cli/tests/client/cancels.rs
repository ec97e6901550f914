//! What became of a cancel: each end has its words and its exit code.

use crate::fake::{Fake, ID, Ran, Said, action, cancelled, changed, list};
use serde_json::{Value, json};

const OTHER: &str = "9c0f0c52-2c0e-4a53-9d0e-5f4f8f1b6a11";

fn cancel_route(id: &str) -> String {
    format!("POST /api/machineactions/{id}/cancel")
}

fn show_route(id: &str) -> String {
    format!("GET /api/machineactions/{id}")
}

fn history_route() -> String {
    format!("GET /api/countermand/actions/{ID}/history")
}

fn explained(outcome: &str, residue: &[&str]) -> Said {
    Said::json(
        200,
        &json!({
            "action": ID, "stage": "x", "status": "x", "cancel": outcome, "residue": residue, "waitingFor": null,
            "machineLastSeen": "2026-01-07T07:59:00Z", "newer": 1
        }),
    )
}

fn explain_route() -> String {
    format!("GET /api/countermand/actions/{ID}")
}

#[test]
fn never_started() {
    let fake = Fake::start();
    fake.on(&cancel_route(ID), Said::json(200, &cancelled("Cancelled")))
        .on(&explain_route(), explained("Cancelled - never started", &[]));
    let ran = fake.run(&["actions", "cancel", ID, "--comment", "wrong machine"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, format!("{ID}  Cancelled - never started\n").as_str()), "{ran:?}");
    let body: Value = serde_json::from_str(&fake.asked(&cancel_route(ID))[0].body).unwrap();
    assert_eq!(body, json!({ "Comment": "wrong machine" }));
    assert!(fake.asked(&show_route(ID)).is_empty());
}

#[test]
fn stopped_and_rolled_back_after_a_wait_with_the_residue_below() {
    let fake = Fake::start();
    fake.on(&cancel_route(ID), Said::json(200, &cancelled("InProgress")))
        .on(&show_route(ID), Said::json(200, &cancelled("InProgress")))
        .on(&show_route(ID), Said::error(503, "ServiceUnavailable", "a moment"))
        .on(&show_route(ID), Said::json(200, &cancelled("Cancelled")))
        .on(
            &explain_route(),
            explained("Cancelled - stopped and rolled back", &["the script sent mail", "b\u{1b}[2J"]),
        );
    let ran = fake.run(&["actions", "cancel", ID]);
    let expected = format!(
        "{ID}  Cancelled - stopped and rolled back\n    left behind: the script sent mail\n    \
         left behind: b\\u{{1b}}[2J\n"
    );
    assert_eq!((ran.code, ran.out), (0, expected));
    assert!(ran.err.contains("still trying"), "{}", ran.err);
    assert_eq!(fake.asked(&show_route(ID)).len(), 3);
}

#[test]
fn not_confirmed_in_time_is_never_shown_as_cancelled() {
    for arguments in [&["--timeout", "1"][..], &["--no-wait"]] {
        let fake = Fake::start();
        fake.on(&cancel_route(ID), Said::json(200, &cancelled("InProgress")))
            .on(&show_route(ID), Said::json(200, &cancelled("InProgress")))
            .on(&explain_route(), explained("Stopping", &[]));
        let ran = fake.run(&[&["actions", "cancel", ID], arguments].concat());
        let expected = format!(
            "{ID}  Stopping - waiting for the machine since 2026-01-07 08:05:00Z \
             (last heard of it 2026-01-07 07:59:00Z)\n"
        );
        assert_eq!((ran.code, ran.out), (4, expected));
    }
}

#[test]
fn too_late() {
    for status in ["Succeeded", "Failed"] {
        // Refused because it had ended, or ended between the cancel and its confirmation.
        let refused = Said::error(400, "InvalidInput", "it has ended");
        for first in [refused, Said::json(200, &cancelled("InProgress"))] {
            let fake = Fake::start();
            fake.on(&cancel_route(ID), first).on(&show_route(ID), Said::json(200, &cancelled(status)));
            let ran = fake.run(&["actions", "cancel", ID]);
            assert_eq!((ran.code, ran.out), (3, format!("{ID}  Too late - finished first ({status})\n")));
        }
    }
}

#[test]
fn a_timeout_is_told_apart_by_whether_it_started() {
    let timed_out = |info: &str| changed(action("Isolate", "TimeOut"), &json!({ "troubleshootInfo": info }));
    for (info, code, words) in [
        ("NotStarted", 3, "Too late - expired before it started (TimeOut); nothing was done"),
        ("OutcomeUnknown:JournalLost", 4, "Outcome unknown - the machine did not say how it ended (TimeOut)"),
    ] {
        let fake = Fake::start();
        fake.on(&cancel_route(ID), Said::error(400, "InvalidInput", "it has ended"))
            .on(&show_route(ID), Said::json(200, &timed_out(info)));
        let ran = fake.run(&["actions", "cancel", ID]);
        assert_eq!((ran.code, ran.out), (code, format!("{ID}  {words}\n")));
    }
}

#[test]
fn a_refused_cancel_says_that_nothing_was_cancelled() {
    for (said, code) in [
        (Said::error(403, "Forbidden", "no\u{9b}31m"), 6),
        (Said::error(404, "ResourceNotFound", "no"), 5),
        (Said::error(400, "BadRequest", "no"), 1),
    ] {
        let fake = Fake::start();
        fake.on(&cancel_route(ID), said).on(&show_route(ID), Said::json(200, &action("Isolate", "InProgress")));
        let ran = fake.run(&["actions", "cancel", ID]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.out.starts_with(&format!("{ID}  Not cancelled - no")), "{ran:?}");
        assert!(!ran.out.contains('\u{9b}'));
    }
}

#[test]
fn of_several_the_worst_counts_and_each_has_its_line() {
    let fake = Fake::start();
    let other = |status: &str| changed(cancelled(status), &json!({ "id": OTHER }));
    fake.on(&cancel_route(ID), Said::json(200, &cancelled("InProgress")))
        .on(&cancel_route(OTHER), Said::json(200, &other("InProgress")))
        .on("GET /api/machineactions", Said::json(200, &list(&[cancelled("InProgress")])))
        .on(&show_route(OTHER), Said::json(200, &other("Succeeded")))
        .on(&show_route(ID), Said::json(200, &cancelled("Cancelled")));
    let ran = fake.run(&["actions", "cancel", ID, "unknown", OTHER, ID]);
    let mut lines: Vec<&str> = ran.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{ran:?}");
    assert_eq!(lines[0], format!("{ID}  Cancelled"));
    assert_eq!(lines[1], format!("{OTHER}  Too late - finished first (Succeeded)"));
    assert!(lines[2].starts_with("unknown  Not cancelled - "), "{ran:?}");
    assert_eq!(ran.code, 5);
    assert_eq!(fake.asked(&cancel_route(ID)).len(), 1);
    assert!(fake.asked("GET /api/machineactions")[0].query.ends_with("%24filter=status+eq+%27InProgress%27"));
    assert_eq!((fake.asked(&show_route(ID)).len(), fake.asked(&show_route(OTHER)).len()), (1, 1));
}

#[test]
fn json_is_the_apis() {
    let fake = Fake::start();
    fake.on(&cancel_route(ID), Said::json(200, &cancelled("Cancelled")))
        .on(&cancel_route(OTHER), Said::json(200, &changed(cancelled("Cancelled"), &json!({ "id": OTHER }))));
    assert_eq!(fake.run(&["actions", "cancel", ID, "-o", "json"]).json(), cancelled("Cancelled"));
    let several = fake.run(&["actions", "cancel", ID, OTHER, "-o", "json"]).json();
    assert_eq!((several[0]["id"].as_str(), several[1]["id"].as_str()), (Some(ID), Some(OTHER)));
    assert_eq!(fake.run(&["actions", "cancel", ID, OTHER, "-o", "jsonl"]).out.lines().count(), 2);
}

#[test]
fn watching_prints_each_line_once_until_the_end() {
    let fake = Fake::start();
    let line = |sequence: u64, what: &str| {
        json!({ "sequence": sequence, "at": format!("2026-01-07T08:00:0{sequence}Z"), "source": "server", "what": what,
                "status": "InProgress", "hash": "ab" })
    };
    let history = |status: &str, lines: &[Value]| {
        fake.on(&show_route(ID), Said::json(200, &action("Isolate", status)))
            .on(&history_route(), Said::json(200, &json!({ "action": ID, "lines": lines, "verified": true })));
    };
    history("InProgress", &[line(1, "requested")]);
    history("InProgress", &[line(1, "requested"), line(2, "granted\u{1b}c")]);
    history("Failed", &[line(1, "requested"), line(2, "granted"), line(3, "failed")]);
    let ran = fake.run(&["actions", "watch", ID]);
    let expected = format!(
        "2026-01-07 08:00:01Z  server    requested  [InProgress]\n\
         2026-01-07 08:00:02Z  server    granted\\u{{1b}}c  [InProgress]\n\
         2026-01-07 08:00:03Z  server    failed  [InProgress]\n{ID}  Failed\n"
    );
    assert_eq!((ran.code, ran.out), (7, expected));
}

#[test]
fn interrupting_a_watch_says_what_still_runs_and_how_to_cancel_it() {
    let fake = Fake::start();
    fake.on(&show_route(ID), Said::json(200, &action("Isolate", "InProgress")))
        .on(&history_route(), Said::json(200, &json!({ "action": ID, "lines": [], "verified": true })));
    let ran = interrupted(&fake, &["actions", "watch", ID], &history_route());
    assert_eq!(ran.code, 4, "{ran:?}");
    let expected = format!("Isolate on web-03 ({ID}) is InProgress. Cancel it by: countermand actions cancel {ID}");
    assert!(ran.err.contains(&expected), "{ran:?}");
}

#[test]
fn interrupting_a_cancel_says_that_it_stays_in_force() {
    let fake = Fake::start();
    fake.on(&cancel_route(ID), Said::json(200, &cancelled("InProgress")))
        .on(&show_route(ID), Said::json(200, &cancelled("InProgress")));
    let ran = interrupted(&fake, &["actions", "cancel", ID], &show_route(ID));
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("Interrupted. Accepted cancels stay in force."), "{ran:?}");
    assert!(ran.out.starts_with(&format!("{ID}  Stopping - waiting for the machine since")), "{ran:?}");
}

/// Presses Ctrl-C when the route has been asked twice: then the wait is certainly under way.
fn interrupted(fake: &Fake, arguments: &[&str], route: &str) -> Ran {
    let child = fake.command(arguments).spawn().unwrap();
    fake.wait_for(route);
    fake.wait_for(route);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    Ran::of(child.wait_with_output().unwrap())
}
