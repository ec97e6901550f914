//! `countermand app add`: applications that may call the API. On the server's own machine, with its data directory.

use anyhow::bail;
use clap::{Args, Subcommand};
use server::admin::{self, NewApplication, PERMISSIONS, Permission};
use server::clock::SystemClock;
use server::config::{Config, DataConfig};

use std::path::PathBuf;

/// Applications that may call the API.
#[derive(Args, Debug)]
pub struct App {
    #[command(subcommand)]
    command: AppCommand,
}

#[derive(Subcommand, Debug)]
enum AppCommand {
    Add(Add),
}

/// Adds an application and prints its id and secret. The secret is shown once and kept nowhere.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  countermand app add soar --permission Machine.Read.All --permission Machine.Isolate"
)]
struct Add {
    /// A name, for people.
    name: String,
    /// A permission, spelled as in Defender's API. Repeatable.
    #[arg(long = "permission", value_name = "PERMISSION", required_unless_present = "all")]
    permissions: Vec<String>,
    /// Every permission there is.
    #[arg(long, conflicts_with = "permissions")]
    all: bool,
    /// The server's data directory.
    #[arg(long, env = "COUNTERMAND_DATA_DIR", default_value = "/var/lib/countermand")]
    data_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl App {
    /// Does it.
    ///
    /// # Errors
    /// An unknown permission; the store.
    pub async fn run(self) -> anyhow::Result<()> {
        let AppCommand::Add(add) = self.command;
        let permissions = add.permissions()?;
        let config = Config { data: DataConfig { dir: add.data_dir.clone() }, ..Config::default() };
        let store = admin::open_store(&config)?;
        let new = admin::add_application(&*store, &SystemClock, &add.name, permissions).await?;
        show(&new, add.json);
        Ok(())
    }
}

impl Add {
    fn permissions(&self) -> anyhow::Result<Vec<Permission>> {
        if self.all {
            return Ok(PERMISSIONS.iter().map(|(permission, _)| *permission).collect());
        }
        let parse = |word: &String| match Permission::from_wire(word) {
            Some(permission) => Ok(permission),
            None => {
                let known: Vec<&str> = PERMISSIONS.iter().map(|(_, wire)| *wire).collect();
                bail!("there is no permission {word}; there are {}", known.join(", "))
            }
        };
        self.permissions.iter().map(parse).collect()
    }
}

fn show(new: &NewApplication, json: bool) {
    let NewApplication { tenant, client_id, client_secret } = new;
    if json {
        let value = serde_json::json!({ "tenant": tenant, "clientId": client_id, "clientSecret": client_secret });
        println!("{value}");
    } else {
        println!("export COUNTERMAND_TENANT={tenant}");
        println!("export COUNTERMAND_CLIENT_ID={client_id}");
        println!("export COUNTERMAND_CLIENT_SECRET={client_secret}");
    }
}
