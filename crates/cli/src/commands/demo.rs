//! `countermand demo`: the promise, shown.

use crate::demo::{DemoConfig, run};
use clap::Args;
use std::path::PathBuf;

/// Shows, with real effects in throw-away network namespaces, what a cancel is worth here.
///
/// Four scenes: a machine that is off, a running script, an isolation, a cancel that comes too late. As root all of
/// them; otherwise what user namespaces allow. Ends with an error if any scene did not end as told.
#[derive(Args, Debug)]
pub struct Demo {
    /// Keep store, keys and logs in this folder; default: a temporary one, removed at the end.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Leave the server and the agents running afterwards, until Ctrl-C, and print how to use them.
    #[arg(long)]
    keep: bool,
    /// Do not install missing system packages (iproute2, nftables), which it does as root on Debian and Ubuntu.
    #[arg(long)]
    no_install: bool,
}

impl Demo {
    /// Plays it.
    ///
    /// # Errors
    /// A scene did not end as told.
    pub async fn run(self) -> anyhow::Result<()> {
        run(DemoConfig { data_dir: self.data_dir, keep: self.keep, no_install: self.no_install }).await
    }
}
