//! What the machines say against what clients were told.

use super::answers::{Kind, Life};
use crate::marks::Seen;

/// The script's name in the library.
pub(super) const SCRIPT_NAME: &str = "chaos.sh";

/// What of one life must not be, given its witness. `explained`: something was done to its machine or the server while
/// it lived, so that it may have failed.
pub(super) fn judge(life: &Life, marks: &[Seen], length: u64, explained: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(shown) = life.cancelled_ns {
        let late = marks.iter().filter(|mark| mark.at_ns > shown).count();
        if late > 0 {
            let by_ms = marks.iter().map(|mark| mark.at_ns.saturating_sub(shown)).max().unwrap_or(0) as f64 / 1e6;
            wrong.push(format!("{late} marks after Cancelled was shown, the last {by_ms:.3} ms after"));
        } else if length > life.length_when_shown {
            wrong.push(format!("its witness grew from {} to {length} bytes after Cancelled", life.length_when_shown));
        }
        if life.cancels_sent.is_empty() {
            wrong.push("it is Cancelled, and nobody asked for that".into());
        }
    } else if let Some(ended) = life.ended_ns {
        let late = marks.iter().filter(|mark| mark.at_ns > ended).count();
        if late > 0 {
            wrong.push(format!("{late} marks after its end was shown"));
        }
    }
    let starts = marks.iter().filter(|mark| mark.word == "start").count();
    if starts > 1 {
        wrong.push(format!("its script started {starts} times"));
    }
    wrong.extend(judge_end(life, marks, explained));
    wrong
}

fn judge_end(life: &Life, marks: &[Seen], explained: bool) -> Vec<String> {
    let Some(end) = life.end() else { return Vec::new() };
    let mut wrong = Vec::new();
    let info = end.troubleshoot_info.as_deref().unwrap_or_default();
    let tells_script = info.contains(SCRIPT_NAME);
    match end.status.as_str() {
        "Succeeded" => {
            if life.wish.witness.is_some() && !marks.iter().any(|mark| mark.word == "end") {
                wrong.push("Succeeded, and its script did not come to its end".into());
            }
        }
        "Cancelled" | "Failed" if !marks.is_empty() && !tells_script => {
            wrong.push(format!("{}, its script ran, and that is not told: {info:?}", end.status));
        }
        "Cancelled" => {}
        "Failed" if !explained => wrong.push(format!("Failed although nothing was done to it: {info:?}")),
        "Failed" => {}
        "TimeOut" if info == "NotStarted" => {
            if !marks.is_empty() {
                wrong.push("it timed out as not started, and there are marks".into());
            }
            if !explained {
                wrong.push("it timed out although nothing was done to it".into());
            }
        }
        other => wrong.push(format!("it ended {other}: {info:?}; no machine was silent for so long")),
    }
    wrong
}

/// Whether a machine is isolated, as far as is known from what its network actions came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// Something is not known, so the next look counts.
    Unknown,
    /// By this action, or not.
    Known(Option<String>),
}

impl Network {
    /// After these actions, in the order in which they were created: of one class, so each ended before the next began.
    pub(super) fn after<'a>(self, lives: impl IntoIterator<Item = &'a Life>) -> Self {
        lives.into_iter().fold(self, |network, life| match (life.status(), life.wish.kind) {
            ("Succeeded", Kind::Isolate) => Self::Known(Some(life.id.clone())),
            ("Succeeded", Kind::Release) => Self::Known(None),
            ("Cancelled" | "Failed", _) => network,
            ("TimeOut", _) if is_not_started(life) => network,
            _ => Self::Unknown,
        })
    }

    /// What is wrong about the table that is there.
    pub(super) fn compare(&self, table: &Option<String>) -> Option<String> {
        match self {
            Self::Known(expected) if expected != table => {
                Some(format!("the isolation table is {}, and should be {}", told(table), told(expected)))
            }
            _ => None,
        }
    }
}

fn is_not_started(life: &Life) -> bool {
    life.end().is_some_and(|end| end.troubleshoot_info.as_deref() == Some("NotStarted"))
}

fn told(table: &Option<String>) -> String {
    table.as_ref().map_or_else(|| "absent".to_string(), |mark| format!("that of {mark}"))
}

