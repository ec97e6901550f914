//! POST machines/{id}/StopAndQuarantineFile.

use super::call::Call;
use super::create::create;
use super::error::ApiError;
use crate::actions::Wanted;
use axum::response::Response;
use domain::kind::Kind;
use protocol::defender::request;

/// Stops a file's processes and puts it out of reach: 201 with the Pending action.
pub(super) async fn quarantine_file(call: &mut Call) -> Result<Response, ApiError> {
    let read = |body: &[u8]| request::quarantine(body).map(|(asked, file)| (asked, Wanted::QuarantineFile(file)));
    create(call, Kind::QuarantineFile, read).await
}
