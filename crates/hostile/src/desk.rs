//! What every world needs and no input changes: keys, a clock that stands, callers' tokens, a runtime.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::permission::{PERMISSIONS, Permission};
use domain::time::Timestamp;
use serde_json::json;
use server::actions::Actions;
use server::api::limits::Limits;
use server::api::{ApiState, router};
use server::clock::Clock;
use server::config::{Config, IssuerConfig};
use server::links::Links;
use server::signer::Signer;
use server::tokens::{ClientCredentials, Issuers, SignIn, Tenant, TokenKeys, Verifier};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use store::{MemoryStore, Store};

/// When every world begins, in seconds.
pub(crate) const START_SECONDS: i64 = 1_790_000_000;

/// Another issuer, at an address that is never asked.
const ISSUER: &str = "https://127.0.0.1:1/realm";

/// How long the callers' tokens are good: longer than any input lets pass.
const TOKEN_SECONDS: u32 = 1_000_000_000;

/// What every world needs and no input changes.
pub(crate) struct Desk {
    /// What is set.
    pub(crate) config: Arc<Config>,
    /// Knows callers by their tokens.
    pub(crate) verifier: Arc<Verifier>,
    /// Gives tokens; knows two applications.
    pub(crate) sign_in: Arc<SignIn>,
    /// The keys of our own tokens.
    pub(crate) keys: Arc<TokenKeys>,
    /// Signs download links.
    pub(crate) links: Arc<Links>,
    /// The tenant.
    pub(crate) tenant: Tenant,
    /// An application's token that allows everything.
    pub(crate) all: String,
    /// One that allows reading.
    pub(crate) reader: String,
    /// A token of another issuer.
    pub(crate) foreign: String,
    /// The folder of its keys; goes with the process.
    pub(crate) dir: tempfile::TempDir,
}

/// The desk of this process.
pub(crate) fn desk() -> &'static Desk {
    // In a thread of its own: whoever needs it first may be inside a runtime.
    static DESK: LazyLock<Desk> =
        LazyLock::new(|| std::thread::spawn(|| block_on(Desk::make())).join().expect("a desk can be made"));
    &DESK
}

impl Desk {
    async fn make() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = Config::for_testing(dir.path());
        config.limits.enabled = false;
        config.cancel.wait_budget = Duration::ZERO;
        config.tokens.lifetime_seconds = TOKEN_SECONDS;
        let (store, clock) = (Arc::new(MemoryStore::new()) as Arc<dyn Store>, StillClock::default());
        let tenant = Tenant::load(&*store, [0xba; 16]).await.expect("a tenant");
        let keys = Arc::new(TokenKeys::open(dir.path(), config.tokens.lifetime_seconds).expect("a key"));
        let issuers = Issuers::new(&[issuer()]).expect("an issuer");
        let (set, foreign) = foreign();
        issuers.learn(ISSUER, set.as_bytes(), clock.now()).expect("a set of keys");
        let verifier = Verifier::new(Arc::clone(&keys), tenant, &config.tokens).with_issuers(issuers);
        let sign_in =
            SignIn::new(Arc::clone(&store), Arc::clone(&keys), tenant, &config.tokens, [1; 16]).expect("a sign-in");
        let all: Vec<Permission> = PERMISSIONS.iter().map(|(permission, _)| *permission).collect();
        let all = signed_in(&sign_in, &*store, &clock, all).await;
        let reader = signed_in(&sign_in, &*store, &clock, vec![Permission::MachineReadAll]).await;
        Self {
            config: Arc::new(config),
            verifier: Arc::new(verifier),
            sign_in: Arc::new(sign_in),
            keys,
            links: Arc::new(Links::open(dir.path(), [2; 32]).expect("a key")),
            tenant,
            all,
            reader,
            foreign,
            dir,
        }
    }

    /// The API over these actions.
    pub(crate) fn api(&self, actions: Actions, clock: Arc<dyn Clock>) -> axum::Router {
        router(ApiState {
            actions,
            verifier: Arc::clone(&self.verifier),
            sign_in: Arc::clone(&self.sign_in),
            keys: Arc::clone(&self.keys),
            tenant: self.tenant,
            links: Arc::clone(&self.links),
            limits: Arc::new(Limits::new(self.config.limits.clone())),
            config: Arc::clone(&self.config),
            clock,
        })
    }
}

fn issuer() -> IssuerConfig {
    IssuerConfig { tenants: vec!["ours".into()], ..IssuerConfig::of(ISSUER, "countermand") }
}

/// Another issuer's set of keys, and a token by one of them.
fn foreign() -> (String, String) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let set = json!({ "keys": [{ "kid": "a", "kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y) }] });
    let header = json!({ "alg": "ES256", "kid": "a", "typ": "JWT" });
    let claims = json!({
        "iss": ISSUER, "aud": "countermand", "tid": "ours", "exp": START_SECONDS + i64::from(TOKEN_SECONDS),
        "scp": "Machine.Read Machine.Isolate", "upn": "ada@example.org",
    });
    let signed = format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
    (set.to_string(), format!("{signed}.{}", encoded(signature.as_ref())))
}

/// The token of a new application, got as applications get it.
async fn signed_in(sign_in: &SignIn, store: &dyn Store, clock: &StillClock, may: Vec<Permission>) -> String {
    let application = server::admin::add_application(store, clock, "test", may).await.expect("an application");
    let asked = ClientCredentials {
        tenant: &application.tenant,
        client_id: &application.client_id,
        client_secret: &application.client_secret,
        scope: None,
        own_url: "https://localhost:8443",
        address: None,
    };
    sign_in.client_credentials(asked, clock.now()).await.expect("signs in").token
}

/// A clock that stands still until it is set, with dice that fall the same way every time.
pub(crate) struct StillClock {
    now: AtomicI64,
    drawn: AtomicU64,
}

impl Default for StillClock {
    fn default() -> Self {
        Self { now: AtomicI64::new(Timestamp::from_seconds(START_SECONDS).0), drawn: AtomicU64::new(0) }
    }
}

impl StillClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.now.fetch_add(Timestamp::from_seconds(seconds).0, Ordering::Relaxed);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn fill(&self, bytes: &mut [u8]) {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        for (index, byte) in bytes.iter_mut().enumerate() {
            let mixed = (drawn << 8 | index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            *byte = mixed.to_be_bytes()[0];
        }
    }
}

/// The key that signs grants, the same in every run.
pub(crate) struct FixedSigner {
    key: Ed25519KeyPair,
}

impl FixedSigner {
    /// The key that `seed` makes.
    pub(crate) fn of(seed: u8) -> Self {
        Self { key: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed of 32 bytes") }
    }
}

impl Signer for FixedSigner {
    fn key_id(&self) -> &str {
        "fixed"
    }

    fn public_key(&self) -> [u8; 32] {
        self.key.public_key().as_ref().try_into().expect("32 bytes")
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.key.sign(bytes).as_ref().to_vec()
    }
}

/// Runs a future to its end, on this thread's runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
