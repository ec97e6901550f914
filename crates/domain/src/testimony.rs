//! What a grantee's journal says of an action. Only this, or the certainty that no grant was ever given, ends an action
//! in Cancelled.

use crate::ids::{Digest, Epoch, JournalId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The end of an action as its grantee's journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Testimony {
    /// The grant it speaks of.
    pub epoch: Epoch,
    /// The journal it stands in.
    pub journal: JournalId,
    /// The number of its final record there.
    pub sequence: u64,
    /// How it ended.
    pub ending: Ending,
    /// What became of each step.
    pub steps: Vec<StepReport>,
    /// What is left that cannot be undone, one line each.
    pub residue: Vec<String>,
    /// What the journal recorded on the way, oldest first.
    pub facts: Vec<Fact>,
}

/// How an action ended on its machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ending {
    /// All steps are done, and were looked at.
    Finished,
    /// Stopped on request: every process dead, every reversible step undone and looked at.
    Stopped {
        /// Whether it had begun at all.
        began: bool,
    },
    /// Did not finish; undone like a stop.
    Broke {
        /// Why, for the responder.
        why: String,
    },
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepReport {
    /// Which step, from 0.
    pub index: u16,
    /// How far it came.
    pub status: StepStatus,
    /// When it began, by the machine's clock.
    pub started_at: Option<Timestamp>,
    /// When it ended, by the machine's clock.
    pub ended_at: Option<Timestamp>,
    /// What went wrong, one line each.
    pub errors: Vec<String>,
    /// What it produced.
    pub artifact: Option<Artifact>,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StepStatus {
    /// Not begun.
    Created,
    /// Begun.
    InProgress,
    /// Done.
    Completed,
    /// Begun and not done.
    Failed,
}

/// A file that a step produced for the caller to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Artifact {
    /// The SHA-256 of its content.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The name to offer it under.
    pub file_name: String,
}

/// One journal record, in plain words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fact {
    /// The record's number in the journal.
    pub sequence: u64,
    /// When it was written, by the machine's clock.
    pub at: Timestamp,
    /// What it says.
    pub what: String,
}

impl StepReport {
    /// A step that has not begun.
    pub fn created(index: u16) -> Self {
        Self { index, status: StepStatus::Created, started_at: None, ended_at: None, errors: vec![], artifact: None }
    }
}
