//! `cargo xtask schemathesis`: a running server is asked for all that its own description says.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use crate::served::Served;
use crate::{foreign, program, workspace};

/// Far above what it takes: this only ends a run that hangs.
const LIMIT: Duration = Duration::from_secs(900);

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    ensure!(args.is_empty(), "usage: cargo xtask schemathesis");
    all(&workspace::root()?)
}

/// At least a hundred requests for each operation, twice: about what is there, and about anything.
pub(crate) fn all(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("conformance/schemathesis");
    let python = foreign::python(root, "schemathesis", &folder.join("requirements.txt"))?;
    // The same to everybody, or most answers would be that there were too many calls.
    let served = Served::start(root, &["--no-limits", "--cancel-wait-ms", "10"])?;
    let mut asking = Command::new(&python);
    asking.arg("-B").arg(folder.join("run.py"));
    served.told_to(&mut asking)?;
    asking.env("COUNTERMAND_ENROL_TOKEN", served.enrol_token(root)?).env("NO_PROXY", "localhost");
    program::run_within(&mut asking, LIMIT).inspect_err(|_| eprintln!("the server's log:\n{}", served.log()))
}
