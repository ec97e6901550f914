//! Talks to the server: one WebSocket over mutual TLS, dialled from here, and dialled again for ever. Knows nothing
//! about what the words mean for this machine, about executors or about the journal.

pub mod content;
mod dial;

use crate::worker::{Outgoing, Standing};
use dial::Socket;
pub use dial::{Dialer, authority_only};
use domain::machine::Told;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::agent::{Hello, ToAgent, ToServer, VERSION, decode, encode};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

/// How long the server may take for its first word, and to answer Hello.
const WELCOME_WITHIN: Duration = Duration::from_secs(15);

/// A server that said nothing, not even a ping, for this long is gone.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// How long one frame may take to leave.
const SEND_WITHIN: Duration = Duration::from_secs(20);

/// The first and the longest wait before dialling again. The wait is drawn anew each time between nothing and the
/// limit, so that a fleet does not come back all at once.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(20));

/// What the link asks of the worker, or tells it.
#[derive(Debug)]
pub enum FromLink {
    /// What is Hello to say?
    Standing(oneshot::Sender<Standing>),
    /// A session is about to open: words for the server go here.
    Opened(mpsc::UnboundedSender<Outgoing>),
    /// The server said something.
    Heard(Box<ToAgent>),
    /// The session is gone.
    Lost,
}

/// What Hello says beside the journal.
#[derive(Clone)]
pub struct Greeting {
    /// The enrolment of this machine.
    pub incarnation: u32,
    /// What to tell of the machine.
    pub told: Told,
    /// Where an action's private folder is.
    pub staging: PathBuf,
    /// Random bytes for the back-off.
    pub random: fn() -> u64,
}

/// Dials, talks, and dials again until the process ends.
pub async fn run(dialer: Arc<Dialer>, greeting: Greeting, worker: std::sync::mpsc::Sender<FromLink>) {
    let mut attempts = 0u32;
    loop {
        let began = Instant::now();
        let ended = Box::pin(session(&dialer, &greeting, &worker)).await;
        if worker.send(FromLink::Lost).is_err() {
            return;
        }
        match ended {
            Ok(()) => tracing::info!("session closed"),
            Err(e) => tracing::warn!(error = format!("{e:#}"), "no session"),
        }
        // A session that lasted is a reason to begin with short waits again.
        attempts = if began.elapsed() > SILENT_MAX { 0 } else { attempts.saturating_add(1) };
        let limit = BACKOFF.0.saturating_mul(1 << attempts.min(10)).min(BACKOFF.1);
        let millis = (greeting.random)() % u64::try_from(limit.as_millis()).unwrap_or(1).max(1);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

async fn session(
    dialer: &Arc<Dialer>,
    greeting: &Greeting,
    worker: &std::sync::mpsc::Sender<FromLink>,
) -> anyhow::Result<()> {
    let mut socket = dialer.open().await?;
    let first = heard_first(&mut socket).await?;
    let ToAgent::Newest { session: after } = first else { anyhow::bail!("the server did not say the newest session") };
    // Asked for only now: what Hello says is younger than the session that it is to follow.
    let (ask, answer) = oneshot::channel();
    worker.send(FromLink::Standing(ask))?;
    let standing = answer.await?;
    let hello = ToServer::Hello(Box::new(Hello {
        version_min: VERSION,
        version_max: VERSION,
        incarnation: greeting.incarnation,
        after,
        told: greeting.told.clone(),
        journal: standing.journal,
        listed: standing.listed.into_iter().map(Into::into).collect(),
    }));
    timeout(SEND_WITHIN, socket.send(Message::Binary(encode(&hello)?.into()))).await??;
    let welcome = heard_first(&mut socket).await?;
    anyhow::ensure!(matches!(welcome, ToAgent::Welcome(_)), "the server did not begin with Welcome");
    tracing::info!("session open");
    let (say, mut said) = mpsc::unbounded_channel();
    worker.send(FromLink::Opened(say.clone()))?;
    worker.send(FromLink::Heard(Box::new(welcome)))?;
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            message = socket.next() => {
                heard = Instant::now();
                match message {
                    None | Some(Ok(Message::Close(_))) => return Ok(()),
                    Some(Err(e)) => return Err(e.into()),
                    Some(Ok(Message::Binary(frame))) => {
                        let message: ToAgent = decode(&frame)?;
                        if let ToAgent::FinalAck { action, .. } = &message {
                            dialer.hand_ins().done(*action);
                        }
                        worker.send(FromLink::Heard(Box::new(message)))?;
                    }
                    // A ping is answered by the library with the next thing that is read or written.
                    Some(Ok(Message::Ping(_))) => timeout(SEND_WITHIN, socket.flush()).await??,
                    Some(Ok(_)) => {}
                }
            }
            Some(outgoing) = said.recv() => {
                if outgoing.artifacts.is_empty() {
                    timeout(SEND_WITHIN, socket.send(Message::Binary(encode(&outgoing.message)?.into()))).await??;
                } else {
                    tokio::spawn(content::hand_in(Arc::clone(dialer), greeting.staging.clone(), outgoing, say.clone()));
                }
            }
            () = tokio::time::sleep_until(heard + SILENT_MAX) => anyhow::bail!("the server is silent"),
        }
    }
}

/// What the server says before a session is open.
async fn heard_first(socket: &mut Socket) -> anyhow::Result<ToAgent> {
    match timeout(WELCOME_WITHIN, socket.next()).await? {
        Some(Ok(Message::Binary(frame))) => Ok(decode(&frame)?),
        Some(Err(e)) => Err(e.into()),
        _ => anyhow::bail!("the server did not answer"),
    }
}
