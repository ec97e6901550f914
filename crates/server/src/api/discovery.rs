//! GET {tenant}/v2.0/.well-known/openid-configuration and {tenant}/.well-known/openid-configuration, {tenant}/discovery/
//! v2.0/keys and {tenant}/discovery/keys, common/discovery/instance: what token libraries ask before they sign in.
//!
//! Every URL in the answers begins with the base URL that is set, never with the Host header of whoever asks: a library
//! sends its secret there, and takes the issuer for the one that tokens name.

use super::call::Call;
use super::error::ApiError;
use super::token::{self, Refusal, unknown_tenant};
use crate::tokens::issuer;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

/// The document of version 2 (OpenID Connect Discovery 1.0, 3).
pub(super) async fn version_2(call: &mut Call) -> Result<Response, ApiError> {
    configuration(call, "oauth2/v2.0", "discovery/v2.0/keys")
}

/// The document of version 1.
pub(super) async fn version_1(call: &mut Call) -> Result<Response, ApiError> {
    configuration(call, "oauth2", "discovery/keys")
}

fn configuration(call: &Call, oauth2: &str, keys: &str) -> Result<Response, ApiError> {
    if let Some(refusal) = other_tenant(call) {
        return Ok(refusal);
    }
    let tokens = &call.state.config.tokens;
    let base = format!("{}/{}", tokens.public_url.trim_end_matches('/'), call.state.tenant.0.hyphenated());
    Ok(answer(&json!({
        "issuer": issuer(tokens, call.state.tenant),
        "token_endpoint": format!("{base}/{oauth2}/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "jwks_uri": format!("{base}/{keys}"),
        // Required, and read by token libraries before they sign in. Nobody signs in there: it answers 404.
        "authorization_endpoint": format!("{base}/{oauth2}/authorize"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "response_modes_supported": [],
        "scopes_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": ["aud", "iss", "iat", "nbf", "exp", "appid", "azp", "roles", "sub", "tid", "ver"],
    })))
}

/// The keys that our tokens are signed with, those to come and those that may still be needed.
pub(super) async fn keys(call: &mut Call) -> Result<Response, ApiError> {
    Ok(match other_tenant(call) {
        Some(refusal) => refusal,
        None => answer(&call.state.keys.jwks(call.now)),
    })
}

/// Whether an authority is this server, and where its document is.
pub(super) async fn instance(call: &mut Call) -> Result<Response, ApiError> {
    let base = call.state.config.tokens.public_url.trim_end_matches('/');
    let authority = call.query("authorization_endpoint").unwrap_or_default();
    let tenant = authority.strip_prefix(base).and_then(|path| path.strip_prefix('/')?.split('/').next());
    if !tenant.is_some_and(|tenant| call.state.tenant.is(tenant)) {
        return Ok(token::refusal_answer(call, &INVALID_INSTANCE));
    }
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    let document = format!("{base}/{}/v2.0/.well-known/openid-configuration", call.state.tenant.0.hyphenated());
    Ok(answer(&json!({
        "tenant_discovery_endpoint": document,
        "api-version": "1.1",
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    })))
}

const INVALID_INSTANCE: Refusal = token::refused(StatusCode::BAD_REQUEST, "invalid_instance", 50049);

/// The refusal, if the path names another tenant.
fn other_tenant(call: &Call) -> Option<Response> {
    let named = call.params.first().map_or("", String::as_str);
    (!call.state.tenant.is(named)).then(|| token::refusal_answer(call, &unknown_tenant()))
}

fn answer(document: &Value) -> Response {
    super::answer::json(StatusCode::OK, document)
}
