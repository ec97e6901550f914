//! `cargo xtask torture`, `race`, `durable`, `chaos` and `bench`: build what they need and hand over to the bench crate.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::{ledger, program, workspace};

/// Builds `countermand` and runs the bench binary with `command` and `args`; with `--ledger` among them, what came of it
/// is appended to the ledger, also if it failed.
///
/// `COUNTERMAND_BIN` names the binary under trial. Set by the user it is left alone and nothing is
/// built, so that any build can be tried.
pub(crate) fn run(command: &str, args: &[String]) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let (to_ledger, args) = without(args, "--ledger");
    let mutant = mutant(&args);
    if to_ledger && mutant.is_some() {
        bail!("a run against a mutant is no run of the product: it does not go into the ledger");
    }
    let commit = ledger::commit(&root)?;
    let binary = match std::env::var_os("COUNTERMAND_BIN") {
        Some(given) => PathBuf::from(given),
        None if command == "torture" => build_apart(&root, "crash-points")?,
        None if mutant.is_some() => build_apart(&root, "mutants")?,
        None => build(&root)?,
    };
    let summary = workspace::target_folder(&root).join(format!("summary-{}.json", std::process::id()));
    let mut bench = program::cargo();
    bench
        .args(["run", "--release", "--locked", "--package", "bench", "--", command])
        .args(&args)
        .env("COUNTERMAND_BIN", binary)
        .env("COUNTERMAND_SUMMARY", &summary)
        .current_dir(&root);
    if let Some(mutant) = mutant {
        // The server inherits it; the bench compares it with what it was asked for.
        bench.env("COUNTERMAND_MUTANT", mutant);
    }
    let done = program::run(&mut bench);
    let said = std::fs::read_to_string(&summary);
    // It is there only if the trial came to a result.
    let _ = std::fs::remove_file(&summary);
    match said {
        Ok(said) if to_ledger => {
            let mut entry = ledger::Entry::from_summary(&said)?;
            if std::env::var_os("COUNTERMAND_BIN").is_some() {
                // What it was built from is known to whoever named it.
                entry.remark.push_str("; the binary was given");
            }
            ledger::append(&root, &commit, &entry)?;
        }
        Err(_) if to_ledger && done.is_ok() => bail!("{command} has no place in the ledger"),
        _ => {}
    }
    done
}

/// Whether `flag` is among the arguments, and the others.
fn without(args: &[String], flag: &str) -> (bool, Vec<String>) {
    let others: Vec<String> = args.iter().filter(|arg| *arg != flag).cloned().collect();
    (others.len() < args.len(), others)
}

/// The lie that `--mutant NAME` or `--mutant=NAME` asks for.
fn mutant(args: &[String]) -> Option<&str> {
    let flag = args.iter().position(|arg| arg == "--mutant");
    let after = flag.and_then(|index| args.get(index + 1)).map(String::as_str);
    after.or_else(|| args.iter().find_map(|arg| arg.strip_prefix("--mutant=")))
}

fn build(root: &Path) -> anyhow::Result<PathBuf> {
    program::run(program::cargo().args(BUILD).current_dir(root))?;
    Ok(workspace::target_folder(root).join("release/countermand"))
}

/// In a target folder of its own: a binary that can be told to die, or to lie, must never be found
/// where a shipped one is looked for.
fn build_apart(root: &Path, feature: &str) -> anyhow::Result<PathBuf> {
    let target = workspace::target_folder(root).join(feature);
    program::run(
        program::cargo().args(BUILD).args(["--features", feature, "--target-dir"]).arg(&target).current_dir(root),
    )?;
    Ok(target.join("release/countermand"))
}

const BUILD: [&str; 7] = ["build", "--release", "--locked", "--package", "cli", "--bin", "countermand"];

#[cfg(test)]
mod tests {
    use super::{mutant, without};

    #[test]
    fn a_mutant_is_named_in_either_way() {
        let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(mutant(&args("--actions 5 --mutant ack-while-granted")), Some("ack-while-granted"));
        assert_eq!(mutant(&args("--mutant=ack-while-granted")), Some("ack-while-granted"));
        assert_eq!(mutant(&args("--actions 5")), None);
        assert_eq!(mutant(&args("--mutant")), None);
    }

    #[test]
    fn the_ledger_is_asked_for_here_and_not_by_the_trial() {
        let args = ["--actions", "5", "--ledger"].map(str::to_owned);
        assert_eq!(without(&args, "--ledger"), (true, args[..2].to_vec()));
        assert_eq!(without(&args[..2], "--ledger"), (false, args[..2].to_vec()));
    }
}
