//! POST machines/{id}/offboard.

use super::call::Call;
use super::create::create_with;
use super::error::ApiError;
use crate::actions::Wanted;
use axum::http::StatusCode;
use axum::response::Response;
use domain::kind::Kind;
use protocol::defender::request;

/// Takes the machine out of management: 200 with the Pending action, as documented and seen, not 201. A comment must be
/// given, as documented, though one client sends none: who takes a machine out of management says why.
pub(super) async fn offboard(call: &mut Call) -> Result<Response, ApiError> {
    let read = |body: &[u8]| Ok((request::comment_only(body)?, Wanted::Offboard));
    create_with(StatusCode::OK, call, Kind::Offboard, read).await
}
