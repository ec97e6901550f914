//! The binary `countermand`: reads the command line and hands over.

use clap::{Parser, Subcommand};
use cli::commands::ClientCommand;
use cli::commands::connection::Connection;
use cli::exit::{EXIT_CODES, Exit};
use cli::output::notice;
use std::process::ExitCode;

/// Launch response actions on machines, and take them back
#[derive(Debug, Parser)]
#[command(name = "countermand", version, after_help = EXIT_CODES, max_term_width = 120)]
struct CommandLine {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Client(ClientCommand),
    #[command(flatten)]
    Serving(Serving),
}

/// What is run on the server's own machine, on a managed one, or to try things out.
#[derive(Debug, Subcommand)]
enum Serving {
    Serve(cli::commands::serve::Serve),
    Agent(cli::commands::agent::Agent),
    App(cli::commands::app::App),
    Audit(cli::commands::audit::AuditArgs),
    EnrolToken(cli::commands::enrol_token::EnrolTokenCommand),
    TokenKey(cli::commands::token_key::TokenKeyArgs),
    Demo(cli::commands::demo::Demo),
}

impl Serving {
    fn run(self) -> anyhow::Result<()> {
        let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
        match self {
            Self::Serve(serve) => {
                agent::run::log_to_stderr();
                runtime()?.block_on(serve.run())
            }
            Self::Agent(options) => {
                agent::run::log_to_stderr();
                options.run()
            }
            Self::App(app) => runtime()?.block_on(app.run()),
            Self::Audit(args) => runtime()?.block_on(args.run()),
            Self::EnrolToken(command) => runtime()?.block_on(command.run()),
            Self::TokenKey(args) => runtime()?.block_on(args.run()),
            Self::Demo(demo) => runtime()?.block_on(demo.run()),
        }
    }
}

fn main() -> ExitCode {
    // The stage's own processes are this program under hidden arguments; before anything that starts a thread.
    if let Some(code) = cli::stage::hidden_main(std::env::args_os()) {
        return code;
    }
    if let Some(code) = agent::host::shim::run_if_asked() {
        return code;
    }
    let line = CommandLine::parse();
    match line.command {
        Command::Client(command) => ended(command.run(&line.connection)),
        Command::Serving(serving) => match serving.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                notice(&format!("countermand: {e:#}"));
                Exit::Other.into()
            }
        },
    }
}

fn ended(done: cli::commands::Done) -> ExitCode {
    let exit: Exit = done.unwrap_or_else(|complaint| {
        notice(&format!("countermand: {}", complaint.text));
        complaint.exit
    });
    exit.into()
}
