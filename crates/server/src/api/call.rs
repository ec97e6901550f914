//! One call of an endpoint: who calls, what for, and what came with it.

use super::ApiState;
use super::error::ApiError;
use crate::actions::Caller;
use crate::listen::Scheme;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::request::Parts;
use domain::time::Timestamp;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// The longest host with a port that is repeated in an answer, in bytes.
const HOST_BYTES_MAX: usize = 260;

/// One call.
pub(super) struct Call {
    /// What the API works with.
    pub(super) state: ApiState,
    /// Who calls; nobody, for an open endpoint.
    pub(super) caller: Caller,
    /// When.
    pub(super) now: Timestamp,
    /// The parameters of the path.
    pub(super) params: Vec<String>,
    /// The names and values of the query.
    pub(super) query: Vec<(String, String)>,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The server as this caller reached it, without a slash at the end.
    pub(super) base_url: String,
    /// The address the request came from, where a listener took it.
    pub(super) address: Option<IpAddr>,
    /// The body, until it is read. Never locked by anyone: a body by itself could not be shared between threads.
    pub(super) unread: Mutex<Body>,
}

impl Call {
    /// The body, or what is left of it.
    pub(super) fn body(&mut self) -> &mut Body {
        self.unread.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// A parameter of the path, by its place.
    ///
    /// # Errors
    /// The path has no such parameter: the table and the handler do not fit.
    pub(super) fn param(&self, index: usize) -> Result<&str, ApiError> {
        let param = self.params.get(index).map(String::as_str);
        param.ok_or_else(|| ApiError::internal(format_args!("the path has no parameter {index}")))
    }

    /// The first value of a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// The server as this caller reached it; `otherwise`, if the request does not say that in plain characters. Headers of
/// proxies are not listened to.
pub(super) fn base_url(parts: &Parts, otherwise: &str) -> String {
    let scheme = parts.extensions.get::<Scheme>().map_or("https", |scheme| scheme.0);
    let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = parts.uri.authority().map(|authority| authority.as_str()).or(header);
    match host.filter(|host| is_plain(host)) {
        Some(host) => format!("{scheme}://{host}"),
        None => otherwise.trim_end_matches('/').to_string(),
    }
}

fn is_plain(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.chars().all(plain)
}
