//! What the tokens say that the server issues and takes.

use super::IssuerConfig;

/// What the tokens say that the server issues and takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokensConfig {
    /// The server's own base URL as callers know it, without a trailing slash: it stands in a token's issuer, and is an
    /// audience.
    pub public_url: String,
    /// Further audiences to take, without a trailing slash, besides those of Defender's API.
    pub audiences: Vec<String>,
    /// Other issuers whose tokens are taken.
    pub issuers: Vec<IssuerConfig>,
    /// How long a token is valid, in seconds.
    pub lifetime_seconds: u32,
    /// How many secrets are checked at once; each takes about 19 MiB and a core.
    pub secret_checks_max: usize,
    /// How many verified tokens are remembered, so that their signatures are not checked again.
    pub remembered_max: usize,
}

impl Default for TokensConfig {
    fn default() -> Self {
        Self {
            public_url: "https://localhost:8443".into(),
            audiences: vec![],
            issuers: vec![],
            lifetime_seconds: 3599,
            secret_checks_max: 2,
            remembered_max: 10_000,
        }
    }
}
