//! POST machines/{id}/runAntiVirusScan.

use super::call::Call;
use super::create::create;
use super::error::ApiError;
use crate::actions::Wanted;
use axum::response::Response;
use domain::kind::Kind;
use protocol::defender::request;

/// Looks for malware: 201 with the Pending action.
pub(super) async fn scan(call: &mut Call) -> Result<Response, ApiError> {
    create(call, Kind::Scan, |body| request::scan(body).map(|(asked, scope)| (asked, Wanted::Scan(scope)))).await
}
