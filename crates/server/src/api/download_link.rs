//! GET machineactions/{id}/GetLiveResponseResultDownloadLink(index={n}).

use super::answer;
use super::call::Call;
use super::download;
use super::error::ApiError;
use axum::response::Response;
use domain::permission::Operation;
use protocol::defender::error::Code;

/// A link to what a command produced, good for a while without a token: 400 while the action has not ended, 404 for a
/// command that produced nothing.
pub(super) async fn download_link(call: &mut Call) -> Result<Response, ApiError> {
    let actions = &call.state.actions;
    let action = actions.action_for(&call.caller, Operation::ResultLink, call.param(0)?).await?;
    let index = call.param(1)?;
    if !action.stage().is_final() {
        return Err(ApiError::new(Code::BadRequest, format!("The machine action {} has not ended yet.", action.id)));
    }
    let no_result = || {
        let message = format!("A result of command {index} of machine action {} was not found", action.id);
        ApiError::new(Code::ResourceNotFound, message)
    };
    let step: u16 = index.parse().map_err(|_| no_result())?;
    let url = download::link(call, &action, step).await?.ok_or_else(no_result)?;
    Ok(answer::text(&call.base_url, url))
}
