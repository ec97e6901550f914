//! The MachineAction entity: all 20 keys always present, in the order the service sends them.

use super::time;
use domain::action::{Action, CancelProof, RequestSource, State, TimedOutWhy};
use domain::command::Command;
use domain::kind::Scope;
use domain::lifecycle::Stage;
use domain::testimony::{StepReport, StepStatus};
use serde::{Deserialize, Serialize};

/// E_ABORT, as recorded on a Cancelled action.
pub const HRESULT_ABORT: i32 = -2_147_467_260;
/// HTTP 408 as an HRESULT, as recorded on TimeOut actions.
pub const HRESULT_TIMEOUT: i32 = -2_145_844_840;
/// E_FAIL: nothing is recorded for Failed, this is the neutral choice.
pub const HRESULT_FAIL: i32 = -2_147_467_259;

/// The entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MachineAction {
    /// GUID.
    pub id: String,
    /// The kind's wire word.
    pub r#type: String,
    /// Always null.
    pub title: Option<String>,
    /// Who asked.
    pub requestor: String,
    /// Why.
    pub requestor_comment: String,
    /// One of six words.
    pub status: String,
    /// 40 hex digits.
    pub machine_id: String,
    /// The machine's name.
    pub computer_dns_name: Option<String>,
    /// When it was requested.
    pub creation_date_time_utc: String,
    /// When it last changed.
    pub last_update_date_time_utc: String,
    /// Who cancelled.
    pub cancellation_requestor: Option<String>,
    /// Why.
    pub cancellation_comment: Option<String>,
    /// When the cancel was accepted.
    pub cancellation_date_time_utc: Option<String>,
    /// A signed HRESULT.
    pub error_h_result: i32,
    /// Full, Selective or Quick.
    pub scope: Option<String>,
    /// The customer's correlation id.
    pub external_id: Option<String>,
    /// PublicApi or Portal.
    pub request_source: String,
    /// Only for a quarantined file.
    pub related_file_info: Option<RelatedFileInfo>,
    /// Only for a live response; otherwise empty, never null.
    pub commands: Vec<CommandState>,
    /// Why it ended as it did, where the status alone does not say; what is left behind.
    pub troubleshoot_info: Option<String>,
}

/// The file an action is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RelatedFileInfo {
    /// Its hash.
    pub file_identifier: String,
    /// Which hash.
    pub file_identifier_type: String,
}

/// A live-response command and how far it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommandState {
    /// From 0.
    pub index: u16,
    /// When it began.
    pub start_time: Option<String>,
    /// When it ended.
    pub end_time: Option<String>,
    /// Created, InProgress, Completed or Failed.
    pub command_status: String,
    /// What went wrong.
    pub errors: Vec<String>,
    /// The command as it was submitted.
    pub command: CommandWords,
}

/// A live-response command as clients write it; lower case inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CommandWords {
    /// PutFile, RunScript or GetFile.
    pub r#type: String,
    /// Its parameters.
    pub params: Vec<Param>,
}

/// A parameter of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Param {
    /// FileName, ScriptName, Args or Path.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl MachineAction {
    /// The entity of an action on a machine of this name.
    pub fn of(action: &Action, machine_name: Option<&str>) -> Self {
        let cancel = action.state.cancel();
        Self {
            id: action.id.to_string(),
            r#type: action.kind().row().wire.into(),
            title: None,
            requestor: action.request.requestor.clone(),
            requestor_comment: action.request.comment.clone(),
            status: status_word(action.stage()).into(),
            machine_id: action.machine.to_string(),
            computer_dns_name: machine_name.map(str::to_string),
            creation_date_time_utc: time::show(action.created_at),
            last_update_date_time_utc: time::show(action.updated_at),
            cancellation_requestor: cancel.map(|cancel| cancel.requestor.clone()),
            cancellation_comment: cancel.map(|cancel| cancel.comment.clone()),
            cancellation_date_time_utc: cancel.map(|cancel| time::show(cancel.at)),
            error_h_result: hresult(action.stage()),
            scope: action.body.scope().map(|scope| scope_word(scope).into()),
            external_id: action.request.external_id.clone(),
            request_source: source_word(action.request.source).into(),
            related_file_info: None,
            commands: commands(action),
            troubleshoot_info: troubleshoot_info(action),
        }
    }
}

