//! Where everything is played: a fleet in a temporary folder.

use anyhow::{Context as _, bail};
use cli::fleet::{Fleet, FleetConfig};
use cli::stage::Rights;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Names the binary under trial.
const BINARY: &str = "COUNTERMAND_BIN";

/// Names the lie that the server is to tell.
const MUTANT_VARIABLE: &str = "COUNTERMAND_MUTANT";

/// What a fleet is to be like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The machines that will have agents.
    pub(crate) machines: Vec<String>,
    /// Further arguments of the server.
    pub(crate) server_args: Vec<&'static str>,
    /// How many machines one enrolment token admits.
    pub(crate) enrol_uses: u32,
}

/// The binary under trial.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let Some(given) = std::env::var_os(BINARY) else {
        bail!("set {BINARY} to the binary `countermand` to be tried, or run this through `cargo xtask`");
    };
    std::fs::canonicalize(&given).with_context(|| format!("{BINARY} names {}", Path::new(&given).display()))
}

/// Whether the server under trial lies as it should: it reads the variable too.
pub(crate) fn check_mutant(wanted: Option<&str>, command: &str) -> anyhow::Result<()> {
    let set = std::env::var(MUTANT_VARIABLE).ok();
    if set.as_deref() != wanted {
        bail!("--mutant is {wanted:?} and {MUTANT_VARIABLE} is {set:?}; run this through `cargo xtask {command}`");
    }
    Ok(())
}

/// This program, for what scripts are to start.
pub(crate) fn own_program() -> anyhow::Result<String> {
    let path = std::env::current_exe().context("cannot find the running program")?;
    path.into_os_string().into_string().ok().context("this program's path is not text")
}

/// Opens a fleet in a temporary folder, which goes away with the folder's handle.
pub(crate) fn open(wanted: Wanted) -> anyhow::Result<(Fleet, TempDir)> {
    let folder = tempfile::Builder::new().prefix("countermand-bench-").tempdir()?;
    let fleet = Fleet::open(FleetConfig {
        program: binary()?,
        dir: folder.path().to_path_buf(),
        rights: Rights::Root,
        machines: wanted.machines,
        server_args: wanted.server_args.into_iter().map(String::from).collect(),
        enrol_uses: wanted.enrol_uses.max(1),
        relayed: false,
    })?;
    Ok((fleet, folder))
}

/// Ends everything. What remains on this computer is a failure.
pub(crate) fn close(fleet: Fleet, folder: TempDir) -> anyhow::Result<()> {
    let leftovers = fleet.close()?;
    folder.close().context("cannot remove the temporary folder")?;
    match leftovers.is_empty() {
        true => Ok(()),
        false => bail!("the stage did not end clean: {leftovers}"),
    }
}
