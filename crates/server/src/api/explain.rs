//! GET countermand/actions/{id}: what became of an action, in plain words.

use super::answer;
use super::call::Call;
use super::error::ApiError;
use super::query::TOP_MAX;
use crate::actions::{ActionField, ActionQuery, Filter, Value};
use axum::http::StatusCode;
use axum::response::Response;
use domain::action::{Action, CancelOutcome, State, TimedOutWhy};
use domain::lifecycle::Stage;
use domain::permission::Operation;
use protocol::defender::action::status_word;
use protocol::defender::extension::Explanation;
use protocol::defender::time;

/// Stage, what became of the cancel, what is left behind, what it waits for.
pub(super) async fn explain(call: &mut Call) -> Result<Response, ApiError> {
    let actions = &call.state.actions;
    let action = actions.action(&call.caller, call.param(0)?).await?;
    let machine = match actions.machine_for(&call.caller, Operation::Read, &action.machine.to_string()).await {
        Ok(machine) => Some(machine),
        Err(crate::actions::ActionError::NotFound(_)) => None,
        Err(e) => return Err(e.into()),
    };
    let ahead = match action.stage() {
        Stage::Pending => ahead_of(call, &action).await?,
        _ => None,
    };
    let residue = action.state.testimony().map(|words| words.residue.clone()).unwrap_or_default();
    let explanation = Explanation {
        action: action.id.to_string(),
        r#type: action.kind().row().wire.into(),
        status: status_word(action.stage()).into(),
        stage: action.stage().to_string(),
        cancel: cancel_words(&action, &residue),
        waiting_for: waiting_words(&action, ahead.as_ref()),
        residue,
        machine_id: action.machine.to_string(),
        machine_last_seen: machine.as_ref().map(|machine| time::show(machine.last_seen)),
        machine_name: machine.map(|machine| machine.name),
    };
    Ok(answer::json(StatusCode::OK, &explanation))
}

/// The oldest live action of the same machine that needs the same thing and was requested earlier.
async fn ahead_of(call: &Call, action: &Action) -> Result<Option<Action>, ApiError> {
    let live = [Stage::Pending, Stage::Granted, Stage::Stopping].map(Value::Stage).to_vec();
    let filter = Filter::All(vec![
        Filter::is(ActionField::Machine, Value::Machine(action.machine)),
        Filter::OneOf(ActionField::Stage, live),
    ]);
    let query = ActionQuery::of(filter, TOP_MAX);
    let live = call.state.actions.actions(&call.caller, &query).await?;
    let order = |action: &Action| (action.created_at, action.id);
    let earlier = |other: &Action| other.kind().class() == action.kind().class() && order(other) < order(action);
    Ok(live.into_iter().rev().find(earlier))
}

/// What became of the cancel; what must be known beside it stands in the same line, not behind a click.
fn cancel_words(action: &Action, residue: &[String]) -> Option<String> {
    let since = action.state.cancel().map(|cancel| time::show(cancel.at)).unwrap_or_default();
    let mut words = match action.state.cancel_outcome()? {
        CancelOutcome::NeverStarted => "Cancelled - never started".to_string(),
        CancelOutcome::StoppedAndUndone => "Cancelled - stopped and rolled back".to_string(),
        CancelOutcome::Stopping => format!("Stopping - waiting for the device since {since}"),
        CancelOutcome::TooLate => "Too late - finished first".to_string(),
        CancelOutcome::Unknown => format!("Outcome unknown - {}", unknown_words(&action.state)),
    };
    if !residue.is_empty() {
        words.push_str("; left behind: ");
        words.push_str(&residue.join("; "));
    }
    Some(words)
}

fn unknown_words(state: &State) -> &'static str {
    match state {
        State::TimedOut { why: TimedOutWhy::NotStarted, .. } => "it was not started in time",
        State::TimedOut { why: TimedOutWhy::JournalLost, .. } => "the device came back without its journal",
        State::TimedOut { why: TimedOutWhy::Reenrolled, .. } => "the device was enrolled anew",
        _ => "the device was not heard of for too long",
    }
}

fn waiting_words(action: &Action, ahead: Option<&Action>) -> Option<String> {
    match (action.stage(), ahead) {
        (Stage::Pending, Some(ahead)) => Some(format!(
            "{} {}, which was requested earlier and needs the same of the device",
            ahead.kind().row().wire,
            ahead.id
        )),
        (Stage::Pending, None) => {
            Some(format!("the device to begin it; it times out at {}", time::show(action.expires_at)))
        }
        (Stage::Granted, _) => Some("the device to say how it ended".into()),
        (Stage::Stopping, _) => Some("the device to say that it has stopped it and put everything back".into()),
        _ => None,
    }
}
