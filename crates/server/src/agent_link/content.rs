//! What is too large for a frame: library content to a machine, artifacts from it. A file from a machine is hostile:
//! it is counted while it comes in, kept under its digest, and never opened here.

use super::{AgentLink, peer};
use crate::actions::Peer;
use crate::listen::PeerCertificate;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use domain::ids::{ActionId, Digest};
use futures_util::StreamExt as _;
use sha2::Digest as _;
use std::path::PathBuf;
use tokio::io::AsyncWriteExt as _;

/// The largest artifact, in bytes: what an agent collects at most, with room for what does not compress.
pub(super) const ARTIFACT_BYTES_MAX: u64 = 80 << 20;

pub(super) async fn library(
    State(link): State<AgentLink>,
    Extension(certificate): Extension<PeerCertificate>,
    Path(sha256): Path<String>,
) -> Result<Bytes, StatusCode> {
    let Peer { machine, .. } = peer::peer(&certificate).ok_or(StatusCode::FORBIDDEN)?;
    let sha256 = Digest::parse(&sha256).ok_or(StatusCode::NOT_FOUND)?;
    let content = link.actions.library_content_for(machine, &sha256).await.map_err(|e| {
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
    let Peer { machine, .. } = peer::peer(&certificate).ok_or(StatusCode::FORBIDDEN)?;
    let action = ActionId::parse(&action).ok_or(StatusCode::NOT_FOUND)?;
    let unavailable = |e: &dyn std::fmt::Display| {
        tracing::error!(%machine, %action, error = %e, "an artifact could not be kept");
        StatusCode::SERVICE_UNAVAILABLE
    };
    let takes = link.actions.takes_artifact(machine, action, step).await.map_err(|e| unavailable(&e))?;
    if !takes {
        tracing::warn!(%machine, %action, step, "an artifact nobody asked this machine for");
        return Err(StatusCode::NOT_FOUND);
    }
    let random: [u8; 8] = link.clock.random();
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let incoming = Incoming(link.artifact_dir.join(format!("incoming-{name}")));
    let digest = match keep(&incoming, body).await {
        Ok(digest) => digest,
        Err(KeepError::TooLarge) => return Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(KeepError::Io(e)) => return Err(unavailable(&e)),
    };
    let kept = link.artifact_dir.join(digest.to_string());
    tokio::fs::rename(&incoming.0, kept).await.map_err(|e| unavailable(&e))?;
    Ok(StatusCode::NO_CONTENT)
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

async fn keep(incoming: &Incoming, body: Body) -> Result<Digest, KeepError> {
    let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&incoming.0).await?;
    let (mut hash, mut length) = (sha2::Sha256::new(), 0u64);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
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
