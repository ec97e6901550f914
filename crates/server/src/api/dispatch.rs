//! The way of every request: who calls (401), may they (403), how often (429), is there such a thing (404), and then
//! the endpoint's own file.

use super::call::{Call, base_url};
use super::endpoints::{self, Access};
use super::error::ApiError;
use super::limits::Limit;
use super::trail::Trail;
use super::{ApiState, caller, download, limits, path};
use crate::actions::{Caller, Origin};
use crate::clock::guid;
use crate::listen::PeerAddress;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::EXPECT;
use axum::response::{IntoResponse as _, Response};
use domain::permission::PermissionType;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use protocol::defender::error::Code;
use std::sync::Mutex;
use std::time::Duration;

/// The name under which calls to paths that do not exist are counted.
const NO_SUCH_PATH: &str = "no such path";

/// How much of a body that nobody wanted is read all the same, in bytes: a connection that is closed while its client
/// still writes loses the answer, and with it the 401 that an upload with an old token waits for. As much as the largest
/// body there is.
const UNWANTED_BYTES_MAX: usize = 24 << 20;

/// How long that may take.
const UNWANTED_WITHIN: Duration = Duration::from_secs(10);

/// Answers a request.
pub(super) async fn dispatch(State(state): State<ApiState>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asks_first = parts.headers.contains_key(EXPECT);
    let mut body = Some(body);
    let correlation = guid(&*state.clock);
    let address = parts.extensions.get::<PeerAddress>().map(|peer| peer.0.ip());
    let origin = Origin { address, operation: String::new(), correlation: correlation.to_string() };
    let mut trail = Trail::new(origin, &parts.method, state.clock.now());
    let answer = answer(&state, parts, &mut body, &mut trail).await;
    let mut answer = answer.unwrap_or_else(|refusal| refusal.known_as(correlation).into_response());
    if let Some(quota) = &trail.quota {
        limits::show(quota, answer.headers_mut());
    }
    if let Some(entry) = trail.refusal(&answer) {
        state.actions.refused(entry).await;
    }
    if let Some(unwanted) = body.filter(|body| !asks_first && !body.is_end_stream()) {
        // Too slow: then the connection is closed, which is what there is left to do.
        let _ = tokio::time::timeout(UNWANTED_WITHIN, read_away(unwanted)).await;
    }
    answer
}

async fn answer(
    state: &ApiState,
    parts: axum::http::request::Parts,
    body: &mut Option<Body>,
    trail: &mut Trail,
) -> Result<Response, ApiError> {
    let now = state.clock.now();
    let segments = path::segments(parts.uri.path()).unwrap_or_default();
    let found = endpoints::find(&parts.method, &segments);
    match &found {
        Some((endpoint, params)) => trail.is_for(&parts.method, endpoint.path, params),
        None => trail.is_for(&parts.method, NO_SUCH_PATH, &[]),
    }
    let access = match &found {
        Some((endpoint, _)) => endpoint.access,
        // What is not there is not shown to whoever has no token.
        None if segments.first().is_some_and(|first| first.eq_ignore_ascii_case("api")) => Access::Token,
        None => Access::Open,
    };
    let caller = match access {
        // Nobody in particular, who may do nothing in particular.
        Access::Open => {
            if found.as_ref().is_some_and(|(endpoint, _)| endpoint.path == download::PATH) {
                trail.is_of_a_link();
            }
            let (permission_type, origin) = (PermissionType::Application, trail.origin.clone());
            Caller { name: String::new(), through: None, permission_type, permissions: vec![], origin }
        }
        Access::Token | Access::For(_) => {
            let caller = caller::caller(&state.verifier, &parts.headers, now).await?;
            let caller = Caller { origin: trail.origin.clone(), ..caller };
            trail.is_of(&caller);
            if let Access::For(operation) = access {
                caller.check(operation).map_err(ApiError::forbidden)?;
            }
            let (path, limit) =
                found.as_ref().map_or((NO_SUCH_PATH, Limit::Standard), |(endpoint, _)| (endpoint.path, endpoint.limit));
            let counted = state.limits.count(caller.through.as_ref().unwrap_or(&caller.name), path, limit, now);
            trail.quota = counted.unwrap_or_else(Some);
            counted.map_err(|quota| too_many(quota.reset_seconds))?;
            caller
        }
    };
    let (endpoint, params) = found.ok_or_else(ApiError::no_route)?;
    let base_url = base_url(&parts, &state.config.tokens.public_url);
    let mut call = Call {
        state: state.clone(),
        caller,
        now,
        params,
        query: super::encoding::pairs(parts.uri.query().unwrap_or_default()),
        address: trail.origin.address,
        headers: parts.headers,
        base_url,
        unread: Mutex::new(body.take().unwrap_or_default()),
    };
    let answer = (endpoint.handler)(&mut call).await;
    *body = Some(std::mem::take(call.body()));
    answer
}

fn too_many(retry_after_seconds: u64) -> ApiError {
    let message = format!("API call quota exceeded. Try again after {retry_after_seconds} seconds.");
    ApiError::new(Code::TooManyRequests, message).retry_after(retry_after_seconds)
}

async fn read_away(mut body: Body) {
    let mut left = UNWANTED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.into_data().map_or(0, |bytes| bytes.len());
        let Some(rest) = left.checked_sub(read) else { return };
        left = rest;
    }
}
