//! What the endpoints that create actions have in common: the machine is looked up before the body is looked at, since
//! clients test their connection with a machine that is none.

use super::answer;
use super::body::BODY_BYTES_MAX;
use super::call::Call;
use super::error::ApiError;
use crate::actions::{COMMENT_BYTES_MAX, NewAction, Wanted};
use axum::http::StatusCode;
use axum::response::Response;
use domain::action::{Request, RequestSource};
use domain::kind::Kind;
use domain::permission::Operation;
use protocol::defender::action::MachineAction;
use protocol::defender::error::Code;
use protocol::defender::request::{Asked, BodyError};

/// The name of the set that actions are in.
pub(super) const ACTIONS: &str = "MachineActions";

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
    let bytes = call.bytes(BODY_BYTES_MAX).await?;
    let (asked, wanted) = read(&bytes)?;
    check_comment(&asked.comment)?;
    let request = Request {
        requestor: call.caller.name.clone(),
        comment: asked.comment,
        source: RequestSource::PublicApi,
        external_id: asked.external_id,
    };
    let new = NewAction { machine: machine.id.to_string(), wanted, request };
    // The body may have been long in coming: the order of requests is that in which they come on record.
    let now = call.state.clock.now();
    let action = actions.request(&call.caller, new, now, call.state.clock.random()).await?;
    let entity = MachineAction::of(&action, Some(&machine.name));
    Ok(answer::entity(done, &call.base_url, ACTIONS, entity))
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
