//! What a run came to, for the project's ledger. Whoever started the run names a file for it and appends the line.

use anyhow::Context as _;
use serde::Serialize;

/// Names the file that the summary goes to.
const FILE_VARIABLE: &str = "COUNTERMAND_SUMMARY";

/// What a run came to, in the ledger's columns.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// Which trial.
    pub(crate) what: &'static str,
    /// How much of it.
    pub(crate) how_much: String,
    /// What all random choices followed from.
    pub(crate) seeds: String,
    /// How much of it failed.
    pub(crate) failures: usize,
    /// What else is worth knowing.
    pub(crate) remark: String,
}

impl Summary {
    /// Writes it, if somebody asked for it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn hand_over(&self) -> anyhow::Result<()> {
        let Some(file) = std::env::var_os(FILE_VARIABLE) else { return Ok(()) };
        let text = serde_json::to_string(self)?;
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    }
}
