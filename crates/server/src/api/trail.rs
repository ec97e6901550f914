//! What the audit log is told of a request that is refused: filled in on the way through the door, as far as the request
//! came.

use super::error::RefusalCode;
use super::limits::Quota;
use crate::actions::{Caller, Origin};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use domain::audit::{CallerKind, Entry, Outcome};
use domain::time::Timestamp;

/// What is known of a request so far.
pub(super) struct Trail {
    /// Whence it came.
    pub(super) origin: Origin,
    /// What is left of the limit it counts for.
    pub(super) quota: Option<Quota>,
    entry: Entry,
    /// Whether it asks for a change.
    changes: bool,
}

impl Trail {
    /// Of a request whose sender is not known yet.
    pub(super) fn new(origin: Origin, method: &Method, now: Timestamp) -> Self {
        let entry = origin.entry(now, CallerKind::Nobody, "");
        Self { origin, quota: None, entry, changes: !method.is_safe() }
    }

    /// It is for this endpoint, about what the parameters of its path name; or for none.
    pub(super) fn is_for(&mut self, method: &Method, pattern: &str, params: &[String]) {
        self.origin.operation = format!("{method} {pattern}");
        let entry = self.origin.entry(self.entry.at, CallerKind::Nobody, "");
        self.entry = about(entry, pattern, params);
    }

    /// This caller asks.
    pub(super) fn is_of(&mut self, caller: &Caller) {
        (self.entry.kind, self.entry.caller) = (caller.kind(), domain::audit::cut(&caller.name));
    }

    /// Whoever shows a link asks.
    pub(super) fn is_of_a_link(&mut self) {
        self.entry.kind = CallerKind::Link;
    }

    /// The line for the audit log, if the answer is a refusal that belongs there: of somebody who is not known or not
    /// allowed or calls too often, whatever it was; of anything else only where it would have changed something.
    pub(super) fn refusal(self, answer: &Response) -> Option<Entry> {
        let status = answer.status();
        let always = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
        if !status.is_client_error() || !(self.changes || always.contains(&status)) {
            return None;
        }
        let code = answer.extensions().get::<RefusalCode>().map_or_else(String::new, |code| code.0.clone());
        Some(Entry { outcome: Outcome::Refused { status: status.as_u16(), code }, ..self.entry })
    }
}

/// The line, with what the path names.
pub(super) fn about(mut entry: Entry, pattern: &str, params: &[String]) -> Entry {
    let mut params = params.iter();
    let mut before = "";
    for segment in pattern.split('/') {
        if segment.contains('{')
            && let Some(param) = params.next()
        {
            entry = match before {
                "machines" => entry.machine(param),
                "machineactions" | "actions" | "downloads" => entry.action(param),
                _ => entry.object(param),
            };
        }
        before = segment;
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_a_request_is_about() {
        let entry = |pattern: &str, params: &[&str]| {
            let params: Vec<String> = params.iter().map(ToString::to_string).collect();
            let entry = about(Entry::new(Timestamp(0), CallerKind::Nobody, "", ""), pattern, &params);
            [entry.machine, entry.action, entry.object].map(Option::unwrap_or_default)
        };
        assert_eq!(entry("/api/machines/{id}/isolate", &["m"]), ["m", "", ""]);
        assert_eq!(entry("/api/machineactions/{id}/Get(index={n})", &["a", "3"]), ["", "a", "3"]);
        assert_eq!(entry("/api/downloads/{action}/{step}", &["a", "0"]), ["", "a", "0"]);
        assert_eq!(entry("/api/libraryfiles/{name}", &["x.sh"]), ["", "", "x.sh"]);
        assert_eq!(entry("/api/countermand/actions/{id}", &["a"]), ["", "a", ""]);
        assert_eq!(entry("/api/alerts", &[]), ["", "", ""]);
    }
}
