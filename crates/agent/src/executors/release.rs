//! Release: lift an isolation.

use domain::grantee::UndoRecord;
use serde::{Deserialize, Serialize};

use super::{Broke, Context, Done, Executor, Observed, StopSignal, read_undo, write_undo};
use crate::crash;

/// The executor.
pub(super) struct Release;

/// What undo needs: the table that is lifted. None: the machine was not isolated, and there is nothing to bring back.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    table: Option<String>,
}

impl Executor for Release {
    fn plan(&self, cx: &Context<'_>, _step: u16) -> Result<UndoRecord, Broke> {
        write_undo(&Before { table: cx.host.isolation()?.map(|table| table.text) })
    }

    fn start(&self, cx: &Context<'_>, _step: u16, _undo: &UndoRecord, _stop: &StopSignal) -> Result<Done, Broke> {
        crash::reached("release.begin");
        cx.host.lift_isolation()?;
        crash::reached("release.lifted");
        match cx.host.isolation()? {
            None => Ok(Done::default()),
            Some(_) => Err(Broke::new("the isolation was lifted and is still there")),
        }
    }

    fn observe(&self, cx: &Context<'_>, _step: u16, undo: &UndoRecord) -> Result<Observed, Broke> {
        let before: Before = read_undo(undo)?;
        Ok(match (before.table, cx.host.isolation()?) {
            (Some(_), None) => Observed::Present,
            _ => Observed::Absent,
        })
    }

    /// Reloads what was lifted, unless there is a table: then it was never lifted, or another has come since.
    fn undo(&self, cx: &Context<'_>, step: u16, undo: &UndoRecord) -> Result<Vec<String>, Broke> {
        let before: Before = read_undo(undo)?;
        if let (Some(text), Observed::Present) = (&before.table, self.observe(cx, step, undo)?) {
            crash::reached("release.undo.begin");
            cx.host.restore_isolation(text)?;
            crash::reached("release.undo.restored");
        }
        match self.observe(cx, step, undo)? {
            Observed::Absent => Ok(Vec::new()),
            Observed::Present => Err(Broke::new("the isolation was restored and is not there")),
        }
    }
}
