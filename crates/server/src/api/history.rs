//! GET countermand/actions/{id}/history.

use super::answer;
use super::call::Call;
use super::error::ApiError;
use axum::http::StatusCode;
use axum::response::Response;
use domain::history::{Source, StoredLine, verify};
use protocol::defender::action::status_word;
use protocol::defender::extension::{History, HistoryLine};
use protocol::defender::time;

/// What happened to an action, when, and who attests it.
pub(super) async fn history(call: &mut Call) -> Result<Response, ApiError> {
    let (action, lines) = call.state.actions.history(&call.caller, call.param(0)?).await?;
    let verified = verify(action.id, &lines);
    if let Err(line) = verified {
        tracing::error!(action = %action.id, line, "the history's hash chain does not hold");
    }
    let lines = lines.into_iter().map(line_of).collect();
    let history = History { action: action.id.to_string(), verified: verified.is_ok(), lines };
    Ok(answer::json(StatusCode::OK, &history))
}

fn line_of(stored: StoredLine) -> HistoryLine {
    let source = match stored.line.source {
        Source::Caller => "Caller",
        Source::Server => "Server",
        Source::Machine => "Machine",
    };
    HistoryLine {
        sequence: stored.sequence,
        at: time::show(stored.line.at),
        source: source.into(),
        what: stored.line.what,
        status: status_word(stored.line.stage).into(),
        hash: stored.hash.to_string(),
    }
}
