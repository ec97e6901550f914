//! What every test stands on.

use crate::faulty::Faulty;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use domain::action::Action;
use domain::audit::{CallerKind, Entry};
use domain::history::StoredLine;
use domain::ids::{ActionId, Digest, Epoch, JournalId, MachineId};
use domain::kind::Kind;
use domain::machine::{JournalSeen, Machine, Told};
use domain::permission::PERMISSIONS;
use domain::testimony::{Ending, StepReport, Testimony};
use domain::time::Timestamp;
use http_body_util::BodyExt as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use server::actions::{Actions, Claimed, Peer};
use server::api::limits::Limits;
use server::api::{ApiState, router};
use server::clock::{Clock, SystemClock};
use server::config::{Config, LimitsConfig};
use server::links::Links;
use server::tokens::{Issuers, SignIn, TOKEN_KEY_FILE, Tenant, TokenKeys, Verifier};
use server::wake::Wake;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{ActionQuery, EnrolToken, Enrolled, SqliteConfig, SqliteStore, Store};
use tower::ServiceExt as _;
use uuid::Uuid;

/// When every test begins, in seconds.
pub(crate) const START: i64 = 1_790_000_000;

/// The application that calls.
pub(crate) const APPLICATION: &str = "3d5a9c1e-0000-4000-8000-2b7c1f0a9e44";

/// The base URL that requests are sent to.
pub(crate) const BASE: &str = "https://control.example:8443";

/// A line of the audit log, for what a test does past the server.
pub(crate) fn audited() -> Entry {
    Entry::new(Timestamp::from_seconds(START), CallerKind::Administrator, "", "test")
}

/// A clock that stands still until it is set.
pub(crate) struct FakeClock(Mutex<Timestamp>);

impl FakeClock {
    pub(crate) fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus_seconds(seconds);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemClock.fill(bytes);
    }
}

