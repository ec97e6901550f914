//! Files that are put on a machine, and taken back: the table of `agent::host::put`, over a map.

use super::{Answer, Trouble};
use crate::simulation::library;
use crate::simulation::machine::{Download, Machine};
use agent::host::{FileIdentity, PutRecord, PutRequest, PutSeen};
use domain::ids::ActionId;
use std::path::Path;

/// What the agent's side names begin with.
const ASIDE: &str = ".countermand-";

pub(super) fn plan_put(machine: &Machine, request: &PutRequest<'_>) -> Answer<PutRecord> {
    let Some(source) = machine.private.get(request.source) else { return Err(Trouble::Io("no such file")) };
    Ok(PutRecord {
        folder: request.folder.to_owned(),
        name: request.name.to_owned(),
        aside: format!("{ASIDE}{}", request.id),
        mode: request.mode,
        sha256: library::digest(source).to_string(),
        before: machine.downloads.get(request.name).map(|download| download.identity.clone()),
    })
}

/// The step that a record is of.
pub(super) fn step_of(record: &PutRecord) -> Option<u16> {
    record.aside.rsplit('-').next()?.parse().ok()
}

pub(super) fn put(
    machine: &mut Machine,
    record: &PutRecord,
    source: &Path,
    put_by: Option<(ActionId, u16)>,
) -> Answer<()> {
    if is_put(machine, record) {
        return Ok(());
    }
    machine.downloads.remove(&record.aside);
    let Some(content) = machine.private.get(source).cloned() else { return Err(Trouble::Io("no such file")) };
    let there = machine.downloads.get(&record.name).map(|download| download.identity.clone());
    if there != record.before {
        return Err(Trouble::Io("something else changed the folder"));
    }
    let sha256 = library::digest(&content).to_string();
    let identity = FileIdentity { device: 1, inode: machine.inode(), sha256 };
    let older = machine.downloads.insert(record.name.clone(), Download { identity, put_by });
    if let Some(older) = older {
        machine.downloads.insert(record.aside.clone(), older);
    }
    Ok(())
}

pub(super) fn observe_put(machine: &Machine, record: &PutRecord) -> PutSeen {
    let wanted = machine.downloads.get(&record.name).map(|download| download.identity.inode());
    let aside = machine.downloads.contains_key(&record.aside);
    match wanted == record.before.as_ref().map(FileIdentity::inode) {
        _ if is_put(machine, record) => PutSeen::Present,
        true if !aside => PutSeen::Absent,
        _ => PutSeen::Changed,
    }
}

pub(super) fn undo_put(machine: &mut Machine, record: &PutRecord) -> Option<String> {
    let wanted = machine.downloads.get(&record.name).map(|download| download.identity.inode());
    if wanted == record.before.as_ref().map(FileIdentity::inode) {
        machine.downloads.remove(&record.aside);
        return None;
    }
    if !is_put(machine, record) {
        let ours = machine.downloads.get(&record.aside).is_some_and(|aside| aside.identity.sha256 == record.sha256);
        if record.before.is_none() || ours {
            machine.downloads.remove(&record.aside);
        }
        return Some(format!("{} was changed by someone else and is left alone", record.name));
    }
    match machine.downloads.remove(&record.aside) {
        Some(older) => drop(machine.downloads.insert(record.name.clone(), older)),
        None => drop(machine.downloads.remove(&record.name)),
    }
    None
}

fn is_put(machine: &Machine, record: &PutRecord) -> bool {
    let (wanted, aside) = (machine.downloads.get(&record.name), machine.downloads.get(&record.aside));
    let before = record.before.as_ref().map(FileIdentity::inode);
    let ours =
        wanted.is_some_and(|wanted| wanted.identity.sha256 == record.sha256 && Some(wanted.identity.inode()) != before);
    let kept = match record.before {
        Some(_) => {
            aside.is_some_and(|aside| aside.identity.sha256 != record.sha256 || Some(aside.identity.inode()) == before)
        }
        None => aside.is_none(),
    };
    ours && kept
}
