//! Sets of public keys as other issuers publish them (RFC 7517). A key that we cannot use, or should not, is left out;
//! one key never spoils the others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The longest key id, in characters.
const KEY_ID_CHARS_MAX: usize = 128;

/// The most keys that are looked at.
const KEYS_MAX: usize = 100;

/// The sizes of RSA moduli, in bits.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The longest RSA exponent, in bytes.
const EXPONENT_BYTES_MAX: usize = 5;

/// A coordinate of a P-256 point, in bytes.
const COORDINATE_BYTES: usize = 32;

/// What a key of RSA verifies, if it does not say.
const RSA: &[Algorithm] = &[Algorithm::RS256, Algorithm::PS256];

/// What a key on P-256 verifies.
const EC: &[Algorithm] = &[Algorithm::ES256];

/// A key that an issuer has published.
pub struct PublishedKey {
    pub(super) key: DecodingKey,
    /// What it may verify; a token has no say in it.
    pub(super) algorithms: &'static [Algorithm],
}

impl PublishedKey {
    /// What it may verify.
    pub fn algorithms(&self) -> &'static [Algorithm] {
        self.algorithms
    }
}

/// Why a set of keys is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// No set of keys.
    #[error("it is no set of keys: {0}")]
    NoSet(String),
    /// Too many.
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
    /// None of use.
    #[error("it has no key that can be used")]
    Empty,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The keys of a set that can be used, by their ids.
///
/// # Errors
/// It is no set, is too large, or holds nothing of use.
pub fn read(bytes: &[u8]) -> Result<HashMap<String, PublishedKey>, JwksError> {
    let set: Set = serde_json::from_slice(bytes).map_err(|e| JwksError::NoSet(e.to_string()))?;
    if set.keys.len() > KEYS_MAX {
        return Err(JwksError::TooMany);
    }
    let mut keys = HashMap::new();
    let mut twice = HashSet::new();
    for jwk in &set.keys {
        let Some((id, key)) = key(jwk) else { continue };
        if keys.insert(id.clone(), key).is_some() {
            twice.insert(id);
        }
    }
    // Which of two is meant is not ours to guess.
    keys.retain(|id, _| !twice.contains(id));
    if keys.is_empty() { Err(JwksError::Empty) } else { Ok(keys) }
}

/// Whether a key may be called this: it is looked up, and shown in logs.
pub(super) fn is_key_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= KEY_ID_CHARS_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn key(jwk: &Value) -> Option<(String, PublishedKey)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let id = text("kid").filter(|id| is_key_id(id))?;
    if !jwk.is_object() || jwk.get("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let verifies = |operations: &Value| operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"));
    if jwk.get("key_ops").is_some_and(|operations| !verifies(operations)) {
        return None;
    }
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let (key, all) = match text("kty")? {
        "RSA" => (rsa(&bytes("n")?, &bytes("e")?)?, RSA),
        "EC" if text("crv") == Some("P-256") => (point(&bytes("x")?, &bytes("y")?)?, EC),
        _ => return None,
    };
    let algorithms = match jwk.get("alg") {
        None => all,
        Some(alg) => match alg.as_str()? {
            "RS256" if all == RSA => &[Algorithm::RS256],
            "PS256" if all == RSA => &[Algorithm::PS256],
            "ES256" if all == EC => EC,
            _ => return None,
        },
    };
    Some((id.to_string(), PublishedKey { key, algorithms }))
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<DecodingKey> {
    let plain = |bytes: &[u8]| bytes.iter().position(|byte| *byte != 0).map(|first| bytes[first..].to_vec());
    let (modulus, exponent) = (plain(modulus)?, plain(exponent)?);
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    let is_odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last & 1 == 1);
    let fits = MODULUS_BITS.contains(&bits)
        && is_odd(&modulus)
        && exponent.len() <= EXPONENT_BYTES_MAX
        && is_odd(&exponent)
        && exponent != [1];
    fits.then(|| DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

fn point(x: &[u8], y: &[u8]) -> Option<DecodingKey> {
    let fits = x.len() == COORDINATE_BYTES && y.len() == COORDINATE_BYTES;
    // Whether it is on the curve is looked at whenever it is to verify something.
    fits.then(|| DecodingKey::from_ec_der(&[&[4], x, y].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(keys: Value) -> Vec<String> {
        let mut ids: Vec<String> =
            read(json!({ "keys": keys }).to_string().as_bytes()).map_or(vec![], |keys| keys.into_keys().collect());
        ids.sort();
        ids
    }

    fn rsa_key(id: &str, modulus_bytes: usize) -> Value {
        let modulus = URL_SAFE_NO_PAD.encode(vec![0xff; modulus_bytes]);
        json!({ "kid": id, "kty": "RSA", "n": modulus, "e": "AQAB" })
    }

    fn ec_key(id: &str) -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode([7; 32]);
        json!({ "kid": id, "kty": "EC", "crv": "P-256", "x": coordinate, "y": coordinate })
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn what_can_be_used_is_and_nothing_else() {
        assert_eq!(
            ids(json!([rsa_key("a", 256), ec_key("b"), with(ec_key("c"), "use", json!("sig"))])),
            ["a", "b", "c"]
        );
        for bad in [
            json!(1),
            with(ec_key("x"), "kid", json!(1)),
            with(ec_key("x"), "kid", json!("")),
            with(ec_key("x"), "kid", json!("a b")),
            with(ec_key("x"), "kid", json!("x".repeat(129))),
            with(ec_key("x"), "use", json!("enc")),
            with(ec_key("x"), "use", json!(null)),
            with(ec_key("x"), "key_ops", json!(["sign"])),
            with(ec_key("x"), "crv", json!("P-384")),
            with(ec_key("x"), "alg", json!("RS256")),
            with(ec_key("x"), "alg", json!("none")),
            with(ec_key("x"), "x", json!("AQAB")),
            with(rsa_key("x", 256), "alg", json!("HS256")),
            with(rsa_key("x", 256), "alg", json!("RS512")),
            with(rsa_key("x", 256), "e", json!("AQ")),
            with(rsa_key("x", 256), "e", json!("AA")),
            with(rsa_key("x", 256), "e", json!("Ag")),
            with(rsa_key("x", 256), "kty", json!("oct")),
            with(json!({ "kid": "x", "kty": "oct" }), "k", json!("c2VjcmV0")),
            rsa_key("x", 128),
            rsa_key("x", 1025),
        ] {
            assert_eq!(ids(json!([bad, ec_key("good")])), ["good"], "{bad}");
        }
    }

    #[test]
    fn sets_that_are_none() {
        assert_eq!(read(br#"{"keys":[]}"#).err(), Some(JwksError::Empty));
        let many: Vec<Value> = (0..101).map(|number| ec_key(&number.to_string())).collect();
        assert_eq!(read(json!({ "keys": many }).to_string().as_bytes()).err(), Some(JwksError::TooMany));
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, "\u{feff}{}"] {
            assert!(matches!(read(text.as_bytes()), Err(JwksError::NoSet(_))), "{text}");
        }
    }

    #[test]
    fn an_id_that_two_have_names_neither() {
        assert_eq!(ids(json!([ec_key("a"), rsa_key("a", 256), ec_key("b"), ec_key("a")])), ["b"]);
    }
}