/// The wire's word for a stage.
pub fn status_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Pending => "Pending",
        Stage::Granted | Stage::Stopping => "InProgress",
        Stage::Succeeded => "Succeeded",
        Stage::Failed => "Failed",
        Stage::TimedOut => "TimeOut",
        Stage::Cancelled => "Cancelled",
    }
}

/// The wire's word for a scope.
pub fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Full => "Full",
        Scope::Selective => "Selective",
        Scope::Quick => "Quick",
    }
}

/// The wire's word for a door.
pub fn source_word(source: RequestSource) -> &'static str {
    match source {
        RequestSource::PublicApi => "PublicApi",
        RequestSource::Portal => "Portal",
    }
}

/// The HRESULT that goes with a stage.
pub fn hresult(stage: Stage) -> i32 {
    match stage {
        Stage::Pending | Stage::Granted | Stage::Stopping | Stage::Succeeded => 0,
        Stage::Failed => HRESULT_FAIL,
        Stage::TimedOut => HRESULT_TIMEOUT,
        Stage::Cancelled => HRESULT_ABORT,
    }
}

fn commands(action: &Action) -> Vec<CommandState> {
    let reports = action.state.testimony().map_or(&[][..], |testimony| &testimony.steps);
    let state = |(index, command): (usize, &Command)| {
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        let created = StepReport::created(index);
        let report = reports.iter().find(|report| report.index == index).unwrap_or(&created);
        CommandState {
            index,
            start_time: report.started_at.map(time::show),
            end_time: report.ended_at.map(time::show),
            command_status: match report.status {
                StepStatus::Created => "Created",
                StepStatus::InProgress => "InProgress",
                StepStatus::Completed => "Completed",
                StepStatus::Failed => "Failed",
            }
            .into(),
            errors: report.errors.clone(),
            command: words(command),
        }
    };
    action.body.commands().iter().enumerate().map(state).collect()
}

fn words(command: &Command) -> CommandWords {
    let param = |key: &str, value: &str| Param { key: key.into(), value: value.into() };
    let (kind, params) = match command {
        Command::PutFile { file } => ("PutFile", vec![param("FileName", &file.name)]),
        Command::RunScript { script, args } => {
            let mut params = vec![param("ScriptName", &script.name)];
            params.extend(args.iter().map(|args| param("Args", args)));
            ("RunScript", params)
        }
        Command::GetFile { path } => ("GetFile", vec![param("Path", path)]),
    };
    CommandWords { r#type: kind.into(), params }
}

/// What a responder must know and the status does not say: which TimeOut, why it failed, what is left behind.
fn troubleshoot_info(action: &Action) -> Option<String> {
    use domain::testimony::Ending;
    let said = match &action.state {
        State::TimedOut { why: TimedOutWhy::NotStarted, .. } => "NotStarted".to_string(),
        State::TimedOut { why, .. } => format!("OutcomeUnknown:{why:?}"),
        State::Cancelled { proof: CancelProof::NeverGranted, .. } => return None,
        state => match &state.testimony()?.ending {
            Ending::Broke { why } => why.clone(),
            Ending::Finished | Ending::Stopped { .. } => String::new(),
        },
    };
    let residue = action.state.testimony().map(|testimony| testimony.residue.join("; ")).unwrap_or_default();
    match (said.is_empty(), residue.is_empty()) {
        (true, true) => None,
        (false, true) => Some(said),
        (true, false) => Some(format!("left behind: {residue}")),
        (false, false) => Some(format!("{said}; left behind: {residue}")),
    }
}
