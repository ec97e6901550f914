//! Reads tokens. What a token says about how to verify it (`jku`, `x5u`, `jwk`, its algorithm) is not listened to.

use super::claims::{Claims, PermissionClaims};
use super::issuers::{Issuer, Issuers};
use super::remembered::Remembered;
use super::{TOKEN_VERSION, Tenant, TokenKeys, audiences, base, issuer, jwks};
use crate::actions::Caller;
use crate::config::TokensConfig;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::Digest;
use domain::time::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use std::collections::HashSet;
use std::sync::Arc;

/// The longest token, in bytes: an issuer may name some hundred groups in one.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The only algorithm of our own keys.
const OWN_ALGORITHMS: &[Algorithm] = &[Algorithm::ES256];

/// How far another issuer's clock may be off, in seconds.
const LEEWAY_SECONDS: i64 = 60;

/// The claims in which our own tokens say what their bearer may do.
const OWN_CLAIMS: PermissionClaims<'static> = PermissionClaims { roles: "roles", scopes: "scp", always_roles: true };

/// Why a token is refused. For the log; the caller is told only that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token we take.
    #[error("the token is too long")]
    TooLong,
    /// No token at all, a header we do not take, or claims missing or of another type.
    #[error("the token is malformed")]
    Malformed,
    /// It names a key we do not have.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// It wants another algorithm than its key's.
    #[error("the token wants another algorithm than its key's")]
    Algorithm,
    /// Its signature is not that of its key.
    #[error("the token's signature is wrong")]
    Signature,
    /// Another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// It names a person and has roles, but no scopes.
    #[error("the token is a person's and has no scopes: see scopes_claim of its issuer")]
    Person,
    /// For somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Another tenant.
    #[error("the token is of another tenant")]
    Tenant,
    /// Not any more.
    #[error("the token has expired")]
    Expired,
    /// Not yet.
    #[error("the token is not valid yet")]
    NotYet,
}

/// What a valid token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who calls, and what they may do.
    pub caller: Caller,
    issuer: String,
    key_id: String,
    not_before: i64,
    expires: i64,
}

impl Verified {
    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..self.expires).contains(&now.as_seconds())
    }
}

/// Reads tokens.
pub struct Verifier {
    keys: Arc<TokenKeys>,
    issuer: String,
    tenant: String,
    audiences: HashSet<String>,
    issuers: Issuers,
    remembered: Remembered,
}

impl Verifier {
    /// Takes tokens by `keys`, for `tenant`, and by no other issuer.
    pub fn new(keys: Arc<TokenKeys>, tenant: Tenant, config: &TokensConfig) -> Self {
        Self {
            keys,
            issuer: issuer(config, tenant),
            tenant: tenant.0.hyphenated().to_string(),
            audiences: audiences(config).into_iter().collect(),
            issuers: Issuers::default(),
            remembered: Remembered::new(config.remembered_max),
        }
    }

    /// The same; takes tokens of these issuers too.
    pub fn with_issuers(self, issuers: Issuers) -> Self {
        Self { issuers, ..self }
    }

    /// Who shows this token.
    ///
    /// # Errors
    /// Anything about the token that is not exactly as its issuer makes it.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Verified>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let digest = Digest::of(token.as_bytes());
        if let Some(verified) = self.remembered.get(&digest, now)
            && self.has_key(&verified, now)
        {
            return Ok(verified);
        }
        let verified = Arc::new(self.verify_anew(token, now).await?);
        self.remembered.put(digest, Arc::clone(&verified), now);
        Ok(verified)
    }

    /// Whether the key that verified a token still would: one that was taken away ends its tokens at once.
    fn has_key(&self, verified: &Verified, now: Timestamp) -> bool {
        if verified.issuer == self.issuer {
            return self.keys.find(&verified.key_id, now).is_some();
        }
        self.issuers.find(&verified.issuer).is_some_and(|issuer| issuer.known_key(&verified.key_id).is_some())
    }

    async fn verify_anew(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        let header = header(token)?;
        let key_id = header.kid.clone().filter(|id| jwks::is_key_id(id)).ok_or(TokenError::UnknownKey)?;
        // Not believed yet: it says only whose keys to try.
        let claimed = claimed_issuer(token)?;
        if claimed == self.issuer {
            let key = self.keys.find(&key_id, now).ok_or(TokenError::UnknownKey)?;
            let claims = signed_claims(token, &header, key.verifying(), OWN_ALGORITHMS)?;
            return self.check_own(&claims, key_id, now);
        }
        let issuer = self.issuers.find(&claimed).ok_or(TokenError::Issuer)?;
        let key = issuer.key(&key_id, now).await.ok_or(TokenError::UnknownKey)?;
        let claims = signed_claims(token, &header, &key.key, key.algorithms)?;
        check_other(issuer, &claims, key_id, now)
    }

    fn check_own(&self, claims: &Claims, key_id: String, now: Timestamp) -> Result<Verified, TokenError> {
        if claims.required_text("iss")? != self.issuer {
            return Err(TokenError::Issuer);
        }
        if !self.audiences.contains(base(claims.required_text("aud")?)) {
            return Err(TokenError::Audience);
        }
        if claims.required_text("tid")? != self.tenant {
            return Err(TokenError::Tenant);
        }
        let application = claims.required_text("appid")?;
        let is_ours = claims.required_text("ver")? == TOKEN_VERSION
            && claims.required_text("azp")? == application
            && !claims.required_text("sub")?.is_empty();
        if !is_ours {
            return Err(TokenError::Malformed);
        }
        let times = (claims.required_number("nbf")?, claims.required_number("exp")?);
        claims.required_number("iat")?;
        check_times(times, now)?;
        Ok(verified(claims.caller(OWN_CLAIMS)?, self.issuer.clone(), key_id, times))
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.remembered.len()
    }
}

