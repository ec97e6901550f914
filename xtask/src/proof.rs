//! `cargo xtask proof`: the model checker over the production deciders, and every fault that it must find.

use std::path::Path;

use crate::{program, workspace};

/// Builds and runs the proof; the arguments go to it.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let root = workspace::root()?;
    prove(&root, args)?;
    if args.is_empty() {
        let mut tests = program::cargo();
        tests.args(["test", "--release", "--locked", "--package", "sim", "--features", "mutants"]);
        program::run(tests.current_dir(&root))?;
    }
    Ok(())
}

/// The proof itself, without the tests of what it is made of.
pub(crate) fn prove(root: &Path, args: &[String]) -> anyhow::Result<()> {
    let mut proof = program::cargo();
    proof.args(["run", "--release", "--locked", "--package", "sim", "--features", "mutants", "--bin", "proof", "--"]);
    program::run(proof.args(args).current_dir(root))
}
