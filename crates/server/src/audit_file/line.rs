//! One line of the audit log as JSON. There is one way to write a line, and only that is read: so no byte of a file can
//! change without it showing.

use domain::audit::{CallerKind, Entry, Outcome, StoredEntry};
use domain::ids::Digest;
use protocol::defender::time;
use serde::{Deserialize, Serialize};

/// The longest line that is written or read, in bytes, with its end of line. Five texts of 256 bytes, should every one of
/// them need six to be written, and what else there is.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// Why bytes are not an exported line, or a line cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is too long.
    #[error("it is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Its end of line is not there.
    #[error("it is cut off")]
    CutOff,
    /// Not the JSON that is expected.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A field's value is none of that field's.
    #[error("its {0} is not one")]
    Field(&'static str),
    /// It says something, but is not written as an export writes it.
    #[error("it is not written as it was exported")]
    OtherWriting,
}

/// The fields, in their order. Their names and forms are for others to build on: see docs/operating.md.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    sequence: u64,
    at: String,
    caller_kind: String,
    caller: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_sha256: Option<String>,
    times: u32,
    previous_hash: String,
    hash: String,
}

/// A line after one with the hash `previous`, with its end of line.
///
/// # Errors
/// It would not read back: no server of ours has written it.
pub fn show(previous: Digest, stored: &StoredEntry) -> Result<String, LineError> {
    let text = written(previous, stored)?;
    parse(text.as_bytes()).map(|_| text)
}

fn written(previous: Digest, stored: &StoredEntry) -> Result<String, LineError> {
    let entry = stored.entry.clone();
    let refusal = entry.outcome.refusal().map(|(status, code)| (status, code.to_string()));
    let fields = Fields {
        sequence: stored.sequence,
        at: time::show(entry.at),
        caller_kind: entry.kind.word().into(),
        caller: entry.caller,
        address: entry.address,
        operation: entry.operation,
        machine: entry.machine,
        action: entry.action,
        object: entry.object,
        outcome: entry.outcome.word().into(),
        status: refusal.as_ref().map(|(status, _)| *status),
        code: refusal.map(|(_, code)| code),
        correlation: entry.correlation,
        comment_sha256: entry.comment.map(|digest| digest.to_string()),
        content_sha256: entry.content.map(|digest| digest.to_string()),
        times: entry.times,
        previous_hash: previous.to_string(),
        hash: stored.hash.to_string(),
    };
    Ok(serde_json::to_string(&fields)? + "\n")
}

/// Reads an exported line, with its end of line. Returns the hash of the line before it, and the line; whether they
/// belong together is not looked at.
///
/// # Errors
/// It is none.
pub fn parse(bytes: &[u8]) -> Result<(Digest, StoredEntry), LineError> {
    if bytes.len() > LINE_BYTES_MAX {
        return Err(LineError::TooLong);
    }
    let Some((b'\n', text)) = bytes.split_last() else { return Err(LineError::CutOff) };
    let fields: Fields = serde_json::from_slice(text)?;
    let (previous, stored) = fields.read()?;
    // Another order, another spelling of a text or of an instant: nothing of that is in the chain.
    if written(previous, &stored)?.as_bytes() != bytes {
        return Err(LineError::OtherWriting);
    }
    Ok((previous, stored))
}

impl Fields {
    fn read(self) -> Result<(Digest, StoredEntry), LineError> {
        let digest = |text: &str, field| Digest::parse(text).ok_or(LineError::Field(field));
        let some_digest = |text: Option<String>, field| text.map(|text| digest(&text, field)).transpose();
        let entry = Entry {
            at: time::parse(&self.at).ok_or(LineError::Field("at"))?,
            kind: CallerKind::from_word(&self.caller_kind).ok_or(LineError::Field("callerKind"))?,
            caller: self.caller,
            address: self.address,
            operation: self.operation,
            machine: self.machine,
            action: self.action,
            object: self.object,
            outcome: Outcome::from_parts(&self.outcome, self.status, self.code).ok_or(LineError::Field("outcome"))?,
            correlation: self.correlation,
            comment: some_digest(self.comment_sha256, "commentSha256")?,
            content: some_digest(self.content_sha256, "contentSha256")?,
            times: self.times,
        };
        let sequence = Some(self.sequence).filter(|sequence| *sequence > 0).ok_or(LineError::Field("sequence"))?;
        let (previous, hash) = (digest(&self.previous_hash, "previousHash")?, digest(&self.hash, "hash")?);
        Ok((previous, StoredEntry { sequence, entry, hash }))
    }
}
