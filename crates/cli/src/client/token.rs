//! The bearer token: given, or fetched by client credentials and kept until shortly before its end.

use super::address::Base;
use super::error::ClientError;
use super::{Credentials, http};
use reqwest::{Url, header};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A fetched token is renewed this long before its end, so that none ends on its way to the server.
const RENEW_AHEAD: Duration = Duration::from_secs(60);
/// Of a token that says nothing of its end, in seconds.
const LIFETIME_SECONDS_DEFAULT: u64 = 300;

/// Where tokens come from.
pub(super) struct Tokens {
    credentials: Credentials,
    cached: Mutex<Option<Token>>,
}

/// A token, and until when it is used.
#[derive(Clone)]
struct Token {
    text: String,
    renew_at: Instant,
}

impl Tokens {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, cached: Mutex::new(None) }
    }

    /// A token to send. Callers that come at the same time share one request for it.
    pub(super) async fn current(&self, web: &reqwest::Client, base: &Base) -> Result<String, ClientError> {
        let (tenant, client_id, client_secret) = match &self.credentials {
            Credentials::Token(token) => return Ok(token.clone()),
            Credentials::Client { tenant, client_id, client_secret } => (tenant, client_id, client_secret),
        };
        let mut cached = self.cached.lock().await;
        if let Some(token) = cached.as_ref()
            && Instant::now() < token.renew_at
        {
            return Ok(token.text.clone());
        }
        let url = base.join(&[tenant, "oauth2", "v2.0", "token"])?;
        let scope = base.scope();
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("scope", &scope),
        ]);
        let request = || {
            web.post(url.clone())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body.clone())
                .timeout(http::REQUEST_TIMEOUT)
        };
        let response = http::patiently(request).await?;
        let status = response.status().as_u16();
        let answer = http::body(response).await.map(|bytes| serde_json::from_slice(&bytes).unwrap_or(Value::Null))?;
        if status != 200 {
            return Err(refusal(status, &answer));
        }
        let token = read(&answer)?;
        *cached = Some(token.clone());
        Ok(token.text)
    }

    /// Drops a token that the API refused, unless another caller has replaced it already. Returns whether the next
    /// one may be better: a token that was given stays what it is.
    pub(super) async fn drop_refused(&self, refused: &str) -> bool {
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|token| token.text == refused) {
            *cached = None;
        }
        matches!(self.credentials, Credentials::Client { .. })
    }
}

fn read(answer: &Value) -> Result<Token, ClientError> {
    let text = answer["access_token"].as_str().unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ClientError::Answer("the token endpoint answered without a usable access_token".into()));
    }
    // Version 1 of the endpoint has numbers as strings.
    let seconds = match &answer["expires_in"] {
        Value::String(digits) => digits.parse().ok(),
        number => number.as_u64(),
    };
    let lifetime = Duration::from_secs(seconds.unwrap_or(LIFETIME_SECONDS_DEFAULT));
    let now = Instant::now();
    // One that lives no longer than the margin is used once.
    let renew_at = now.checked_add(lifetime.saturating_sub(RENEW_AHEAD)).unwrap_or(now);
    Ok(Token { text: text.to_string(), renew_at })
}

fn refusal(status: u16, answer: &Value) -> ClientError {
    let word = |key: &str| answer[key].as_str().unwrap_or_default().to_string();
    let (error, description) = (word("error"), word("error_description"));
    let description = if description.is_empty() { "the token endpoint refused".into() } else { description };
    ClientError::SignIn { status, error, description }
}

/// A form body: the URL crate encodes queries the same way.
fn form(pairs: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://form/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_survives_its_encoding() {
        assert_eq!(form(&[("a", "x&y=z +%"), ("b", "é")]), "a=x%26y%3Dz+%2B%25&b=%C3%A9");
    }

    #[test]
    fn lifetimes_are_numbers_or_strings() {
        for (answer, is_long) in [
            (serde_json::json!({"access_token": "t", "expires_in": 3599}), true),
            (serde_json::json!({"access_token": "t", "expires_in": "3599"}), true),
            (serde_json::json!({"access_token": "t", "expires_in": 30}), false),
        ] {
            assert_eq!(read(&answer).unwrap().renew_at > Instant::now() + Duration::from_secs(1), is_long);
        }
        assert!(read(&serde_json::json!({"access_token": "a\nb"})).is_err());
        assert!(read(&serde_json::json!({})).is_err());
    }
}
