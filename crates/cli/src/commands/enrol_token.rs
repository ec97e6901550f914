//! `countermand enrol-token`: lets machines enrol. On the server's own machine, with its data directory.

use clap::Args;
use server::admin;
use server::clock::SystemClock;
use server::config::{Config, DataConfig};
use std::path::PathBuf;

/// Makes a token with which a machine can enrol, and prints it. Shown once and kept nowhere.
///
/// A machine that enrols is a new one, whatever it is called. With --machine it is that one again: it keeps its id, its
/// history and what still waits for it; its earlier certificate counts for nothing from then on, and what was under way
/// on it ends in TimeOut, outcome unknown.
#[derive(Args, Debug)]
#[command(
    after_help = "Example, on the machine to enrol:\n  COUNTERMAND_ENROL_TOKEN=… countermand-agent --server https://control.example.org:8443 --server-ca ca.pem"
)]
pub struct EnrolTokenCommand {
    /// How many machines may enrol with it.
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// The machine that enrols again with it, once, under its own record: its id, or a name that no other machine has.
    #[arg(long, value_name = "ID_OR_NAME", conflicts_with = "uses")]
    machine: Option<String>,
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
    /// Bounds; no such machine; the store.
    pub async fn run(self) -> anyhow::Result<()> {
        let config = Config { data: DataConfig { dir: self.data_dir }, ..Config::default() };
        let store = admin::open_store(&config)?;
        let life_seconds = i64::from(self.minutes) * 60;
        let token = match &self.machine {
            None => admin::add_enrol_token(&*store, &SystemClock, self.uses, life_seconds).await?,
            Some(machine) => {
                let (machine, token) = admin::add_reenrol_token(&*store, &SystemClock, machine, life_seconds).await?;
                eprintln!("{} ({}) enrols again with it.", machine.name, machine.id);
                token
            }
        };
        println!("{token}");
        Ok(())
    }
}
