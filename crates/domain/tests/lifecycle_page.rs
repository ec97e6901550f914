//! docs/lifecycle.md is the lifecycle table, drawn. The page cannot say anything else than the table does.

use domain::lifecycle::{EVENTS, EventKind, Next, STAGES, Stage, next};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Set to anything, the page is written instead of compared.
const WRITE: &str = "COUNTERMAND_WRITE_DOCS";

const HEAD: &str = "\
# Lifecycle

Generated from the table in `crates/domain/src/lifecycle.rs`; a test compares the two.

What the server does when an event meets an action in a stage. A cell names the stage that the action moves to;
*stay* changes nothing, since it is so already or comes too late to matter; *refuse* is not allowed, and the refusal
names the stage and the event. **Bold** is an end: a final stage never moves. A testimony that comes after the end is
kept in the history as late evidence.
";

const TAIL: &str = "\
An action gets into **Cancelled** in exactly two ways. From Pending by the request itself, because no grant was ever
given and none will be; from Stopping by the testimony of the journal that holds the grant, that the action never
began, or was stopped, every process of it is dead and what is reversible was put back.
";

#[test]
fn the_page_is_the_table() {
    let page = page();
    let path = path();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/lifecycle.md does not say what the table says; write it anew with:\n  \
         {WRITE}=1 cargo test -p domain --test lifecycle_page"
    );
}

fn page() -> String {
    let mut page = String::from(HEAD);
    // Writing to a String cannot fail.
    let _ = writeln!(page, "\n| Stage | API `status` | {} |", EVENTS.map(event_words).join(" | "));
    let _ = writeln!(page, "|{}", "---|".repeat(EVENTS.len() + 2));
    for stage in STAGES {
        let cells = EVENTS.map(|event| cell(next(stage, event))).join(" | ");
        let _ = writeln!(page, "| {} | {} | {cells} |", stage_words(stage), status(stage));
    }
    let _ = writeln!(page, "\n| Event | Means |\n|---|---|");
    for event in EVENTS {
        let _ = writeln!(page, "| {} | {} |", event_words(event), meaning(event));
    }
    page.push('\n');
    page.push_str(TAIL);
    page
}

fn cell(next: Next) -> String {
    match next {
        Next::To(stage) => stage_words(stage),
        Next::Stay => "*stay*".into(),
        Next::Refuse => "*refuse*".into(),
    }
}

fn stage_words(stage: Stage) -> String {
    if stage.is_final() { format!("**{stage}**") } else { stage.to_string() }
}

/// The API's word. This crate does not know the wire; `protocol::defender::action` does, and reads the same.
fn status(stage: Stage) -> &'static str {
    match stage {
        Stage::Pending => "Pending",
        Stage::Granted | Stage::Stopping => "InProgress",
        Stage::Succeeded => "Succeeded",
        Stage::Failed => "Failed",
        Stage::TimedOut => "TimeOut",
        Stage::Cancelled => "Cancelled",
    }
}

fn event_words(event: EventKind) -> &'static str {
    match event {
        EventKind::Granted => "Granted",
        EventKind::CancelRequested => "Cancel requested",
        EventKind::Stopped => "Stopped",
        EventKind::Finished => "Finished",
        EventKind::Broke => "Broke",
        EventKind::DeadlinePassed => "Deadline passed",
        EventKind::Disowned => "Disowned",
    }
}

fn meaning(event: EventKind) -> &'static str {
    match event {
        EventKind::Granted => "the machine's newest session asks for the permission to begin",
        EventKind::CancelRequested => "a caller asks for a cancel",
        EventKind::Stopped => "testimony: stopped, all processes dead, what is reversible put back",
        EventKind::Finished => "testimony: finished",
        EventKind::Broke => "testimony: did not finish",
        EventKind::DeadlinePassed => "not granted in time; or granted, and the machine silent beyond the horizon",
        EventKind::Disowned => "the journal that held the grant is gone",
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lifecycle.md")
}
