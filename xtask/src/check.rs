//! `cargo xtask check`: format, lints, import rules and tidy.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::{imports, program, ring, tidy, workspace};

pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    if !args.is_empty() {
        bail!("usage: cargo xtask check");
    }
    all(&workspace::root()?)
}

/// The checks, cheapest first.
pub(crate) fn all(root: &Path) -> anyhow::Result<()> {
    step("format", || {
        program::run(program::cargo().args(["fmt", "--all", "--check"]).current_dir(root))
            .context("the code is not formatted; run `cargo fmt --all`")
    })?;
    step("lints", || {
        program::run(
            program::cargo()
                .args(["clippy", "--locked", "--workspace", "--all-targets", "--"])
                .args(["-D", "warnings"])
                .current_dir(root),
        )
    })?;
    step("import rules", || {
        imports::check(root)?;
        ring::check(root)
    })?;
    step("the fuzzer's lock file", || fuzz_lock(root))?;
    step("tidy", || tidy::check(root))
}

/// The fuzzer is a workspace of its own, which nothing else here builds: its lock must follow what the others depend on.
fn fuzz_lock(root: &Path) -> anyhow::Result<()> {
    let metadata = ["metadata", "--locked", "--format-version", "1"];
    program::output(program::cargo().args(metadata).current_dir(root.join("fuzz")))
        .map(drop)
        .context("fuzz/Cargo.lock is behind; run `cargo metadata` in fuzz/")
}

/// Runs one named part, says how long it took, and names it if it fails.
pub(crate) fn step(name: &str, part: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    println!("==> {name}");
    let begun = Instant::now();
    let outcome = part();
    let seconds = begun.elapsed().as_secs_f64();
    match &outcome {
        Ok(()) => println!("    {name}: ok ({seconds:.1} s)"),
        Err(_) => println!("    {name}: FAILED ({seconds:.1} s)"),
    }
    outcome.with_context(|| format!("{name} failed"))
}
