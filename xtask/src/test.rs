//! `cargo xtask test`: the one test command.
//!
//! The first step that fails stops it. Nothing is skipped for want of a tool or of rights: what
//! is missing is installed or named.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{bail, ensure};

use crate::check::{self, step};
use crate::{counted, program, test_packages, workspace};

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    ensure!(args.is_empty(), "usage: cargo xtask test");
    let root = workspace::root()?;
    step("packages and rights", || {
        test_packages::install_missing()?;
        runner().map(drop)
    })?;
    check::all(&root)?;
    let mut counts = String::new();
    step("tests", || {
        counts = tests(&root)?;
        Ok(())
    })?;
    step("documentation tests", || doc_tests(&root))?;
    step("demo", || demo(&root))?;
    // Last, so that the counts are what a reader of the output's end sees.
    println!("{counts}");
    Ok(())
}

/// Agents change a kernel's firewall and processes, so tests run as root: directly, or through
/// sudo by cargo's runner setting, which nextest obeys too.
fn runner() -> anyhow::Result<Option<&'static str>> {
    if program::is_root()? {
        Ok(None)
    } else if program::sudo_works() {
        Ok(Some("sudo -n -E"))
    } else {
        bail!(
            "the tests change real network and PID namespaces and need root: run as root, \
             or allow sudo without a password. `cargo xtask check` needs neither"
        )
    }
}

fn tests(root: &Path) -> anyhow::Result<String> {
    let mut command = program::cargo();
    if program::find("cargo-nextest").is_some() {
        command.args(["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]);
    } else {
        // No documentation tests here: they have a step of their own.
        command.args(["test", "--locked", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    as_root(&mut command)?;
    counted::run(command.current_dir(root))
}

/// nextest does not run documentation tests, and rustdoc over a crate without any costs seconds.
fn doc_tests(root: &Path) -> anyhow::Result<()> {
    let files = workspace::text_files(root)?;
    for member in workspace::members(root)? {
        let sources = format!("{}/src/", member.folder);
        let has_library = files.iter().any(|file| file.path == format!("{sources}lib.rs"));
        let has_doc_tests = files
            .iter()
            .filter(|file| file.path.starts_with(&sources) && file.path.ends_with(".rs"))
            .any(|file| file.text.lines().any(opens_doc_test));
        if has_library && has_doc_tests {
            let mut command = program::cargo();
            command.args(["test", "--locked", "--doc", "--package", &member.name]);
            as_root(&mut command)?;
            program::run(command.current_dir(root))?;
        }
    }
    Ok(())
}

fn opens_doc_test(line: &str) -> bool {
    let line = line.trim_start();
    let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
    comment.is_some_and(|text| text.trim_start().starts_with("```"))
}

/// The end-to-end check: server, agents and client as a user first meets them. Built with the workspace, as the tests
/// were: alone it would be built anew, with every dependency, for another choice of their features.
fn demo(root: &Path) -> anyhow::Result<()> {
    let build = ["build", "--locked", "--workspace", "--bin", "countermand"];
    program::run(program::cargo().args(build).current_dir(root))?;
    let binary = workspace::target_folder(root).join("debug/countermand");
    program::run_within(Command::new(binary).arg("demo").current_dir(root), DEMO_LIMIT)
}

fn as_root(command: &mut Command) -> anyhow::Result<()> {
    if let Some(runner) = runner()? {
        let target = format!("{}_UNKNOWN_LINUX_GNU", std::env::consts::ARCH.to_uppercase());
        command.env(format!("CARGO_TARGET_{target}_RUNNER"), runner);
    }
    Ok(())
}

/// Far above what it takes: this only ends a demo that hangs.
const DEMO_LIMIT: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::opens_doc_test;

    #[test]
    fn doc_tests_are_seen_in_both_kinds_of_doc_comment() {
        assert!(opens_doc_test("    /// ```"));
        assert!(opens_doc_test("//! ```no_run"));
        assert!(!opens_doc_test("// ```"));
        assert!(!opens_doc_test("let fence = \"```\";"));
    }
}
