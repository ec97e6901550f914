//! What is too large for a frame: library content from the server, artifacts to it.

use super::Dialer;
use crate::crew::Content;
use crate::worker::Outgoing;
use anyhow::{Context as _, ensure};
use domain::ids::{ActionId, Digest};
use protocol::agent::{ARTIFACT_PATH, LIBRARY_PATH, ToServer};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

/// The largest library file that is accepted, in bytes.
const LIBRARY_BYTES_MAX: usize = 64 << 20;

/// How long one transfer may take.
const TRANSFER_LIMIT: Duration = Duration::from_secs(300);

/// The pause before a transfer is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// How often a fetch looks whether it is still wanted.
const WANTED_EVERY: Duration = Duration::from_millis(50);

/// Fetches library content over the dialer's connections.
pub struct Library {
    /// Gets to the server.
    pub dialer: Arc<Dialer>,
    /// Where its futures run.
    pub runtime: Handle,
}

impl Content for Library {
    fn fetch(&self, sha256: &Digest, to: &Path, limit: Duration, stopped: &dyn Fn() -> bool) -> Result<(), String> {
        let deadline = std::time::Duration::min(limit, TRANSFER_LIMIT);
        let fetching = self.runtime.spawn(fetch_until(Arc::clone(&self.dialer), *sha256, deadline));
        let fetched = self.runtime.block_on(async {
            let abort = fetching.abort_handle();
            tokio::pin!(fetching);
            loop {
                tokio::select! {
                    fetched = &mut fetching => return fetched.map_err(|e| e.to_string())?.map_err(|e| format!("{e:#}")),
                    () = tokio::time::sleep(WANTED_EVERY) => if stopped() {
                        abort.abort();
                        return Err("stopped before its library content was there".to_string());
                    },
                }
            }
        })?;
        std::fs::write(to, fetched).map_err(|e| format!("cannot keep library content: {e}"))
    }
}

async fn fetch_until(dialer: Arc<Dialer>, sha256: Digest, limit: Duration) -> anyhow::Result<Vec<u8>> {
    let deadline = Instant::now() + limit;
    loop {
        match tokio::time::timeout_at(deadline, fetch(&dialer, &sha256)).await {
            Ok(Ok(content)) => return Ok(content),
            Ok(Err(e)) if Instant::now() + AGAIN >= deadline || is_final(&e) => return Err(e),
            Ok(Err(e)) => tracing::warn!(error = format!("{e:#}"), "library content: trying again"),
            Err(_) => anyhow::bail!("library content did not come in time"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn fetch(dialer: &Dialer, sha256: &Digest) -> anyhow::Result<Vec<u8>> {
    let url = dialer.url(&format!("{LIBRARY_PATH}/{sha256}"));
    let mut response = dialer.http().get(&url).send().await?.error_for_status()?;
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        ensure!(content.len() + chunk.len() <= LIBRARY_BYTES_MAX, "library content is too large");
        content.extend_from_slice(&chunk);
    }
    // The bytes that will run are the bytes that were authorised.
    ensure!(Digest::of(&content) == *sha256, "library content is not what the grant names");
    Ok(content)
}

/// The server has no such content for us: asking again does not help.
fn is_final(e: &anyhow::Error) -> bool {
    let status = e.downcast_ref::<reqwest::Error>().and_then(reqwest::Error::status);
    status.is_some_and(|status| status.is_client_error())
}

/// What was handed in, and is being handed in, for each action: one transfer at a time, and none twice, however often
/// the end of the action is said in however many sessions.
#[derive(Default)]
pub(super) struct HandIns(Mutex<HashMap<ActionId, Arc<tokio::sync::Mutex<BTreeSet<u16>>>>>);

impl HandIns {
    fn of(&self, action: ActionId) -> Arc<tokio::sync::Mutex<BTreeSet<u16>>> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(action).or_default())
    }

    /// The server keeps the testimony: nothing more will be handed in.
    pub(super) fn done(&self, action: ActionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&action);
    }
}

/// Hands in the artifacts, then says what they belong to. Given up when the session ends; the next one says it again,
/// and goes on where this one came to.
pub(super) async fn hand_in(dialer: Arc<Dialer>, staging: PathBuf, outgoing: Outgoing, say: UnboundedSender<Outgoing>) {
    let ToServer::Final { action, .. } = &outgoing.message else { return };
    let hand_ins = dialer.hand_ins().of(*action);
    // Somebody is at it already in this session, and will say it.
    let mut handed_in = match hand_ins.try_lock() {
        Ok(handed_in) => handed_in,
        Err(_) => return,
    };
    let give_up_at = outgoing.waits_at_most.map(|limit| Instant::now() + limit);
    for step in &outgoing.artifacts {
        if handed_in.contains(step) {
            continue;
        }
        let path = staging.join(action.to_string()).join(format!("artifact-{step}"));
        while let Err(e) = put_until(give_up_at, put(&dialer, *action, *step, &path)).await {
            if say.is_closed() {
                return;
            }
            let in_vain = give_up_at.is_some_and(|at| Instant::now() + AGAIN >= at);
            if is_final(&e) || is_missing(&e) || in_vain {
                tracing::error!(%action, step, error = format!("{e:#}"), "an artifact is lost; its action's end is not");
                break;
            }
            tracing::warn!(%action, step, error = format!("{e:#}"), "an artifact: trying again");
            tokio::time::sleep(AGAIN).await;
        }
        handed_in.insert(*step);
    }
    // Closed means that the session is gone, and with it the wish to say anything in it.
    let _ = say.send(Outgoing::plain(outgoing.message));
}

/// The file is not there: no later try will find it.
fn is_missing(e: &anyhow::Error) -> bool {
    e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

async fn put_until(at: Option<Instant>, put: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    match at {
        None => put.await,
        Some(at) => tokio::time::timeout_at(at, put).await.context("it takes longer than its action's end may wait")?,
    }
}

async fn put(dialer: &Dialer, action: ActionId, step: u16, path: &Path) -> anyhow::Result<()> {
    let file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let stream = tokio_util::io::ReaderStream::new(file);
    let url = dialer.url(&format!("{ARTIFACT_PATH}/{action}/{step}"));
    let request = dialer.http().put(&url).header("content-length", length).timeout(TRANSFER_LIMIT);
    request.body(reqwest::Body::wrap_stream(stream)).send().await?.error_for_status().context("handing in")?;
    Ok(())
}
