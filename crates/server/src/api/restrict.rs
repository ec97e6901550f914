//! POST machines/{id}/restrictCodeExecution.

use super::call::Call;
use super::create::create;
use super::error::ApiError;
use crate::actions::Wanted;
use axum::response::Response;
use domain::kind::Kind;
use protocol::defender::request;

/// Lets only trusted programs run: 201 with the Pending action.
pub(super) async fn restrict(call: &mut Call) -> Result<Response, ApiError> {
    let kind = Kind::RestrictExecution;
    create(call, kind, |body| Ok((request::comment_only(body)?, Wanted::RestrictExecution))).await
}
