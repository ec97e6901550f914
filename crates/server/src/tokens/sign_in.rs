//! An application's secret for a token.

use super::failures::Failures;
use super::{Issuing, TOKEN_VERSION, Tenant, TokenKeys, audiences, base, issuer};
use crate::config::TokensConfig;
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use domain::time::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Application, Store, StoreError};
use tokio::sync::Semaphore;

/// A token's validity begins this long before it is issued: other clocks may be late.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// The longest secret that is looked at, in bytes.
const SECRET_BYTES_MAX: usize = 256;

/// How long a sign-in waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// How many sign-ins may wait for their turn; whoever comes beyond that is told at once.
const WAITING_MAX: usize = 64;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown application or wrong secret; which of them is not said.
    #[error("unknown application or wrong secret")]
    InvalidClient,
    /// There is no such tenant here.
    #[error("unknown tenant")]
    UnknownTenant,
    /// A scope that is none.
    #[error("the scope must be one resource followed by /.default")]
    InvalidScope,
    /// A resource that is not ours.
    #[error("unknown resource")]
    UnknownResource,
    /// Too many from this address have failed: it may try again after so many seconds.
    #[error("too many failed sign-ins from one address")]
    TooManyFailed(u64),
    /// Too many at once.
    #[error("too many sign-ins at once")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something broke.
    #[error("no token could be issued: {0}")]
    Broken(String),
}

/// A token.
pub struct Issued {
    /// The token. A secret: it is neither shown nor logged.
    pub token: String,
    /// How long it is valid, in seconds.
    pub expires_in: u32,
    /// Whom it is for.
    pub audience: String,
}

/// Gives tokens to applications.
pub struct SignIn {
    store: Arc<dyn Store>,
    keys: Arc<TokenKeys>,
    tenant: Tenant,
    issuer: String,
    public_url: String,
    audiences: Vec<String>,
    lifetime_seconds: u32,
    turns: Semaphore,
    /// Whoever has a turn or waits for one.
    present: Semaphore,
    failures: Failures,
    /// Checked where there is no application, so that the answer takes as long.
    decoy: String,
}

/// What an application's request for a token says.
pub struct ClientCredentials<'a> {
    /// The tenant in the path.
    pub tenant: &'a str,
    /// The application's id.
    pub client_id: &'a str,
    /// Its secret.
    pub client_secret: &'a str,
    /// The scope, if one was given.
    pub scope: Option<&'a str>,
    /// The base URL the request itself was sent to.
    pub own_url: &'a str,
    /// The address it came from, where that is known.
    pub address: Option<IpAddr>,
}

impl SignIn {
    /// Issues tokens signed with one of `keys`, for `tenant`. `random` salts the decoy.
    ///
    /// # Errors
    /// Nothing can be hashed.
    pub fn new(
        store: Arc<dyn Store>,
        keys: Arc<TokenKeys>,
        tenant: Tenant,
        config: &TokensConfig,
        random: [u8; 16],
    ) -> Result<Self, SignInError> {
        Ok(Self {
            store,
            keys,
            tenant,
            issuer: issuer(config, tenant),
            public_url: base(&config.public_url).to_string(),
            audiences: audiences(config),
            lifetime_seconds: config.lifetime_seconds,
            turns: Semaphore::new(config.secret_checks_max),
            present: Semaphore::new(config.secret_checks_max + WAITING_MAX),
            failures: Failures::default(),
            decoy: hash_secret("decoy", random)?,
        })
    }

    /// A token for an application that knows its secret.
    ///
    /// # Errors
    /// Unknown tenant, application, scope or resource; a wrong secret; too many at once or failed; the store.
    pub async fn client_credentials(
        &self,
        asked: ClientCredentials<'_>,
        now: Timestamp,
    ) -> Result<Issued, SignInError> {
        if !self.tenant.is(asked.tenant) {
            return Err(SignInError::UnknownTenant);
        }
        let audience = self.audience(asked.scope, asked.own_url)?;
        if let Some(address) = asked.address {
            self.failures.check(address, now).map_err(SignInError::TooManyFailed)?;
        }
        let signed_in = self.sign_in(&asked, audience, now).await;
        if let (Some(address), Err(SignInError::InvalidClient)) = (asked.address, &signed_in) {
            self.failures.count(address, now);
        }
        signed_in
    }

