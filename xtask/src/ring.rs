//! The ban on `ring`: one TLS provider only, or rustls cannot choose at start.
//!
//! `ring` stands in Cargo.lock as an optional dependency nobody enables, so the lock file proves
//! nothing; `cargo tree` resolves features.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail};

use crate::program;

/// Fails, with the tree that leads to it, if any crate would link `ring`.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let output = program::cargo()
        .args(["tree", "--locked", "--workspace", "--all-features"])
        .args(["-e", "normal,build", "-i", "ring"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo tree")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    verdict(output.status.success(), &stdout, &stderr)
}

fn verdict(success: bool, stdout: &str, stderr: &str) -> anyhow::Result<()> {
    if !stdout.trim().is_empty() {
        bail!(
            "ring is linked again; switch the default features of what brings it off \
             and choose its aws-lc-rs feature:\n{stdout}"
        );
    }
    let absent = success || stderr.contains("did not match any packages");
    if !absent {
        bail!("cargo tree failed, so nobody knows whether ring is linked:\n{stderr}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn a_linked_ring_is_refused() {
        assert!(verdict(true, "ring v0.17.14\n└── rustls v0.23.46\n", "").is_err());
    }

    #[test]
    fn nothing_to_print_and_unknown_package_are_good() {
        assert!(verdict(true, "", "warning: nothing to print.").is_ok());
        assert!(verdict(false, "", "error: package ID specification `ring` did not match any packages").is_ok());
    }

    #[test]
    fn any_other_failure_is_not_taken_for_absence() {
        assert!(verdict(false, "", "error: the lock file needs to be updated").is_err());
    }
}
