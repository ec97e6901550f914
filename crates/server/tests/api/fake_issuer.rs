//! Another issuer: an https server with an authority of its own, which says what a test wants and counts who asks.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use server::authority::Authority;
use server::clock::{Clock as _, SystemClock};
use server::config::{IssuerConfig, ListenConfig};
use server::{listen, tls};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::net::TcpListener;

/// Where its discovery document is.
pub(crate) const DISCOVERY: &str = "/realm/.well-known/openid-configuration";

/// Where its keys are.
pub(crate) const KEYS: &str = "/realm/keys";

/// Whom its tokens are for.
pub(crate) const AUDIENCE: &str = "api://countermand";

/// The tenant of its tokens.
pub(crate) const TENANT: &str = "7a1d0000-0000-4000-8000-000000000001";

/// What it answers.
#[derive(Clone)]
pub(crate) enum Says {
    Json(Value),
    Redirect(String),
    Status(u16),
    /// A valid document with more white space before it than anybody should read.
    Huge(Value),
    /// The head and a byte, and then nothing for ever.
    Drips,
}

#[derive(Default)]
struct Told {
    says: HashMap<String, Says>,
    asked: HashMap<String, usize>,
}

/// The issuer.
pub(crate) struct FakeIssuer {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) url: String,
    told: Arc<Mutex<Told>>,
}

impl FakeIssuer {
    /// With a key of each sort: `rsa`, `pss` (which says that it is for PS256) and `ec`.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), &[], SystemClock.now()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/realm", listener.local_addr().unwrap().port());
        let told = Arc::new(Mutex::new(Told::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&told));
        let tls = tls::api(&authority).unwrap();
        tokio::spawn(async move {
            let config = ListenConfig::for_testing();
            listen::serve(listener, Some(tls), router, &config, std::future::pending()).await
        });
        let issuer = Self { dir, url, told };
        issuer.discovers(&issuer.url, &issuer.at(KEYS));
        issuer.publishes(&[rsa().jwk("rsa"), with(rsa().jwk("pss"), "alg", "PS256"), ec().jwk("ec")]);
        issuer
    }

    /// How it is configured.
    pub(crate) fn config(&self) -> IssuerConfig {
        IssuerConfig {
            tenants: vec![TENANT.into()],
            ca_file: Some(self.dir.path().join("ca.pem")),
            private_addresses: true,
            ..IssuerConfig::of(&self.url, AUDIENCE)
        }
    }

    /// The URL of a path.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url.strip_suffix("/realm").unwrap())
    }

    pub(crate) fn says(&self, path: &str, says: Says) {
        self.told.lock().unwrap().says.insert(path.into(), says);
    }

    pub(crate) fn discovers(&self, issuer: &str, keys: &str) {
        self.says(DISCOVERY, Says::Json(json!({ "issuer": issuer, "jwks_uri": keys, "other": [1] })));
    }

    pub(crate) fn publishes(&self, keys: &[Value]) {
        self.says(KEYS, Says::Json(json!({ "keys": keys })));
    }

    /// How often it was asked for this.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.told.lock().unwrap().asked.get(path).copied().unwrap_or_default()
    }

    /// The claims of an application's good token.
    pub(crate) fn claims(&self) -> Value {
        let now = crate::rig::START;
        json!({
            "iss": self.url, "aud": [AUDIENCE, "account"], "tid": TENANT, "azp": "soar", "typ": "Bearer",
            "iat": now, "nbf": now, "exp": now + 100_000, "roles": ["Machine.Read.All", "Machine.Isolate"],
        })
    }
}

async fn answer(State(told): State<Arc<Mutex<Told>>>, request: Request) -> Response {
    let says = {
        let mut told = told.lock().unwrap();
        let path = request.uri().path().to_string();
        *told.asked.entry(path.clone()).or_default() += 1;
        told.says.get(&path).cloned().unwrap_or(Says::Status(404))
    };
    match says {
        Says::Json(value) => value.to_string().into_response(),
        Says::Redirect(to) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
        Says::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Says::Huge(value) => format!("{}{value}", " ".repeat(256 * 1024)).into_response(),
        Says::Drips => {
            let first = futures_util::stream::iter([Ok::<_, std::io::Error>("{")]);
            let drips = futures_util::StreamExt::chain(first, futures_util::stream::pending());
            Body::from_stream(drips).into_response()
        }
    }
}

/// A key of somebody's.
pub(crate) struct Signing {
    private: EncodingKey,
    public: Value,
    /// The public key as DER has it.
    pub(crate) der: Vec<u8>,
    algorithm: Algorithm,
}

impl Signing {
    /// As it is published under this id.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        with(self.public.clone(), "kid", id)
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, key_id: &str, claims: &Value) -> String {
        self.sign_as(self.algorithm, key_id, claims)
    }

    pub(crate) fn sign_as(&self, algorithm: Algorithm, key_id: &str, claims: &Value) -> String {
        let mut header = Header::new(algorithm);
        header.kid = Some(key_id.into());
        self.sign_under(&header, claims)
    }

    pub(crate) fn sign_under(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.private).unwrap()
    }
}

/// The issuer's RSA key; made once, because that takes a while.
pub(crate) fn rsa() -> &'static Signing {
    static KEY: LazyLock<Signing> = LazyLock::new(make_rsa);
    &KEY
}

/// The issuer's key on P-256.
pub(crate) fn ec() -> &'static Signing {
    static KEY: LazyLock<Signing> = LazyLock::new(make_ec);
    &KEY
}

fn make_rsa() -> Signing {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::KeyPair as _;
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(pkcs8.as_ref()));
    let public = pair.public_key();
    let der: PublicKeyX509Der<'_> = public.as_der().unwrap();
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (modulus, exponent) = (public.modulus(), public.exponent());
    Signing {
        private: EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
        public: json!({
            "kty": "RSA", "use": "sig", "x5t": "ignored", "n": number(modulus.big_endian_without_leading_zero()),
            "e": number(exponent.big_endian_without_leading_zero()),
        }),
        der: der.as_ref().to_vec(),
        algorithm: Algorithm::RS256,
    }
}

/// A key on P-256 that nobody else has.
pub(crate) fn make_ec() -> Signing {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der = pair.public_key().as_ref().to_vec();
    let coordinate = |at: usize| URL_SAFE_NO_PAD.encode(&der[at..at + 32]);
    Signing {
        private: EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()),
        public: json!({ "kty": "EC", "crv": "P-256", "x": coordinate(1), "y": coordinate(33) }),
        der,
        algorithm: Algorithm::ES256,
    }
}

/// A value with one field set.
pub(crate) fn with(mut value: Value, name: &str, field: impl Into<Value>) -> Value {
    value[name] = field.into();
    value
}