/// The header of a token; what it brings along for its own verification is not looked at.
fn header(token: &str) -> Result<Header, TokenError> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    let types = ["JWT", "at+jwt", "application/at+jwt"];
    let typed = header.typ.as_deref().is_none_or(|typ| types.iter().any(|known| typ.eq_ignore_ascii_case(known)));
    // Whatever is critical is something we do not know.
    if !typed || header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(TokenError::Malformed);
    }
    Ok(header)
}

/// Who a token says has issued it.
fn claimed_issuer(token: &str) -> Result<String, TokenError> {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Claims> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    Ok(claims.ok_or(TokenError::Malformed)?.required_text("iss")?.to_string())
}

/// The claims of a token that this key has signed.
fn signed_claims(
    token: &str,
    header: &Header,
    key: &DecodingKey,
    algorithms: &[Algorithm],
) -> Result<Claims, TokenError> {
    if !algorithms.contains(&header.alg) {
        return Err(TokenError::Algorithm);
    }
    let mut validation = Validation::new(header.alg);
    // Our own checks below, against the time that is passed in; the library would read the clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let read = jsonwebtoken::decode::<Claims>(token, key, &validation);
    read.map(|read| read.claims).map_err(|e| match e.kind() {
        ErrorKind::InvalidSignature => TokenError::Signature,
        _ => TokenError::Malformed,
    })
}

/// A token of another issuer.
fn check_other(issuer: &Issuer, claims: &Claims, key_id: String, now: Timestamp) -> Result<Verified, TokenError> {
    let config = &issuer.config;
    if claims.required_text("iss")? != config.issuer {
        return Err(TokenError::Issuer);
    }
    let audiences = match claims.text("aud") {
        Ok(audience) => vec![audience.ok_or(TokenError::Malformed)?],
        Err(_) => claims.texts("aud")?.unwrap_or_default(),
    };
    if !audiences.iter().any(|audience| config.audiences.iter().any(|ours| ours == audience)) {
        return Err(TokenError::Audience);
    }
    let tenant = claims.text("tid")?;
    if !config.tenants.is_empty() && !tenant.is_some_and(|tenant| config.tenants.iter().any(|ours| ours == tenant)) {
        return Err(TokenError::Tenant);
    }
    // Not one that says who has signed in somewhere (OpenID Connect Core, 2), or that renews others.
    let is_access = claims.text("typ")?.is_none_or(|typ| typ.eq_ignore_ascii_case("Bearer"));
    if !is_access || claims.has("at_hash") || claims.has("c_hash") {
        return Err(TokenError::Malformed);
    }
    let not_before = claims.number("nbf")?.map_or(i64::MIN, |nbf| nbf.saturating_sub(LEEWAY_SECONDS));
    let times = (not_before, claims.required_number("exp")?.saturating_add(LEEWAY_SECONDS));
    check_times(times, now)?;
    let names = PermissionClaims { roles: &config.roles_claim, scopes: &config.scopes_claim, always_roles: false };
    Ok(verified(claims.caller(names)?, config.issuer.clone(), key_id, times))
}

fn check_times((not_before, expires): (i64, i64), now: Timestamp) -> Result<(), TokenError> {
    if now.as_seconds() >= expires {
        return Err(TokenError::Expired);
    }
    if now.as_seconds() < not_before {
        return Err(TokenError::NotYet);
    }
    Ok(())
}

fn verified(caller: Caller, issuer: String, key_id: String, (not_before, expires): (i64, i64)) -> Verified {
    Verified { caller, issuer, key_id, not_before, expires }
}
