//! The project's own commands: `cargo xtask help` lists them.
//!
//! One file per command. This file only parses and calls.

mod bench;
mod check;
mod clients;
mod counted;
mod deny;
mod foreign;
mod fuzz;
mod imports;
mod ledger;
mod program;
mod proof;
mod ring;
mod schemathesis;
mod served;
mod source;
mod test;
mod test_packages;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::bail;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> anyhow::Result<()> {
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", args),
    };
    match command {
        "test" => test::run(rest),
        "check" => check::run(rest),
        "tidy" => tidy::run(rest),
        "imports" => imports::run(rest),
        "deny" => deny::run(rest),
        "proof" => proof::run(rest),
        "fuzz" => fuzz::run(rest),
        "torture" | "race" | "durable" | "chaos" | "bench" => bench::run(command, rest),
        "clients" => clients::run(rest),
        "schemathesis" => schemathesis::run(rest),
        "ledger" => ledger::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no command {other:?}; `cargo xtask help` lists them"),
    }
}

const HELP: &str = "\
cargo xtask COMMAND

  test               everything a change must pass; what CI runs. Needs root (or sudo without a
                     password) because agents are tested against a real kernel.
  check              the part of it that needs no root: format, lints, import rules, tidy
  imports            who may import what
  tidy               file lengths, words, places of things
  deny [--advisories]
                     licences, sources and banned crates; advisories need the network
  proof [ARGS]       every order of events within bounds, 20,000 simulated runs, every call failing
                     once, and every fault that they must find; ARGS go to the proof binary
  fuzz [--seconds N] [--target NAME]... [--keep]
                     hostile bytes at every door, N seconds each (60): `hostile` says what must hold;
                     --keep writes what reached something new into crates/hostile/corpus
  clients            token libraries of Python and Node get tokens from a running server and use them
  schemathesis       a running server is asked for all that its own OpenAPI description says
  torture [ARGS]     kill the agent at every crash point; ARGS go to the bench binary
  race [ARGS]        cancel against grant and finish, with real processes
  durable [ARGS]     kill the server under load; what was acknowledged must be there
  chaos [ARGS]       a server and agents under kills, pauses, partitions, full disks and wrong clocks
  bench [ARGS]       figures, as ratios against limits measured in the same run
  ledger add WHAT HOWMUCH SEEDS FAILURES [REMARK]
                     a line in docs/ledger.md; race, torture, durable and chaos do it with --ledger
  help               this text
";
