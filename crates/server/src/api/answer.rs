//! Answers: compact JSON with the headers that recorded responses have.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use protocol::defender::{Collection, Entity, Value};
use serde::Serialize;

/// The Content-Type of every answer, as recorded.
const CONTENT_TYPE_ODATA: &str = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8";

/// A JSON answer.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    // Plain values with text keys: this cannot fail. An empty object would still be JSON.
    let bytes = serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec());
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_ODATA));
    headers.insert(HeaderName::from_static("odata-version"), HeaderValue::from_static("4.0"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// One entity of a set.
pub(super) fn entity<T: Serialize>(status: StatusCode, base_url: &str, set: &str, item: T) -> Response {
    let context = format!("{base_url}/api/$metadata#{set}/$entity");
    json(status, &Entity { context, item })
}

/// A list of a set's entities.
pub(super) fn collection<T: Serialize>(base_url: &str, set: &str, value: Vec<T>, count: Option<u64>) -> Response {
    let context = format!("{base_url}/api/$metadata#{set}");
    json(StatusCode::OK, &Collection { context, count, value, next_link: None })
}

/// A bare text.
pub(super) fn text(base_url: &str, value: String) -> Response {
    let context = format!("{base_url}/api/$metadata#Edm.String");
    json(StatusCode::OK, &Value { context, value })
}
