//! Putting a file into a folder, and taking it back.
//!
//! The new file is written under a side name in the same folder. Where nothing of the wanted name exists it is then
//! renamed; where something does, the two names are *exchanged* in one instruction of the kernel, and the older file
//! lies at the side name until undo brings it back. So whatever the last instruction before a power cut was, the two
//! names tell what has happened:
//!
//! | wanted name | side name | means | undo |
//! |---|---|---|---|
//! | as before | nothing | nothing begun | nothing to do |
//! | as before | any | written, perhaps in part | remove the side file |
//! | ours | nothing | put where nothing was | remove ours |
//! | ours | the older | put in place of another | bring the older back |
//! | neither | any | someone changed it since | leave both alone and say so |
//!
//! "Ours" is told by content, "as before" by inode: the record is written before the file exists. Undo leads to the
//! first row or the last, so it may run as often as one likes, and also when putting never ran.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{RenameFlags, fsync, renameat, renameat_with};

use super::files::{
    check_file_name, create_in, failed, inode, open_folder, open_in, open_own, private_folder, remove_in, sha256_of,
};
use super::{FileIdentity, HostError, PutRecord, PutRequest, PutSeen};

/// Bytes moved at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Decides how `request` will be done and notes what undo will need. Reads only.
pub(super) fn plan(request: &PutRequest<'_>) -> Result<PutRecord, HostError> {
    check_file_name(request.name)?;
    let aside = format!(".countermand-{}", request.id);
    check_file_name(&aside)?;
    if request.name == aside {
        return Err(HostError::Refused(format!("{aside:?} is the agent's own name")));
    }
    let source = open_own(request.source)?;
    let sha256 = sha256_of(source).map_err(|error| failed("cannot read", request.source, error))?;
    let before = match open_folder(request.folder)? {
        Some(folder) => identity(&folder, request.name)?,
        None => None,
    };
    Ok(PutRecord {
        folder: request.folder.to_owned(),
        name: request.name.to_owned(),
        aside,
        mode: request.mode,
        sha256,
        before,
    })
}

/// Puts the file as planned. Running it again after it was done changes nothing.
pub(super) fn put(record: &PutRecord, source: &Path) -> Result<(), HostError> {
    private_folder(&record.folder)?;
    let folder = must_open(record)?;
    if Names::look(&folder, record)?.is_put(record) {
        return Ok(());
    }
    // What lies at the side name can only be an earlier, unfinished attempt of our own.
    remove_in(&folder, &record.aside).map_err(|error| about(record, "cannot clear the way for", error))?;
    write_aside(&folder, record, source)?;
    let names = (record.aside.as_str(), record.name.as_str());
    let flags = if record.before.is_some() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    renameat_with(&folder, names.0, &folder, names.1, flags)
        .map_err(|error| about(record, "something else changed the folder while we put", error.into()))?;
    let displaced = identity(&folder, &record.aside)?;
    if displaced != record.before {
        // The file we displaced is not the one we planned to: give it back. Its inode alone would not tell, since
        // file systems use the number of a removed file again.
        renameat_with(&folder, names.0, &folder, names.1, RenameFlags::EXCHANGE)
            .map_err(|error| about(record, "cannot give back what was at", error.into()))?;
        remove_in(&folder, &record.aside).map_err(|error| about(record, "cannot clean up after", error))?;
        return Err(about(record, "something else replaced", io::ErrorKind::AlreadyExists.into()));
    }
    sync(&folder, record)
}

/// Looks whether the file is there as put.
pub(super) fn observe(record: &PutRecord) -> Result<PutSeen, HostError> {
    let Some(folder) = open_folder(&record.folder)? else { return Ok(PutSeen::Absent) };
    let names = Names::look(&folder, record)?;
    Ok(match (&names.wanted, &names.aside) {
        _ if names.is_put(record) => PutSeen::Present,
        (wanted, None) if inode_of(wanted) == inode_of(&record.before) => PutSeen::Absent,
        _ => PutSeen::Changed,
    })
}

