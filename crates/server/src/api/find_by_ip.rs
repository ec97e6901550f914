//! GET machines/findbyip(ip='{ip}',timestamp={timestamp}).

use super::call::Call;
use super::error::ApiError;
use super::list_machines::answer_with;
use super::query::TOP_MAX;
use crate::actions::{Filter, MachineField, MachineQuery, Value};
use axum::response::Response;
use domain::machine::Machine;
use domain::time::Timestamp;
use protocol::defender::error::Code;
use protocol::defender::time;
use std::net::IpAddr;

/// How far from the given time a machine may have been seen, in seconds: a quarter of an hour, as documented.
const AROUND_SECONDS: i64 = 15 * 60;

/// How old the given time may be, in seconds: thirty days, as documented.
const OLDEST_SECONDS: i64 = 30 * 86_400;

/// Machines that were seen with this address around this time, as far as is known: only the last address of each machine
/// is kept, so one that has another by now is not found. None at all is an empty list.
pub(super) async fn find_by_ip(call: &mut Call) -> Result<Response, ApiError> {
    let ip: Result<IpAddr, _> = call.param(0)?.trim().parse();
    let ip = ip.map_err(|_| ApiError::new(Code::InvalidIpAddress, "The given ip is not an IP address."))?;
    let at = time::parse(call.param(1)?.trim().trim_matches('\''));
    let at = at.ok_or_else(|| ApiError::new(Code::InvalidInput, "The given timestamp is not a time."))?;
    if at < call.now.plus_seconds(-OLDEST_SECONDS) {
        return Err(ApiError::new(Code::InvalidInput, "The given timestamp must be in the past 30 days."));
    }
    let filter = Filter::is(MachineField::LastAddress, Value::Text(ip.to_canonical().to_string()));
    let query = MachineQuery::of(filter, TOP_MAX);
    let mut found = call.state.actions.machines(&call.caller, &query).await?;
    found.retain(|machine| was_there(machine, at));
    Ok(answer_with(call, &found, None))
}

/// Whether the machine was known to us, and heard of, around then. When it was silent in between is not kept.
fn was_there(machine: &Machine, at: Timestamp) -> bool {
    machine.first_seen <= at.plus_seconds(AROUND_SECONDS) && machine.last_seen >= at.plus_seconds(-AROUND_SECONDS)
}
