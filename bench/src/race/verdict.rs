//! What the witnesses say against what was shown.

use super::SCRIPT_NAME;
use super::life::{Life, Moment};
use crate::figures::{self, Bar, Spread};
use crate::marks;
use cli::client::Client;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// What must not be, one story each.
    pub(super) violations: Vec<String>,
    /// How many actions ended how, by the moment of their cancel.
    outcomes: BTreeMap<(String, Moment), usize>,
    /// From a cancel's request to Cancelled being shown.
    cancels: Vec<Cancel>,
    marks: usize,
}

/// A cancel that made its action Cancelled.
#[derive(Debug)]
struct Cancel {
    id: String,
    took: Duration,
    reached: Reached,
}

/// How far an action had come when its cancel took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// No grant was ever given.
    NeverGranted,
    /// A grant was given, and nothing ran.
    NeverStarted,
    /// It ran, and was stopped.
    Running,
}

/// What is shown of the cancels, and written to a file: how long they took, by how far the action had come.
#[derive(Debug, Serialize)]
pub(super) struct Latencies {
    never_granted: Distribution,
    granted_never_started: Distribution,
    stopped: Distribution,
}

/// How long many cancels took.
#[derive(Debug, Serialize)]
struct Distribution {
    spread: Spread,
    /// Empty ones are left out.
    bars: Vec<Bar>,
}

/// Compares each life with its witness.
///
/// # Errors
/// A witness file cannot be read.
pub(super) fn judge(lives: &[Life]) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::default();
    for life in lives {
        let seen = marks::read(&life.witness)?;
        verdict.marks += seen.len();
        verdict.count(life, &seen);
        let wrong = violations(life, &seen, marks::length(&life.witness));
        verdict.violations.extend(wrong.into_iter().map(|what| format!("{} {what}{}", life.id, story(life, &seen))));
    }
    Ok(verdict)
}

/// What else is known of a life.
fn story(life: &Life, seen: &[marks::Seen]) -> String {
    let of = |mark: &marks::Seen| format!("{} at {:.3} ms", mark.word, since(life, mark.at_ns));
    let (first, last) = (seen.first().map(of), seen.last().map(of));
    let shown = life.shown_ns.map(|at_ns| format!("{:.3} ms", since(life, at_ns)));
    let errors = life.end.iter().flat_map(|end| &end.commands).flat_map(|command| &command.errors);
    let errors: Vec<&String> = errors.collect();
    format!(
        "\n  {:?}; {} marks, first {first:?}, last {last:?}, counted from the cancel; shown {shown:?}; errors {errors:?}",
        life.moment,
        seen.len(),
    )
}

/// Milliseconds from the cancel's request, negative before.
fn since(life: &Life, at_ns: u64) -> f64 {
    (at_ns as f64 - life.asked_ns.unwrap_or(0) as f64) / 1e6
}

/// What of one life must not be.
fn violations(life: &Life, seen: &[marks::Seen], length: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let has = |word: &str| seen.iter().any(|mark| mark.word == word);
    if let Some(shown_ns) = life.shown_ns {
        let late: Vec<&marks::Seen> = seen.iter().filter(|mark| mark.at_ns > shown_ns).collect();
        if let Some(last) = late.last() {
            let by_ms = (last.at_ns - shown_ns) as f64 / 1e6;
            wrong.push(format!("{} marks after Cancelled was shown, the last {by_ms:.3} ms after", late.len()));
        } else if length > life.length_when_shown {
            wrong.push(format!("the witness grew from {} to {length} bytes after Cancelled", life.length_when_shown));
        }
    }
    // Whatever the end is called, every process was dead before it was said.
    let late = |ended_ns: u64| seen.iter().filter(|mark| mark.at_ns > ended_ns).count();
    if let Some(late) = life.ended_ns.map(late).filter(|late| *late > 0 && life.shown_ns.is_none()) {
        wrong.push(format!("{late} marks after its end was shown"));
    }
    if seen.iter().filter(|mark| mark.word == "start").count() > 1 {
        wrong.push("started more than once".into());
    }
    let Some(end) = &life.end else {
        wrong.push("stuck: it has no end".into());
        return wrong;
    };
    if life.shown_ns.is_some() && end.status != "Cancelled" {
        wrong.push(format!("it was shown Cancelled and ended {}", end.status));
    }
    let began = end.commands.first().is_some_and(|command| command.start_time.is_some());
    match end.status.as_str() {
        "Succeeded" if !has("end") => wrong.push("Succeeded without an end mark".into()),
        "Cancelled" if !life.taken => wrong.push("Cancelled although the cancel was refused".into()),
        "Cancelled" if !began && !seen.is_empty() => {
            wrong.push("Cancelled before it began, and there are marks".into())
        }
        "Cancelled" if !seen.is_empty() && !end.troubleshoot_info.as_deref().unwrap_or("").contains(SCRIPT_NAME) => {
            wrong.push(format!("it ran, and that is not told: {:?}", end.troubleshoot_info));
        }
        "Succeeded" | "Cancelled" => {}
        other => wrong.push(format!("ended {other}: {:?}", end.troubleshoot_info)),
    }
    wrong
}

