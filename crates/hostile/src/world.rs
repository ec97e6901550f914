//! A server with two machines that have seen a bit of everything: one is hostile, the other one's rows must not change.

use crate::desk::{FixedSigner, START_SECONDS, StillClock, desk};
use crate::rows::Rows;
use domain::action::{Request, RequestSource};
use domain::audit::{CallerKind, Entry};
use domain::ids::{ActionId, Digest, Epoch, JournalId, MachineId, Nonce};
use domain::kind::{Kind, Scope};
use domain::machine::{JournalSeen, Machine, Told};
use domain::permission::{PERMISSIONS, PermissionType};
use domain::testimony::{Artifact, Ending, StepReport, StepStatus, Testimony};
use domain::time::Timestamp;
use protocol::agent::{Hello, ToAgent, ToServer};
use server::actions::{Actions, Caller, NewAction, Origin, Peer, Wanted, WantedCommand};
use server::agent_link::talk::{Desk, Talk, TalkError};
use server::clock::Clock;
use server::signer::Signer;
use server::wake::Wake;
use std::sync::Arc;
use store::{EnrolToken, Store};
use uuid::Uuid;

/// Whose words are hostile.
pub(crate) const HOSTILE: MachineId = MachineId([0xaa; 20]);

/// Whose rows must not change.
pub(crate) const HONEST: MachineId = MachineId([0xbb; 20]);

/// The seed of the key that signs grants.
pub(crate) const SIGNER_SEED: u8 = 7;

/// The server.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) actions: Actions,
    pub(crate) clock: Arc<StillClock>,
    pub(crate) signer: Arc<FixedSigner>,
    /// Actions: the hostile machine's, the honest one's, and one that never was.
    pub(crate) known: Vec<ActionId>,
    /// Journals: the hostile machine's, the honest one's, and another.
    pub(crate) journals: Vec<JournalId>,
    /// What the store held of the honest machine before anything hostile was said.
    pub(crate) honest: Rows,
}

impl World {
    pub(crate) async fn new(store: Arc<dyn Store>) -> Self {
        let actions = Actions::new(Arc::clone(&store), Arc::new(Wake::default()));
        let mut world = Self {
            store,
            actions,
            clock: Arc::default(),
            signer: Arc::new(FixedSigner::of(SIGNER_SEED)),
            known: vec![],
            journals: [1, 2, 3].map(|id| JournalId(Uuid::from_u128(id))).to_vec(),
            honest: Rows { machine: None, actions: vec![] },
        };
        for (machine, name, journal) in [(HOSTILE, "hostile", 0), (HONEST, "honest", 1)] {
            world.enrol(machine, name).await;
            world.live(machine, world.journals[journal]).await;
        }
        world.known.push(ActionId(Uuid::from_u128(0xdead)));
        world.honest = Rows::of(&*world.store, HONEST).await;
        world
    }

    async fn enrol(&self, id: MachineId, name: &str) {
        let now = self.clock.now();
        let token = EnrolToken {
            digest: Digest::of(name.as_bytes()),
            uses_max: 1,
            expires_at: now.plus_seconds(60),
            machine: None,
        };
        let entry = Entry::new(now, CallerKind::Administrator, "", "enrol-token");
        self.store.add_enrol_token(&token, &entry).await.expect("the store answers");
        let machine = Machine {
            id,
            name: name.into(),
            incarnation: 1,
            session: Epoch(0),
            first_seen: now,
            last_seen: now,
            told: Told::default(),
            tags: vec![],
        };
        self.actions.enrol(&machine, name, now, &Origin::default()).await.expect("the store answers");
    }

    /// What a machine has behind it and before it: a live response that is done, a release that was cancelled, an
    /// isolation that is granted, a live response and a release that wait.
    async fn live(&mut self, machine: MachineId, journal: JournalId) {
        let talk = self.open(machine, journal).await;
        let done = self.request(machine, live_response()).await.expect("requested");
        let epoch = self.granted(&talk, done, journal).await;
        let end = ToServer::Final { action: done, testimony: Box::new(finished(epoch, journal)) };
        assert_eq!(talk.heard(end).await.expect("heard").messages, [ToAgent::FinalAck { action: done, epoch }]);
        let cancelled = self.request(machine, Wanted::Release).await.expect("requested");
        self.cancel(cancelled).await;
        let isolation = self.request(machine, Wanted::Isolate(Scope::Full)).await.expect("requested");
        self.granted(&talk, isolation, journal).await;
        let waiting = self.request(machine, live_response()).await.expect("requested");
        let release = self.request(machine, Wanted::Release).await.expect("requested");
        self.known.extend([done, cancelled, isolation, waiting, release]);
    }

