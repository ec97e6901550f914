//! POST machines/{id}/isolate.

use super::call::Call;
use super::create::create;
use super::error::ApiError;
use crate::actions::Wanted;
use axum::response::Response;
use domain::kind::{Kind, Scope};
use protocol::defender::request;

/// Cuts the machine from the network: 201 with the Pending action.
pub(super) async fn isolate(call: &mut Call) -> Result<Response, ApiError> {
    create(call, Kind::Isolate, |body| Ok((request::isolate(body)?, Wanted::Isolate(Scope::Full)))).await
}