impl std::fmt::Display for Latencies {
    /// In few words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (never, stopped) = (&self.never_granted.spread, &self.stopped.spread);
        write!(f, "cancel to Cancelled p50/p99/max: never granted {:.0}/", never.p50_ms)?;
        write!(f, "{:.0}/{:.0} ms, stopped {:.0}/", never.p99_ms, never.max_ms, stopped.p50_ms)?;
        write!(f, "{:.0}/{:.0} ms", stopped.p99_ms, stopped.max_ms)
    }
}

impl Verdict {
    fn count(&mut self, life: &Life, seen: &[marks::Seen]) {
        let status = life.end.as_ref().map_or("stuck", |end| end.status.as_str());
        let how = match status {
            "Cancelled" if seen.is_empty() => "Cancelled, never started".to_string(),
            "Cancelled" => "Cancelled, stopped".to_string(),
            "Succeeded" if life.taken => "Succeeded, finished before the cancel took effect".to_string(),
            "Succeeded" if life.asked_ns.is_some() => "Succeeded, cancel refused as too late".to_string(),
            other => other.to_string(),
        };
        *self.outcomes.entry((how, life.moment)).or_default() += 1;
        if let (Some(asked), Some(shown)) = (life.asked_ns, life.shown_ns) {
            let took = Duration::from_nanos(shown.saturating_sub(asked));
            // The history will say whether a grant was given; marks need none to be believed.
            let reached = if seen.is_empty() { Reached::NeverStarted } else { Reached::Running };
            self.cancels.push(Cancel { id: life.id.clone(), took, reached });
        }
    }

    /// Reads every history too: it must end once, as the action did, and its chain must hold.
    ///
    /// # Errors
    /// A history cannot be read.
    pub(super) async fn with_histories(mut self, client: &Client, lives: &[Life]) -> anyhow::Result<Self> {
        for life in lives {
            let history = client.history(&life.id).await?.item;
            let is_end = |status: &str| !matches!(status, "Pending" | "InProgress");
            let ended = history.lines.iter().filter(|line| line.source == "Server");
            let ends: Vec<&str> = ended.filter_map(|line| line.status.as_deref()).filter(|word| is_end(word)).collect();
            let status = life.end.as_ref().map(|end| end.status.as_str());
            if status.is_some_and(|status| ends != [status]) {
                self.violations.push(format!("{}: it is {status:?}, and its history ends it as {ends:?}", life.id));
            }
            if history.verified != Some(true) {
                self.violations.push(format!("{}: the chain of its history does not hold", life.id));
            }
            if !history.lines.iter().any(|line| line.status.as_deref() == Some("InProgress")) {
                self.never_granted(&life.id);
            }
        }
        Ok(self)
    }

    /// How many actions there were.
    pub(super) fn actions(&self) -> usize {
        self.outcomes.values().sum()
    }

    fn never_granted(&mut self, id: &str) {
        for cancel in self.cancels.iter_mut().filter(|cancel| cancel.id == id) {
            if cancel.reached == Reached::Running {
                self.violations.push(format!("{id}: it ran, and its history knows of no grant"));
            }
            cancel.reached = Reached::NeverGranted;
        }
    }

