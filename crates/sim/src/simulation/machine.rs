//! A machine: what is on it whatever becomes of the agent, and what is lost when it goes off.

use super::dice::Dice;
use agent::host::{FileIdentity, IsolationTable};
use domain::grantee::Entry;
use domain::ids::{ActionId, JournalId, MachineId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A machine, as everything on it shares it.
pub(super) type Site = Arc<Mutex<Machine>>;

/// The start of a journal's frame, before the payload: its length and its checksum.
const FRAME_HEAD_BYTES: usize = 8;

/// The start of a payload, before the record: the hash of the record before it.
const HASH_BYTES: usize = 32;

/// The zeros behind what was written that are read back: enough for a reader to see that they are zeros.
const ZEROS_READ_BYTES: usize = 4096;

/// The bytes that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A machine.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Its number, from 0.
    pub index: usize,
    /// Its id.
    pub id: Option<MachineId>,
    /// The isolation that is loaded.
    pub isolation: Option<IsolationTable>,
    /// The release that lifted an isolation, as long as that shows.
    pub lifted_by: Option<ActionId>,
    /// The groups of processes that live.
    pub children: BTreeMap<String, Child>,
    /// The files in the folder for downloads.
    pub downloads: BTreeMap<String, Download>,
    /// The agent's own files, the journal apart.
    pub private: BTreeMap<PathBuf, Vec<u8>>,
    /// The agent's own folders.
    pub folders: BTreeSet<PathBuf>,
    /// The disk that the journal is on.
    pub disk: DiskImage,
    /// Time since it was switched on.
    pub uptime: Duration,
    /// How often it was switched on.
    pub boots: u64,
    /// How many agents were started on it.
    pub processes: u64,
    /// An agent's life: the places it still passes before it dies. None: it lives on.
    pub fuse: Option<u32>,
    /// Whether the agent that runs has heard Welcome in a session it has not lost.
    pub in_session: bool,
    /// The actions that the agent that runs has begun itself.
    pub began: BTreeSet<ActionId>,
    /// Whether the server can be reached.
    pub is_online: bool,
    /// An isolation here cuts off the server too: its addresses are not what they were.
    pub is_deaf_when_isolated: bool,
    /// It was set back to an earlier state.
    pub was_set_back: bool,
    /// It was, and nothing that the server ever heard of its journal can tell.
    pub was_set_back_unseen: bool,
    next_inode: u64,
}

/// A group of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The agent that started it.
    pub process: u64,
    /// How often it acted.
    pub acts: u32,
    /// The code it ended with by itself.
    pub ended: Option<i32>,
    /// When it was started.
    pub since: Duration,
}

/// A file in the folder for downloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Which file, with which content.
    pub identity: FileIdentity,
    /// The action and step that put it; none for the user's own.
    pub put_by: Option<(ActionId, u16)>,
}

/// A disk with a file on it: what is read, and what is there after the power was off.
#[derive(Clone, Debug, Default)]
pub struct DiskImage {
    /// What is read back.
    pub bytes: Vec<u8>,
    /// What is there for certain.
    pub synced: Vec<u8>,
    /// What was written since the last sync, in order.
    pub unsynced: Vec<(usize, Vec<u8>)>,
    /// The length, zeros that were only allocated included.
    pub length: u64,
    /// The records that are there for certain.
    pub records: Vec<Entry>,
    /// No room for more.
    pub is_full: bool,
}

/// Where the agent dies.
pub(super) struct AgentDies;

impl Machine {
    /// A machine that was never used.
    pub fn new(index: usize, id: MachineId) -> Self {
        Self { index, id: Some(id), is_online: true, boots: 1, next_inode: 1, ..Self::default() }
    }

