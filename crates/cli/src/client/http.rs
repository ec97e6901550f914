//! One request and its answer: signed in, patient when the server asks for patience, bounded in time and size.

use super::address::{Base, check_transport};
use super::error::ClientError;
use super::token::Tokens;
use super::{ClientConfig, tls};
use crate::output;
use reqwest::{RequestBuilder, Response, Url, header};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// For a connection to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole API request: a cancel may take the server's wait budget of some seconds.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two pieces of a download.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is sent again because the server had too many.
const THROTTLED_RETRIES_MAX: usize = 5;
/// A server that asks for a longer wait is not waited for: the refusal is reported instead.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(90);
/// Where the server does not say how long to wait.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
/// The largest answer that is read into memory: a full page of live responses stays below.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The connection to one server as one caller.
pub(super) struct Http {
    web: reqwest::Client,
    base: Base,
    tokens: Tokens,
}

impl Http {
    pub(super) fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let base = Base::parse(&config.base_url)?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // The API never redirects, and a token must not follow where somebody else points.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("countermand/", env!("CARGO_PKG_VERSION")));
        match &config.ca_file {
            Some(ca_file) => builder = builder.tls_backend_preconfigured(tls::trusting(ca_file)?),
            None => tls::install_provider(),
        }
        if base.is_plain() {
            // Plain HTTP must not leave this computer through a proxy either.
            builder = builder.no_proxy();
        }
        let web = builder.build().map_err(|error| {
            ClientError::Config(format!(
                "cannot set up TLS with the system's CA certificates ({error}); give --ca-file"
            ))
        })?;
        Ok(Self { web, base, tokens: Tokens::new(config.credentials) })
    }

    pub(super) fn base(&self) -> &Base {
        &self.base
    }

    pub(super) async fn token(&self) -> Result<String, ClientError> {
        self.tokens.current(&self.web, &self.base).await
    }

    pub(super) async fn get(&self, url: Url) -> Result<Value, ClientError> {
        self.json(|web| web.get(url.clone())).await
    }

    pub(super) async fn post(&self, url: Url, body: &Value) -> Result<Value, ClientError> {
        self.json(|web| web.post(url.clone()).json(body)).await
    }

    /// Sends it and reads the answer's JSON; null where the answer has no body.
    pub(super) async fn json(&self, build: impl Fn(&reqwest::Client) -> RequestBuilder) -> Result<Value, ClientError> {
        let bytes = body(self.signed_in(build).await?).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Answer(format!("the answer is not JSON: {error}")))
    }

    /// Sends it with a token; once more with a new one if the first was refused.
    async fn signed_in(&self, build: impl Fn(&reqwest::Client) -> RequestBuilder) -> Result<Response, ClientError> {
        let mut token = self.token().await?;
        let mut response = self.with_token(&build, &token).await?;
        if response.status() == 401 && self.tokens.drop_refused(&token).await {
            token = self.token().await?;
            response = self.with_token(&build, &token).await?;
        }
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    async fn with_token(
        &self,
        build: &impl Fn(&reqwest::Client) -> RequestBuilder,
        token: &str,
    ) -> Result<Response, ClientError> {
        patiently(|| build(&self.web).bearer_auth(token).timeout(REQUEST_TIMEOUT)).await
    }

    /// Fetches a download link, which carries its own authority: the token stays here. Returns the bytes written.
    pub(super) async fn download(
        &self,
        link: &str,
        to: &mut (impl AsyncWrite + Unpin),
        bytes_max: u64,
    ) -> Result<u64, ClientError> {
        let url = Url::parse(link).map_err(|error| ClientError::Answer(format!("unusable link {link}: {error}")))?;
        check_transport(&url)?;
        let mut response = patiently(|| self.web.get(url.clone())).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let mut received = 0_u64;
        while let Some(piece) = response.chunk().await.map_err(transport)? {
            received += piece.len() as u64;
            if received > bytes_max {
                return Err(ClientError::Answer(format!("the download is larger than {bytes_max} bytes")));
            }
            to.write_all(&piece).await.map_err(ClientError::Write)?;
        }
        to.flush().await.map_err(ClientError::Write)?;
        Ok(received)
    }
}

/// Sends a request, and sends it again as often and as late as the server asks for it, within limits.
pub(super) async fn patiently(build: impl Fn() -> RequestBuilder) -> Result<Response, ClientError> {
    for _ in 0..THROTTLED_RETRIES_MAX {
        let response = build().send().await.map_err(transport)?;
        let Some(wait) = wait_asked(&response) else { return Ok(response) };
        output::notice(&format!("The server has too many requests; waiting {} s as it asks.", wait.as_secs()));
        tokio::time::sleep(wait).await;
    }
    build().send().await.map_err(transport)
}

/// How long to wait before sending it again; none where that would not help.
fn wait_asked(response: &Response) -> Option<Duration> {
    if response.status() != 429 {
        return None;
    }
    let seconds = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let wait = seconds.map_or(RETRY_AFTER_DEFAULT, Duration::from_secs);
    (wait <= RETRY_AFTER_MAX).then_some(wait)
}

/// The whole body, up to a limit.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(transport)? {
        if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(ClientError::Answer(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The error in an answer. Proxies in between answer without the API's envelope.
async fn refusal(response: Response) -> ClientError {
    let status = response.status().as_u16();
    let bytes = body(response).await.unwrap_or_default();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let word = |key: &str| answer["error"][key].as_str().unwrap_or_default().to_string();
    let (code, mut message, target) = (word("code"), word("message"), word("target"));
    if message.is_empty() {
        message = String::from("refused without a reason");
    }
    ClientError::Api { status, code, message, target }
}

fn transport(error: reqwest::Error) -> ClientError {
    let url = error.url().map_or_else(|| String::from("the server"), |url| url.origin().ascii_serialization());
    ClientError::Transport { url, source: error.without_url() }
}