    async fn sign_in(
        &self,
        asked: &ClientCredentials<'_>,
        audience: String,
        now: Timestamp,
    ) -> Result<Issued, SignInError> {
        let _present = self.present.try_acquire().map_err(|_| SignInError::Busy)?;
        let id = asked.client_id.to_ascii_lowercase();
        let application = self.store.application(&id).await?;
        let known = self.knows_secret(application.as_ref(), asked.client_secret).await?;
        match application {
            Some(application) if known => self.issue(&application, audience, now),
            _ => Err(SignInError::InvalidClient),
        }
    }

    /// Whether `secret` is the application's. Takes as long for no application, and never runs on the threads that
    /// serve requests.
    async fn knows_secret(&self, application: Option<&Application>, secret: &str) -> Result<bool, SignInError> {
        if secret.len() > SECRET_BYTES_MAX {
            return Err(SignInError::InvalidClient);
        }
        let turn = tokio::time::timeout(TURN_WITHIN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(SignInError::Busy) };
        let hash = application.map_or_else(|| self.decoy.clone(), |application| application.secret_hash.clone());
        let secret = secret.as_bytes().to_vec();
        let check = move || Argon2::default().verify_password(&secret, hash.as_str()).is_ok();
        let same = tokio::task::spawn_blocking(check).await.map_err(|e| SignInError::Broken(e.to_string()))?;
        Ok(same && application.is_some())
    }

    /// The audience that a scope asks for: ours, or one of those that clients of Defender's API ask for. The words some
    /// clients send beside it mean nothing here.
    fn audience(&self, scope: Option<&str>, own_url: &str) -> Result<String, SignInError> {
        let words = scope.unwrap_or_default().split_ascii_whitespace();
        let mut resources = words.filter(|word| !["offline_access", "openid", "profile"].contains(word));
        let Some(first) = resources.next() else { return Ok(self.public_url.clone()) };
        let resource = first.strip_suffix("/.default").ok_or(SignInError::InvalidScope)?;
        if resources.next().is_some() {
            return Err(SignInError::InvalidScope);
        }
        let resource = base(resource);
        if resource == base(own_url) {
            // However the caller reaches us: it is us.
            return Ok(self.public_url.clone());
        }
        let known = self.audiences.iter().find(|audience| audience.eq_ignore_ascii_case(resource));
        known.cloned().ok_or(SignInError::UnknownResource)
    }

    fn issue(&self, application: &Application, audience: String, now: Timestamp) -> Result<Issued, SignInError> {
        let key = self.keys.signing(now).map_err(SignInError::Broken)?;
        let now = now.as_seconds();
        let claims = Issuing {
            aud: audience.clone(),
            iss: self.issuer.clone(),
            iat: now,
            nbf: now - CLOCK_SKEW_SECONDS,
            exp: now + i64::from(self.lifetime_seconds),
            appid: application.client_id.clone(),
            azp: application.client_id.clone(),
            roles: application.permissions.iter().map(|permission| permission.wire().to_string()).collect(),
            sub: application.client_id.clone(),
            tid: self.tenant.0.hyphenated().to_string(),
            ver: TOKEN_VERSION.into(),
        };
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(key.id().to_string());
        let token = jsonwebtoken::encode(&header, &claims, key.private());
        let token = token.map_err(|e| SignInError::Broken(e.to_string()))?;
        Ok(Issued { token, expires_in: self.lifetime_seconds, audience })
    }
}

/// How an application's secret is kept: argon2id, as a PHC string.
///
/// # Errors
/// The hash function refuses, which it does for no secret of ordinary length.
pub fn hash_secret(secret: &str, salt: [u8; 16]) -> Result<String, SignInError> {
    let hash = Argon2::default().hash_password_with_salt(secret.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|e| SignInError::Broken(e.to_string()))
}
