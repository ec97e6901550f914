//! GET machineactions/{id}/getPackageUri.

use super::answer;
use super::call::Call;
use super::download;
use super::error::ApiError;
use axum::response::Response;
use domain::kind::Kind;
use domain::lifecycle::Stage;
use domain::permission::Operation;
use protocol::defender::error::Code;

/// The step of a collection that produces its package.
const PACKAGE_STEP: u16 = 0;

/// A link to a collected package, good for a while without a token: 404 for a collection that has not succeeded, as
/// documented, and for what is no collection.
pub(super) async fn package_link(call: &mut Call) -> Result<Response, ApiError> {
    let action = call.state.actions.action_for(&call.caller, Operation::PackageLink, call.param(0)?).await?;
    let collected = action.kind() == Kind::CollectPackage && action.stage() == Stage::Succeeded;
    let url = if collected { download::link(call, &action, PACKAGE_STEP).await? } else { None };
    let no_package = || {
        let message = format!("An investigation package of machine action {} was not found", action.id);
        ApiError::new(Code::ResourceNotFound, message)
    };
    Ok(answer::text(&call.base_url, url.ok_or_else(no_package)?))
}
