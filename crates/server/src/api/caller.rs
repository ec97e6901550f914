//! Who calls, by the token they show.

use super::error::ApiError;
use crate::actions::Caller;
use crate::tokens::Verifier;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use domain::time::Timestamp;

/// The scheme of the Authorization header.
const BEARER: &str = "Bearer ";

/// The caller that the Authorization header's token names.
///
/// # Errors
/// None, more than one, or one that is not valid; all look alike to the caller.
pub(super) async fn caller(verifier: &Verifier, headers: &HeaderMap, now: Timestamp) -> Result<Caller, ApiError> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (given.next(), given.next()) else {
        return Err(ApiError::unauthorized("not exactly one Authorization header"));
    };
    let text = header.to_str().map_err(|_| ApiError::unauthorized("an Authorization header that is no text"))?;
    let scheme = text.get(..BEARER.len()).filter(|scheme| scheme.eq_ignore_ascii_case(BEARER));
    if scheme.is_none() {
        return Err(ApiError::unauthorized("an Authorization header without a Bearer token"));
    }
    let verified = verifier.verify(text[BEARER.len()..].trim(), now).await.map_err(ApiError::unauthorized)?;
    Ok(verified.caller.clone())
}
