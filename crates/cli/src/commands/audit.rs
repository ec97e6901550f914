//! `countermand audit`: the audit log, verified and exported. On the server's own machine, with its data directory, or
//! anywhere with an exported file.

use crate::output::notice;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use protocol::defender::time;
use server::admin;
use server::audit_file::{self, Begin, Extent, Head};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The audit log: who asked for what, and what became of it
///
/// Each line holds the hash of the one before. The server may run meanwhile; neither command adds a line.
#[derive(Args, Debug)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Verify(Verify),
    Export(Export),
}

/// See whether the log holds: names the first line that was altered, deleted, moved or cut off
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  countermand audit verify\n  countermand audit verify --file audit.jsonl --head 1234:HASH\n\nPrints the head: keep it elsewhere, and the next verify can tell whether the log still leads up to it."
)]
struct Verify {
    #[command(flatten)]
    place: Place,
    /// An exported file, instead of a data directory.
    #[arg(long, value_name = "EXPORTED.jsonl")]
    file: Option<PathBuf>,
    /// A head that was kept elsewhere, which the log must lead up to. Repeatable.
    #[arg(long = "head", value_name = "SEQUENCE:HASH", value_parser = head)]
    heads: Vec<Head>,
}

/// Write the log as JSON, a line for each of its lines, to standard output
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  countermand audit export --save-to audit.jsonl\n  countermand audit export --since 2026-11-01T00:00:00Z | gzip > november.jsonl.gz"
)]
struct Export {
    #[command(flatten)]
    place: Place,
    /// Begin with the line of this number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "since")]
    from_sequence: Option<u64>,
    /// Begin with the first line of this time or later.
    #[arg(long, value_name = "RFC3339", value_parser = since)]
    since: Option<Begin>,
    /// A file, which must not exist yet, instead of standard output.
    #[arg(long, value_name = "FILE")]
    save_to: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Place {
    /// The server's data directory.
    #[arg(long, env = "COUNTERMAND_DATA_DIR", default_value = "/var/lib/countermand")]
    data_dir: PathBuf,
}

impl AuditArgs {
    /// Does it.
    ///
    /// # Errors
    /// The log does not hold; the store; the file.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            AuditCommand::Verify(verify) => verify.run().await,
            AuditCommand::Export(export) => export.run().await,
        }
    }
}

impl Verify {
    async fn run(self) -> anyhow::Result<()> {
        let extent = match &self.file {
            Some(path) => {
                let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
                let held = audit_file::verify_file(&mut BufReader::new(file), &self.heads);
                held.with_context(|| format!("the audit log in {}", path.display()))?
            }
            None => {
                let store = admin::open_store_that_is(&self.place.data_dir)?;
                let held = audit_file::verify_store(&*store, &self.heads).await;
                held.with_context(|| format!("the audit log in {}", self.place.data_dir.display()))?
            }
        };
        println!("{}", words(&extent));
        println!("head {}", extent.head);
        Ok(())
    }
}

fn words(extent: &Extent) -> String {
    let Extent { before, head, lines } = extent;
    let (first, last) = (before.sequence.saturating_add(1), head.sequence);
    match (lines, before.sequence) {
        (0, _) => "the log has no line yet".into(),
        (_, 0) => format!("lines {first} to {last} hold: {lines} in all, nothing is left out"),
        _ => format!("lines {first} to {last} hold: {lines} in all, if the line before them is {before}"),
    }
}

impl Export {
    async fn run(self) -> anyhow::Result<()> {
        let store = admin::open_store_that_is(&self.place.data_dir)?;
        let begin = self.since.unwrap_or(Begin::Line(self.from_sequence.unwrap_or(1)));
        let extent = match &self.save_to {
            None => audit_file::export(&*store, begin, &mut BufWriter::new(std::io::stdout())).await?,
            Some(path) => {
                let file = create(path).with_context(|| format!("cannot make {}", path.display()))?;
                let extent = audit_file::export(&*store, begin, &mut BufWriter::new(&file)).await?;
                file.sync_all().with_context(|| format!("cannot keep {}", path.display()))?;
                extent
            }
        };
        notice(&format!("{} lines; head {}", extent.lines, extent.head));
        Ok(())
    }
}

/// A new file, for its owner only: it says who did what.
fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn head(text: &str) -> Result<Head, String> {
    Head::parse(text).ok_or_else(|| "not a line's number, a colon, and a hash of 64 hexadecimal digits".into())
}

fn since(text: &str) -> Result<Begin, String> {
    time::parse(text).map(Begin::Since).ok_or_else(|| "not an instant as 2026-11-01T00:00:00Z".into())
}
