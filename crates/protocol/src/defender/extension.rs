//! What we say beyond Defender's API, below `/api/countermand`: the history of an action, and what became of it in
//! plain words.

use serde::{Deserialize, Serialize};

/// The history of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct History {
    /// The action's id.
    pub action: String,
    /// Whether the hash chain over all lines holds.
    pub verified: bool,
    /// The lines, oldest first.
    pub lines: Vec<HistoryLine>,
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HistoryLine {
    /// Its number, from 1.
    pub sequence: u64,
    /// When, by the clock of its source.
    pub at: String,
    /// Who attests it: Caller, Server or Machine.
    pub source: String,
    /// What happened.
    pub what: String,
    /// The status after it, in the wire's words.
    pub status: String,
    /// The chain up to and including it, SHA-256 in hex.
    pub hash: String,
}

/// What became of an action, in plain words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The action's id.
    pub action: String,
    /// Its kind, in the wire's word.
    pub r#type: String,
    /// The status, in the wire's words.
    pub status: String,
    /// Our own stage, which is finer: it tells Granted from Stopping.
    pub stage: String,
    /// What became of the cancel; null if none was accepted.
    pub cancel: Option<String>,
    /// What it waits for; null if it has ended.
    pub waiting_for: Option<String>,
    /// What is left behind that cannot be undone, one line each.
    pub residue: Vec<String>,
    /// The machine's id.
    pub machine_id: String,
    /// The machine's name; null if it is gone.
    pub machine_name: Option<String>,
    /// The last word from the machine; null if it is gone.
    pub machine_last_seen: Option<String>,
}
