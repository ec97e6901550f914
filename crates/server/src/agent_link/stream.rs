//! One machine's stream. Level-triggered: whenever it is woken it looks at what is outstanding and says so again, so
//! that nothing depends on a message having arrived.

use super::{AgentLink, peer};
use crate::actions::{ActionError, Claimed, Peer, Session};
use crate::listen::{PeerAddress, PeerCertificate};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::grantee::{Listed, Verdict};
use domain::hello::Outstanding;
use domain::ids::{ActionId, Digest, Epoch, JournalId, MachineId, Nonce};
use protocol::agent::{
    DenyWhy, FRAME_BYTES_MAX, GrantCore, Hello, SignedGrant, ToAgent, ToServer, VERSION, VerdictWord, Welcome,
    body_bytes, decode, encode,
};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How long a new stream may take to say Hello.
const HELLO_WITHIN: Duration = Duration::from_secs(15);

/// How often a silent machine is pinged, and its last word recorded.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// A machine that said nothing, not even pong, for this long is gone.
const SILENT_MAX: Duration = Duration::from_secs(70);

/// How long one frame may take to leave. A machine that does not read must not hold what its stream holds.
const SEND_WITHIN: Duration = Duration::from_secs(20);

/// The most actions one Hello may list. An agent has as many open as there are resource classes; the rest is testimony
/// that was not acknowledged.
const LISTED_MAX: usize = 4096;

/// Read buffer of a stream, in bytes: the library's default would cost each idle machine 128 KiB.
const READ_BUFFER_BYTES: usize = 2048;

pub(super) async fn open(
    State(link): State<AgentLink>,
    Extension(certificate): Extension<PeerCertificate>,
    Extension(address): Extension<PeerAddress>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, StatusCode> {
    let peer = peer::peer(&certificate).ok_or(StatusCode::FORBIDDEN)?;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_message_size(FRAME_BYTES_MAX);
    // Boxed, so that an idle stream does not carry what the upgrade needed.
    Ok(upgrade.on_upgrade(move |socket| Box::pin(serve(link, peer, address, socket))))
}

async fn serve(link: AgentLink, peer: Peer, address: PeerAddress, mut socket: WebSocket) {
    let opened = Box::pin(hello(&link, peer, address, &mut socket)).await;
    let (session, journal) = match opened {
        Ok(Some(opened)) => opened,
        Ok(None) => return,
        Err(e) => return tracing::warn!(machine = %peer.machine, error = %e, "no session"),
    };
    tracing::info!(machine = %peer.machine, session = session.0, "session open");
    let notify = link.wake.stream(peer.machine, session);
    let stream = Stream { link: &link, peer, session, journal, socket };
    let ended = Box::pin(stream.run(&notify)).await;
    link.wake.gone(peer.machine, &notify);
    match ended {
        Ok(()) => tracing::info!(machine = %peer.machine, session = session.0, "session closed"),
        Err(e) => tracing::warn!(machine = %peer.machine, session = session.0, error = %e, "session lost"),
    }
}

/// Hello and Welcome.
async fn hello(
    link: &AgentLink,
    peer: Peer,
    address: PeerAddress,
    socket: &mut WebSocket,
) -> Result<Option<(Epoch, JournalId)>, StreamError> {
    let frame = match timeout(HELLO_WITHIN, socket.recv()).await {
        Ok(Some(Ok(Message::Binary(frame)))) => frame,
        Ok(Some(Err(e))) => return Err(e.into()),
        _ => return Err(StreamError::Said("no Hello came")),
    };
    let ToServer::Hello(hello) = decode(&frame)? else { return Err(StreamError::Said("not a Hello")) };
    let Hello { version_min, version_max, incarnation, mut told, journal, listed } = *hello;
    if !(version_min..=version_max).contains(&VERSION) {
        return Err(StreamError::Said("no version in common"));
    }
    if incarnation != peer.incarnation || listed.len() > LISTED_MAX {
        return Err(StreamError::Said("a Hello of another enrolment, or without bounds"));
    }
    told.last_address = Some(address.0.ip().to_string());
    told.journal = Some(journal);
    let listed: Vec<Listed> = listed
        .into_iter()
        .map(|item| Listed { action: item.action, epoch: item.epoch, started: item.started })
        .collect();
    let now = link.clock.now();
    let Some(Session { number, verdicts }) = link.actions.open_session(peer, &told, journal, &listed, now).await?
    else {
        return Err(StreamError::Said("no such machine of this enrolment"));
    };
    let verdicts = verdicts.into_iter().map(|(action, verdict)| (action, word(verdict))).collect();
    let welcome = Welcome { version: VERSION, session: number, verdicts, machine: peer.machine };
    send(socket, &ToAgent::Welcome(Box::new(welcome))).await?;
    Ok(Some((number, journal.id)))
}

/// An open session.
struct Stream<'a> {
    link: &'a AgentLink,
    peer: Peer,
    session: Epoch,
    journal: JournalId,
    socket: WebSocket,
}

