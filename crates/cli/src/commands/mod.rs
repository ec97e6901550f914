//! The commands: one file each. The client commands speak the public API only, through [`crate::client`]; `serve`,
//! `agent`, `app`, `audit`, `enrol-token`, `token-key` and `demo` are the other side.

pub mod actions;
pub mod agent;
pub mod app;
pub mod audit;
pub mod connection;
pub mod demo;
pub mod enrol_token;
pub mod isolate;
pub mod library;
pub mod live_response;
pub mod machines;
pub mod outcome;
pub mod release;
pub mod serve;
pub mod token;
pub mod token_key;
pub mod wait;

use crate::client::{Client, ClientError, PAGE_ITEMS_MAX};
use crate::exit::Exit;
use crate::output::{Output, notice};
use connection::Connection;
use protocol::defender::action::MachineAction;

/// Every command that is a client of the API.
#[derive(Debug, clap::Subcommand)]
pub enum ClientCommand {
    /// List machines, or show one
    #[command(subcommand)]
    Machines(machines::MachinesCommand),
    /// List, show, follow and cancel actions
    #[command(subcommand)]
    Actions(actions::ActionsCommand),
    /// Cut a machine from the network
    Isolate(isolate::IsolateArgs),
    /// Lift the isolation of a machine
    Release(release::ReleaseArgs),
    /// Put files on a machine, run scripts there, get files from it
    LiveResponse(live_response::LiveResponseArgs),
    /// Upload, list and delete the scripts and files that live responses use
    #[command(subcommand)]
    Library(library::LibraryCommand),
    /// Print a bearer token, for curl and other programs
    Token(token::TokenArgs),
}

/// Why a command has no result, and how the binary ends for it.
#[derive(Debug)]
pub struct Complaint {
    /// How the binary ends.
    pub exit: Exit,
    /// For people.
    pub text: String,
}

/// How a command ends.
pub type Done = Result<Exit, Complaint>;

impl ClientCommand {
    /// Runs it to its end. Results go to standard output as `connection` has it.
    pub fn run(self, connection: &Connection) -> Done {
        let client = connection.client()?;
        let output = connection.output();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Complaint { exit: Exit::Other, text: format!("cannot start: {error}") })?;
        runtime.block_on(self.dispatch(&client, output))
    }

    async fn dispatch(self, client: &Client, output: Output) -> Done {
        match self {
            Self::Machines(command) => command.run(client, output).await,
            Self::Actions(command) => command.run(client, output).await,
            Self::Isolate(args) => args.run(client, output).await,
            Self::Release(args) => args.run(client, output).await,
            Self::LiveResponse(args) => args.run(client, output).await,
            Self::Library(command) => command.run(client, output).await,
            Self::Token(args) => args.run(client, output).await,
        }
    }
}

impl Complaint {
    /// About the command line or the settings.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into() }
    }

    /// About something on this computer.
    pub fn local(text: impl Into<String>) -> Self {
        Self { exit: Exit::Other, text: text.into() }
    }
}

impl From<ClientError> for Complaint {
    fn from(error: ClientError) -> Self {
        Self { exit: Exit::from(&error), text: error.to_string() }
    }
}

/// The complaint about a request for a new action: says what to look for where it may have arrived.
fn not_created(error: ClientError, machine: &str) -> Complaint {
    let hint = match &error {
        error if error.may_have_arrived() => {
            format!("; it may have arrived all the same, see: countermand actions list --machine {machine}")
        }
        ClientError::Api { code, .. } if code == "ActiveRequestAlreadyExists" => {
            format!("; see: countermand actions list --machine {machine} --status Pending,InProgress")
        }
        _ => String::new(),
    };
    let complaint = Complaint::from(error);
    Complaint { text: complaint.text + &hint, ..complaint }
}

/// The machine of an action, as people call it.
fn machine_words(action: &MachineAction) -> &str {
    action.computer_dns_name.as_deref().unwrap_or(&action.machine_id)
}

/// Says that a list may not be all of it: an absent machine is not taken for one that is not there.
fn say_if_cut(shown: usize, top: u32) {
    if shown >= PAGE_ITEMS_MAX.min(top as usize) {
        notice(&format!("{shown} are shown; there may be more, see --top and the filters."));
    }
}
