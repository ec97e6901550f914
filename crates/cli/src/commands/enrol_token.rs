//! `countermand enrol-token`: lets machines enrol. On the server's own machine, with its data directory.

use clap::Args;
use server::admin;
use server::clock::SystemClock;
use server::config::{Config, DataConfig};
use std::path::PathBuf;

/// Makes a token with which a machine can enrol, and prints it. Shown once and kept nowhere.
#[derive(Args, Debug)]
#[command(
    after_help = "Example, on the machine to enrol:\n  COUNTERMAND_ENROL_TOKEN=… countermand-agent --server https://control.example.org:8443 --server-ca ca.pem"
)]
pub struct EnrolTokenCommand {
    /// How many machines may enrol with it.
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// How long it is valid, in minutes; at most seven days.
    #[arg(long, default_value_t = 60)]
    minutes: u32,
    /// The server's data directory.
    #[arg(long, env = "COUNTERMAND_DATA_DIR", default_value = "/var/lib/countermand")]
    data_dir: PathBuf,
}

impl EnrolTokenCommand {
    /// Does it.
    ///
    /// # Errors
    /// Bounds; the store.
    pub async fn run(self) -> anyhow::Result<()> {
        let config = Config { data: DataConfig { dir: self.data_dir }, ..Config::default() };
        let store = admin::open_store(&config)?;
        let life_seconds = i64::from(self.minutes) * 60;
        println!("{}", admin::add_enrol_token(&*store, &SystemClock, self.uses, life_seconds).await?);
        Ok(())
    }
}
