//! What is too large for a frame: library content to a machine, artifacts from it. A file from a machine is hostile:
//! it is counted while it comes in, kept under its action, step and digest, and never opened here.

use super::{AgentLink, peer};
use crate::actions::{Peer, artifact_file_name, artifact_file_prefix};
use crate::listen::PeerCertificate;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use domain::ids::{ActionId, Digest};
use futures_util::StreamExt as _;
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

/// The largest artifact, in bytes: what an agent collects at most, with room for what does not compress.
pub(super) const ARTIFACT_BYTES_MAX: u64 = 80 << 20;

/// How long an artifact may take to come in.
const ARTIFACT_WITHIN: Duration = Duration::from_secs(600);

/// What is left free of the disk that artifacts and the store share, in bytes: a cancel must always find room.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// What the names of files begin with that are not wholly here yet.
const INCOMING: &str = "incoming-";

/// How long an artifact may make no progress: then its sender is gone, and may begin anew.
const CHUNK_WITHIN: Duration = Duration::from_secs(30);

/// The uploads that are under way.
static UPLOADS: Mutex<BTreeSet<(ActionId, u16)>> = Mutex::new(BTreeSet::new());

/// One at a time puts a file in the place of older ones, or two could remove each other's.
static KEEPING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(super) async fn library(
    State(link): State<AgentLink>,
    Extension(certificate): Extension<PeerCertificate>,
    Path(sha256): Path<String>,
) -> Result<Bytes, StatusCode> {
    let peer @ Peer { machine, .. } = peer::peer(&certificate).ok_or(StatusCode::FORBIDDEN)?;
    let sha256 = Digest::parse(&sha256).ok_or(StatusCode::NOT_FOUND)?;
    let content = link.actions.library_content_for(peer, &sha256).await.map_err(|e| {
        tracing::error!(%machine, error = %e, "library content could not be read");
        StatusCode::SERVICE_UNAVAILABLE
    })?;
    content.map(Bytes::from).ok_or(StatusCode::NOT_FOUND)
}