    /// How long cancels took.
    pub(super) fn latencies(&self) -> Latencies {
        let of = |reached| {
            let those = self.cancels.iter().filter(|cancel| cancel.reached == reached);
            let took: Vec<Duration> = those.map(|cancel| cancel.took).collect();
            Distribution { bars: figures::bars(&took), spread: Spread::of(took) }
        };
        Latencies {
            never_granted: of(Reached::NeverGranted),
            granted_never_started: of(Reached::NeverStarted),
            stopped: of(Reached::Running),
        }
    }

    /// Shows it.
    pub(super) fn print(&self, took: Duration, stories_max: usize) {
        println!("  outcome, by the moment of the cancel:");
        for ((how, moment), count) in &self.outcomes {
            println!("    {count:>6}  {how} ({moment:?})");
        }
        let Latencies { never_granted, granted_never_started, stopped } = self.latencies();
        for (what, those) in
            [("never granted", never_granted), ("granted, never started", granted_never_started), ("stopped", stopped)]
        {
            println!("  from cancel to Cancelled shown, {what}: {}", those.spread);
            print!("{}", figures::drawn(&those.bars));
        }
        for story in self.violations.iter().take(stories_max) {
            println!("VIOLATION {story}");
        }
        println!(
            "race: {} actions, {} marks, {} violations, in {:.0} s",
            self.actions(),
            self.marks,
            self.violations.len(),
            took.as_secs_f64()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::Seen;

    fn life(status: &str, shown_ns: Option<u64>) -> Life {
        let end = serde_json::json!({
            "id": "a", "type": "LiveResponse", "title": null, "requestor": "r", "requestorComment": "c",
            "status": status, "machineId": "m", "computerDnsName": null, "creationDateTimeUtc": "", "scope": null,
            "lastUpdateDateTimeUtc": "", "cancellationRequestor": null, "cancellationComment": null,
            "cancellationDateTimeUtc": null, "errorHResult": 0, "externalId": null, "requestSource": "PublicApi",
            "relatedFileInfo": null, "troubleshootInfo": "left behind: script race.sh ran",
            "commands": [{ "index": 0, "startTime": "t", "endTime": null, "commandStatus": "Failed", "errors": [],
                           "command": { "type": "RunScript", "params": [] } }],
        });
        Life {
            id: "a".into(),
            moment: Moment::During,
            witness: "none".into(),
            asked_ns: Some(1),
            taken: true,
            shown_ns,
            length_when_shown: 10,
            end: Some(serde_json::from_value(end).unwrap()),
            ended_ns: Some(9),
        }
    }

    fn mark(at_ns: u64, word: &str) -> Seen {
        Seen { at_ns, word: word.into(), pid: 1 }
    }

    #[test]
    fn a_mark_after_cancelled_is_found_by_its_time_or_by_the_length() {
        let early = [mark(5, "start")];
        assert!(violations(&life("Cancelled", Some(9)), &early, 10).is_empty());
        assert_eq!(violations(&life("Cancelled", Some(9)), &early, 11).len(), 1);
        assert_eq!(violations(&life("Cancelled", Some(9)), &[mark(5, "start"), mark(10, "child")], 10).len(), 1);
    }

    #[test]
    fn what_was_shown_must_stay_and_what_succeeded_must_have_ended() {
        let marks = [mark(5, "start"), mark(6, "end")];
        assert!(violations(&life("Succeeded", None), &marks, 10).is_empty());
        assert_eq!(violations(&life("Succeeded", None), &marks[..1], 10).len(), 1);
        assert_eq!(violations(&life("Succeeded", Some(9)), &marks, 10).len(), 1);
        assert_eq!(violations(&life("Failed", None), &marks, 10).len(), 1);
        let late = [mark(5, "start"), mark(6, "end"), mark(10, "child")];
        assert_eq!(violations(&life("Succeeded", None), &late, 10).len(), 1);
        assert_eq!(
            violations(&life("Succeeded", None), &[mark(1, "start"), mark(2, "start"), mark(3, "end")], 10).len(),
            1
        );
    }
}
