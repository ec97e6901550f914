//! POST machines/{id}/unrestrictCodeExecution.

use super::call::Call;
use super::create::create;
use super::error::ApiError;
use crate::actions::Wanted;
use axum::response::Response;
use domain::kind::Kind;
use protocol::defender::request;

/// Lifts the restriction to trusted programs: 201 with the Pending action.
pub(super) async fn unrestrict(call: &mut Call) -> Result<Response, ApiError> {
    let kind = Kind::UnrestrictExecution;
    create(call, kind, |body| Ok((request::comment_only(body)?, Wanted::UnrestrictExecution))).await
}
