//! GET downloads/{action}/{step}: what a command produced, for whoever shows a link we signed.
//!
//! The content comes from a machine and is hostile: it is always a file to save, never a page to show.

use super::call::Call;
use super::encoding;
use super::error::ApiError;
use crate::actions::artifact_file_name;
use crate::links::{LINK_SECONDS, Link};
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Response;
use domain::action::Action;
use domain::audit::CallerKind;
use domain::ids::{ActionId, Digest};
use protocol::defender::error::Code;
use std::path::PathBuf;
use tokio_util::io::ReaderStream;

/// Where downloads lie.
pub(super) const PATH: &str = "/api/downloads/{action}/{step}";

/// The longest file name that is offered, in characters.
const FILE_NAME_CHARS_MAX: usize = 200;

/// Sends the file.
pub(super) async fn download(call: &mut Call) -> Result<Response, ApiError> {
    let refused = || ApiError::new(Code::Forbidden, "The link is not valid or has expired.");
    let (link, signature) = link_of(call).ok_or_else(refused)?;
    if !call.state.links.is_good(&link, &signature, call.now) {
        return Err(refused());
    }
    let artifact = call.state.actions.artifact(link.action, link.step).await?;
    let artifact = artifact.filter(|artifact| artifact.sha256 == link.sha256);
    let gone = || ApiError::new(Code::ResourceNotFound, "The file was not found");
    let artifact = artifact.ok_or_else(gone)?;
    let file = tokio::fs::File::open(path_of(call, link.action, link.step, &link.sha256))
        .await
        .map_err(|e| gone().because(e))?;
    // The log first: nothing is handed out of which it does not tell.
    let entry = call.caller.origin.entry(call.now, CallerKind::Link, "").action(link.action).object(link.step);
    call.state.actions.told(entry.content(link.sha256)).await?;
    let length = file.metadata().await.map_err(ApiError::internal)?.len();
    let mut response = Response::new(Body::from_stream(ReaderStream::new(file)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_DISPOSITION, disposition(&artifact.file_name)?);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// A link to what a step of an action produced, good for a while without a token; none if it produced nothing, or if that
/// is not on disk any more.
pub(super) async fn link(call: &Call, action: &Action, step: u16) -> Result<Option<String>, ApiError> {
    let (machine, action) = (action.machine, action.id);
    let Some(artifact) = call.state.actions.artifact(action, step).await? else { return Ok(None) };
    let kept = tokio::fs::try_exists(path_of(call, action, step, &artifact.sha256)).await;
    if !kept.map_err(ApiError::internal)? {
        tracing::warn!(%action, step, "the artifact is not on disk");
        return Ok(None);
    }
    let link = Link { action, step, sha256: artifact.sha256, expires: call.now.as_seconds() + LINK_SECONDS };
    // Whoever follows the link is nobody in particular: who asked for it is known now only.
    let entry = call.caller.entry(call.now).machine(machine).action(action).object(step);
    call.state.actions.told(entry.content(artifact.sha256)).await?;
    Ok(Some(url(call, &link)))
}

/// The URL of a link, by the way this caller reached us.
fn url(call: &Call, link: &Link) -> String {
    let path = PATH.replace("{action}", &link.action.to_string()).replace("{step}", &link.step.to_string());
    let signature = call.state.links.sign(link);
    format!("{}{path}?sha256={}&expires={}&signature={signature}", call.base_url, link.sha256, link.expires)
}

/// Where an artifact lies. Nothing a machine says becomes a path.
fn path_of(call: &Call, action: ActionId, step: u16, sha256: &Digest) -> PathBuf {
    call.state.config.data.artifact_dir().join(artifact_file_name(action, step, sha256))
}

fn link_of(call: &Call) -> Option<(Link, String)> {
    let link = Link {
        action: ActionId::parse(call.params.first()?)?,
        step: call.params.get(1)?.parse().ok()?,
        sha256: Digest::parse(call.query("sha256")?)?,
        expires: call.query("expires")?.parse().ok()?,
    };
    Some((link, call.query("signature")?.to_string()))
}

/// Without quotes and percent-encoded: what a client reads with a regular expression, and cannot be led astray by.
fn disposition(file_name: &str) -> Result<HeaderValue, ApiError> {
    let shortened: String = file_name.chars().take(FILE_NAME_CHARS_MAX).collect();
    let name = encoding::encode(&shortened);
    let name = if name.trim_matches('.').is_empty() { "result" } else { &name };
    HeaderValue::from_str(&format!("attachment; filename={name}")).map_err(ApiError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_from_a_machine_cannot_leave_its_header() {
        let shown = |name: &str| disposition(name).unwrap().to_str().unwrap().to_string();
        assert_eq!(shown("hosts.gz"), "attachment; filename=hosts.gz");
        assert_eq!(shown("a b\r\nX: y\"/../é"), "attachment; filename=a%20b%0D%0AX%3A%20y%22%2F..%2F%C3%A9");
        assert_eq!(shown(".."), "attachment; filename=result");
        assert_eq!(shown(""), "attachment; filename=result");
        assert!(shown(&"x".repeat(10_000)).len() < 300);
    }
}