pub(super) async fn artifact(
    State(link): State<AgentLink>,
    Extension(certificate): Extension<PeerCertificate>,
    Path((action, step)): Path<(String, u16)>,
    body: Body,
) -> Result<StatusCode, StatusCode> {
    let peer @ Peer { machine, .. } = peer::peer(&certificate).ok_or(StatusCode::FORBIDDEN)?;
    let action = ActionId::parse(&action).ok_or(StatusCode::NOT_FOUND)?;
    let unavailable = |e: &dyn std::fmt::Display| {
        tracing::error!(%machine, %action, error = %e, "an artifact could not be kept");
        StatusCode::SERVICE_UNAVAILABLE
    };
    let takes = async || link.actions.takes_artifact(peer, action, step).await.map_err(|e| unavailable(&e));
    if !takes().await? {
        tracing::warn!(%machine, %action, step, "an artifact nobody asked this machine for, or not any more");
        read_away(body).await;
        return Err(StatusCode::NOT_FOUND);
    }
    if free_bytes(&link.artifact_dir).map_err(|e| unavailable(&e))? < FREE_BYTES_MIN {
        tracing::error!(%machine, %action, step, "an artifact is not taken: the disk is almost full");
        return Err(StatusCode::INSUFFICIENT_STORAGE);
    }
    let random: [u8; 8] = link.clock.random();
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let incoming = Incoming(link.artifact_dir.join(format!("{INCOMING}{name}")));
    // No client error, after which an agent would give the artifact up.
    let _upload = Upload::begin(action, step).ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let received = timeout(ARTIFACT_WITHIN, receive(&incoming, body)).await;
    let digest = match received.map_err(|e| unavailable(&e))? {
        Ok(digest) => digest,
        Err(KeepError::TooLarge) => return Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(KeepError::Io(e)) => return Err(unavailable(&e)),
    };
    let _turn = KEEPING.lock().await;
    // It may have ended meanwhile; what its testimony names must not be replaced.
    if !takes().await? {
        return Err(StatusCode::NOT_FOUND);
    }
    let dir = link.artifact_dir.clone();
    let kept = tokio::task::spawn_blocking(move || keep(&dir, &incoming, action, step, &digest));
    kept.await.map_err(|e| unavailable(&e))?.map_err(|e| unavailable(&e))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes what was on its way in when the server last ended.
pub(crate) fn remove_incoming(dir: &FilePath) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(INCOMING) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn free_bytes(dir: &FilePath) -> std::io::Result<u64> {
    let seen = rustix::fs::statvfs(dir)?;
    Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
}

/// Puts a file in its place, durably, and removes what this step handed in before.
fn keep(dir: &FilePath, incoming: &Incoming, action: ActionId, step: u16, digest: &Digest) -> std::io::Result<()> {
    let name = artifact_file_name(action, step, digest);
    std::fs::rename(&incoming.0, dir.join(&name))?;
    // The machine deletes its own copy once this is acknowledged: the name has to survive a power cut.
    std::fs::File::open(dir)?.sync_all()?;
    let prefix = artifact_file_prefix(action, step);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.file_name();
        if found.to_string_lossy().starts_with(&prefix) && found != *name {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A client that still writes would not see the answer, and try again.
async fn read_away(body: Body) {
    let read = async {
        let (mut chunks, mut length) = (body.into_data_stream(), 0u64);
        while let Some(Ok(chunk)) = chunks.next().await {
            length += chunk.len() as u64;
            if length > ARTIFACT_BYTES_MAX {
                return;
            }
        }
    };
    // Too slow: then the connection is closed, which is what there is left to do.
    let _ = timeout(ARTIFACT_WITHIN, read).await;
}

/// An upload under way: the only one of its step, so that a machine fills no disk with halves.
struct Upload(ActionId, u16);

impl Upload {
    /// None while there is another one of this step.
    fn begin(action: ActionId, step: u16) -> Option<Self> {
        // The set is whole after every statement here.
        let new = UPLOADS.lock().unwrap_or_else(PoisonError::into_inner).insert((action, step));
        new.then(|| Self(action, step))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        UPLOADS.lock().unwrap_or_else(PoisonError::into_inner).remove(&(self.0, self.1));
    }
}

/// A file on its way in; removed unless it was renamed.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        // Gone already when it was renamed, which is the usual case.
        let _ = std::fs::remove_file(&self.0);
    }
}

enum KeepError {
    TooLarge,
    Io(std::io::Error),
}

impl From<std::io::Error> for KeepError {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

async fn receive(incoming: &Incoming, body: Body) -> Result<Digest, KeepError> {
    let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&incoming.0).await?;
    let (mut hash, mut length) = (sha2::Sha256::new(), 0u64);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = timeout(CHUNK_WITHIN, chunks.next()).await.map_err(std::io::Error::from)? {
        let chunk = chunk.map_err(std::io::Error::other)?;
        length += chunk.len() as u64;
        if length > ARTIFACT_BYTES_MAX {
            return Err(KeepError::TooLarge);
        }
        hash.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    file.sync_all().await?;
    Ok(Digest(hash.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_keeps_one_file_and_what_was_incoming_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (action, other) = (ActionId::from_parts(1, [1; 10]), ActionId::from_parts(1, [2; 10]));
        let put = |action, step, content: &[u8]| {
            let incoming = Incoming(dir.path().join(format!("{INCOMING}x")));
            std::fs::write(&incoming.0, content).unwrap();
            keep(dir.path(), &incoming, action, step, &Digest::of(content)).unwrap();
            artifact_file_name(action, step, &Digest::of(content))
        };
        put(action, 1, b"older");
        let mut expected = vec![
            put(action, 1, b"newer"),
            put(action, 1, b"newer"),
            put(action, 11, b"older"),
            put(other, 1, b"older"),
        ];
        std::fs::write(dir.path().join("incoming-1f"), b"half").unwrap();
        remove_incoming(dir.path()).unwrap();
        let names =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        expected.sort();
        expected.dedup();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_step_is_handed_in_once_at_a_time() {
        let action = ActionId::from_parts(2, [3; 10]);
        let first = Upload::begin(action, 0).unwrap();
        assert!(Upload::begin(action, 0).is_none());
        assert!(Upload::begin(action, 1).is_some());
        drop(first);
        assert!(Upload::begin(action, 0).is_some());
    }
}
