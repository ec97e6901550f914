//! Isolate: cut the machine from the network, all but the server.

use std::time::Duration;

use domain::grantee::UndoRecord;
use serde::{Deserialize, Serialize};

use super::{Broke, Context, Done, Executor, Observed, StopSignal, read_undo, write_undo};
use crate::crash;
use crate::host::IsolationPolicy;

/// How long a new connection to the server may take to come about, in all tries. Without one the isolation is taken
/// back: a machine that nobody reaches cannot be released.
pub const PROOF_LIMIT: Duration = Duration::from_secs(20);
/// The longest single try.
const PROOF_TRY_LIMIT: Duration = Duration::from_secs(5);
/// Pause between tries.
const PROOF_PAUSE: Duration = Duration::from_millis(500);

/// The executor.
pub(super) struct Isolate;

/// What undo needs: our table as it was before.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    table: Option<String>,
}

impl Executor for Isolate {
    fn plan(&self, cx: &Context<'_>, _step: u16) -> Result<UndoRecord, Broke> {
        // A table that already carries our mark is this action's own, from before a crash: not a state to go back to.
        let table = cx.host.isolation()?.filter(|table| table.mark != mark(cx)).map(|table| table.text);
        write_undo(&Before { table })
    }

    fn start(&self, cx: &Context<'_>, step: u16, undo: &UndoRecord, stop: &StopSignal) -> Result<Done, Broke> {
        crash::reached("isolate.begin");
        cx.host.isolate(&IsolationPolicy { mark: mark(cx), allow: cx.server.to_vec() })?;
        crash::reached("isolate.loaded");
        let settled = settle(cx, stop);
        crash::reached("isolate.settled");
        if let Err(broke) = settled {
            // It may have cut its own link: it does not wait for anyone to say so.
            return Err(match self.undo(cx, step, undo) {
                Ok(_) => broke,
                Err(also) => Broke::new(format!("{}; and it is not undone yet: {}", broke.why, also.why)),
            });
        }
        match self.observe(cx, step, undo)? {
            Observed::Present => Ok(Done::default()),
            Observed::Absent => Err(Broke::new("the isolation was loaded and is not there any more")),
        }
    }

    fn observe(&self, cx: &Context<'_>, _step: u16, _undo: &UndoRecord) -> Result<Observed, Broke> {
        Ok(match cx.host.isolation()? {
            Some(table) if table.mark == mark(cx) => Observed::Present,
            _ => Observed::Absent,
        })
    }

    /// Compares before it restores: a table with another mark, or none, is not this action's doing.
    fn undo(&self, cx: &Context<'_>, step: u16, undo: &UndoRecord) -> Result<Vec<String>, Broke> {
        let before: Before = read_undo(undo)?;
        if self.observe(cx, step, undo)? == Observed::Present {
            crash::reached("isolate.undo.begin");
            match &before.table {
                Some(text) => cx.host.restore_isolation(text)?,
                None => cx.host.lift_isolation()?,
            }
            crash::reached("isolate.undo.lifted");
        }
        match self.observe(cx, step, undo)? {
            Observed::Absent => Ok(Vec::new()),
            Observed::Present => Err(Broke::new("the isolation was lifted and is still there")),
        }
    }
}

/// Cuts what was open before, and proves that the server can be reached anew.
fn settle(cx: &Context<'_>, stop: &StopSignal) -> Result<(), Broke> {
    let cut = cx.host.cut_connections(cx.server)?;
    if cut.left > 0 {
        tracing::warn!(left = cut.left, "the kernel does not close these connections; they are silenced only");
    }
    crash::reached("isolate.cut");
    let began = cx.host.uptime();
    loop {
        let left = PROOF_LIMIT.saturating_sub(cx.host.uptime().saturating_sub(began));
        if stop.is_stopped() {
            return Err(Broke::new("stopped"));
        }
        let Err(why) = cx.proof.prove(left.min(PROOF_TRY_LIMIT), stop) else { return Ok(()) };
        if cx.host.uptime().saturating_sub(began) + PROOF_PAUSE >= PROOF_LIMIT {
            return Err(Broke::new(format!(
                "isolated, the machine could not reach the server within {PROOF_LIMIT:?}: {why}"
            )));
        }
        let _ = cx.host.pause(PROOF_PAUSE, stop);
    }
}

fn mark(cx: &Context<'_>) -> String {
    cx.action.to_string()
}
