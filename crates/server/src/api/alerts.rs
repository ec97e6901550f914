//! GET alerts: the connection test of several clients. We judge nothing, so there are none.

use super::answer;
use super::call::Call;
use super::error::ApiError;
use super::query::Options;
use axum::response::Response;

/// Options that alerts have beside those of other lists.
const ONLY_OF_ALERTS: [&str; 1] = ["$expand"];

/// No alerts, whatever is asked in a way that can be understood.
pub(super) async fn alerts(call: &mut Call) -> Result<Response, ApiError> {
    let options = Options::read(&call.query, &ONLY_OF_ALERTS)?;
    Ok(answer::collection::<()>(&call.base_url, "Alerts", vec![], options.count.then_some(0)))
}

/// How many: none.
pub(super) async fn count_alerts(call: &mut Call) -> Result<Response, ApiError> {
    Options::read(&call.query, &ONLY_OF_ALERTS)?;
    Ok(answer::number(0))
}
