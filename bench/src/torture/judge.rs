//! Whether a trial's end is the right one, and the machine as it promises.

use super::STORY_LINES;
use super::look::Machine;
use super::play::{self, Case, PAYLOAD_NAME, Play, SCRIPT_NAME};
use super::rig::Rig;
use super::right::Right;
use cli::client::{Explanation, History};
use protocol::defender::action::MachineAction;
use std::io::Read as _;

/// How much of a file that was got is fetched, in bytes.
const FETCHED_BYTES_MAX: u64 = 1 << 20;

/// A trial's end.
pub(super) struct Ended {
    /// The action.
    pub(super) action: MachineAction,
    /// The machine before.
    pub(super) before: Machine,
    /// The machine when the end was shown.
    pub(super) machine: Machine,
    /// What lived of the action when the end was shown.
    pub(super) alive: Vec<String>,
    /// Its history.
    pub(super) history: History,
    /// What is said of it in plain words.
    pub(super) explained: Explanation,
}

/// What is wrong, one line each.
///
/// # Errors
/// It cannot be found out.
pub(super) fn judge(rig: &Rig, play: Play, case: &Case, right: Right, ended: &Ended) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let status = ended.action.status.as_str();
    if status != right.status {
        wrong.push(format!("it ended {status}; right is {}", right.status));
    }
    wrong.extend(ended.alive.iter().map(|what| format!("still there when {status} was shown: {what}")));
    let witness = std::fs::read_to_string(&case.witness).unwrap_or_default();
    let count = |word: &str| witness.lines().filter(|line| *line == word).count();
    let (starts, ends) = (count("start"), count("end"));
    if starts > 1 {
        wrong.push(format!("the script was started {starts} times"));
    }
    if starts > 0 && !right.may_have_begun {
        wrong.push("the script was started although the action never began".into());
    }
    if status == "Succeeded" {
        if play.runs_script() && (starts, ends) != (1, 1) {
            wrong.push(format!("Succeeded, and the script started {starts} and ended {ends} times"));
        }
        wrong.extend(effect(rig, play, ended)?);
    } else {
        wrong.extend(ended.machine.differences(&ended.before));
        let told = ended.explained.residue.iter().any(|line| line.contains(SCRIPT_NAME));
        if starts > 0 && !told {
            wrong.push(format!("the script ran and is not listed as left behind: {:?}", ended.explained.residue));
        }
        if !right.may_have_begun && !ended.explained.residue.is_empty() {
            wrong.push(format!("it never began and left {:?} behind", ended.explained.residue));
        }
    }
    wrong.extend(history(ended));
    Ok(wrong)
}

/// Everything there is to know of a trial that went wrong.
pub(super) fn story(rig: &Rig, ended: &Ended, places: &[String]) -> String {
    let mut story = format!("action {}\n  places: {}\n  history:\n", ended.action.id, places.join(" "));
    for line in &ended.history.lines {
        story.push_str(&format!("    {} {} {:?} {}\n", line.at, line.source, line.status, line.what));
    }
    story.push_str(&format!("  troubleshootInfo: {:?}\n  agent:\n", ended.action.troubleshoot_info));
    for line in rig.agent_tail(STORY_LINES).lines() {
        story.push_str(&format!("    {line}\n"));
    }
    story
}

/// What is wrong with the effect of an action that succeeded.
fn effect(rig: &Rig, play: Play, ended: &Ended) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let (machine, id) = (&ended.machine, ended.action.id.as_str());
    match play {
        Play::Isolate | Play::IsolateAgain if !machine.isolated_by(id) => {
            wrong.push("Succeeded, and the machine is not isolated by it".into());
        }
        Play::Release if machine.table.is_some() => wrong.push("Succeeded, and the machine is isolated".into()),
        _ => {}
    }
    let changed: Vec<&String> = machine
        .downloads
        .iter()
        .filter(|(name, file)| ended.before.downloads.get(*name) != Some(*file))
        .map(|(name, _)| name)
        .collect();
    if play.puts_file() {
        let put = machine.downloads.get(PAYLOAD_NAME).is_some_and(|(_, content)| *content == play::payload());
        // In place of another file, that other is kept aside under one further name.
        let right_count = if play == Play::PutFileOver { 2 } else { 1 };
        if !put || changed.len() != right_count {
            wrong.push(format!("Succeeded, and in downloads is new or changed: {changed:?}"));
        }
    } else if !changed.is_empty() {
        wrong.push(format!("downloads was not to be touched, and {changed:?} is new or changed"));
    }
    if let Some(index) = play.gets_file() {
        let got = fetch(rig, id, index)?;
        if got != std::fs::read(play::evidence(rig))? {
            wrong.push(format!("the file that was got is not the file: {} bytes", got.len()));
        }
    }
    Ok(wrong)
}

fn fetch(rig: &Rig, action: &str, index: u16) -> anyhow::Result<Vec<u8>> {
    let compressed = rig.ask(|client, _| async move {
        let link = client.result_link(action, index).await?;
        let mut bytes = Vec::new();
        client.download(&link, &mut bytes, FETCHED_BYTES_MAX).await?;
        Ok(bytes)
    })?;
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(compressed.as_slice()).take(FETCHED_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is wrong with the history: it ends once, as the action did, and its chain holds.
fn history(ended: &Ended) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_end =
        |status: &Option<String>| matches!(status.as_deref(), Some("Succeeded" | "Failed" | "Cancelled" | "TimeOut"));
    let ends: Vec<&str> = ended
        .history
        .lines
        .iter()
        .filter(|line| line.source == "Server" && is_end(&line.status))
        .filter_map(|line| line.status.as_deref())
        .collect();
    if ends != [ended.action.status.as_str()] {
        wrong.push(format!("it is {}, and its history ends it as {ends:?}", ended.action.status));
    }
    if ended.history.verified != Some(true) {
        wrong.push(format!("the history's chain does not hold: {:?}", ended.history.verified));
    }
    wrong
}
