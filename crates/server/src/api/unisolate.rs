//! POST machines/{id}/unisolate.

use super::call::Call;
use super::create::create;
use super::error::ApiError;
use crate::actions::Wanted;
use axum::response::Response;
use domain::kind::Kind;
use protocol::defender::request;

/// Lifts an isolation: 201 with the Pending action.
pub(super) async fn unisolate(call: &mut Call) -> Result<Response, ApiError> {
    create(call, Kind::Release, |body| Ok((request::comment_only(body)?, Wanted::Release))).await
}
