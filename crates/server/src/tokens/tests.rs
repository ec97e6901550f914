use super::*;
use crate::config::TokensConfig;
use domain::time::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: i64 = 1_790_000_000;

struct Setup {
    _dir: tempfile::TempDir,
    key: Arc<TokenKey>,
    verifier: Verifier,
    tenant: Tenant,
}

fn setup(remembered_max: usize) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let keys = Arc::new(TokenKeys::open(dir.path(), 3599).unwrap());
    let key = keys.signing(Timestamp::from_seconds(NOW)).unwrap();
    let tenant = Tenant(Uuid::from_u128(7));
    let config = TokensConfig { remembered_max, ..TokensConfig::default() };
    let verifier = Verifier::new(keys, tenant, &config);
    Setup { _dir: dir, key, verifier, tenant }
}

impl Setup {
    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "aud": "https://api.securitycenter.microsoft.com", "iss": issuer(&TokensConfig::default(), self.tenant),
            "iat": NOW, "nbf": NOW, "exp": NOW + 10, "appid": "app", "azp": "app", "roles": ["Machine.Read.All"],
            "sub": "app", "tid": self.tenant.0.to_string(), "ver": "2.0",
        });
        change(&mut claims);
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key.id().to_string());
        jsonwebtoken::encode(&header, &claims, self.key.private()).unwrap()
    }

    fn verify(&self, token: &str, seconds_later: i64) -> Result<(), TokenError> {
        self.read(token, seconds_later).map(|_| ())
    }

    fn read(&self, token: &str, seconds_later: i64) -> Result<Arc<Verified>, TokenError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.verifier.verify(token, Timestamp::from_seconds(NOW + seconds_later)))
    }
}

#[test]
fn a_token_is_valid_from_its_first_to_its_last_second_remembered_or_not() {
    let setup = setup(10);
    let token = setup.token(|_| {});
    for (later, expected) in [
        (-1, Err(TokenError::NotYet)),
        (0, Ok(())),
        (9, Ok(())),
        (10, Err(TokenError::Expired)),
        (-1, Err(TokenError::NotYet)),
        (5, Ok(())),
    ] {
        assert_eq!(setup.verify(&token, later), expected, "{later}");
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let setup = setup(3);
    for number in 0..10 {
        let token = setup.token(|claims| claims["appid"] = json!(format!("app{number}")));
        let token_ok = setup.token(|claims| claims["sub"] = json!(format!("app{number}")));
        assert_eq!(setup.verify(&token, 0), Err(TokenError::Malformed), "appid and azp differ");
        assert_eq!(setup.verify(&token_ok, 0), Ok(()));
        assert!(setup.verifier.remembered() <= 3);
    }
}

#[test]
fn audiences_with_and_without_a_slash() {
    let setup = setup(0);
    let with = |audience: &str| setup.verify(&setup.token(|claims| claims["aud"] = json!(audience)), 0);
    for audience in AUDIENCES {
        assert_eq!(with(audience), Ok(()), "{audience}");
        assert_eq!(with(&format!("{audience}/")), Ok(()), "{audience}/");
    }
    assert_eq!(with("https://localhost:8443"), Ok(()));
    assert_eq!(with("https://graph.microsoft.com"), Err(TokenError::Audience));
    assert_eq!(with(""), Err(TokenError::Audience));
}

#[test]
fn unknown_roles_are_ignored() {
    let setup = setup(0);
    let token = setup.token(|claims| claims["roles"] = json!(["Machine.Read.All", "Sudo", "machine.isolate"]));
    let verified = setup.read(&token, 0).unwrap();
    assert_eq!(verified.caller.permissions, [domain::permission::Permission::MachineReadAll]);
}

#[test]
fn a_secret_verifies_against_its_hash_only() {
    use argon2::password_hash::PasswordVerifier as _;
    let hash = hash_secret("secret", [1; 16]).unwrap();
    assert!(hash.starts_with("$argon2id$"));
    let verify = |secret: &str| argon2::Argon2::default().verify_password(secret.as_bytes(), hash.as_str());
    assert!(verify("secret").is_ok());
    assert!(verify("Secret").is_err());
}