    /// A place at which the agent may die.
    pub fn passes(&mut self) -> bool {
        match &mut self.fuse {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    /// Whether the server can be reached now.
    pub fn reaches_server(&self) -> bool {
        self.is_online && !(self.is_deaf_when_isolated && self.isolation.is_some())
    }

    /// A number for a new file.
    pub fn inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.next_inode
    }

    /// The power goes off and on.
    pub fn reboot(&mut self, dice: &mut Dice) {
        self.boots += 1;
        (self.isolation, self.lifted_by) = (None, None);
        self.children.clear();
        self.uptime = Duration::ZERO;
        self.disk.power_cut(dice);
    }

    /// Whether nothing of the action runs or stands here; otherwise what does.
    pub fn left_of(&self, action: ActionId) -> Option<String> {
        let name = action.to_string();
        if let Some(group) = self.children.keys().find(|group| group.starts_with(&name)) {
            return Some(format!("group {} lives", &group[name.len()..]));
        }
        if self.isolation.as_ref().is_some_and(|table| table.mark == name) {
            return Some("its isolation is loaded".into());
        }
        if self.lifted_by == Some(action) {
            return Some("the isolation that it lifted is not back".into());
        }
        let put = |download: &Download| download.put_by.is_some_and(|(by, _)| by == action);
        self.downloads.iter().find(|(_, download)| put(download)).map(|(file, _)| format!("its file {file} is there"))
    }

    /// Whether the journal holds such a record of the action for certain.
    pub fn journalled(&self, action: ActionId, wanted: impl Fn(&domain::grantee::Record) -> bool) -> bool {
        self.disk.records.iter().any(|entry| entry.action == action && wanted(&entry.record))
    }
}

impl DiskImage {
    /// Everything that is there. Of the zeros at the end only some, unless there is no room to allocate them anew.
    pub fn read(&self) -> Vec<u8> {
        let length = self.length as usize;
        let most = if self.is_full { length } else { length.min(self.bytes.len() + ZEROS_READ_BYTES) };
        let mut bytes = self.bytes.clone();
        bytes.resize(most.max(bytes.len()), 0);
        bytes
    }

    /// The journal's id, as its header has it.
    pub fn id(&self) -> Option<JournalId> {
        let bytes: [u8; 16] = self.bytes.get(8..24)?.try_into().ok()?;
        Some(JournalId(uuid::Uuid::from_bytes(bytes)))
    }

    /// Writes, for now.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.bytes, offset, bytes);
        self.length = self.length.max(self.bytes.len() as u64);
        self.unsynced.push((offset, bytes.to_vec()));
    }

    /// What was written is there for certain.
    pub fn sync(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            put(&mut self.synced, offset, &bytes);
            self.records.extend(record(&bytes));
        }
    }

    /// Cuts off what lies behind.
    pub fn cut(&mut self, length: u64) {
        self.bytes.truncate(length as usize);
        self.length = length;
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            if (offset + bytes.len()) as u64 <= length {
                self.records.extend(record(&bytes));
            }
        }
        self.synced.truncate(length as usize);
        if self.synced.len() < self.bytes.len() {
            self.synced.clone_from(&self.bytes);
        }
    }

    /// What was not synced is there, or not, or in part, sector by sector.
    pub fn power_cut(&mut self, dice: &mut Dice) {
        for (offset, bytes) in std::mem::take(&mut self.unsynced) {
            let (kept, torn) = (dice.chance(250), dice.chance(700));
            if kept {
                put(&mut self.synced, offset, &bytes);
                self.records.extend(record(&bytes));
            } else if torn {
                self.tear(offset, &bytes, dice);
            }
        }
        self.bytes.clone_from(&self.synced);
    }

    fn tear(&mut self, offset: usize, bytes: &[u8], dice: &mut Dice) {
        let mut at = 0;
        while at < bytes.len() {
            let sector_ends = SECTOR_BYTES - (offset + at) % SECTOR_BYTES;
            // A sector is whole or not there; the last bytes of a short write may be cut anywhere.
            let length = if dice.chance(800) { dice.index(sector_ends) + 1 } else { sector_ends };
            let end = (at + length).min(bytes.len());
            if dice.chance(500) {
                put(&mut self.synced, offset + at, &bytes[at..end]);
            }
            at = end;
        }
        // By chance all of it.
        if self.synced.get(offset..offset + bytes.len()) == Some(bytes) {
            self.records.extend(record(bytes));
        }
    }
}

fn put(into: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if into.len() < end {
        into.resize(end, 0);
    }
    into[offset..end].copy_from_slice(bytes);
}

/// The record in a frame; none in what is no frame.
fn record(frame: &[u8]) -> Option<Entry> {
    let entry = frame.get(FRAME_HEAD_BYTES + HASH_BYTES..)?;
    postcard::from_bytes(entry).ok()
}
