//! `cargo xtask torture`, `race` and `bench`: build what they need and hand over to the bench crate.

use std::path::{Path, PathBuf};

use crate::{program, workspace};

/// Builds `countermand` and runs the bench binary with `command` and `args`.
///
/// `COUNTERMAND_BIN` names the binary under trial. Set by the user it is left alone and nothing is
/// built, so that any build can be tried.
pub(crate) fn run(command: &str, args: &[String]) -> anyhow::Result<()> {
    let root = workspace::root()?;
    let binary = match std::env::var_os("COUNTERMAND_BIN") {
        Some(given) => PathBuf::from(given),
        None if command == "torture" => build_with_crash_points(&root)?,
        None => build(&root)?,
    };
    program::run(
        program::cargo()
            .args(["run", "--release", "--locked", "--package", "bench", "--", command])
            .args(args)
            .env("COUNTERMAND_BIN", binary)
            .current_dir(&root),
    )
}

fn build(root: &Path) -> anyhow::Result<PathBuf> {
    program::run(program::cargo().args(BUILD).current_dir(root))?;
    Ok(target_folder(root).join("release/countermand"))
}

/// In a target folder of its own: a binary that can be told to die must never be found where a
/// shipped one is looked for.
fn build_with_crash_points(root: &Path) -> anyhow::Result<PathBuf> {
    let target = target_folder(root).join("crash-points");
    program::run(
        program::cargo()
            .args(BUILD)
            .args(["--features", "crash-points", "--target-dir"])
            .arg(&target)
            .current_dir(root),
    )?;
    Ok(target.join("release/countermand"))
}

fn target_folder(root: &Path) -> PathBuf {
    // A relative CARGO_TARGET_DIR is relative to where cargo runs, which is the root.
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

const BUILD: [&str; 7] = ["build", "--release", "--locked", "--package", "cli", "--bin", "countermand"];
