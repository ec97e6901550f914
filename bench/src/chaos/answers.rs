//! What clients were told, and what must hold between any two answers about one action.
//!
//! An answer is as old as the moment its request was sent and as new as the moment it arrived. Two answers can be
//! compared in time only if one arrived before the other was asked for; ends and cancels are compared always.

use protocol::defender::action::MachineAction;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The fields that a cancel sets once.
const CANCEL_FIELDS: [&str; 3] = ["cancellationRequestor", "cancellationComment", "cancellationDateTimeUtc"];

/// Which kind an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Cut from the network.
    Isolate,
    /// Let back.
    Release,
    /// Files and scripts.
    LiveResponse,
}

impl Kind {
    /// Its word on the wire.
    pub(super) fn wire(self) -> &'static str {
        match self {
            Self::Isolate => "Isolate",
            Self::Release => "Unisolate",
            Self::LiveResponse => "LiveResponse",
        }
    }

    /// Whether the two need the same thing of the machine.
    pub(super) fn shares_class(self, other: Self) -> bool {
        (self == Self::LiveResponse) == (other == Self::LiveResponse)
    }
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The machine's number.
    pub(super) machine: usize,
    /// Which kind.
    pub(super) kind: Kind,
    /// A comment that no other request has.
    pub(super) comment: String,
    /// The witness file of its script, if it has one.
    pub(super) witness: Option<PathBuf>,
    /// The file that it puts, if it puts one.
    pub(super) puts: Option<String>,
    /// When it was asked for.
    pub(super) asked_ns: u64,
}

/// One answer about an action. Times are nanoseconds on CLOCK_MONOTONIC.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// When the request was sent.
    pub(super) asked_ns: u64,
    /// When the answer was there.
    pub(super) at_ns: u64,
    /// The action as it was told.
    pub(super) json: Value,
}

/// An action, and what was told of it.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// Its id.
    pub(super) id: String,
    /// What was asked for.
    pub(super) wish: Wish,
    /// The comments of the cancels that were sent, whether they arrived or not.
    pub(super) cancels_sent: Vec<String>,
    /// When a cancel was first taken.
    pub(super) cancel_taken_ns: Option<u64>,
    /// When anybody was first shown Cancelled.
    pub(super) cancelled_ns: Option<u64>,
    /// How long its witness file was just after that, in bytes.
    pub(super) length_when_shown: u64,
    /// When its end was first shown, whichever it is.
    pub(super) ended_ns: Option<u64>,
    end: Option<Fields>,
    /// The cancel fields, and when they were first shown.
    cancel: Option<(Fields, u64)>,
    /// When it was first shown as more than Pending.
    begun_ns: Option<u64>,
}

type Fields = Map<String, Value>;

impl Life {
    /// Of an action that nothing is known of yet.
    pub(super) fn new(id: String, wish: Wish) -> Self {
        Self {
            id,
            wish,
            cancels_sent: Vec::new(),
            cancel_taken_ns: None,
            cancelled_ns: None,
            length_when_shown: 0,
            ended_ns: None,
            end: None,
            cancel: None,
            begun_ns: None,
        }
    }

    /// Takes an answer and says what of it cannot be, given the others. `length`: of the witness file, just now.
    pub(super) fn heard(&mut self, answered: &Answered, length: impl FnOnce() -> u64) -> Vec<String> {
        let fields = fields(&answered.json);
        let status = word(&fields, "status").to_string();
        let mut wrong = Vec::new();
        if word(&fields, "requestorComment") != self.wish.comment || word(&fields, "type") != self.wish.kind.wire() {
            wrong.push(format!("it is another action than was asked for: {fields:?}"));
        }
        if status == "Cancelled" && self.cancelled_ns.is_none() {
            self.cancelled_ns = Some(answered.at_ns);
            self.length_when_shown = length();
        }
        wrong.extend(self.compare_end(answered, &fields, &status));
        wrong.extend(self.compare_cancel(answered, &fields));
        if status != "Pending" {
            self.begun_ns.get_or_insert(answered.at_ns);
        } else if self.begun_ns.is_some_and(|begun| begun < answered.asked_ns) {
            wrong.push("it was more than Pending, and is Pending again".into());
        }
        wrong
    }

