//! One machine's stream: a socket, its timeouts and its heartbeat. What is said on it is [`Talk`]'s. Level-triggered:
//! whenever it is woken it looks at what is outstanding and says so again, so that nothing depends on a message having
//! arrived.

use super::talk::{Said, Talk, TalkError};
use super::{AgentLink, peer};
use crate::actions::Peer;
use crate::listen::{PeerAddress, PeerCertificate};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use protocol::agent::{FRAME_BYTES_MAX, ToAgent, decode, encode};
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
    let machine = peer.machine;
    let talk = match Box::pin(hello(&link, peer, address, &mut socket)).await {
        Ok(talk) => talk,
        Err(e) => return tracing::warn!(%machine, error = %e, "no session"),
    };
    let session = talk.session();
    tracing::info!(%machine, session = session.0, "session open");
    let notify = link.wake.stream(machine, session);
    let ended = Box::pin(Stream { talk, socket }.run(&notify)).await;
    link.wake.gone(machine, &notify);
    match ended {
        Ok(()) => tracing::info!(%machine, session = session.0, "session closed"),
        Err(e) => tracing::warn!(%machine, session = session.0, error = %e, "session lost"),
    }
}

/// The first word, Hello, and Welcome.
async fn hello(
    link: &AgentLink,
    peer: Peer,
    address: PeerAddress,
    socket: &mut WebSocket,
) -> Result<Talk, StreamError> {
    send(socket, &Talk::first_word(&link.desk(), peer).await?).await?;
    let frame = match timeout(HELLO_WITHIN, socket.recv()).await {
        Ok(Some(Ok(Message::Binary(frame)))) => frame,
        Ok(Some(Err(e))) => return Err(e.into()),
        _ => return Err(StreamError::Said("no Hello came")),
    };
    let address = Some(address.0.ip().to_canonical().to_string());
    let (talk, welcome) = Talk::open(link.desk(), peer, address, decode(&frame)?).await?;
    send(socket, &welcome).await?;
    Ok(talk)
}

/// An open session.
struct Stream {
    talk: Talk,
    socket: WebSocket,
}

impl Stream {
    async fn run(mut self, notify: &tokio::sync::Notify) -> Result<(), StreamError> {
        let outstanding = self.talk.outstanding().await?;
        self.say(outstanding).await?;
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
                        Some(Ok(Message::Binary(frame))) => {
                            let said = self.talk.heard(decode(&frame)?).await?;
                            self.say(said).await?;
                        }
                        Some(Ok(_)) => {}
                    }
                }
                () = notify.notified() => {
                    let said = self.talk.look().await?;
                    self.say(said).await?;
                }
                _ = heartbeat.tick() => {
                    if heard.elapsed() > SILENT_MAX {
                        return Err(StreamError::Said("silent for too long"));
                    }
                    let said = self.talk.heartbeat().await?;
                    self.say(said).await?;
                    let ping = self.socket.send(Message::Ping(Default::default()));
                    timeout(SEND_WITHIN, ping).await.map_err(|_| StreamError::Said("does not read"))??;
                }
            }
        }
    }

    async fn say(&mut self, said: Said) -> Result<(), StreamError> {
        for message in &said.messages {
            send(&mut self.socket, message).await?;
        }
        said.ends.map_or(Ok(()), |why| Err(StreamError::Said(why)))
    }
}

async fn send(socket: &mut WebSocket, message: &ToAgent) -> Result<(), StreamError> {
    let frame = Message::Binary(encode(message)?.into());
    timeout(SEND_WITHIN, socket.send(frame)).await.map_err(|_| StreamError::Said("does not read"))??;
    Ok(())
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
    Talk(#[from] TalkError),
}
