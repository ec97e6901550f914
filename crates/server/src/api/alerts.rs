//! GET alerts: the connection test of several clients. We judge nothing, so there are none.

use super::answer;
use super::call::Call;
use super::error::ApiError;
use axum::response::Response;

/// No alerts, whatever is asked.
pub(super) async fn alerts(call: &mut Call) -> Result<Response, ApiError> {
    Ok(answer::collection::<()>(&call.base_url, "Alerts", vec![], None))
}
