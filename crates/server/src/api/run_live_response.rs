//! POST machines/{id}/runliveresponse.

use super::call::Call;
use super::create::create;
use super::error::ApiError;
use crate::actions::{Wanted, WantedCommand};
use axum::response::Response;
use domain::kind::Kind;
use protocol::defender::request::{self, AskedCommand};

/// Runs commands on the machine, in order: 201 with the Pending action.
pub(super) async fn run_live_response(call: &mut Call) -> Result<Response, ApiError> {
    create(call, Kind::LiveResponse, |body| {
        let (asked, commands) = request::live_response(body)?;
        Ok((asked, Wanted::LiveResponse(commands.into_iter().map(wanted).collect())))
    })
    .await
}

fn wanted(asked: AskedCommand) -> WantedCommand {
    match asked {
        AskedCommand::PutFile(name) => WantedCommand::PutFile(name),
        AskedCommand::RunScript(name, args) => WantedCommand::RunScript(name, args),
        AskedCommand::GetFile(path) => WantedCommand::GetFile(path),
    }
}