/// A server with one machine.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Arc<dyn Store>,
    /// The same, for failures.
    pub(crate) faulty: Arc<Faulty>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) actions: Actions,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) config: Config,
    pub(crate) router: Router,
    pub(crate) tenant: Tenant,
    pub(crate) machine: MachineId,
    pub(crate) journal: JournalId,
    key_id: String,
    key: EncodingKey,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Rig {
    /// Without limits, and with a short wait for testimony.
    pub(crate) async fn new() -> Self {
        Self::with(|config| {
            config.limits.enabled = false;
            config.cancel.wait_budget = Duration::from_millis(20);
        })
        .await
    }

    /// With limits.
    pub(crate) async fn limited(limits: LimitsConfig) -> Self {
        Self::with(|config| config.limits = limits).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::for_testing(dir.path());
        change(&mut config);
        let clock = Arc::new(FakeClock(Mutex::new(Timestamp::from_seconds(START))));
        let sqlite: Arc<dyn Store> = Arc::new(SqliteStore::open(SqliteConfig::for_testing(dir.path())).unwrap());
        let faulty = Arc::new(Faulty::over(sqlite));
        let store = Arc::clone(&faulty) as Arc<dyn Store>;
        let wake = Arc::new(Wake::default());
        let actions = Actions::new(Arc::clone(&store), Arc::clone(&wake))
            .with_strict_cancel(config.cancel.strict)
            .with_live_responses_max(config.limits.live_response_sessions_max());
        let tenant = Tenant::load(&*store, [0xba; 16]).await.unwrap();
        let keys = Arc::new(TokenKeys::open(dir.path(), config.tokens.lifetime_seconds).unwrap());
        let key_id = keys.signing(clock.now()).unwrap().id().to_string();
        let issuers = Issuers::new(&config.tokens.issuers).unwrap();
        let verifier = Verifier::new(Arc::clone(&keys), tenant, &config.tokens).with_issuers(issuers);
        let sign_in = SignIn::new(Arc::clone(&store), Arc::clone(&keys), tenant, &config.tokens, [1; 16]).unwrap();
        let state = ApiState {
            actions: actions.clone(),
            verifier: Arc::new(verifier),
            sign_in: Arc::new(sign_in),
            keys,
            tenant,
            links: Arc::new(Links::open(dir.path(), [2; 32]).unwrap()),
            limits: Arc::new(Limits::new(config.limits.clone())),
            config: Arc::new(config.clone()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        };
        let key = EncodingKey::from_ec_der(&std::fs::read(dir.path().join(TOKEN_KEY_FILE)).unwrap());
        let (machine, journal) = (MachineId([0xab; 20]), JournalId(Uuid::from_u128(77)));
        let rig = Self {
            dir,
            store,
            faulty,
            wake,
            actions,
            clock,
            config,
            router: router(state),
            tenant,
            machine,
            journal,
            key_id,
            key,
        };
        rig.enrol(machine, "web-03").await;
        rig
    }

    /// Adds a machine.
    pub(crate) async fn enrol(&self, id: MachineId, name: &str) {
        let now = self.clock.now();
        let token = EnrolToken {
            digest: Digest::of(name.as_bytes()),
            uses_max: 1,
            expires_at: now.plus_seconds(60),
            machine: None,
        };
        self.store.add_enrol_token(&token, &audited()).await.unwrap();
        let machine = Machine {
            id,
            name: name.into(),
            incarnation: 1,
            session: Epoch(0),
            first_seen: now,
            last_seen: now,
            told: Told { os_platform: "Linux".into(), ..Told::default() },
            tags: vec![],
        };
        assert_eq!(self.store.enrol(&machine, &token.digest, now, &audited()).await.unwrap(), Enrolled::Stored);
    }

    /// The claims of a good token with these roles.
    pub(crate) fn claims(&self, roles: &[&str]) -> Value {
        let now = self.clock.now().as_seconds();
        json!({
            "aud": "https://api.securitycenter.microsoft.com",
            "iss": format!("{}/{}/v2.0", self.config.tokens.public_url, self.tenant.0),
            "iat": now, "nbf": now, "exp": now + 3599, "appid": APPLICATION, "azp": APPLICATION, "roles": roles,
            "sub": APPLICATION, "tid": self.tenant.0.to_string(), "ver": "2.0",
        })
    }

    /// The header of a good token.
    pub(crate) fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        header
    }

    /// The server's own key.
    pub(crate) fn key(&self) -> &EncodingKey {
        &self.key
    }

    /// A token signed with the server's own key.
    pub(crate) fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }

    /// A good token with these roles.
    pub(crate) fn token(&self, roles: &[&str]) -> String {
        self.sign(&self.header(), &self.claims(roles))
    }

    /// A good token of an application that acts for this person, with these scopes.
    pub(crate) fn delegated(&self, user: &str, scopes: &[&str]) -> String {
        let mut claims = self.claims(&[]);
        claims.as_object_mut().unwrap().remove("roles");
        claims["preferred_username"] = user.into();
        claims["scp"] = scopes.join(" ").into();
        self.sign(&self.header(), &claims)
    }

    /// A good token that allows everything.
    pub(crate) fn all(&self) -> String {
        self.token(&PERMISSIONS.map(|(_, word)| word))
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    /// Calls with a token that allows everything.
    pub(crate) async fn call(&self, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        self.call_as(&self.all(), method, path, body).await
    }

    /// Calls with this token.
    pub(crate) async fn call_as(&self, token: &str, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(format!("{BASE}{path}"));
        let request = request.header("authorization", format!("Bearer {token}"));
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call(Method::POST, path, body).await
    }

    /// Requests an isolation of the machine.
    pub(crate) async fn isolate(&self) -> ActionId {
        let path = format!("/api/machines/{}/isolate", self.machine);
        self.post(&path, r#"{"Comment":"why"}"#).await.created()
    }

    /// Requests a live response of the machine.
    pub(crate) async fn live_response(&self, commands: &Value) -> ActionId {
        let path = format!("/api/machines/{}/runliveresponse", self.machine);
        let body = json!({ "Comment": "why", "Commands": commands });
        self.post(&path, body.to_string()).await.created()
    }

    /// The machine opens a session, able to do these.
    pub(crate) async fn connect(&self, kinds: &[Kind]) -> Epoch {
        let journal = JournalSeen { id: self.journal, sequence: 1, head: Digest([0; 32]) };
        let told = Told {
            os_platform: "Linux".into(),
            last_address: Some("192.0.2.7".into()),
            kinds: kinds.to_vec(),
            journal: Some(journal),
            ..Told::default()
        };
        let newest = self.actions.newest_session(self.machine).await.unwrap().expect("is known");
        let opened = self.actions.open_session(self.peer(), newest, &told, journal, &[], self.clock.now()).await;
        opened.unwrap().expect("opens").number
    }

    /// The machine opens a session and claims the action.
    pub(crate) async fn grant(&self, id: ActionId) -> Epoch {
        let session = self.connect(&[Kind::Isolate, Kind::Release, Kind::LiveResponse]).await;
        let now = self.clock.now();
        let claimed = self.actions.claim(self.machine, session, id, self.journal, now).await.unwrap();
        match claimed {
            Claimed::Grant { epoch, .. } => epoch,
            other => panic!("not granted: {other:?}"),
        }
    }

    /// The machine's certificate.
    pub(crate) fn peer(&self) -> Peer {
        Peer { machine: self.machine, incarnation: 1 }
    }

    /// The machine testifies.
    pub(crate) async fn testify(&self, id: ActionId, epoch: Epoch, ending: Ending, steps: Vec<StepReport>) {
        let testimony =
            Testimony { epoch, journal: self.journal, sequence: 9, ending, steps, residue: vec![], facts: vec![] };
        self.report(id, testimony).await;
    }

    pub(crate) async fn report(&self, id: ActionId, testimony: Testimony) {
        assert!(self.actions.report(self.peer(), id, testimony, self.clock.now()).await.unwrap());
    }

    /// What the clock says.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The action as the store has it.
    pub(crate) async fn action(&self, id: ActionId) -> Action {
        self.store.action(id).await.unwrap().unwrap()
    }

    /// Every action the store has.
    pub(crate) async fn stored(&self) -> Vec<Action> {
        self.store.actions(&ActionQuery::all(1000)).await.unwrap()
    }

    pub(crate) async fn lines(&self, id: ActionId) -> Vec<StoredLine> {
        self.store.history(id).await.unwrap()
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}: {text}", self.status))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts the status and returns the JSON.
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()
    }

    /// Asserts 201 and returns the action's id.
    pub(crate) fn created(&self) -> ActionId {
        ActionId::parse(self.ok(201)["id"].as_str().unwrap()).unwrap()
    }

    /// Asserts that a query was not understood, in the words and the form of a recorded answer, and returns the message.
    pub(crate) fn refused_query(&self) -> String {
        let text = self.text();
        assert_eq!(self.status.as_u16(), 400, "{text}");
        assert!(self.header("content-type").starts_with("application/json"), "{:?}", self.headers);
        let begins = "{\"error\":{\"code\":\"\",\"message\":\"The query specified in the URI is not valid. ";
        assert!(text.starts_with(begins) && text.ends_with(",\"details\":[]}}"), "{text}");
        assert_eq!(self.json()["error"].as_object().unwrap().len(), 3, "{text}");
        assert!(Uuid::try_parse(self.header("mise-correlation-id")).is_ok(), "{:?}", self.headers);
        self.json()["error"]["message"].as_str().unwrap().to_string()
    }

    /// Asserts an error in the envelope, exactly as clients need it, and returns its message.
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        let text = self.text();
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert!(self.header("content-type").starts_with("application/json"), "{:?}", self.headers);
        assert!(text.starts_with(&format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"")), "{text}");
        let error = &self.json()["error"];
        assert_eq!(error.as_object().unwrap().len(), 3, "{text}");
        assert!(Uuid::try_parse(error["target"].as_str().unwrap()).is_ok(), "{text}");
        error["message"].as_str().unwrap().to_string()
    }
}
