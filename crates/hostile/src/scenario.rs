//! A run of hostile words, with callers and time going on beside it, and what must hold after every one of them.

use crate::desk::{block_on, desk};
use crate::dice::Dice;
use crate::rows::Rows;
use crate::words::Known;
use crate::world::{HONEST, HOSTILE, World, live_response};
use axum::body::Body;
use axum::http::Request;
use domain::ids::{ActionId, Digest, Epoch};
use domain::kind::Scope;
use http_body_util::BodyExt as _;
use protocol::agent::{SignedGrant, ToAgent, ToServer, decode, encode};
use server::actions::{ActionError, Wanted};
use server::agent_link::talk::{Said, Talk, TalkError};
use server::signer::Signer as _;
use std::fmt::Debug;
use tower::ServiceExt as _;

/// The longest run.
const STEPS_MAX: usize = 64;

/// The longest text of a machine's that is kept, in bytes.
const KEPT_TEXT_BYTES_MAX: usize = 8 * 1024;

/// The longest that is kept of one machine's Hello, in bytes.
const KEPT_TOLD_BYTES_MAX: usize = 4 * 1024;

/// What was answered, and what the store then held of the hostile machine.
pub(crate) type Heard = (Vec<String>, Rows);

/// Plays the run that `bytes` are.
pub(crate) fn play(world: &World, bytes: &[u8]) -> Heard {
    let mut run = Run { world, talk: None, honest: world.honest.clone(), answers: vec![] };
    let mut dice = Dice::new(bytes);
    block_on(async {
        let mut before = Rows::of(&*world.store, HOSTILE).await;
        for _ in 0..STEPS_MAX {
            if dice.is_spent() {
                break;
            }
            run.step(&mut dice).await;
            let after = Rows::of(&*world.store, HOSTILE).await;
            assert_ends_stand(&before, &after);
            assert_kept_in_bounds(&after);
            before = after;
        }
        run.assert_honest_is_untouched().await;
        let broken = world.store.integrity().await.expect("the store answers");
        assert!(broken.is_empty(), "the store: {broken:?}");
        assert_all_can_be_shown(world).await;
        (run.answers, before)
    })
}

struct Run<'a> {
    world: &'a World,
    talk: Option<Talk>,
    /// What the store holds of the honest machine, but for what time did to it.
    honest: Rows,
    answers: Vec<String>,
}

