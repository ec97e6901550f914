//! Rows as plain values, between an engine's columns and the domain's types. Reading back gives what was written.

use super::words::Word;
use crate::StoreError;
use domain::action::{Action, Cancel, CancelProof, Grant, RequestSource, State, TimedOutWhy};
use domain::history::{Line, Source, StoredLine};
use domain::ids::{ActionId, Digest, Epoch, JournalId, MachineId};
use domain::lifecycle::Stage;
use domain::testimony::Testimony;
use domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// The columns of an action, joined with its machine's id, in the order in which every statement selects them.
pub(crate) struct ActionRow {
    pub(crate) id: [u8; 16],
    pub(crate) machine: [u8; 20],
    pub(crate) body: String,
    pub(crate) requestor: String,
    pub(crate) comment: String,
    pub(crate) source: String,
    pub(crate) external_id: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) revision: i64,
    pub(crate) stage: String,
    pub(crate) state: StateRow,
}

/// The columns in which a stage's data stands, besides the stage itself.
pub(crate) struct StateRow {
    pub(crate) grant_epoch: Option<i64>,
    pub(crate) grant_journal: Option<[u8; 16]>,
    pub(crate) cancel_requestor: Option<String>,
    pub(crate) cancel_comment: Option<String>,
    pub(crate) cancel_at: Option<i64>,
    pub(crate) timed_out_why: Option<String>,
    pub(crate) testimony: Option<String>,
}

/// The columns of a history line, in the order of the statement that reads them.
pub(crate) struct LineRow {
    pub(crate) sequence: i64,
    pub(crate) at: i64,
    pub(crate) source: String,
    pub(crate) what: String,
    pub(crate) stage: String,
    pub(crate) journal: Option<[u8; 16]>,
    pub(crate) fact: Option<i64>,
    pub(crate) hash: [u8; 32],
}

impl ActionRow {
    pub(crate) fn read(self) -> Result<Action, StoreError> {
        let stage = Stage::read(&self.stage)?;
        Ok(Action {
            id: ActionId(Uuid::from_bytes(self.id)),
            machine: MachineId(self.machine),
            body: from_json(&self.body)?,
            request: domain::action::Request {
                requestor: self.requestor,
                comment: self.comment,
                source: RequestSource::read(&self.source)?,
                external_id: self.external_id,
            },
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            expires_at: Timestamp(self.expires_at),
            revision: count(self.revision)?,
            state: self.state.read(stage)?,
        })
    }
}

impl StateRow {
    pub(crate) fn of(state: &State) -> Result<Self, StoreError> {
        let (grant, cancel) = (state.grant(), state.cancel());
        let why = match state {
            State::TimedOut { why, .. } => Some(why.word().to_string()),
            _ => None,
        };
        Ok(Self {
            grant_epoch: grant.map(|grant| signed(grant.epoch.0)).transpose()?,
            grant_journal: grant.map(|grant| *grant.journal.0.as_bytes()),
            cancel_requestor: cancel.map(|cancel| cancel.requestor.clone()),
            cancel_comment: cancel.map(|cancel| cancel.comment.clone()),
            cancel_at: cancel.map(|cancel| cancel.at.0),
            timed_out_why: why,
            testimony: state.testimony().map(to_json).transpose()?,
        })
    }

    fn read(self, stage: Stage) -> Result<State, StoreError> {
        let grant = match (self.grant_epoch, self.grant_journal) {
            (Some(epoch), Some(journal)) => {
                Some(Grant { epoch: Epoch(count(epoch)?), journal: JournalId(Uuid::from_bytes(journal)) })
            }
            _ => None,
        };
        let cancel = match (self.cancel_requestor, self.cancel_comment, self.cancel_at) {
            (Some(requestor), Some(comment), Some(at)) => Some(Cancel { requestor, comment, at: Timestamp(at) }),
            _ => None,
        };
        let testimony = self.testimony.as_deref().map(from_json::<Testimony>).transpose()?;
        let missing = || StoreError::Damaged(format!("an action that is {stage} lacks what belongs to that stage"));
        Ok(match stage {
            Stage::Pending => State::Pending,
            Stage::Granted => State::Granted { grant: grant.ok_or_else(missing)? },
            Stage::Stopping => {
                State::Stopping { grant: grant.ok_or_else(missing)?, cancel: cancel.ok_or_else(missing)? }
            }
            Stage::Succeeded => State::Succeeded { testimony: testimony.ok_or_else(missing)?, cancel },
            Stage::Failed => State::Failed { testimony: testimony.ok_or_else(missing)?, cancel },
            Stage::TimedOut => {
                let why = TimedOutWhy::read(self.timed_out_why.as_deref().ok_or_else(missing)?)?;
                State::TimedOut { why, grant, cancel }
            }
            Stage::Cancelled => {
                let proof = match (testimony, grant) {
                    (Some(testimony), _) => CancelProof::Testified { testimony },
                    (None, None) => CancelProof::NeverGranted,
                    // Granted, and nobody testified: never read that as Cancelled.
                    (None, Some(_)) => return Err(missing()),
                };
                State::Cancelled { cancel: cancel.ok_or_else(missing)?, proof }
            }
        })
    }
}

impl LineRow {
    pub(crate) fn read(self) -> Result<StoredLine, StoreError> {
        let fact = match (self.journal, self.fact) {
            (Some(journal), Some(number)) => Some((JournalId(Uuid::from_bytes(journal)), fact_number(number))),
            _ => None,
        };
        let line = Line {
            at: Timestamp(self.at),
            source: Source::read(&self.source)?,
            what: self.what,
            stage: Stage::read(&self.stage)?,
            fact,
        };
        Ok(StoredLine { sequence: count(self.sequence)?, line, hash: Digest(self.hash) })
    }
}

/// A count as SQL's signed integer.
pub(crate) fn signed(count: u64) -> Result<i64, StoreError> {
    i64::try_from(count).map_err(|_| StoreError::Refused(format!("{count} is beyond what a column holds")))
}

/// A count from SQL's signed integer.
pub(crate) fn count(signed: i64) -> Result<u64, StoreError> {
    u64::try_from(signed).map_err(|_| StoreError::Damaged(format!("{signed} stands where a count belongs")))
}

/// A record's number as it stands in a column: an agent may name any 64 bits, and they are only compared for equality.
pub(crate) fn fact_column(number: u64) -> i64 {
    number.cast_signed()
}

fn fact_number(column: i64) -> u64 {
    column.cast_unsigned()
}

/// A value as the JSON that stands in a column.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Refused(format!("cannot be written as JSON: {error}")))
}

/// A value from the JSON that stands in a column.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| {
        StoreError::Damaged(format!("the JSON of a {} does not read: {error}", std::any::type_name::<T>()))
    })
}
