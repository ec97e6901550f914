//! What every test stands on: a server, and agents that say what real ones would.

use crate::faulty::Faulty;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use domain::action::{Action, RequestSource};
use domain::ids::{ActionId, Digest, Epoch, JournalId, MachineId, Nonce};
use domain::kind::Kind;
use domain::machine::{JournalSeen, Told};
use domain::permission::{PERMISSIONS, PermissionType};
use domain::testimony::{Ending, Fact, Testimony};
use domain::time::Timestamp;
use http_body_util::BodyExt as _;
use protocol::agent::{ENROL_PATH, EnrolAnswer, Hello, ListedAction, ToAgent, ToServer, VERSION};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use server::actions::{Actions, Caller, NewAction, Origin, Peer, Wanted};
use server::admin::{add_enrol_token, add_reenrol_token};
use server::agent_link::talk::{Desk, Said, Talk, TalkError};
use server::agent_link::{AgentLink, enrol_router, router};
use server::authority::Authority;
use server::clock::{Clock, SystemClock};
use server::listen::PeerCertificate;
use server::signer::FileSigner;
use server::wake::Wake;
use std::sync::{Arc, Mutex};
use store::{MemoryStore, SqliteConfig, SqliteStore, Store};
use tower::ServiceExt as _;
use uuid::Uuid;

/// When every test begins, in seconds.
const START: i64 = 1_790_000_000;

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

/// A server.
pub(crate) struct Ground {
    pub(crate) store: Arc<Faulty>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) actions: Actions,
    pub(crate) link: AgentLink,
    _dir: tempfile::TempDir,
}

/// An agent: what its state folder holds.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) peer: Peer,
    pub(crate) certificate: PeerCertificate,
    pub(crate) journal: JournalSeen,
    /// What it lists in its Hello.
    pub(crate) listed: Vec<ListedAction>,
}

impl Ground {
    /// Over SQLite.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteConfig::for_testing(dir.path())).unwrap();
        Self::over(dir, Arc::new(store))
    }

    /// Over memory.
    pub(crate) fn in_memory() -> Self {
        Self::over(tempfile::tempdir().unwrap(), Arc::new(MemoryStore::new()))
    }

    fn over(dir: tempfile::TempDir, engine: Arc<dyn Store>) -> Self {
        let store = Arc::new(Faulty::over(engine));
        let clock = Arc::new(FakeClock(Mutex::new(Timestamp::from_seconds(START))));
        let wake = Arc::new(Wake::default());
        let actions = Actions::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&wake));
        let link = AgentLink {
            actions: actions.clone(),
            wake,
            authority: Arc::new(Authority::open(dir.path(), &["control.example".into()], clock.now()).unwrap()),
            signer: Arc::new(FileSigner::open(dir.path()).unwrap()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            artifact_dir: dir.path().to_path_buf(),
            agent_address: "control.example:8444".into(),
        };
        Self { store, clock, actions, link, _dir: dir }
    }

    /// A token for one new machine.
    pub(crate) async fn token(&self) -> String {
        add_enrol_token(&*self.store, &*self.clock, 1, 60).await.unwrap()
    }

    /// A token for this machine.
    pub(crate) async fn token_for(&self, id_or_name: &str) -> String {
        add_reenrol_token(&*self.store, &*self.clock, id_or_name, 60).await.unwrap().1
    }

    /// Sends a request for enrolment to the endpoint.
    pub(crate) async fn ask(
        &self,
        token: &str,
        name: &str,
        csr_pem: &str,
    ) -> Result<EnrolAnswer, (StatusCode, String)> {
        let body = json!({ "token": token, "csr_pem": csr_pem, "name": name }).to_string();
        let request = Request::post(ENROL_PATH).body(Body::from(body)).unwrap();
        let response = enrol_router(self.link.clone()).oneshot(request).await.unwrap();
        let (status, body) = (response.status(), text(response).await);
        if status.is_success() { Ok(serde_json::from_str(&body).unwrap()) } else { Err((status, body)) }
    }

    /// Enrols, and starts with a journal of its own.
    pub(crate) async fn enrol(&self, token: &str, name: &str) -> Agent {
        let answer = self.ask(token, name, &csr()).await.unwrap();
        let der = CertificateDer::from_pem_slice(answer.certificate_pem.as_bytes()).unwrap();
        let peer = Peer { machine: MachineId::parse(&answer.machine).unwrap(), incarnation: answer.incarnation };
        let number = u128::from_be_bytes(self.link.clock.random());
        let journal = JournalSeen { id: JournalId(Uuid::from_u128(number)), sequence: 1, head: Digest([1; 32]) };
        Agent { peer, certificate: PeerCertificate(der.to_vec()), journal, listed: vec![] }
    }

    /// A new machine of this name.
    pub(crate) async fn machine(&self, name: &str) -> Agent {
        self.enrol(&self.token().await, name).await
    }

    /// Requests an action of the agent's machine, later than all before it.
    pub(crate) async fn request(&self, agent: &Agent, wanted: Wanted) -> ActionId {
        self.clock.advance(1);
        let permissions = PERMISSIONS.iter().map(|(permission, _)| *permission).collect();
        let (permission_type, origin) = (PermissionType::Application, Origin::default());
        let caller =
            Caller { name: "analyst@example.test".into(), through: None, permission_type, permissions, origin };
        let request = domain::action::Request {
            requestor: caller.name.clone(),
            comment: "why".into(),
            source: RequestSource::PublicApi,
            external_id: None,
        };
        let new = NewAction { machine: agent.peer.machine.to_string(), wanted, request, key: None };
        let requested = self.actions.request(&caller, new, self.clock.now(), self.link.clock.random()).await;
        requested.unwrap().action().id
    }

    /// An action as it stands.
    pub(crate) async fn action(&self, id: ActionId) -> Action {
        self.store.action(id).await.unwrap().unwrap()
    }

    /// What the agents' listener answers to whoever holds this certificate.
    pub(crate) async fn call(&self, agent: &Agent, mut request: Request<Body>) -> (StatusCode, String) {
        request.extensions_mut().insert(agent.certificate.clone());
        let response = router(self.link.clone()).oneshot(request).await.unwrap();
        (response.status(), text(response).await)
    }

    /// What a talk needs.
    pub(crate) fn desk(&self) -> Desk {
        let AgentLink { actions, clock, signer, .. } = self.link.clone();
        Desk { actions, clock, signer }
    }
}

