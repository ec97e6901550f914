//! A managed computer, as the server knows it.

use crate::ids::{Digest, Epoch, JournalId, MachineId};
use crate::kind::Kind;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A managed computer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its id, given at enrolment.
    pub id: MachineId,
    /// Its own name for itself.
    pub name: String,
    /// How often it was enrolled under this id; stands in its certificate.
    pub incarnation: u32,
    /// The number of its newest session; 0 before the first.
    pub session: Epoch,
    /// When it was enrolled.
    pub first_seen: Timestamp,
    /// The last word from it.
    pub last_seen: Timestamp,
    /// What its agent told at the last Hello.
    pub told: Told,
}

/// What an agent tells of its machine at Hello. Hostile input: shown, never trusted for a decision but the refusal of a
/// kind it says it cannot do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The operating system's family, as Defender's `osPlatform` would say it: `Linux`.
    pub os_platform: String,
    /// The distribution and its version.
    pub os_version: String,
    /// The agent's version.
    pub agent_version: String,
    /// The address it last connected from.
    pub last_address: Option<String>,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The kinds it can carry out.
    pub kinds: Vec<Kind>,
    /// Its journal as last seen.
    pub journal: Option<JournalSeen>,
}

/// Where a journal stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JournalSeen {
    /// Which journal.
    pub id: JournalId,
    /// The number of its last record.
    pub sequence: u64,
    /// The hash of that record, which covers all before it.
    pub head: Digest,
}
