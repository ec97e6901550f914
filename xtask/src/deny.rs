//! `cargo xtask deny`: licences, sources and banned crates, by deny.toml.

use anyhow::bail;

use crate::{program, workspace};

/// Advisories need a database that is fetched from the network, so they are asked for by name.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let mut checks = vec!["bans", "licenses", "sources"];
    match args {
        [] => {}
        [flag] if flag == "--advisories" => checks.push("advisories"),
        _ => bail!("usage: cargo xtask deny [--advisories]"),
    }
    let root = workspace::root()?;
    if program::find("cargo-deny").is_none() {
        println!("cargo-deny is not installed; installing it (a few minutes, once)");
        program::run(program::cargo().args(["install", "--locked", "cargo-deny"]).current_dir(&root))?;
    }
    program::run(
        program::cargo()
            .args(["deny", "--workspace", "--all-features", "--locked", "check"])
            .args(checks)
            .current_dir(&root),
    )
}
