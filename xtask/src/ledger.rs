//! `cargo xtask ledger add`, and `--ledger` of the trials: one line in docs/ledger.md for a run that counts.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{program, workspace};

/// One run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Which trial.
    pub(crate) what: String,
    /// How much of it.
    pub(crate) how_much: String,
    /// What its random choices followed from.
    pub(crate) seeds: String,
    /// How much of it failed.
    pub(crate) failures: String,
    /// What else is worth knowing.
    pub(crate) remark: String,
}

impl Entry {
    /// What a trial says of itself.
    pub(crate) fn from_summary(text: &str) -> anyhow::Result<Self> {
        let summary: Value = serde_json::from_str(text).context("the summary of a trial")?;
        let field = |name: &str| match &summary[name] {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => bail!("the summary of a trial lacks {name}"),
        };
        Ok(Self {
            what: field("what")?,
            how_much: field("how_much")?,
            seeds: field("seeds")?,
            failures: field("failures")?,
            remark: field("remark")?,
        })
    }

    /// Its line of the table.
    fn line(&self, date: &str, commit: &str) -> String {
        let cells = [date, commit, &self.what, &self.how_much, &self.seeds, &self.failures, &self.remark];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "/").replace('\n', " ")).collect();
        format!("| {} |\n", cells.join(" | "))
    }
}

/// `add WHAT HOWMUCH SEEDS FAILURES [REMARK]`.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let (what, how_much, seeds, failures, remark) = match args {
        [add, what, how_much, seeds, failures] if add == "add" => (what, how_much, seeds, failures, String::new()),
        [add, what, how_much, seeds, failures, remark] if add == "add" => {
            (what, how_much, seeds, failures, remark.clone())
        }
        _ => bail!("usage: cargo xtask ledger add WHAT HOWMUCH SEEDS FAILURES [REMARK]"),
    };
    if failures.parse::<u64>().is_err() {
        bail!("FAILURES is a number, not {failures:?}");
    }
    let root = workspace::root()?;
    let entry = Entry {
        what: what.clone(),
        how_much: how_much.clone(),
        seeds: seeds.clone(),
        failures: failures.clone(),
        remark,
    };
    append(&root, &commit(&root)?, &entry)
}

/// Appends the line. In one piece: trials that end at the same moment do not mix.
pub(crate) fn append(root: &Path, commit: &str, entry: &Entry) -> anyhow::Result<()> {
    let date = program::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let line = entry.line(date.trim(), commit);
    let path = root.join(LEDGER);
    let mut file =
        OpenOptions::new().append(true).open(&path).with_context(|| format!("opening {}", path.display()))?;
    file.write_all(line.as_bytes())?;
    print!("{LEDGER}: {line}");
    Ok(())
}

/// What is checked out, with a mark if the code is not what was committed. The ledger itself does not count: every run
/// changes it.
pub(crate) fn commit(root: &Path) -> anyhow::Result<String> {
    let git = |args: &[&str]| program::output(Command::new("git").args(args).current_dir(root));
    let head = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--", ".", &format!(":!{LEDGER}")])?;
    Ok(format!("{}{}", head.trim(), if changes.trim().is_empty() { "" } else { "+changes" }))
}

/// Where the table is, below the root.
const LEDGER: &str = "docs/ledger.md";

#[cfg(test)]
mod tests {
    use super::Entry;

    #[test]
    fn a_summary_becomes_one_line_of_the_table() {
        let summary = r#"{"what":"race","how_much":"10 actions","seeds":"7","failures":0,"remark":"a|b\nc"}"#;
        let entry = Entry::from_summary(summary).unwrap();
        assert_eq!(entry.line("2026-01-02", "abc"), "| 2026-01-02 | abc | race | 10 actions | 7 | 0 | a/b c |\n");
        assert!(Entry::from_summary("{}").is_err());
    }

    #[test]
    fn an_entry_is_given_in_words() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for wrong in ["add", "add a b c", "list", "add a b c many"] {
            assert!(super::run(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
