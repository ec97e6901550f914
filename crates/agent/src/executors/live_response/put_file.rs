//! PutFile: a library file is put into the downloads folder.

use domain::command::LibraryRef;
use domain::grantee::UndoRecord;

use super::super::{Broke, Context, Done, Observed, read_undo, write_undo};
use super::{check_content, content};
use crate::crash;
use crate::host::{PutRecord, PutRequest, PutSeen};

/// Permission bits of a file that was put: for root alone.
const FILE_MODE: u32 = 0o600;

pub(super) fn plan(cx: &Context<'_>, step: u16, file: &LibraryRef) -> Result<UndoRecord, Broke> {
    let record = cx.host.plan_put(&PutRequest {
        folder: &cx.host.downloads(),
        name: &file.name,
        id: &format!("{}-{step}", cx.action),
        source: &content(cx, file),
        mode: FILE_MODE,
    })?;
    check_content(file, &record.sha256)?;
    write_undo(&record)
}

pub(super) fn start(cx: &Context<'_>, file: &LibraryRef, undo: &UndoRecord) -> Result<Done, Broke> {
    let record: PutRecord = read_undo(undo)?;
    crash::reached("put_file.begin");
    cx.host.put(&record, &content(cx, file))?;
    crash::reached("put_file.put");
    match cx.host.observe_put(&record)? {
        PutSeen::Present => Ok(Done::default()),
        PutSeen::Absent | PutSeen::Changed => Err(Broke::new(format!("{} was put and is not there", file.name))),
    }
}

pub(super) fn observe(cx: &Context<'_>, undo: &UndoRecord) -> Result<Observed, Broke> {
    let record: PutRecord = read_undo(undo)?;
    Ok(match cx.host.observe_put(&record)? {
        PutSeen::Present => Observed::Present,
        PutSeen::Absent | PutSeen::Changed => Observed::Absent,
    })
}

pub(super) fn undo(cx: &Context<'_>, undo: &UndoRecord) -> Result<Vec<String>, Broke> {
    let record: PutRecord = read_undo(undo)?;
    crash::reached("put_file.undo.begin");
    let residue = cx.host.undo_put(&record)?;
    crash::reached("put_file.undo.done");
    match cx.host.observe_put(&record)? {
        PutSeen::Present => Err(Broke::new(format!("{} was taken back and is still there", record.name))),
        PutSeen::Absent | PutSeen::Changed => Ok(residue.into_iter().collect()),
    }
}