impl Run<'_> {
    async fn step(&mut self, dice: &mut Dice<'_>) {
        let world = self.world;
        let known = Known {
            actions: &world.known,
            journals: &world.journals,
            session: self.talk.as_ref().map_or(Epoch(1), Talk::session),
            newest: world.newest(HOSTILE).await,
            now: World::start(),
        };
        let message = match dice.below(12) {
            0 | 1 => known.hello(dice),
            2 | 3 => known.claim(dice),
            4 => known.phase(dice),
            5 | 6 => known.end(dice),
            7 => match decode::<ToServer>(dice.some()) {
                Ok(message) => message,
                Err(_) => return,
            },
            8 => return self.look(dice.flag()).await,
            9 => return world.cancel(dice.of(&world.known[..5])).await,
            10 => {
                let wanted = match dice.below(3) {
                    0 => Wanted::Isolate(Scope::Full),
                    1 => Wanted::Release,
                    _ => live_response(),
                };
                world.request(HOSTILE, wanted).await;
                return;
            }
            _ => {
                self.assert_honest_is_untouched().await;
                world.clock.advance(i64::from(dice.byte()) * 600);
                world.expire().await;
                self.honest = Rows::of(&*world.store, HONEST).await;
                return;
            }
        };
        self.say(message).await;
    }

    /// Says it as it comes over the wire, if it can come at all.
    async fn say(&mut self, message: ToServer) {
        let Ok(frame) = encode(&message) else { return };
        let message: ToServer = decode(&frame).expect("what was encoded is decoded");
        if self.talk.is_none() || matches!(message, ToServer::Hello(_)) {
            // A second Hello ends a talk; a machine that goes on dials again.
            return self.open(message).await;
        }
        let talk = self.talk.take().expect("is there");
        let stage_before = match &message {
            ToServer::Claim { action, .. } => self.world.store.action(*action).await.expect("the store answers"),
            _ => None,
        };
        let heard = talk.heard(message).await;
        if let Ok(said) = &heard
            && let [ToAgent::Grant(grant)] = &said.messages[..]
        {
            let before = stage_before.expect("what is granted is on record");
            assert!(before.state.cancel().is_none(), "a grant after a cancel");
            self.assert_grant(&talk, grant);
        }
        self.answered(talk, heard);
    }

    async fn open(&mut self, hello: ToServer) {
        self.talk = None;
        let listed = match &hello {
            ToServer::Hello(hello) => hello.listed.iter().map(|item| item.action).collect(),
            _ => vec![],
        };
        match self.world.talk(HOSTILE, hello).await {
            Ok((talk, welcome)) => {
                let ToAgent::Welcome(said) = &welcome else { panic!("not a Welcome: {welcome:?}") };
                assert_eq!((said.machine, said.session), (HOSTILE, talk.session()));
                let answered: Vec<ActionId> = said.verdicts.iter().map(|(action, _)| *action).collect();
                assert_eq!(answered, listed, "one verdict for each listed action");
                let outstanding = talk.outstanding().await;
                self.answered(talk, Ok(Said { messages: vec![welcome], ends: None }));
                let talk = self.talk.take().expect("is there");
                self.answered(talk, outstanding);
            }
            Err(e) => self.refused(&e),
        }
    }

    async fn look(&mut self, heartbeat: bool) {
        let Some(talk) = self.talk.take() else { return };
        let said = if heartbeat { talk.heartbeat().await } else { talk.look().await };
        self.answered(talk, said);
    }

    /// Notes the answer, and keeps the talk if it goes on.
    fn answered(&mut self, talk: Talk, said: Result<Said, TalkError>) {
        let said = match said {
            Ok(said) => said,
            Err(e) => return self.refused(&e),
        };
        for message in &said.messages {
            let frame = encode(message).expect("an answer fits into a frame");
            assert_eq!(decode::<ToAgent>(&frame).as_ref(), Ok(message));
            self.assert_is_its_own(message);
        }
        self.note(&said);
        self.talk = said.ends.is_none().then_some(talk);
    }

    fn refused(&mut self, e: &TalkError) {
        assert!(!matches!(e, TalkError::Action(ActionError::Store(_))), "a machine's words broke the store: {e}");
        self.note(&e.to_string());
    }

    fn note(&mut self, answer: &impl Debug) {
        self.answers.push(format!("{answer:?}"));
    }

    async fn assert_honest_is_untouched(&self) {
        assert_eq!(Rows::of(&*self.world.store, HONEST).await, self.honest, "another machine's rows");
    }

    /// Nothing that gives, offers or ends anything speaks of another machine's action.
    fn assert_is_its_own(&self, message: &ToAgent) {
        let others = &self.world.known[5..10];
        let about = match message {
            ToAgent::Offer { action, .. } | ToAgent::Abort { action, .. } | ToAgent::FinalAck { action, .. } => *action,
            ToAgent::Grant(grant) => grant.core.action,
            ToAgent::Welcome(_) | ToAgent::Newest { .. } | ToAgent::Deny { .. } => return,
        };
        assert!(!others.contains(&about), "another machine's: {message:?}");
    }

    fn assert_grant(&self, talk: &Talk, grant: &SignedGrant) {
        let core = &grant.core;
        assert_eq!((core.machine, core.incarnation, core.epoch), (HOSTILE, 1, talk.session()));
        assert_eq!(core.body_sha256, Digest::of(&grant.body));
        // Ed25519 signs the same bytes the same way.
        assert_eq!(grant.signature, self.world.signer.sign(&core.signed_bytes()));
        grant.checked_body().expect("a body");
    }
}

/// What has ended stays as it ended.
fn assert_ends_stand(before: &Rows, after: &Rows) {
    for (old, lines) in &before.actions {
        let (new, now) = after.actions.iter().find(|(new, _)| new.id == old.id).expect("no action goes away");
        assert!(now.starts_with(lines), "a history only grows");
        if old.stage().is_final() {
            assert_eq!(old, new, "what has ended stays as it ended");
        }
    }
}

/// A machine's words are kept, but not at any length.
pub(crate) fn assert_kept_in_bounds(rows: &Rows) {
    let told = &rows.machine.as_ref().expect("is on record").told;
    let texts = [&told.os_platform, &told.os_version, &told.agent_version, &told.boot_id];
    let kept: usize = texts.into_iter().chain(&told.last_address).map(String::len).sum();
    assert!(kept + told.kinds.len() <= KEPT_TOLD_BYTES_MAX, "{kept} bytes are kept of a Hello");
    for (action, lines) in &rows.actions {
        assert!(lines.iter().all(|stored| stored.line.what.len() <= KEPT_TEXT_BYTES_MAX));
        let testimony = action.state.testimony();
        assert!(testimony.is_none_or(|words| words.residue.iter().all(|line| line.len() <= KEPT_TEXT_BYTES_MAX)));
    }
}

/// Whatever a machine said, callers can read it.
async fn assert_all_can_be_shown(world: &World) {
    let api = world.api();
    let rows = Rows::of(&*world.store, HOSTILE).await;
    let mut paths = vec!["/api/machineactions".to_string(), "/api/machines".to_string()];
    for (action, _) in &rows.actions {
        let id = action.id;
        paths.push(format!("/api/machineactions/{id}"));
        paths.push(format!("/api/countermand/actions/{id}"));
        paths.push(format!("/api/countermand/actions/{id}/history"));
    }
    for path in paths {
        let request = Request::get(&path).header("authorization", format!("Bearer {}", desk().all));
        let request = request.body(Body::empty()).expect("a request");
        let response = api.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(status.as_u16(), 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice::<serde_json::Value>(&body).expect("JSON");
    }
}
