//! Reads tokens. What a token says about how to verify it (`jku`, `x5u`, `jwk`, its algorithm) is not listened to.

use super::remembered::Remembered;
use super::{Claims, TOKEN_VERSION, Tenant, TokenKey, audiences, base, issuer};
use crate::actions::Caller;
use crate::config::TokensConfig;
use domain::ids::Digest;
use domain::permission::Permission;
use domain::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The longest key id, in characters.
const KEY_ID_CHARS_MAX: usize = 128;

/// The only algorithm of the only kind of key there is.
const ALGORITHM: Algorithm = Algorithm::ES256;

/// Why a token is refused. For the log; the caller is told only that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token we issue.
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
    keys: HashMap<String, DecodingKey>,
    issuer: String,
    tenant: String,
    audiences: HashSet<String>,
    remembered: Remembered,
}

impl Verifier {
    /// Takes tokens of `key`, for `tenant`.
    pub fn new(key: &TokenKey, tenant: Tenant, config: &TokensConfig) -> Self {
        let public = DecodingKey::from_ec_der(key.public());
        Self {
            keys: HashMap::from([(key.id().to_string(), public)]),
            issuer: issuer(config, tenant),
            tenant: tenant.0.hyphenated().to_string(),
            audiences: audiences(config).into_iter().collect(),
            remembered: Remembered::new(config.remembered_max),
        }
    }

    /// Who shows this token.
    ///
    /// # Errors
    /// Anything about the token that is not exactly as we issue it.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Verified>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let digest = Digest::of(token.as_bytes());
        if let Some(verified) = self.remembered.get(&digest, now) {
            return Ok(verified);
        }
        let claims = self.claims(token)?;
        let verified = Arc::new(self.check(&claims, now)?);
        self.remembered.put(digest, Arc::clone(&verified), now);
        Ok(verified)
    }

    /// The claims of a token that one of our keys has signed.
    fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let typed = header.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        // Whatever is critical is something we do not know.
        if !typed || header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(TokenError::Malformed);
        }
        let key_id = header.kid.as_deref().filter(|id| id.chars().count() <= KEY_ID_CHARS_MAX);
        let key = key_id.and_then(|id| self.keys.get(id)).ok_or(TokenError::UnknownKey)?;
        if header.alg != ALGORITHM {
            return Err(TokenError::Algorithm);
        }
        let mut validation = Validation::new(ALGORITHM);
        // Our own checks below, against the time that is passed in; the library would read the clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let read = jsonwebtoken::decode::<Claims>(token, key, &validation);
        read.map(|read| read.claims).map_err(|e| match e.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => TokenError::Signature,
            _ => TokenError::Malformed,
        })
    }

    fn check(&self, claims: &Claims, now: Timestamp) -> Result<Verified, TokenError> {
        if claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        if !self.audiences.contains(base(&claims.aud)) {
            return Err(TokenError::Audience);
        }
        if claims.tid != self.tenant {
            return Err(TokenError::Tenant);
        }
        if claims.ver != TOKEN_VERSION || claims.appid.is_empty() || claims.appid != claims.azp {
            return Err(TokenError::Malformed);
        }
        if now.as_seconds() >= claims.exp {
            return Err(TokenError::Expired);
        }
        if now.as_seconds() < claims.nbf {
            return Err(TokenError::NotYet);
        }
        let permissions = claims.roles.iter().filter_map(|role| Permission::from_wire(role)).collect();
        let caller = Caller { name: claims.appid.clone(), permissions };
        Ok(Verified { caller, not_before: claims.nbf, expires: claims.exp })
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.remembered.len()
    }
}