impl Agent {
    /// Dials: what the server says first.
    pub(crate) async fn dial(&self, ground: &Ground) -> Result<Epoch, TalkError> {
        match Talk::first_word(&ground.desk(), self.peer).await? {
            ToAgent::Newest { session } => Ok(session),
            other => panic!("{other:?}"),
        }
    }

    /// Dials, and says Hello.
    pub(crate) async fn hello(&self, ground: &Ground) -> Result<Talk, TalkError> {
        let after = self.dial(ground).await?;
        self.hello_after(ground, after).await
    }

    /// Says Hello on a stream that began with this session.
    pub(crate) async fn hello_after(&self, ground: &Ground, after: Epoch) -> Result<Talk, TalkError> {
        self.hello_at(ground.desk(), after).await
    }

    /// As [`Agent::hello_after`], wherever the ground is.
    pub(crate) async fn hello_at(&self, desk: Desk, after: Epoch) -> Result<Talk, TalkError> {
        let kinds = vec![Kind::Isolate, Kind::Release, Kind::LiveResponse];
        let told = Told { os_platform: "Linux".into(), kinds, ..Told::default() };
        let hello = Hello {
            version_min: VERSION,
            version_max: VERSION,
            incarnation: self.peer.incarnation,
            after,
            told,
            journal: self.journal,
            listed: self.listed.clone(),
        };
        let opened = Talk::open(desk, self.peer, None, ToServer::Hello(Box::new(hello))).await;
        opened.map(|(talk, _)| talk)
    }

    /// Its claim of an action.
    pub(crate) fn claim(&self, session: Epoch, action: ActionId) -> ToServer {
        ToServer::Claim { session, action, nonce: Nonce([3; 16]), journal: self.journal.id }
    }

    /// Its words that the action has finished.
    pub(crate) fn finished(&self, action: ActionId, epoch: Epoch) -> ToServer {
        let fact = Fact { sequence: 5, at: Timestamp(9), what: "finished".into() };
        let testimony = Testimony {
            epoch,
            journal: self.journal.id,
            sequence: 6,
            ending: Ending::Finished,
            steps: vec![],
            residue: vec![],
            facts: vec![fact],
        };
        ToServer::Final { action, testimony: Box::new(testimony) }
    }

    /// Hello, and a grant of this action.
    pub(crate) async fn granted(&mut self, ground: &Ground, action: ActionId) -> Talk {
        let talk = self.hello(ground).await.unwrap();
        let said = talk.heard(self.claim(talk.session(), action)).await.unwrap();
        assert!(is_grant(&said), "{said:?}");
        talk
    }
}

/// Whether the answer is a grant.
pub(crate) fn is_grant(said: &Said) -> bool {
    matches!(said.messages[..], [ToAgent::Grant(_)])
}

/// A certificate request as an agent makes it.
pub(crate) fn csr() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
