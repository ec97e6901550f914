//! What became of an action or of a cancel, in plain words.

use crate::client::{Client, Explanation};
use crate::exit::Exit;
use crate::output::{Output, instant};
use protocol::defender::action::MachineAction;
use std::time::Duration;

/// How `troubleshootInfo` of a TimeOut begins when no grant was given in time: nothing was done on the machine.
const NOT_STARTED: &str = "NotStarted";
/// How long an explanation is waited for: it only adds to what is known, and somebody may want to leave.
const EXPLANATION_TIMEOUT: Duration = Duration::from_secs(5);
/// What stands before the residue in `troubleshootInfo`.
const LEFT_BEHIND: &str = "left behind: ";

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// In plain words.
    pub words: String,
    /// What is left behind on the machine and cannot be undone.
    pub residue: Vec<String>,
    /// How a command that waited for it ends.
    pub exit: Exit,
}

impl Outcome {
    /// Prints it for people: the words, and the residue directly below.
    pub fn print(&self, subject: &str, output: Output) {
        output.line(&format!("{subject}  {}", self.words));
        for residue in &self.residue {
            output.line(&format!("    left behind: {residue}"));
        }
    }
}

/// Whether an action with this status never changes again.
pub fn is_final(action: &MachineAction) -> bool {
    matches!(action.status.as_str(), "Succeeded" | "Failed" | "TimeOut" | "Cancelled")
}

/// What became of the cancel of this action. The status decides; the explanation adds how we know.
pub fn of_cancel(action: &MachineAction, explanation: Option<&Explanation>) -> Outcome {
    let (words, exit) = match action.status.as_str() {
        "Cancelled" => (cancelled_words(explanation), Exit::Ok),
        status @ ("Succeeded" | "Failed") => (format!("Too late - finished first ({status})"), Exit::TooLate),
        "TimeOut" if is_never_started(action) => {
            (String::from("Too late - expired before it started (TimeOut); nothing was done"), Exit::TooLate)
        }
        "TimeOut" => {
            (String::from("Outcome unknown - the machine did not say how it ended (TimeOut)"), Exit::Unconfirmed)
        }
        _ => (stopping_words(action, explanation), Exit::Unconfirmed),
    };
    Outcome { words, residue: residue(action, explanation), exit }
}

/// What became of an action that somebody wanted done.
pub fn of_action(action: &MachineAction, explanation: Option<&Explanation>) -> Outcome {
    let (words, exit) = match action.status.as_str() {
        "Succeeded" => (String::from("Succeeded"), Exit::Ok),
        "Failed" => (format!("Failed{}", reasons(action)), Exit::Failed),
        "Cancelled" => {
            let who = action.cancellation_requestor.as_deref().unwrap_or("somebody");
            let why = action.cancellation_comment.as_deref().unwrap_or_default();
            (format!("{}, by {who}: {why}", cancelled_words(explanation)), Exit::Failed)
        }
        "TimeOut" if is_never_started(action) => {
            (String::from("TimeOut - expired before it started; nothing was done"), Exit::Failed)
        }
        "TimeOut" => {
            (String::from("TimeOut - outcome unknown: the machine did not say how it ended"), Exit::Unconfirmed)
        }
        status => (format!("{status}{}", waiting_words(explanation)), Exit::Unconfirmed),
    };
    Outcome { words, residue: residue(action, explanation), exit }
}

/// What became of an action that somebody watches: of its cancel if there is one, else of itself.
pub fn of_watched(action: &MachineAction, explanation: Option<&Explanation>) -> Outcome {
    if action.cancellation_requestor.is_some() {
        of_cancel(action, explanation)
    } else {
        of_action(action, explanation)
    }
}

/// The explanation, where the server has one: it only adds to what the action says.
pub async fn explanation(client: &Client, id: &str) -> Option<Explanation> {
    let answer = tokio::time::timeout(EXPLANATION_TIMEOUT, client.explain(id)).await;
    answer.ok()?.ok().map(|answer| answer.item)
}

fn cancelled_words(explanation: Option<&Explanation>) -> String {
    let outcome = explanation.and_then(|known| known.cancel_outcome.as_deref()).unwrap_or_default();
    let outcome = outcome.to_lowercase();
    if outcome.contains("never started") || outcome == "neverstarted" {
        "Cancelled - never started".into()
    } else if outcome.contains("rolled back") || outcome == "stoppedandundone" {
        "Cancelled - stopped and rolled back".into()
    } else {
        "Cancelled".into()
    }
}

fn stopping_words(action: &MachineAction, explanation: Option<&Explanation>) -> String {
    let since = action.cancellation_date_time_utc.as_deref().unwrap_or(&action.last_update_date_time_utc);
    let heard = explanation.and_then(|known| known.machine_last_seen.as_deref());
    let heard = heard.map(|at| format!(" (last heard of it {})", instant(at))).unwrap_or_default();
    format!("Stopping - waiting for the machine since {}{heard}", instant(since))
}

fn waiting_words(explanation: Option<&Explanation>) -> String {
    let waiting = explanation.and_then(|known| known.waiting.as_deref());
    let heard = explanation.and_then(|known| known.machine_last_seen.as_deref());
    let mut words = waiting.map(|waiting| format!(" - waits for {waiting}")).unwrap_or_default();
    if let Some(at) = heard {
        words += &format!(" (machine last heard of {})", instant(at));
    }
    words
}

fn is_never_started(action: &MachineAction) -> bool {
    action.troubleshoot_info.as_deref().is_some_and(|info| info.starts_with(NOT_STARTED))
}

/// Why it failed: the action's own words and those of its commands.
fn reasons(action: &MachineAction) -> String {
    let info = action.troubleshoot_info.as_deref().unwrap_or_default();
    let said = info.split(LEFT_BEHIND).next().unwrap_or_default().trim_end_matches([';', ' ']);
    let errors = action.commands.iter().flat_map(|command| command.errors.iter().map(String::as_str));
    let mut known: Vec<&str> = Vec::new();
    for reason in [said].into_iter().chain(errors) {
        if !reason.is_empty() && !known.contains(&reason) {
            known.push(reason);
        }
    }
    if known.is_empty() { String::new() } else { format!(" - {}", known.join("; ")) }
}

fn residue(action: &MachineAction, explanation: Option<&Explanation>) -> Vec<String> {
    if let Some(known) = explanation.filter(|known| !known.residue.is_empty()) {
        return known.residue.clone();
    }
    let info = action.troubleshoot_info.as_deref().unwrap_or_default();
    match info.split_once(LEFT_BEHIND) {
        Some((_, residue)) => residue.split("; ").map(str::to_string).collect(),
        None => Vec::new(),
    }
}
