//! POST machines/{id}/collectInvestigationPackage.

use super::call::Call;
use super::create::create;
use super::error::ApiError;
use crate::actions::Wanted;
use axum::response::Response;
use domain::kind::Kind;
use protocol::defender::request;

/// Gathers evidence into a package: 201 with the Pending action.
pub(super) async fn collect_package(call: &mut Call) -> Result<Response, ApiError> {
    create(call, Kind::CollectPackage, |body| Ok((request::comment_only(body)?, Wanted::CollectPackage))).await
}
