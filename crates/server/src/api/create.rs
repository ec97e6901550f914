//! What the endpoints that create actions have in common: the machine is looked up before the body is looked at, since
//! clients test their connection with a machine that is none.

use super::answer;
use super::body::BODY_BYTES_MAX;
use super::call::Call;
use super::error::ApiError;
use crate::actions::{COMMENT_BYTES_MAX, NewAction, RequestKey, Requested, Wanted};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use domain::action::{Request, RequestSource};
use domain::ids::{Digest, MachineId};
use domain::kind::Kind;
use domain::permission::Operation;
use protocol::defender::action::MachineAction;
use protocol::defender::error::Code;
use protocol::defender::request::{Asked, BodyError};

/// The name of the set that actions are in.
pub(super) const ACTIONS: &str = "MachineActions";

/// The header with a caller's own name for a request: the same within a day is not done again. Ours; Defender has none.
const KEY: &str = "idempotency-key";

/// Says whether the answer is about an action that was requested before, where a key was given.
const REPLAYED: &str = "idempotent-replayed";

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Requests an action of `kind` on the machine in the path; `read` understands the body.
///
/// # Errors
/// No such machine, a body that is not understood, a machine that cannot do it, an action of the same kind in progress.
pub(super) async fn create(
    call: &mut Call,
    kind: Kind,
    read: impl FnOnce(&[u8]) -> Result<(Asked, Wanted), BodyError> + Send,
) -> Result<Response, ApiError> {
    create_with(StatusCode::CREATED, call, kind, read).await
}

/// The same, with this status where it is done.
///
/// # Errors
/// Those of [`create`].
pub(super) async fn create_with(
    done: StatusCode,
    call: &mut Call,
    kind: Kind,
    read: impl FnOnce(&[u8]) -> Result<(Asked, Wanted), BodyError> + Send,
) -> Result<Response, ApiError> {
    let actions = call.state.actions.clone();
    let machine = actions.machine_for(&call.caller, Operation::Request(kind), call.param(0)?).await?;
    let key = key(call)?;
    let bytes = call.bytes(BODY_BYTES_MAX).await?;
    let (asked, wanted) = read(&bytes)?;
    check_comment(&asked.comment)?;
    let request = Request {
        requestor: call.caller.name.clone(),
        comment: asked.comment,
        source: RequestSource::PublicApi,
        external_id: asked.external_id,
    };
    let key = key.map(|key| RequestKey { key, request: digest(call, machine.id, &bytes) });
    let is_keyed = key.is_some();
    let new = NewAction { machine: machine.id.to_string(), wanted, request, key };
    // The body may have been long in coming: the order of requests is that in which they come on record.
    let now = call.state.clock.now();
    let requested = actions.request(&call.caller, new, now, call.state.clock.random()).await?;
    let is_repeated = matches!(requested, Requested::Before(_));
    let entity = MachineAction::of(&requested.action(), Some(&machine.name));
    let mut answer = answer::entity(done, &call.base_url, ACTIONS, entity);
    if is_keyed {
        let word = HeaderValue::from_static(if is_repeated { "true" } else { "false" });
        answer.headers_mut().insert(HeaderName::from_static(REPLAYED), word);
    }
    Ok(answer)
}

/// The caller's own name for the request, if it gave one.
///
/// # Errors
/// More than one, none in it, one that is too long, or one that is not plain text.
fn key(call: &Call) -> Result<Option<String>, ApiError> {
    let mut given = call.headers.get_all(KEY).iter();
    let Some(key) = given.next() else { return Ok(None) };
    let plain = key.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    match (plain, given.next()) {
        (Some(key), None) => Ok(Some(key.to_string())),
        _ => {
            let message = format!("Idempotency-Key must be given once, with 1 to {KEY_BYTES_MAX} ASCII characters.");
            Err(ApiError::new(Code::InvalidInput, message))
        }
    }
}

/// What makes a request the same: where it goes, and every byte of its body.
fn digest(call: &Call, machine: MachineId, body: &[u8]) -> Digest {
    let mut bytes = call.caller.origin.operation.clone().into_bytes();
    bytes.push(0);
    bytes.extend_from_slice(&machine.0);
    bytes.extend_from_slice(body);
    Digest::of(&bytes)
}

/// Refuses a comment that is too long to keep.
///
/// # Errors
/// It is longer than [`COMMENT_BYTES_MAX`].
pub(super) fn check_comment(comment: &str) -> Result<(), ApiError> {
    if comment.len() <= COMMENT_BYTES_MAX {
        return Ok(());
    }
    Err(ApiError::new(Code::InvalidInput, format!("Comment is longer than {COMMENT_BYTES_MAX} bytes.")))
}
