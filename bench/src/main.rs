//! Races, torture and figures against real processes: servers and agents of the binary that `COUNTERMAND_BIN` names, on
//! a stage of their own, so that nothing of this machine is touched and nothing is left behind.
//!
//! One folder per command. Everything random follows from a seed, which is printed.

mod chaos;
mod dice;
mod durable;
mod figures;
mod marks;
mod playground;
mod quick;
mod race;
mod summary;
mod torture;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Races, torture and figures against real processes.
#[derive(Parser, Debug)]
#[command(name = "bench")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Torture(torture::Torture),
    Race(race::Race),
    Durable(durable::Durable),
    Chaos(chaos::Chaos),
    Bench(quick::Bench),
    Mark(marks::Mark),
    Proxy(chaos::Proxy),
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Torture(torture) => torture.run(),
        Command::Race(race) => race.run(),
        Command::Durable(durable) => durable.run(),
        Command::Chaos(chaos) => chaos.run(),
        Command::Bench(bench) => bench.run(),
        Command::Mark(mark) => mark.run(),
        Command::Proxy(proxy) => proxy.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
