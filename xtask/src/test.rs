//! `cargo xtask test`: the one test command.
//!
//! The first step that fails stops it. Nothing is skipped for want of a tool or of rights: what
//! is missing is installed or named.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{bail, ensure};

use crate::check::{self, step};
use crate::{clients, counted, program, proof, schemathesis, test_packages, workspace};

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
    step("clients", || clients::all(&root))?;
    step("schemathesis", || schemathesis::all(&root))?;
    // Chaos waits more than it works, so the proof is built and run beside it.
    let chaos = chaos(&root)?;
    step("proof", || proof::prove(&root, &[]))?;
    step("chaos", || chaos.finish(CHAOS_LIMIT))?;
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

/// nextest does not run documentation tests. All of them at once, with the features that the other tests were built
/// with: crate by crate every dependency would be built anew.
fn doc_tests(root: &Path) -> anyhow::Result<()> {
    let files = workspace::text_files(root)?;
    if !files.iter().any(|file| file.path.ends_with(".rs") && has_doc_test(&file.text)) {
        println!("    there are none");
        return Ok(());
    }
    let mut command = program::cargo();
    command.args(["test", "--locked", "--doc", "--workspace"]);
    as_root(&mut command)?;
    program::run(command.current_dir(root))
}

/// Whether a doc comment holds a fence that rustdoc would run.
fn has_doc_test(text: &str) -> bool {
    let mut inside = false;
    let fences = text.lines().filter_map(|line| {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
        comment.trim_start().strip_prefix("```")
    });
    for language in fences {
        inside = !inside;
        let words = ["rust", "no_run", "should_panic", "compile_fail", "ignore"];
        if inside && (language.is_empty() || words.iter().any(|word| language.starts_with(word))) {
            return true;
        }
    }
    false
}

/// The end-to-end check: server, agents and client as a user first meets them. Built with the workspace, as the tests
/// were: alone it would be built anew, with every dependency, for another choice of their features.
fn demo(root: &Path) -> anyhow::Result<()> {
    let build = ["build", "--locked", "--workspace", "--bin", "countermand"];
    program::run(program::cargo().args(build).current_dir(root))?;
    let binary = workspace::target_folder(root).join("debug/countermand");
    program::run_within(Command::new(binary).arg("demo").current_dir(root), DEMO_LIMIT)
}

/// Real processes under faults, for as long as a change may take; `cargo xtask chaos` runs it for longer.
fn chaos(root: &Path) -> anyhow::Result<program::Beside> {
    let build = ["build", "--locked", "--workspace", "--bin", "countermand", "--bin", "bench"];
    program::run(program::cargo().args(build).current_dir(root))?;
    let target = workspace::target_folder(root);
    let bench = target.join("debug/bench");
    let mut command = match runner()? {
        None => Command::new(bench),
        Some(runner) => {
            let mut words = runner.split(' ');
            let mut command = Command::new(words.next().unwrap_or_default());
            command.args(words).arg(bench);
            command
        }
    };
    command.args(["chaos", "--minutes", CHAOS_MINUTES]).env("COUNTERMAND_BIN", target.join("debug/countermand"));
    program::beside(command.current_dir(root), &target.join("chaos.log"))
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

/// How long chaos is played for every change.
const CHAOS_MINUTES: &str = "5";

/// How long it may take beyond the proof: far above what is left of it then.
const CHAOS_LIMIT: Duration = Duration::from_secs(900);

#[cfg(test)]
mod tests {
    use super::has_doc_test;

    #[test]
    fn doc_tests_are_seen_in_both_kinds_of_doc_comment() {
        assert!(has_doc_test("    /// ```\n    /// f();\n    /// ```"));
        assert!(has_doc_test("//! ```text\n//! a\n//! ```\n//! ```no_run\n//! f();\n//! ```"));
        assert!(!has_doc_test("//! ```text\n//! a drawing\n//! ```"));
        assert!(!has_doc_test("// ```\n// ```"));
        assert!(!has_doc_test("let fence = \"```\";"));
    }
}
