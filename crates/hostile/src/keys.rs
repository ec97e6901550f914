//! What an issuer answers when it is asked for its keys, by itself and beside a good one. Whatever it is, only keys that
//! verify by public-key signatures come of it, under names that can be looked up and logged, and a good key is lost only
//! to another one of its name.

use server::config::IssuerConfig;
use server::tokens::jwks;

/// A good key's name.
const GOOD: &str = "good";

/// Reads the bytes as a set of keys, as one key of a set, and as a file with issuers.
pub(crate) fn check(bytes: &[u8]) {
    let _ = read(bytes);
    let text = String::from_utf8_lossy(bytes);
    // Whether the bytes are a value at all, and whether they name the good key's name, is for another reader to say.
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
        let set = serde_json::json!({ "keys": [value, good()] }).to_string();
        let names = read(set.as_bytes());
        let is_twice = value["kid"] == GOOD;
        assert!(is_twice || names.iter().any(|name| name == GOOD), "one key spoils another: {text}");
    }
    if let Ok(issuers) = IssuerConfig::read_file(&text) {
        assert!(
            issuers.iter().all(|issuer| issuer.issuer.starts_with("https:") || issuer.issuer.starts_with("HTTPS:"))
        );
        assert!(issuers.iter().all(|issuer| !issuer.audiences.is_empty()));
    }
}

fn read(bytes: &[u8]) -> Vec<String> {
    let Ok(keys) = jwks::read(bytes) else { return vec![] };
    assert!(!keys.is_empty() && keys.len() <= 100);
    for (name, key) in &keys {
        assert!(!name.is_empty() && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
        let algorithms = format!("{:?}", key.algorithms());
        assert!(["[RS256, PS256]", "[RS256]", "[PS256]", "[ES256]"].contains(&algorithms.as_str()), "{algorithms}");
    }
    keys.into_keys().collect()
}

fn good() -> serde_json::Value {
    serde_json::json!({ "kid": GOOD, "kty": "EC", "crv": "P-256", "x": "B".repeat(42) + "A", "y": "B".repeat(42) + "A" })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let coordinate = "B".repeat(42) + "A";
    let modulus = "_".repeat(342 - 2) + "_w";
    let ec = format!(r#"{{"kid":"a","kty":"EC","crv":"P-256","x":"{coordinate}","y":"{coordinate}","alg":"ES256"}}"#);
    let rsa = format!(r#"{{"kid":"b","kty":"RSA","n":"{modulus}","e":"AQAB","use":"sig","key_ops":["verify"]}}"#);
    [
        String::new(),
        "{}".into(),
        r#"{"keys":[]}"#.into(),
        ec.clone(),
        rsa.clone(),
        ec.replace(r#""a""#, r#""good""#),
        ec.replace("ES256", "HS256"),
        rsa.replace("RSA", "oct"),
        r#"{"kid":"c","kty":"oct","k":"c2VjcmV0","alg":"HS256"}"#.into(),
        format!(r#"{{"keys":[{ec},{rsa},{ec}]}}"#),
        format!(r#"{{"keys":[{}]}}"#, vec![rsa.as_str(); 101].join(",")),
        "[".repeat(200),
        r#"{"issuers":[{"issuer":"https://id.example.org/soc","audiences":["x"],"tenants":["t"]}]}"#.into(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect()
}