    /// An honest machine's session.
    async fn open(&self, machine: MachineId, journal: JournalId) -> Talk {
        let seen = JournalSeen { id: journal, sequence: 3, head: Digest([3; 32]) };
        let kinds = vec![Kind::Isolate, Kind::Release, Kind::LiveResponse];
        let told = Told { os_platform: "Linux".into(), kinds, ..Told::default() };
        let hello = Hello {
            version_min: 1,
            version_max: 1,
            incarnation: 1,
            after: self.newest(machine).await,
            told,
            journal: seen,
            listed: vec![],
        };
        let opened = self.talk(machine, ToServer::Hello(Box::new(hello))).await;
        opened.expect("a session opens").0
    }

    /// A session for whoever has this machine's certificate.
    pub(crate) async fn talk(&self, machine: MachineId, hello: ToServer) -> Result<(Talk, ToAgent), TalkError> {
        Talk::open(self.desk(), Peer { machine, incarnation: 1 }, Some("192.0.2.7".into()), hello).await
    }

    /// The machine's newest session, as it is told to whoever has its certificate.
    pub(crate) async fn newest(&self, machine: MachineId) -> Epoch {
        match Talk::first_word(&self.desk(), Peer { machine, incarnation: 1 }).await.expect("is on record") {
            ToAgent::Newest { session } => session,
            other => panic!("not the first word: {other:?}"),
        }
    }

    fn desk(&self) -> Desk {
        Desk {
            actions: self.actions.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            signer: Arc::clone(&self.signer) as Arc<dyn Signer>,
        }
    }

    async fn granted(&self, talk: &Talk, action: ActionId, journal: JournalId) -> Epoch {
        let claim = ToServer::Claim { session: talk.session(), action, nonce: Nonce([1; 16]), journal };
        match &talk.heard(claim).await.expect("heard").messages[..] {
            [ToAgent::Grant(grant)] => grant.core.epoch,
            other => panic!("not granted: {other:?}"),
        }
    }

    /// Somebody who may requests an action; none if it cannot be had now.
    pub(crate) async fn request(&self, machine: MachineId, wanted: Wanted) -> Option<ActionId> {
        let clock: &dyn Clock = &*self.clock;
        let request = Request {
            requestor: "x".into(),
            comment: "why".into(),
            source: RequestSource::PublicApi,
            external_id: None,
        };
        let new = NewAction { machine: machine.to_string(), wanted, request, key: None };
        self.actions
            .request(&caller(), new, self.clock.now(), clock.random())
            .await
            .ok()
            .map(|requested| requested.action().id)
    }

    /// Somebody who may cancels an action, if that can still be done.
    pub(crate) async fn cancel(&self, action: ActionId) {
        // Too late is an answer too.
        let _ = self.actions.cancel(&caller(), &action.to_string(), "why".into(), self.clock.now()).await;
    }

    /// The sweep's work.
    pub(crate) async fn expire(&self) {
        let unseen_since = self.clock.now().plus_seconds(-72 * 3600);
        self.actions.expire(self.clock.now(), unseen_since, 1000).await.expect("the store answers");
    }

    /// The API of this server.
    pub(crate) fn api(&self) -> axum::Router {
        desk().api(self.actions.clone(), Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    /// When this world began.
    pub(crate) fn start() -> i64 {
        Timestamp::from_seconds(START_SECONDS).0
    }
}

/// Two files to get.
pub(crate) fn live_response() -> Wanted {
    Wanted::LiveResponse(["/etc/hosts", "/etc/passwd"].map(|path| WantedCommand::GetFile(path.into())).to_vec())
}

fn caller() -> Caller {
    let permission_type = PermissionType::Application;
    Caller {
        name: "x".into(),
        through: None,
        permission_type,
        permissions: PERMISSIONS.iter().map(|(permission, _)| *permission).collect(),
        origin: Origin::default(),
    }
}

fn finished(epoch: Epoch, journal: JournalId) -> Testimony {
    let artifact = Artifact { sha256: Digest([9; 32]), size_bytes: 10, file_name: "hosts.gz".into() };
    let step = |index, artifact| StepReport { status: StepStatus::Completed, artifact, ..StepReport::created(index) };
    Testimony {
        epoch,
        journal,
        sequence: 2,
        ending: Ending::Finished,
        steps: vec![step(0, Some(artifact)), step(1, None)],
        residue: vec![],
        facts: vec![],
    }
}
