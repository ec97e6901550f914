//! Live response: put files, run scripts, get files. One step per command.

mod get_file;
mod put_file;
mod run_script;

use domain::command::{Command, LibraryRef};
use domain::grantee::UndoRecord;
use std::path::PathBuf;

use super::{Broke, Context, Done, Executor, Observed, StopSignal};

pub use get_file::COLLECT_BYTES_MAX;
pub use run_script::{OUTPUT_BYTES_MAX, SCRIPT_LIMIT};

/// The executor.
pub(super) struct LiveResponse;

impl Executor for LiveResponse {
    fn plan(&self, cx: &Context<'_>, step: u16) -> Result<UndoRecord, Broke> {
        match command(cx, step)? {
            Command::PutFile { file } => put_file::plan(cx, step, file),
            Command::RunScript { script, args } => run_script::plan(script, args.as_deref()),
            Command::GetFile { .. } => Ok(UndoRecord(Vec::new())),
        }
    }

    fn start(&self, cx: &Context<'_>, step: u16, undo: &UndoRecord, stop: &StopSignal) -> Result<Done, Broke> {
        if stop.is_stopped() {
            return Err(Broke::new("stopped"));
        }
        match command(cx, step)? {
            Command::PutFile { file } => put_file::start(cx, file, undo),
            Command::RunScript { script, args } => run_script::start(cx, step, script, args.as_deref(), stop),
            Command::GetFile { path } => get_file::start(cx, step, path, stop),
        }
    }

    fn observe(&self, cx: &Context<'_>, step: u16, undo: &UndoRecord) -> Result<Observed, Broke> {
        match command(cx, step)? {
            Command::PutFile { .. } => put_file::observe(cx, undo),
            Command::RunScript { .. } => run_script::observe(cx, step),
            // It only reads: nothing on the machine is different.
            Command::GetFile { .. } => Ok(Observed::Absent),
        }
    }

    fn undo(&self, cx: &Context<'_>, step: u16, undo: &UndoRecord) -> Result<Vec<String>, Broke> {
        match command(cx, step)? {
            Command::PutFile { .. } => put_file::undo(cx, undo),
            Command::RunScript { script, .. } => run_script::undo(cx, step, script),
            Command::GetFile { .. } => Ok(Vec::new()),
        }
    }
}

fn command<'a>(cx: &Context<'a>, step: u16) -> Result<&'a Command, Broke> {
    cx.body.commands().get(usize::from(step)).ok_or_else(|| Broke::new(format!("there is no command {step}")))
}

/// Where the content of a library file lies.
fn content(cx: &Context<'_>, file: &LibraryRef) -> PathBuf {
    cx.staging.join(file.sha256.to_string())
}

/// Refuses content that is not what was authorised. It was verified when it was fetched; it is looked at once more here
/// because what is used is this copy.
fn check_content(file: &LibraryRef, sha256: &str) -> Result<(), Broke> {
    match sha256 == file.sha256.to_string() {
        true => Ok(()),
        false => Err(Broke::new(format!("the content of {} is not what was authorised", file.name))),
    }
}
