//! Who may call: applications prove themselves with a secret and are given a token; every request shows that token.
//!
//! One verifier for all routes, for our own tokens and those of other issuers that the configuration names. What a key
//! may verify is fixed by the key, never by the token; time comes in as an argument. No secret and no token is ever written to a log.

mod addresses;
mod claims;
mod failures;
mod fetch;
mod issuers;
pub mod jwks;
mod keys;
mod remembered;
pub mod rotation;
mod sign_in;
mod verifier;

pub(crate) use fetch::checked_url;
pub use issuers::Issuers;
pub use keys::{LOOK_AGAIN_SECONDS, TOKEN_KEY_FILE, TOKEN_KEYS_MAX, TokenKey, TokenKeys};
pub use sign_in::{ClientCredentials, Issued, SignIn, SignInError, hash_secret};
pub use verifier::{TokenError, Verified, Verifier};

use crate::config::TokensConfig;
use serde::Serialize;
use store::{Store, StoreError};
use uuid::Uuid;

/// The setting the tenant is kept in.
const TENANT_SETTING: &str = "tenant";

/// The audiences that clients of Defender's API ask for, without a trailing slash (wire contract, 5.2).
const AUDIENCES: [&str; 7] = [
    "https://api.securitycenter.microsoft.com",
    "https://api.securitycenter.windows.com",
    "https://securitycenter.onmicrosoft.com/windowsatpservice",
    "https://api.security.microsoft.com",
    "https://api-gcc.securitycenter.microsoft.us",
    "https://api-gov.securitycenter.microsoft.us",
    // The API's own application id, which tokens of version 2 carry.
    "fc780465-2017-40d4-a0c5-307022471b92",
];

/// The installation's tenant: made at the first start, and part of every token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenant(pub Uuid);

impl Tenant {
    /// The tenant on record; made of `random` if there is none yet.
    ///
    /// # Errors
    /// The store does not answer, or what it holds is no GUID.
    pub async fn load(store: &dyn Store, random: [u8; 16]) -> Result<Self, StoreError> {
        let fresh = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
        let stands = store.setting(TENANT_SETTING, &fresh).await?;
        let parsed = Uuid::try_parse(&stands);
        parsed.map(Self).map_err(|_| StoreError::Damaged(format!("the tenant {stands:?} is no GUID")))
    }

    /// Whether a path that names this tenant is ours. Words that stand for any tenant (`common`, `organizations`) name
    /// none: an application signs in to one.
    pub fn is(self, name: &str) -> bool {
        Uuid::try_parse(name).ok() == Some(self.0)
    }
}

/// What our own tokens say. An application's: a person's has `scp` in place of `roles`, and says who it is.
#[derive(Serialize)]
struct Issuing {
    aud: String,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// The application, as tokens of version 1 name it.
    appid: String,
    /// The same, as tokens of version 2 name it.
    azp: String,
    roles: Vec<String>,
    sub: String,
    tid: String,
    ver: String,
}

/// The version of the tokens, as they say it.
const TOKEN_VERSION: &str = "2.0";

/// Who issues: a name, never looked up by us.
pub(crate) fn issuer(config: &TokensConfig, tenant: Tenant) -> String {
    format!("{}/{}/v2.0", base(&config.public_url), tenant.0.hyphenated())
}

/// A base URL or audience as it is compared: without slashes at its end.
fn base(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// The audiences this installation takes.
fn audiences(config: &TokensConfig) -> Vec<String> {
    let own = std::iter::once(config.public_url.as_str()).chain(config.audiences.iter().map(String::as_str));
    AUDIENCES.into_iter().chain(own).map(|audience| base(audience).to_string()).collect()
}

#[cfg(test)]
mod tests;
