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
    /// What people call it, in the order in which they did; each once.
    pub tags: Vec<String>,
}

/// A change of a machine's tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagChange {
    /// It has this tag.
    Add(String),
    /// It does not have this tag.
    Remove(String),
}

/// The most tags of one machine.
pub const TAGS_MAX: usize = 100;

/// A machine with [`TAGS_MAX`] tags gets no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyTags;

/// Why a machine cannot carry out a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incapable {
    /// Its agent names what it can do, and this is not among it.
    Machine,
    /// Its agent names nothing that it can do, or has not said anything yet and not every agent can do this: another
    /// agent may.
    Agent,
}

/// What every agent is built to do, so that it may be requested before an agent's first word.
const EVERY_AGENT: [Kind; 3] = [Kind::Isolate, Kind::Release, Kind::LiveResponse];

impl Machine {
    /// Why an action of this kind is refused when it is requested; none: it may be requested.
    pub fn cannot(&self, kind: Kind) -> Option<Incapable> {
        // Every Hello names a journal.
        if self.told.journal.is_none() {
            return (!EVERY_AGENT.contains(&kind)).then_some(Incapable::Agent);
        }
        match &self.told.kinds[..] {
            [] => Some(Incapable::Agent),
            kinds => (!kinds.contains(&kind)).then_some(Incapable::Machine),
        }
    }

    /// The tags after a change; what is so already stays as it is.
    ///
    /// # Errors
    /// There would be more than [`TAGS_MAX`].
    pub fn tags_after(&self, change: &TagChange) -> Result<Vec<String>, TooManyTags> {
        let mut tags = self.tags.clone();
        match change {
            TagChange::Add(tag) if tags.contains(tag) => {}
            TagChange::Add(_) if tags.len() >= TAGS_MAX => return Err(TooManyTags),
            TagChange::Add(tag) => tags.push(tag.clone()),
            TagChange::Remove(tag) => tags.retain(|known| known != tag),
        }
        Ok(tags)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KINDS;
    use uuid::Uuid;

    /// A machine whose agent has said what it can do, if it has said anything.
    fn machine(kinds: Option<&[Kind]>) -> Machine {
        let journal = JournalSeen { id: JournalId(Uuid::nil()), sequence: 1, head: Digest([0; 32]) };
        let told =
            Told { kinds: kinds.unwrap_or_default().to_vec(), journal: kinds.map(|_| journal), ..Told::default() };
        let (id, session) = (MachineId([1; 20]), Epoch(1));
        let (first_seen, last_seen) = (Timestamp(1), Timestamp(1));
        Machine { id, name: "web-03".into(), incarnation: 1, session, first_seen, last_seen, told, tags: vec![] }
    }

    #[test]
    fn an_agent_is_taken_at_its_word_about_what_it_cannot_do() {
        for row in &KINDS {
            let before = (!EVERY_AGENT.contains(&row.kind)).then_some(Incapable::Agent);
            assert_eq!(machine(None).cannot(row.kind), before, "{:?} before the first word", row.kind);
            assert_eq!(machine(Some(&[])).cannot(row.kind), Some(Incapable::Agent));
            assert_eq!(machine(Some(&[row.kind])).cannot(row.kind), None);
            let others: Vec<Kind> = KINDS.iter().map(|row| row.kind).filter(|kind| *kind != row.kind).collect();
            assert_eq!(machine(Some(&others)).cannot(row.kind), Some(Incapable::Machine));
        }
    }

    #[test]
    fn tags_are_kept_once_and_only_so_many() {
        let mut machine = machine(None);
        let add = |tag: &str| TagChange::Add(tag.into());
        for tag in ["b", "a", "b", "B"] {
            machine.tags = machine.tags_after(&add(tag)).unwrap();
        }
        assert_eq!(machine.tags, ["b", "a", "B"]);
        assert_eq!(machine.tags_after(&TagChange::Remove("x".into())).unwrap(), machine.tags);
        assert_eq!(machine.tags_after(&TagChange::Remove("a".into())).unwrap(), ["b", "B"]);
        machine.tags = (0..TAGS_MAX).map(|number| number.to_string()).collect();
        assert_eq!(machine.tags_after(&add("one too many")), Err(TooManyTags));
        assert_eq!(machine.tags_after(&add("7")).unwrap().len(), TAGS_MAX);
    }
}
