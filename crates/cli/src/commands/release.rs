//! `release`: lift the isolation of a machine.

use super::isolate::RequestArgs;
use super::{Done, not_created};
use crate::client::Client;
use crate::output::Output;

/// Lifts the isolation of a machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countermand release web-03 --comment \"false alarm\" --wait")]
pub struct ReleaseArgs {
    #[command(flatten)]
    request: RequestArgs,
}

impl ReleaseArgs {
    /// Runs it.
    pub async fn run(self, client: &Client, output: Output) -> Done {
        let request = self.request;
        let machine = client.find_machine(&request.machine).await?.item;
        let created = client.release(&machine.id, &request.comment).await;
        request.finish(created.map_err(|error| not_created(error, &machine.id))?, client, output).await
    }
}
