//! The agent's own binary, and the shim that it starts again as.

use clap::Parser;
use std::process::ExitCode;

/// The Countermand agent: carries out response actions on this machine, and can truly stop them again.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(flatten)]
    options: agent::options::AgentOptions,
}

fn main() -> ExitCode {
    // First of all, before any thread: the shim makes namespaces.
    if let Some(code) = agent::host::shim::run_if_asked() {
        return code;
    }
    agent::run::log_to_stderr();
    match CommandLine::parse().options.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("countermand-agent: {e:#}");
            ExitCode::FAILURE
        }
    }
}