    fn compare_end(&mut self, answered: &Answered, fields: &Fields, status: &str) -> Vec<String> {
        let is_final = !matches!(status, "Pending" | "InProgress");
        match (&self.end, self.ended_ns) {
            (Some(end), _) if is_final && end != fields => {
                vec![format!("its end changed: {}", difference(end, fields))]
            }
            (Some(end), Some(ended)) if !is_final && ended < answered.asked_ns => {
                vec![format!("it was shown {} and then {status}", word(end, "status"))]
            }
            (None, _) if is_final => {
                self.ended_ns = Some(answered.at_ns);
                self.end = Some(fields.clone());
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn compare_cancel(&mut self, answered: &Answered, fields: &Fields) -> Vec<String> {
        let cancel: Fields = fields
            .iter()
            .filter(|(name, value)| CANCEL_FIELDS.contains(&name.as_str()) && !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut wrong = Vec::new();
        match &self.cancel {
            Some((_, since)) if cancel.is_empty() && *since < answered.asked_ns => {
                wrong.push("its cancel was shown and is gone".into());
            }
            Some((shown, _)) if !cancel.is_empty() && *shown != cancel => {
                wrong.push(format!("its cancel changed: {}", difference(shown, &cancel)));
            }
            None if !cancel.is_empty() => {
                let comment = word(&cancel, "cancellationComment").to_string();
                if cancel.len() != CANCEL_FIELDS.len() || !self.cancels_sent.contains(&comment) {
                    wrong.push(format!("nobody asked for this cancel: {cancel:?}"));
                }
                self.cancel = Some((cancel, answered.at_ns));
            }
            _ => {}
        }
        wrong
    }

    /// Takes the answer to a cancel that was taken: it must say so itself.
    pub(super) fn cancel_taken(&mut self, answered: &Answered) -> Vec<String> {
        self.cancel_taken_ns.get_or_insert(answered.at_ns);
        let has_all = CANCEL_FIELDS.iter().all(|name| answered.json.get(*name).is_some_and(|value| !value.is_null()));
        if has_all { Vec::new() } else { vec![format!("a cancel was taken and is not shown: {}", answered.json)] }
    }

    /// Its end, if it has one.
    pub(super) fn end(&self) -> Option<MachineAction> {
        serde_json::from_value(Value::Object(self.end.clone()?)).ok()
    }

    /// Its end's status; empty before.
    pub(super) fn status(&self) -> &str {
        self.end.as_ref().map_or("", |end| word(end, "status"))
    }
}

/// An entity without what only says where its description is.
fn fields(entity: &Value) -> Fields {
    let mut fields = entity.as_object().cloned().unwrap_or_default();
    fields.retain(|name, _| !name.starts_with('@'));
    fields
}

fn word<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn difference(before: &Fields, after: &Fields) -> String {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let changed = names.filter(|name| before.get(*name) != after.get(*name));
    let told: Vec<String> =
        changed.map(|name| format!("{name} from {:?} to {:?}", before.get(name), after.get(name))).collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn life() -> Life {
        let wish =
            Wish { machine: 0, kind: Kind::Isolate, comment: "c".into(), witness: None, puts: None, asked_ns: 0 };
        Life { cancels_sent: vec!["stop".into()], ..Life::new("a".into(), wish) }
    }

    fn answer(asked_ns: u64, at_ns: u64, status: &str, cancel: Option<&str>) -> Answered {
        let by = cancel.map(|_| "me");
        let json = json!({
            "@odata.context": at_ns, "id": "a", "type": "Isolate", "requestorComment": "c", "status": status,
            "cancellationRequestor": by, "cancellationComment": cancel, "cancellationDateTimeUtc": by,
        });
        Answered { asked_ns, at_ns, json }
    }

    fn wrong(answers: &[Answered]) -> Vec<String> {
        let mut life = life();
        answers.iter().flat_map(|answered| life.heard(answered, || 7)).collect()
    }

    #[test]
    fn a_life_as_it_should_be() {
        let answers = [
            answer(1, 2, "Pending", None),
            answer(3, 6, "InProgress", None),
            answer(4, 7, "InProgress", Some("stop")),
            // Asked for before the cancel was shown: an older word that arrives later.
            answer(5, 9, "InProgress", None),
            answer(8, 10, "Cancelled", Some("stop")),
            answer(9, 11, "InProgress", Some("stop")),
            answer(12, 13, "Cancelled", Some("stop")),
        ];
        assert_eq!(wrong(&answers), Vec::<String>::new());
        let mut life = life();
        for answered in &answers {
            life.heard(answered, || 7);
        }
        assert_eq!((life.cancelled_ns, life.ended_ns, life.length_when_shown), (Some(10), Some(10), 7));
        assert_eq!(life.status(), "Cancelled");
    }

    #[test]
    fn an_end_does_not_change_and_is_not_taken_back() {
        let end = answer(1, 2, "Succeeded", None);
        assert_eq!(wrong(&[end.clone(), answer(3, 4, "InProgress", None)]).len(), 1);
        assert_eq!(wrong(&[end.clone(), answer(1, 4, "InProgress", None)]).len(), 0);
        assert_eq!(wrong(&[end.clone(), answer(1, 4, "Failed", None)]).len(), 1);
        let mut other = end.clone();
        other.json["troubleshootInfo"] = json!("x");
        assert_eq!(wrong(&[end, other]).len(), 1);
        assert_eq!(wrong(&[answer(1, 2, "InProgress", None), answer(3, 4, "Pending", None)]).len(), 1);
    }

    #[test]
    fn a_cancel_stays_as_it_was_first_shown() {
        let shown = answer(1, 2, "InProgress", Some("stop"));
        assert_eq!(wrong(&[shown.clone(), answer(3, 4, "InProgress", None)]).len(), 1);
        assert_eq!(wrong(&[shown.clone(), answer(3, 4, "InProgress", Some("other"))]).len(), 1);
        assert_eq!(wrong(&[answer(1, 2, "InProgress", Some("stranger"))]).len(), 1);
        assert!(life().cancel_taken(&shown).is_empty());
        assert_eq!(life().cancel_taken(&answer(1, 2, "Pending", None)).len(), 1);
    }

    #[test]
    fn another_action_is_noticed() {
        let mut stranger = answer(1, 2, "Pending", None);
        stranger.json["requestorComment"] = json!("d");
        assert_eq!(wrong(&[stranger]).len(), 1);
    }
}
