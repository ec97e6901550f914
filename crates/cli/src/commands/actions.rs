//! `actions`: list, show, cancel, watch, history.

pub mod cancel;
pub mod watch;

use super::{Done, outcome};
use crate::client::{ActionFilter, Client, Explanation, HistoryLine};
use crate::exit::Exit;
use crate::output::{Output, instant, notice, shortened};
use clap::ValueEnum;
use protocol::defender::action::MachineAction;

/// How many actions `list` shows if nothing else is said.
const TOP_DEFAULT: u32 = 50;
/// So much of a comment is shown in a list, in characters.
const COMMENT_CHARS_MAX: usize = 60;
/// So much of a hash is shown in a table, in characters: enough to compare by eye.
const HASH_CHARS: usize = 12;

/// What to do with actions.
#[derive(Debug, clap::Subcommand)]
pub enum ActionsCommand {
    /// List actions, newest first
    #[command(after_help = "Example:\n  countermand actions list --status Pending,InProgress\n  \
                            countermand actions list --machine web-03 --type Isolate -o jsonl")]
    List(ListArgs),
    /// Show one action: what was asked for, how it stands, what it waits for, what it left behind
    #[command(after_help = "Example:\n  countermand actions show 7b0f0c52-2c0e-4a53-9d0e-5f4f8f1b6a10")]
    Show {
        /// The action's id
        id: String,
    },
    /// Cancel actions, and wait until it is known what became of them
    Cancel(cancel::CancelArgs),
    /// Follow an action until it has ended
    Watch(watch::WatchArgs),
    /// Show what happened to an action, and who says so
    #[command(after_help = "Example:\n  countermand actions history 7b0f0c52-2c0e-4a53-9d0e-5f4f8f1b6a10\n\n\
                            Ends with 1 if the chain of hashes does not hold.")]
    History {
        /// The action's id
        id: String,
    },
}

/// Which actions to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only with these statuses (several with commas)
    #[arg(long, value_enum, value_delimiter = ',', ignore_case = true)]
    status: Vec<Status>,
    /// Only on this machine, by id or name
    #[arg(long)]
    machine: Option<String>,
    /// Only of these types (several with commas)
    #[arg(long = "type", value_enum, value_delimiter = ',', ignore_case = true)]
    kind: Vec<Kind>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = TOP_DEFAULT, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
}

/// The API's statuses, as it spells them.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Status {
    Pending,
    InProgress,
    Succeeded,
    Failed,
    TimeOut,
    Cancelled,
}

/// The API's types, as it spells them. A free word would turn a slip into an empty list, read as "nothing is isolated".
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Kind {
    Isolate,
    Unisolate,
    LiveResponse,
    RunAntiVirusScan,
    RestrictCodeExecution,
    UnrestrictCodeExecution,
    CollectInvestigationPackage,
    StopAndQuarantineFile,
    Offboard,
}

impl ActionsCommand {
    /// Runs it.
    pub async fn run(self, client: &Client, output: Output) -> Done {
        match self {
            Self::List(args) => list(args, client, output).await,
            Self::Show { id } => show(&id, client, output).await,
            Self::Cancel(args) => args.run(client, output).await,
            Self::Watch(args) => args.run(client, output).await,
            Self::History { id } => history(&id, client, output).await,
        }
    }
}

async fn list(args: ListArgs, client: &Client, output: Output) -> Done {
    let machine_id = match &args.machine {
        Some(machine) => Some(client.find_machine(machine).await?.item.id),
        None => None,
    };
    let filter = ActionFilter { statuses: words(&args.status), kinds: words(&args.kind), machine_id };
    let actions = client.actions(&filter, args.top as usize).await?;
    output.list(&actions.json);
    let row = |action: &MachineAction| {
        vec![
            action.id.clone(),
            action.r#type.clone(),
            status_words(action),
            super::machine_words(action).to_string(),
            instant(&action.creation_date_time_utc),
            action.requestor.clone(),
            shortened(&action.requestor_comment, COMMENT_CHARS_MAX),
        ]
    };
    let header = ["ID", "TYPE", "STATUS", "MACHINE", "CREATED (UTC)", "REQUESTOR", "COMMENT"];
    output.table(&header, actions.item.iter().map(row).collect());
    super::say_if_cut(actions.item.len(), args.top);
    Ok(Exit::Ok)
}

