//! POST {tenant}/oauth2/v2.0/token and {tenant}/oauth2/token: OAuth 2, client credentials.
//!
//! The form is read whatever the Content-Type says, and what is not known in it is ignored: token libraries send much.

use super::call::Call;
use super::encoding::{decode, pairs};
use super::error::{ApiError, RefusalCode};
use crate::clock::guid;
use crate::tokens::{ClientCredentials, Issued, SignInError};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::time::Timestamp;
use protocol::defender::time;
use serde_json::{Value, json};

/// The longest form, in bytes.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// When to try again if too many sign in at once, in seconds.
const BUSY_RETRY_AFTER_SECONDS: u64 = 5;

/// The endpoint of version 2: `scope`, and numbers in the answer.
pub(super) async fn version_2(call: &mut Call) -> Result<Response, ApiError> {
    token(call, Version::Two).await
}

/// The endpoint of version 1: `resource`, and numbers as text in the answer.
pub(super) async fn version_1(call: &mut Call) -> Result<Response, ApiError> {
    token(call, Version::One).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

async fn token(call: &mut Call, version: Version) -> Result<Response, ApiError> {
    let bytes = call.bytes(FORM_BYTES_MAX).await?;
    let form = pairs(String::from_utf8_lossy(&bytes).trim());
    Ok(match sign_in(call, &form, version).await {
        Ok((issued, resource)) => token_answer(&issued, version, resource.as_deref(), call.now),
        Err(refusal) => refusal_answer(call, &refusal),
    })
}

/// A token, and the resource that was asked for, as it was written.
async fn sign_in(
    call: &Call,
    form: &[(String, String)],
    version: Version,
) -> Result<(Issued, Option<String>), Refusal> {
    let field = |name: &str| form.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    match field("grant_type") {
        Some("client_credentials") => {}
        Some(_) => return Err(UNSUPPORTED_GRANT),
        None => return Err(missing("grant_type")),
    }
    let basic = basic(&call.headers);
    let (client_id, client_secret) = match &basic {
        Some((id, secret)) => (id.as_str(), secret.as_str()),
        None => (field("client_id").ok_or_else(|| missing("client_id"))?, field("client_secret").ok_or(NO_SECRET)?),
    };
    let resource = field("resource").map(|resource| format!("{resource}/.default"));
    let scope = match version {
        Version::One => resource.as_deref(),
        Version::Two => field("scope").filter(|scope| !scope.trim().is_empty()),
    };
    let tenant = call.params.first().map_or("", String::as_str);
    let (own_url, address) = (call.base_url.as_str(), call.address);
    let asked = ClientCredentials { tenant, client_id, client_secret, scope, own_url, address };
    let issued = call.state.sign_in.client_credentials(asked, call.now).await.map_err(refusal)?;
    Ok((issued, field("resource").map(str::to_string)))
}

/// The application's id and secret from an Authorization header, each form-encoded as the standard has it.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let plain = |text: &str| decode(&text.replace('+', " "));
    Some((plain(id), plain(secret)))
}

fn token_answer(issued: &Issued, version: Version, resource: Option<&str>, now: Timestamp) -> Response {
    let seconds = issued.expires_in;
    let body = match version {
        Version::Two => json!({
            "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": issued.token,
        }),
        Version::One => json!({
            "token_type": "Bearer",
            "expires_in": seconds.to_string(),
            "ext_expires_in": seconds.to_string(),
            "expires_on": (now.as_seconds() + i64::from(seconds)).to_string(),
            "not_before": now.as_seconds().to_string(),
            "resource": resource.unwrap_or(&issued.audience),
            "access_token": issued.token,
        }),
    };
    answer(StatusCode::OK, &body)
}

/// A refusal in OAuth's words, with the number that Microsoft's identity platform gives it.
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    number: u32,
    message: String,
    retry_after_seconds: Option<u64>,
}

pub(super) const fn refused(status: StatusCode, error: &'static str, number: u32) -> Refusal {
    Refusal { status, error, number, message: String::new(), retry_after_seconds: None }
}

const UNSUPPORTED_GRANT: Refusal = refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", 70003);
const NO_SECRET: Refusal = refused(StatusCode::UNAUTHORIZED, "invalid_client", 7000216);

fn missing(field: &str) -> Refusal {
    let message = format!("The request body must contain the following parameter: '{field}'.");
    Refusal { message, ..refused(StatusCode::BAD_REQUEST, "invalid_request", 900144) }
}

/// There is no such tenant here.
pub(super) fn unknown_tenant() -> Refusal {
    refusal(SignInError::UnknownTenant)
}

fn refusal(error: SignInError) -> Refusal {
    let (status, word, number) = match &error {
        SignInError::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client", 7000215),
        SignInError::UnknownTenant => (StatusCode::BAD_REQUEST, "invalid_request", 90002),
        SignInError::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope", 1002012),
        SignInError::UnknownResource => (StatusCode::BAD_REQUEST, "invalid_resource", 500011),
        SignInError::TooManyFailed(_) => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", 90055),
        SignInError::Busy | SignInError::Store(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", 90033)
        }
        SignInError::Broken(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", 90033),
    };
    if status.is_server_error() {
        tracing::error!(%error, "a sign-in failed");
    }
    let retry_after_seconds = match error {
        SignInError::TooManyFailed(seconds) => Some(seconds),
        _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(BUSY_RETRY_AFTER_SECONDS),
    };
    Refusal { retry_after_seconds, ..refused(status, word, number) }
}

/// What a number means, for people.
fn meaning(number: u32) -> &'static str {
    match number {
        7000215 => "Invalid client secret provided, or the application is not known.",
        7000216 => "'client_secret' is required for the 'client_credentials' grant type.",
        70003 => "The app requested an unsupported grant type.",
        90055 => "Too many sign-ins from this address failed. Please try again later.",
        50049 => "Unknown or invalid instance.",
        90002 => "The tenant was not found. It must be the installation's own tenant id.",
        1002012 => "The provided value for scope is not valid. It must be one resource followed by /.default.",
        500011 => "The resource was not found in the tenant.",
        _ => "A transient error has occurred. Please try again.",
    }
}

/// The body of a refusal, as clients read it.
pub(super) fn refusal_answer(call: &Call, refusal: &Refusal) -> Response {
    let (trace, correlation) = (guid(&*call.state.clock), &call.caller.origin.correlation);
    let at = time::show(Timestamp::from_seconds(call.now.as_seconds())).replace('T', " ");
    let message = if refusal.message.is_empty() { meaning(refusal.number) } else { &refusal.message };
    let (error, number) = (refusal.error, refusal.number);
    tracing::info!(error, number, %trace, "a sign-in was refused");
    let description =
        format!("AADSTS{number}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}");
    let body = json!({
        "error": error,
        "error_description": description,
        "error_codes": [number],
        "timestamp": at,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("{}/error?code={number}", call.base_url),
    });
    let mut response = answer(refusal.status, &body);
    if refusal.status == StatusCode::UNAUTHORIZED {
        // Required where credentials came in a header (RFC 6749, 5.2), and harmless elsewhere.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"countermand\""));
    }
    response.extensions_mut().insert(RefusalCode(format!("AADSTS{number}")));
    if let Some(seconds) = refusal.retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = super::answer::json(status, body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
