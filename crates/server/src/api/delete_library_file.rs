//! DELETE libraryfiles/{name}.

use super::call::Call;
use super::error::ApiError;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

/// Deletes a library file: 204 without a body.
pub(super) async fn delete_library_file(call: &mut Call) -> Result<Response, ApiError> {
    call.state.actions.delete_library_file(&call.caller, call.param(0)?, call.now).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
