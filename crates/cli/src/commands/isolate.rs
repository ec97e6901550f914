//! `isolate`: cut a machine from the network.

use super::wait::{ACTION_WAIT_SECONDS_DEFAULT, WaitEnd};
use super::{Complaint, Done, not_created, outcome, wait};
use crate::client::{Answer, Client};
use crate::exit::Exit;
use crate::output::{Output, notice};
use protocol::defender::action::MachineAction;

/// Cuts a machine from the network.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countermand isolate web-03 --comment \"case 812\" --wait\n\n\
                        Undo it by: countermand release MACHINE --comment ...\n\
                        Take it back before it took effect by: countermand actions cancel ID")]
pub struct IsolateArgs {
    #[command(flatten)]
    request: RequestArgs,
}

/// What `isolate` and `release` have in common.
#[derive(Debug, clap::Args)]
pub struct RequestArgs {
    /// The machine's id or name
    pub machine: String,
    /// Why; kept with the action
    #[arg(long)]
    pub comment: String,
    /// Wait until the action has ended
    #[arg(long)]
    pub wait: bool,
    /// Wait at most so long
    #[arg(long, value_name = "SECONDS", requires = "wait", default_value_t = ACTION_WAIT_SECONDS_DEFAULT,
          value_parser = wait::seconds)]
    pub timeout: u64,
}

impl IsolateArgs {
    /// Runs it.
    pub async fn run(self, client: &Client, output: Output) -> Done {
        let request = self.request;
        let machine = client.find_machine(&request.machine).await?.item;
        let created = client.isolate(&machine.id, &request.comment).await;
        request.finish(created.map_err(|error| not_created(error, &machine.id))?, client, output).await
    }
}

impl RequestArgs {
    /// Prints the new action, and waits for its end if that was asked for.
    pub async fn finish(self, created: Answer<MachineAction>, client: &Client, output: Output) -> Done {
        let asked = asked_words(&created.item);
        if !self.wait {
            output.item(&created.json);
            output.line(&asked);
            return Ok(Exit::Ok);
        }
        notice(&asked);
        let ended = ended(created, self.timeout, client).await?;
        output.item(&ended.json);
        let explanation = outcome::explanation(client, &ended.item.id).await;
        let outcome = outcome::of_action(&ended.item, explanation.as_ref());
        outcome.print(&ended.item.id, output);
        Ok(outcome.exit)
    }
}

/// Says that an action was asked for.
pub fn asked_words(action: &MachineAction) -> String {
    format!("{} on {}: {} ({})", action.r#type, super::machine_words(action), action.id, action.status)
}

/// Waits for a new action; the newest answer, final or not. Says what still runs where the wait ended first.
pub async fn ended(
    created: Answer<MachineAction>,
    seconds: u64,
    client: &Client,
) -> Result<Answer<MachineAction>, Complaint> {
    let ids = vec![created.item.id.clone()];
    let mut newest = created;
    match wait::until_final(client, ids, seconds, |answer| newest = answer).await {
        WaitEnd::Final => {}
        WaitEnd::TimedOut => {
            notice(&format!("Not finished after {seconds} s. {}", wait::still_running(&newest.item)));
        }
        WaitEnd::Interrupted => notice(&format!("Interrupted. {}", wait::still_running(&newest.item))),
        WaitEnd::Broken(error) => return Err(wait::broken(error, &newest.item)),
    }
    Ok(newest)
}
