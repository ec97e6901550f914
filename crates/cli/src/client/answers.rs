//! What the API answers, beyond `protocol::defender`: the extensions and the library, read leniently, so that a newer
//! server's additions do not stop an older client.

use super::error::ClientError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An answer read, with its JSON as it came.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// As read.
    pub item: T,
    /// As it came.
    pub json: Value,
}

impl<T: DeserializeOwned> Answer<T> {
    /// Reads it; `what` names it in the error.
    pub(super) fn read(json: Value, what: &str) -> Result<Self, ClientError> {
        match T::deserialize(&json) {
            Ok(item) => Ok(Self { item, json }),
            Err(error) => Err(ClientError::Answer(format!("the answer is not {what}: {error}"))),
        }
    }
}

impl<T> Answer<Vec<T>> {
    /// The items, each with its own JSON.
    pub fn split(mut self) -> Vec<Answer<T>> {
        let values = match self.json["value"].take() {
            Value::Array(values) => values,
            _ => Vec::new(),
        };
        self.item.into_iter().zip(values).map(|(item, json)| Answer { item, json }).collect()
    }
}

/// The history of an action.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct History {
    /// What happened, oldest first.
    pub lines: Vec<HistoryLine>,
    /// Whether the chain of hashes holds; `None` if the server does not say.
    pub verified: Option<bool>,
}

/// One thing that happened to an action.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HistoryLine {
    /// Its place in the log.
    pub sequence: u64,
    /// When.
    pub at: String,
    /// Who says so: the server or the machine.
    #[serde(deserialize_with = "words")]
    pub source: String,
    /// What happened.
    #[serde(deserialize_with = "words")]
    pub what: String,
    /// The action's status from then on.
    pub status: Option<String>,
    /// The line's hash.
    #[serde(deserialize_with = "words")]
    pub hash: String,
}

/// Why an action stands as it does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Explanation {
    /// The action's id.
    pub action: String,
    /// Our seven-valued state.
    #[serde(deserialize_with = "words")]
    pub stage: String,
    /// One of the six words.
    pub status: String,
    /// What became of a cancel, in plain words.
    #[serde(rename = "cancel", alias = "cancelOutcome")]
    pub cancel_outcome: Option<String>,
    /// What is left behind on the machine.
    pub residue: Vec<String>,
    /// What it waits for.
    #[serde(rename = "waitingFor", alias = "waiting")]
    pub waiting: Option<String>,
    /// When the machine was last heard of.
    pub machine_last_seen: Option<String>,
}

/// A file of the library.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LibraryFile {
    /// Its name.
    pub file_name: String,
    /// The SHA-256 of its content.
    pub sha256: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was first uploaded.
    pub creation_time: String,
    /// When it was last uploaded.
    pub last_updated_time: String,
    /// Who uploaded it.
    pub created_by: String,
    /// Whether it takes arguments.
    pub has_parameters: bool,
    /// Which arguments.
    pub parameters_description: Option<String>,
}

/// What a script said and how it ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Transcript {
    /// The script.
    pub script_name: String,
    /// How it ended.
    pub exit_code: i64,
    /// Its standard output.
    pub script_output: String,
    /// Its standard error.
    pub script_errors: String,
}

/// Text, or what is not text as its JSON.
fn words<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(input)? {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    })
}