/// Takes the file back if it is still as we put it; otherwise leaves everything alone and says in one line why.
pub(super) fn undo(record: &PutRecord) -> Result<Option<String>, HostError> {
    let Some(folder) = open_folder(&record.folder)? else { return Ok(None) };
    let names = Names::look(&folder, record)?;
    if inode_of(&names.wanted) == inode_of(&record.before) {
        // Here the inode does tell: had we displaced the older file, it would live aside and keep its number. Never put, or already taken back; at most an unfinished attempt lies aside.
        remove_in(&folder, &record.aside).map_err(|error| about(record, "cannot clean up after", error))?;
        sync(&folder, record)?;
        return Ok(None);
    }
    if !names.is_put(record) {
        // Someone else took the name. What lies aside is ours to remove unless it may be what we displaced.
        if record.before.is_none() || names.aside.as_ref().is_some_and(|aside| aside.sha256 == record.sha256) {
            remove_in(&folder, &record.aside).map_err(|error| about(record, "cannot clean up after", error))?;
        }
        return Ok(Some(left_alone(record, &names)));
    }
    match record.before {
        // One instruction again: the older file takes the name, ours is gone.
        Some(_) => renameat(&folder, &record.aside, &folder, &record.name).map_err(io::Error::from),
        None => remove_in(&folder, &record.name),
    }
    .map_err(|error| about(record, "cannot take back", error))?;
    sync(&folder, record)?;
    Ok(None)
}

/// What stands at the two names now.
struct Names {
    wanted: Option<FileIdentity>,
    aside: Option<FileIdentity>,
}

impl Names {
    fn look(folder: &OwnedFd, record: &PutRecord) -> Result<Self, HostError> {
        Ok(Self { wanted: identity(folder, &record.name)?, aside: identity(folder, &record.aside)? })
    }

    /// Ours at the wanted name, and the older, if there was one, aside.
    fn is_put(&self, record: &PutRecord) -> bool {
        let ours = self.wanted.as_ref().is_some_and(|wanted| wanted.sha256 == record.sha256);
        let moved = inode_of(&self.wanted) != inode_of(&record.before);
        let kept = match record.before {
            Some(_) => self
                .aside
                .as_ref()
                .is_some_and(|aside| aside.sha256 != record.sha256 || Some(aside.inode()) == inode_of(&record.before)),
            None => self.aside.is_none(),
        };
        ours && moved && kept
    }
}

fn left_alone(record: &PutRecord, names: &Names) -> String {
    let path = record.folder.join(&record.name);
    let kept = match (&record.before, &names.aside) {
        (Some(_), Some(_)) => {
            format!("; the file that was there before is {}", record.folder.join(&record.aside).display())
        }
        _ => String::new(),
    };
    let what = if names.wanted.is_some() { "changed" } else { "removed" };
    format!("{} was {what} by someone else and is left alone{kept}", path.display())
}

fn write_aside(folder: &OwnedFd, record: &PutRecord, source: &Path) -> Result<(), HostError> {
    let mut from = open_own(source)?;
    let mut into = create_in(folder, &record.aside, record.mode).map_err(|e| about(record, "cannot begin", e))?;
    let written = copy(&mut from, &mut into).and_then(|()| into.sync_all());
    written.map_err(|error| about(record, "cannot write", error))?;
    match identity(folder, &record.aside)? {
        Some(identity) if identity.sha256 == record.sha256 => Ok(()),
        _ => Err(HostError::Refused(format!("{} is not what was planned", source.display()))),
    }
}

fn copy(from: &mut File, into: &mut File) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            count => into.write_all(&chunk[..count])?,
        }
    }
}

/// Anything but a regular file at that name is refused: it is not ours, and we would not know how to bring it back.
fn identity(folder: &OwnedFd, name: &str) -> Result<Option<FileIdentity>, HostError> {
    let Some(file) = open_in(folder, name)? else { return Ok(None) };
    let read = || -> io::Result<FileIdentity> {
        let (device, inode) = inode(&file)?;
        Ok(FileIdentity { device, inode, sha256: sha256_of(&file)? })
    };
    read().map(Some).map_err(|error| failed("cannot read", Path::new(name), error))
}

fn inode_of(identity: &Option<FileIdentity>) -> Option<(u64, u64)> {
    identity.as_ref().map(FileIdentity::inode)
}

fn must_open(record: &PutRecord) -> Result<OwnedFd, HostError> {
    open_folder(&record.folder)?
        .ok_or_else(|| about(record, "cannot open the folder of", io::ErrorKind::NotFound.into()))
}

fn sync(folder: &OwnedFd, record: &PutRecord) -> Result<(), HostError> {
    fsync(folder).map_err(|error| about(record, "cannot sync the folder of", error.into()))
}

fn about(record: &PutRecord, what: &str, source: io::Error) -> HostError {
    failed(what, &record.folder.join(&record.name), source)
}