async fn show(id: &str, client: &Client, output: Output) -> Done {
    let action = client.action(id).await?;
    output.item(&action.json);
    if output.is_table() {
        let explanation = outcome::explanation(client, id).await;
        output.table(&[], facts(&action.item, explanation.as_ref()));
    }
    Ok(Exit::Ok)
}

async fn history(id: &str, client: &Client, output: Output) -> Done {
    let history = client.history(id).await?;
    output.item(&history.json);
    let row = |line: &HistoryLine| {
        vec![
            line.sequence.to_string(),
            instant(&line.at),
            line.source.clone(),
            line.status.clone().unwrap_or_default(),
            line.hash.chars().take(HASH_CHARS).collect(),
            line.what.clone(),
        ]
    };
    let header = ["SEQUENCE", "AT (UTC)", "SAYS", "STATUS", "HASH", "WHAT"];
    output.table(&header, history.item.lines.iter().map(row).collect());
    match history.item.verified {
        Some(true) => output.line("The chain of hashes holds."),
        Some(false) => {
            notice("The chain of hashes does NOT hold: this history was changed after it was written.");
            return Ok(Exit::Other);
        }
        None => notice("The server does not say whether the chain of hashes holds."),
    }
    Ok(Exit::Ok)
}

/// Everything known of an action, as pairs. What became of it stands first, what it left behind right below.
fn facts(action: &MachineAction, explanation: Option<&Explanation>) -> Vec<Vec<String>> {
    let mut facts: Vec<Vec<String>> = Vec::new();
    let mut pair = |name: &str, value: &str| {
        if !value.is_empty() {
            facts.push(vec![name.into(), value.into()]);
        }
    };
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    let became = outcome::of_watched(action, explanation);
    pair("Id", &action.id);
    if outcome::is_final(action) || action.cancellation_requestor.is_some() {
        pair("Outcome", &became.words);
    }
    for residue in &became.residue {
        pair("Left behind", residue);
    }
    pair("Status", &action.status);
    pair("Waits for", explanation.and_then(|known| known.waiting.as_deref()).unwrap_or_default());
    pair("Type", &action.r#type);
    pair("Scope", &optional(&action.scope));
    pair("Machine", super::machine_words(action));
    pair("Machine id", &action.machine_id);
    let last_seen = explanation.and_then(|known| known.machine_last_seen.as_deref());
    pair("Machine last seen (UTC)", &last_seen.map(instant).unwrap_or_default());
    pair("Requestor", &action.requestor);
    pair("Comment", &action.requestor_comment);
    pair("Source", &action.request_source);
    pair("External id", &optional(&action.external_id));
    pair("Created (UTC)", &instant(&action.creation_date_time_utc));
    pair("Last update (UTC)", &instant(&action.last_update_date_time_utc));
    pair("Cancel requestor", &optional(&action.cancellation_requestor));
    pair("Cancel comment", &optional(&action.cancellation_comment));
    pair("Cancel accepted (UTC)", &action.cancellation_date_time_utc.as_deref().map(instant).unwrap_or_default());
    for state in &action.commands {
        let params: Vec<&str> = state.command.params.iter().map(|param| param.value.as_str()).collect();
        let errors = state.errors.join("; ");
        let words = format!("{}: {} {} {errors}", state.command_status, state.command.r#type, params.join(" "));
        pair(&format!("Command {}", state.index), words.trim_end());
    }
    pair("Details", &optional(&action.troubleshoot_info));
    facts
}

/// The status, and that it is to be stopped where the status alone hides it.
fn status_words(action: &MachineAction) -> String {
    if !outcome::is_final(action) && action.cancellation_requestor.is_some() {
        return format!("{} (stopping)", action.status);
    }
    action.status.clone()
}

/// The API's spelling of these values.
fn words<T: ValueEnum>(values: &[T]) -> Vec<String> {
    values.iter().filter_map(|value| Some(value.to_possible_value()?.get_name().to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_spelled_as_the_api_spells_them() {
        assert_eq!(words(&[Status::InProgress, Status::TimeOut]), ["InProgress", "TimeOut"]);
        assert_eq!(
            words(&[Kind::RunAntiVirusScan, Kind::StopAndQuarantineFile]),
            ["RunAntiVirusScan", "StopAndQuarantineFile"]
        );
    }
}