/// What of a file that was to be put must not be. `content`: of the file, if it is there; `right`: what was to be put.
pub(super) fn judge_file(life: &Life, content: Option<&[u8]>, right: &[u8]) -> Option<String> {
    let end = life.end()?;
    let info = end.troubleshoot_info.as_deref().unwrap_or_default();
    match (end.status.as_str(), content) {
        ("Succeeded", None) => Some("Succeeded, and the file is not there".into()),
        ("Succeeded", Some(content)) if content != right => Some("Succeeded, and the file is another".into()),
        ("Succeeded", Some(_)) | (_, None) => None,
        ("Failed", Some(_)) if info.contains("left behind") => None,
        (status, Some(_)) => Some(format!("{status}, and the file it put is there: {info:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::{Answered, Wish};
    use super::*;
    use serde_json::{Value, json};

    fn life(id: &str, kind: Kind, status: &str, info: Value) -> Life {
        let wish = Wish { machine: 0, kind, comment: "c".into(), witness: Some("w".into()), puts: None, asked_ns: 0 };
        let json = json!({
            "id": id, "type": kind.wire(), "title": null, "requestor": "r", "requestorComment": "c",
            "status": status, "machineId": "m", "computerDnsName": null, "creationDateTimeUtc": "", "scope": null,
            "lastUpdateDateTimeUtc": "", "cancellationRequestor": null, "cancellationComment": null,
            "cancellationDateTimeUtc": null, "errorHResult": 0, "externalId": null, "requestSource": "PublicApi",
            "relatedFileInfo": null, "troubleshootInfo": info, "commands": [],
        });
        let mut life = Life::new(id.into(), wish);
        life.cancels_sent.push("stop".into());
        assert!(life.heard(&Answered { asked_ns: 5, at_ns: 9, json }, || 10).is_empty());
        life
    }

    fn script(status: &str, info: &str) -> Life {
        life("a", Kind::LiveResponse, status, json!(info))
    }

    fn marks(marks: &[(u64, &str)]) -> Vec<Seen> {
        marks.iter().map(|(at_ns, word)| Seen { at_ns: *at_ns, word: (*word).into(), pid: 1 }).collect()
    }

    #[test]
    fn marks_after_the_end_are_found() {
        let ran = "left behind: script chaos.sh ran";
        let early = marks(&[(1, "start"), (8, "beat")]);
        assert!(judge(&script("Cancelled", ran), &early, 10, true).is_empty());
        assert_eq!(judge(&script("Cancelled", ran), &early, 11, true).len(), 1);
        assert_eq!(judge(&script("Cancelled", ran), &marks(&[(1, "start"), (10, "beat")]), 10, true).len(), 1);
        assert_eq!(judge(&script("Failed", ran), &marks(&[(1, "start"), (10, "beat")]), 10, true).len(), 1);
        assert_eq!(judge(&script("Failed", ran), &marks(&[(1, "start"), (2, "start")]), 10, true).len(), 1);
    }

    #[test]
    fn an_end_says_what_happened() {
        let ran = marks(&[(1, "start")]);
        assert_eq!(judge(&script("Succeeded", ""), &ran, 10, true).len(), 1);
        assert!(judge(&script("Succeeded", ""), &marks(&[(1, "start"), (2, "end")]), 10, false).is_empty());
        assert_eq!(judge(&script("Cancelled", ""), &ran, 10, true).len(), 1);
        assert_eq!(judge(&script("Failed", "x chaos.sh"), &ran, 10, false).len(), 1);
        assert_eq!(judge(&script("TimeOut", "NotStarted"), &ran, 10, true).len(), 1);
        assert!(judge(&script("TimeOut", "NotStarted"), &[], 10, true).is_empty());
        assert_eq!(judge(&script("TimeOut", "OutcomeUnknown:JournalLost"), &[], 10, true).len(), 1);
        let mut unasked = script("Cancelled", "");
        unasked.cancels_sent.clear();
        assert_eq!(judge(&unasked, &[], 10, true).len(), 1);
    }

    #[test]
    fn the_network_is_what_the_last_success_made_it() {
        let isolated = life("i", Kind::Isolate, "Succeeded", Value::Null);
        let released = life("r", Kind::Release, "Succeeded", Value::Null);
        let cancelled = life("c", Kind::Release, "Cancelled", Value::Null);
        let unknown = life("u", Kind::Release, "TimeOut", json!("OutcomeUnknown:NoContact"));
        let network = Network::Known(None).after([&isolated, &cancelled]);
        assert_eq!(network, Network::Known(Some("i".into())));
        assert_eq!(network.compare(&Some("i".into())), None);
        assert!(network.compare(&None).is_some() && network.compare(&Some("x".into())).is_some());
        assert_eq!(network.clone().after([&released]), Network::Known(None));
        assert_eq!(network.after([&unknown]).compare(&None), None);
    }

    #[test]
    fn a_file_is_there_after_success_and_only_then() {
        let right = b"x".as_slice();
        assert_eq!(judge_file(&script("Succeeded", ""), Some(right), right), None);
        assert!(judge_file(&script("Succeeded", ""), Some(b"y"), right).is_some());
        assert!(judge_file(&script("Succeeded", ""), None, right).is_some());
        assert!(judge_file(&script("Cancelled", ""), Some(right), right).is_some());
        assert_eq!(judge_file(&script("Cancelled", ""), None, right), None);
        assert_eq!(judge_file(&script("Failed", "left behind: x"), Some(right), right), None);
    }
}
