//! `live-response`: put files on a machine, run scripts there, get files from it.

mod given;
mod results;

use super::wait::{self, LIVE_RESPONSE_WAIT_SECONDS_DEFAULT};
use super::{Done, isolate, not_created, outcome};
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{Output, notice};
use given::GivenCommands;
use std::path::PathBuf;

/// Runs commands on a machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  countermand live-response web-03 --comment \"case 812\" --run triage.sh --args '--days 7 /srv' --wait
  countermand live-response web-03 --comment \"case 812\" --put tool --run use-tool.sh --get /tmp/found --save-to ./812

The commands are carried out in this order: every --put, every --run, every --get, each as written. The first that
fails ends the list. Exit codes: countermand --help.")]
pub struct LiveResponseArgs {
    /// The machine's id or name
    machine: String,
    /// Why; kept with the action
    #[arg(long)]
    comment: String,
    #[command(flatten)]
    commands: GivenCommands,
    /// Wait until the action has ended, and print what the scripts said
    #[arg(long)]
    wait: bool,
    /// Wait at most so long
    #[arg(long, value_name = "SECONDS", default_value_t = LIVE_RESPONSE_WAIT_SECONDS_DEFAULT, value_parser = wait::seconds)]
    timeout: u64,
    /// Wait, then save what the scripts said (.json) and the files got (.gz) in this directory
    #[arg(long, value_name = "DIR")]
    save_to: Option<PathBuf>,
}

impl LiveResponseArgs {
    /// Runs it.
    pub async fn run(self, client: &Client, output: Output) -> Done {
        // A directory that cannot be written is found out before anything runs on the machine.
        if let Some(directory) = &self.save_to {
            results::prepare(directory)?;
        }
        let machine = client.find_machine(&self.machine).await?.item;
        let created = client.live_response(&machine.id, &self.comment, &self.commands.in_order()).await;
        let created = created.map_err(|error| not_created(error, &machine.id))?;
        let asked = isolate::asked_words(&created.item);
        if !self.wait && self.save_to.is_none() {
            output.item(&created.json);
            output.line(&asked);
            return Ok(Exit::Ok);
        }
        notice(&asked);
        let ended = isolate::ended(created, self.timeout, client).await?;
        output.item(&ended.json);
        let explanation = outcome::explanation(client, &ended.item.id).await;
        let outcome = outcome::of_action(&ended.item, explanation.as_ref());
        outcome.print(&ended.item.id, output);
        if outcome::is_final(&ended.item) {
            results::fetch(&ended.item, self.save_to.as_deref(), client, output).await?;
        }
        Ok(outcome.exit)
    }
}