impl Stream<'_> {
    async fn run(mut self, notify: &tokio::sync::Notify) -> Result<(), StreamError> {
        self.say_outstanding().await?;
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    heard = Instant::now();
                    match message {
                        None | Some(Ok(Message::Close(_))) => return Ok(()),
                        Some(Err(e)) => return Err(e.into()),
                        Some(Ok(Message::Binary(frame))) => self.heard(decode(&frame)?).await?,
                        Some(Ok(_)) => {}
                    }
                }
                () = notify.notified() => self.look().await?,
                _ = heartbeat.tick() => {
                    if heard.elapsed() > SILENT_MAX {
                        return Err(StreamError::Said("silent for too long"));
                    }
                    self.link.actions.seen(self.machine(), self.link.clock.now()).await?;
                    self.look().await?;
                    let ping = self.socket.send(Message::Ping(Default::default()));
                    timeout(SEND_WITHIN, ping).await.map_err(|_| StreamError::Said("does not read"))??;
                }
            }
        }
    }

    fn machine(&self) -> MachineId {
        self.peer.machine
    }

    /// Says what is outstanding, if this is still the machine's stream. One that is not ends, whatever still comes
    /// through it: the machine is on another by now, or dials again.
    async fn look(&mut self) -> Result<(), StreamError> {
        if !self.link.actions.is_newest(self.machine(), self.session).await? {
            return Err(StreamError::Said("a newer session is open"));
        }
        self.say_outstanding().await
    }

    async fn say_outstanding(&mut self) -> Result<(), StreamError> {
        for item in self.link.actions.outstanding(self.machine(), self.session).await? {
            let message = match item {
                Outstanding::Offer(action, kind) => ToAgent::Offer { action, kind },
                Outstanding::Abort(action, epoch) => ToAgent::Abort { action, epoch },
            };
            send(&mut self.socket, &message).await?;
        }
        Ok(())
    }

    async fn heard(&mut self, message: ToServer) -> Result<(), StreamError> {
        let now = self.link.clock.now();
        match message {
            ToServer::Hello(_) => Err(StreamError::Said("a second Hello")),
            ToServer::Claim { session, action, nonce, journal } => {
                let ours = session == self.session && journal == self.journal;
                let answer = if ours {
                    let claim = Claim { peer: self.peer, session, action, nonce, journal };
                    answer_claim(self.link, claim).await
                } else {
                    tracing::warn!(machine = %self.machine(), %action, "a claim of another session or journal");
                    ToAgent::Deny { action, why: DenyWhy::OldSession }
                };
                send(&mut self.socket, &answer).await?;
                match answer {
                    ToAgent::Deny { why: DenyWhy::OldSession, .. } => {
                        Err(StreamError::Said("a claim of an old session"))
                    }
                    _ => Ok(()),
                }
            }
            ToServer::Phase { action, epoch, journal, sequence, at, what } => {
                let fact = (journal, sequence);
                self.link.actions.note_phase(self.machine(), action, epoch, fact, at, what).await?;
                Ok(())
            }
            ToServer::Final { action, testimony } => {
                let epoch = testimony.epoch;
                if testimony.journal != self.journal {
                    tracing::warn!(machine = %self.machine(), %action, "testimony of another journal: nothing is changed");
                    return Ok(());
                }
                if self.link.actions.report(self.machine(), action, *testimony, now).await? {
                    send(&mut self.socket, &ToAgent::FinalAck { action, epoch }).await?;
                }
                Ok(())
            }
        }
    }
}

/// A claim of the session and journal that this stream is for.
struct Claim {
    peer: Peer,
    session: Epoch,
    action: ActionId,
    nonce: Nonce,
    journal: JournalId,
}

async fn answer_claim(link: &AgentLink, claim: Claim) -> ToAgent {
    let Claim { peer, session, action, nonce, journal } = claim;
    let machine = peer.machine;
    let deny = |why| ToAgent::Deny { action, why };
    match link.actions.claim(machine, session, action, journal, link.clock.now()).await {
        Ok(Claimed::Grant { epoch, body }) => {
            let body = body_bytes(&body);
            let core = GrantCore {
                machine,
                incarnation: peer.incarnation,
                action,
                epoch,
                nonce,
                body_sha256: Digest::of(&body),
                key_id: link.signer.key_id().to_string(),
            };
            let signature = link.signer.sign(&core.signed_bytes());
            ToAgent::Grant(Box::new(SignedGrant { core, body, signature }))
        }
        Ok(Claimed::Abort(epoch)) => ToAgent::Abort { action, epoch },
        Ok(Claimed::Gone) => deny(DenyWhy::Gone),
        Ok(Claimed::Cancelled) => deny(DenyWhy::Cancelled),
        Ok(Claimed::NotYours) => {
            tracing::warn!(%machine, %action, "a claim of another machine's action");
            deny(DenyWhy::NotYours)
        }
        Ok(Claimed::Busy) => deny(DenyWhy::Busy),
        Ok(Claimed::OldSession) => deny(DenyWhy::OldSession),
        Err(e) => {
            tracing::error!(%machine, %action, error = %e, "a claim could not be decided");
            deny(DenyWhy::Unavailable)
        }
    }
}

async fn send(socket: &mut WebSocket, message: &ToAgent) -> Result<(), StreamError> {
    let frame = Message::Binary(encode(message)?.into());
    timeout(SEND_WITHIN, socket.send(frame)).await.map_err(|_| StreamError::Said("does not read"))??;
    Ok(())
}

fn word(verdict: Verdict) -> VerdictWord {
    match verdict {
        Verdict::Continue => VerdictWord::Continue,
        Verdict::Abort(epoch) => VerdictWord::Abort(epoch),
        Verdict::Forget => VerdictWord::Forget,
    }
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("{0}")]
    Said(&'static str),
    #[error(transparent)]
    Frame(#[from] protocol::agent::FrameError),
    #[error(transparent)]
    Socket(#[from] axum::Error),
    #[error(transparent)]
    Action(#[from] ActionError),
}
