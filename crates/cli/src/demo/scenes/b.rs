//! (b) A script with a child and a daemonised grandchild that ignore SIGTERM, cancelled while it runs.

use super::{STEP_LIMIT, expect_status, finished, processes_with, script};
use crate::demo::show::{history, ms, say, scene};
use crate::demo::{Play, until};
use anyhow::ensure;
use std::path::Path;
use std::time::{Duration, Instant};

const MACHINE: &str = "build-02";

/// Its processes in name order: each appends to a file of its own, again and again.
const WHO: [&str; 3] = ["child", "grandchild", "script"];

/// How long nothing may be written after Cancelled was shown, to be sure.
const QUIET: Duration = Duration::from_millis(300);

const SCRIPT: &str = r#"#!/bin/sh
trap '' TERM
mark() { while :; do echo x >> "$1"; sleep 0.02; done; }
mark "$1/child" &
setsid sh -c 'trap "" TERM; (while :; do echo x >> "$1/grandchild"; sleep 0.02; done) & exit' daemon "$1"
mark "$1/script"
"#;

pub(in crate::demo) async fn cancel_a_running_script(play: &mut Play) -> anyhow::Result<()> {
    scene("b", "A running script with a child and a daemonised grandchild that ignore SIGTERM");
    let marks = play.marks.join("b");
    std::fs::create_dir_all(&marks)?;
    let mark = marks.to_string_lossy().into_owned();
    let action = script(play, MACHINE, "b.sh", SCRIPT, &mark).await?;
    until("all three processes run", STEP_LIMIT, async || {
        Ok(WHO.iter().all(|who| length(&marks, who) > 0).then_some(()))
    })
    .await?;
    let running = processes_with(&mark)?.iter().filter(|line| !line.contains("shim")).count();
    say(&format!("it runs on {MACHINE}: {running} processes"));
    ensure!(running >= WHO.len(), "only {running} processes are seen");

    let asked = Instant::now();
    let answer = play.client.cancel(&action.id, "wrong machine").await?.item;
    let answered = asked.elapsed();
    say(&format!(
        "cancelled: the answer says {} after {}, with who cancelled and when: accepted, not yet proven",
        answer.status,
        ms(answered)
    ));
    // A very quick machine may have testified before the answer was written; that is as true.
    ensure!(["InProgress", "Cancelled"].contains(&answer.status.as_str()), "the answer says {}", answer.status);
    ensure!(answer.cancellation_requestor.is_some(), "the answer does not say who cancelled");

    let ended = finished(play, &action.id).await?;
    let proven = asked.elapsed();
    expect_status(&ended, "Cancelled")?;
    let left = processes_with(&mark)?;
    ensure!(left.is_empty(), "processes are left: {left:?}");
    let lengths = WHO.map(|who| length(&marks, who));
    tokio::time::sleep(QUIET).await;
    ensure!(lengths == WHO.map(|who| length(&marks, who)), "something still writes");
    say(&format!("Cancelled is shown {} after the request, when all of them were dead", ms(proven)));
    let residue = play.client.explain(&action.id).await?.item.residue;
    ensure!(!residue.is_empty(), "what a script did before cannot be undone, and is not named");
    for line in residue {
        say(&format!("left behind, and named: {line}"));
    }
    history(&play.client, &action.id).await
}

fn length(marks: &Path, who: &str) -> u64 {
    std::fs::metadata(marks.join(who)).map_or(0, |metadata| metadata.len())
}
