//! Who may call: applications prove themselves with a secret and are given a token; every request shows that token.
//!
//! One verifier for all routes. Its algorithm is fixed by the configured key, never by the token; time comes in as an
//! argument. No secret and no token is ever written to a log.

mod failures;
mod remembered;
mod sign_in;
mod verifier;

pub use sign_in::{ClientCredentials, Issued, SignIn, SignInError, hash_secret};
pub use verifier::{TokenError, Verified, Verifier};

use crate::config::TokensConfig;
use crate::secret_file::{self, SecretFileError};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use domain::Digest;
use jsonwebtoken::EncodingKey;
use serde::{Deserialize, Serialize};
use std::path::Path;
use store::{Store, StoreError};
use uuid::Uuid;

/// The name of the key file in the data directory.
pub const TOKEN_KEY_FILE: &str = "token-key.pk8";

/// The setting the tenant is kept in.
const TENANT_SETTING: &str = "tenant";

/// How much of the public key's hash names the key, in hex digits.
const KEY_ID_CHARS: usize = 32;

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
}

/// The key that tokens are signed with (ES256).
pub struct TokenKey {
    id: String,
    private: EncodingKey,
    /// The point as X9.62 has it.
    public: Vec<u8>,
}

impl TokenKey {
    /// Opens the key in `data_dir`; makes it at the first start.
    ///
    /// # Errors
    /// The file cannot be read or made, others may read it, or it holds no P-256 key.
    pub fn open(data_dir: &Path) -> Result<Self, SecretFileError> {
        let path = data_dir.join(TOKEN_KEY_FILE);
        let pkcs8 = secret_file::load_or_make(&path, || {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|e| e.to_string())?;
            Ok(key.to_pkcs8v1().map_err(|e| e.to_string())?.as_ref().to_vec())
        })?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
            .map_err(|e| SecretFileError::Make { path, why: e.to_string() })?;
        let public = pair.public_key().as_ref().to_vec();
        let mut id = Digest::of(&public).to_string();
        id.truncate(KEY_ID_CHARS);
        Ok(Self { id, private: EncodingKey::from_ec_der(&pkcs8), public })
    }

    /// The key's id, as tokens name it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key, as X9.62 has an uncompressed point.
    pub fn public(&self) -> &[u8] {
        &self.public
    }
}

/// What a token says. Every claim is required, and a claim of another type is a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
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

/// Who issues: a name, never looked up anywhere.
fn issuer(config: &TokensConfig, tenant: Tenant) -> String {
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
