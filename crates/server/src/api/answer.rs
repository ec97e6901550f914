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

/// A page of a set's entities: of each only the `selected` properties, if they are named; how many match, if that was
/// asked for; where the next page is, if there is one.
pub(super) fn page<T: Serialize>(
    base_url: &str,
    set: &str,
    items: Vec<T>,
    selected: Option<&[&'static str]>,
    (count, next_link): (Option<u64>, Option<String>),
) -> Response {
    let Some(names) = selected else {
        let context = format!("{base_url}/api/$metadata#{set}");
        return json(StatusCode::OK, &Collection { context, count, value: items, next_link });
    };
    let context = format!("{base_url}/api/$metadata#{set}({})", names.join(","));
    let value = items.iter().map(|item| Selected::of(item, names)).collect();
    json(StatusCode::OK, &Collection { context, count, value, next_link })
}

/// A number and nothing else.
pub(super) fn number(number: u64) -> Response {
    let mut response = Response::new(Body::from(number.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Some of the properties of an entity, in this order.
struct Selected(Vec<(&'static str, serde_json::Value)>);

impl Selected {
    fn of<T: Serialize>(item: &T, names: &[&'static str]) -> Self {
        // Plain values with text keys: this cannot fail.
        let mut all = serde_json::to_value(item).unwrap_or_default();
        let mut taken = |name| all.get_mut(name).map(serde_json::Value::take).unwrap_or_default();
        Self(names.iter().map(|name| (*name, taken(*name))).collect())
    }
}

impl Serialize for Selected {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A bare text.
pub(super) fn text(base_url: &str, value: String) -> Response {
    let context = format!("{base_url}/api/$metadata#Edm.String");
    json(StatusCode::OK, &Value { context, value })
}
