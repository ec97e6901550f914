//! One file per kind of action, always the same four functions in the same order: `plan`, `start`, `observe`, `undo`.
//!
//! An executor changes the machine through a [`Host`] and knows nothing of links, journals or other executors. Its caller
//! sees to the order: the undo record that `plan` returns is durable before `start` is called.

mod isolate;
mod live_response;
mod release;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::grantee::UndoRecord;
use domain::testimony::Artifact;
use domain::{ActionId, Body, Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::HostError;
pub use crate::host::{Host, StopSignal};
pub use isolate::PROOF_LIMIT;
pub use live_response::{COLLECT_BYTES_MAX, OUTPUT_BYTES_MAX, SCRIPT_LIMIT};

/// The code for one kind of action. All functions block.
pub trait Executor: Sync {
    /// Reads what undo will need. Changes nothing.
    fn plan(&self, cx: &Context<'_>, step: u16) -> Result<UndoRecord, Broke>;

    /// Makes the change and looks that it is made. Ends early, with [`Broke`], when `stop` is given.
    fn start(&self, cx: &Context<'_>, step: u16, undo: &UndoRecord, stop: &StopSignal) -> Result<Done, Broke>;

    /// Looks at the machine: is there something of this step that undo would take away?
    fn observe(&self, cx: &Context<'_>, step: u16, undo: &UndoRecord) -> Result<Observed, Broke>;

    /// Reverses the change and looks that it is reversed; returns what cannot be undone, one line each. May run when
    /// the change was never made or only in part, and any number of times.
    fn undo(&self, cx: &Context<'_>, step: u16, undo: &UndoRecord) -> Result<Vec<String>, Broke>;
}

/// What an executor works with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The machine.
    pub host: &'a dyn Host,
    /// The action.
    pub action: ActionId,
    /// What is to be done.
    pub body: &'a Body,
    /// This action's private folder. The library's content lies there under the hex of its SHA-256, verified.
    pub staging: &'a Path,
    /// The server's addresses, which an isolated machine still reaches.
    pub server: &'a [SocketAddr],
    /// How to tell whether the server can be reached.
    pub proof: &'a dyn ServerProof,
}

/// A way to tell whether the server can be reached.
pub trait ServerProof: Sync {
    /// Opens a *new* connection to the server and speaks with it; at most for `limit`, less if `stop` is given. An error
    /// says why not.
    fn prove(&self, limit: Duration, stop: &StopSignal) -> Result<(), String>;
}

/// A step that is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// What it produced; it lies at [`artifact_path`].
    pub artifact: Option<Artifact>,
}

/// A step that is not done, or an undo that must be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broke {
    /// Why, for the responder.
    pub why: String,
    /// What it produced so far; it lies at [`artifact_path`].
    pub artifact: Option<Artifact>,
}

/// What is seen of a step on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Its effect stands.
    Present,
    /// Nothing of it that undo would take away.
    Absent,
}

/// The executor for `body`.
#[must_use]
pub fn executor(body: &Body) -> &'static dyn Executor {
    match body {
        Body::Isolate { .. } => &isolate::Isolate,
        Body::Release => &release::Release,
        Body::LiveResponse { .. } => &live_response::LiveResponse,
    }
}

/// Where the artifact of a step lies.
#[must_use]
pub fn artifact_path(staging: &Path, step: u16) -> PathBuf {
    staging.join(format!("artifact-{step}"))
}

/// Kills every process of `action`, of whichever step, and returns when none is left.
pub fn kill(host: &dyn Host, action: ActionId) -> Result<(), Broke> {
    let prefix = format!("{action}-");
    kill_groups(host, |group| group.starts_with(&prefix))
}

/// Kills every process that an earlier agent may have left behind, whatever the journal says, except those of the actions
/// that `is_held`: each of these has a kill or a run of its own.
pub fn sweep(host: &dyn Host, is_held: &dyn Fn(ActionId) -> bool) -> Result<(), Broke> {
    let action = |group: &str| group.rsplit_once('-').and_then(|(action, _step)| ActionId::parse(action));
    kill_groups(host, |group| !action(group).is_some_and(is_held))
}

/// The kinds this machine can do, found out by trying what they need.
#[must_use]
pub fn offered(host: &dyn Host) -> Vec<Kind> {
    let mut kinds = vec![Kind::LiveResponse];
    match host.isolation() {
        Ok(_) => kinds.extend([Kind::Isolate, Kind::Release]),
        Err(error) => tracing::warn!(%error, "this machine cannot be isolated"),
    }
    kinds
}

/// Whose isolation is loaded now: an action's id, if the table was made by us.
pub fn isolated_by(host: &dyn Host) -> Result<Option<String>, Broke> {
    Ok(host.isolation()?.map(|table| table.mark))
}

impl Broke {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), artifact: None }
    }
}

impl From<HostError> for Broke {
    /// The whole chain in one line: this is where the error leaves the program's own world.
    fn from(error: HostError) -> Self {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            why = format!("{why}: {cause}");
            source = cause.source();
        }
        Self::new(why)
    }
}

fn kill_groups(host: &dyn Host, ours: impl Fn(&str) -> bool) -> Result<(), Broke> {
    let mut broke = None;
    for group in host.groups()?.iter().filter(|group| ours(group)) {
        // One that does not die is no reason to let the others live.
        if let Err(error) = host.kill_group(group) {
            broke = Some(error.into());
        }
    }
    broke.map_or(Ok(()), Err)
}

fn write_undo(undo: &impl Serialize) -> Result<UndoRecord, Broke> {
    serde_json::to_vec(undo)
        .map(UndoRecord)
        .map_err(|error| Broke::new(format!("cannot write an undo record: {error}")))
}

fn read_undo<T: DeserializeOwned>(undo: &UndoRecord) -> Result<T, Broke> {
    serde_json::from_slice(&undo.0).map_err(|error| Broke::new(format!("cannot read the undo record: {error}")))
}
