//! `actions watch`: each new line of an action's history as it appears, until the action has ended.

use crate::client::{Client, ClientError, History};
use crate::commands::wait::{Pace, WATCH_SECONDS_DEFAULT, WaitEnd};
use crate::commands::{Complaint, Done, outcome, wait};
use crate::exit::Exit;
use crate::output::{Output, instant, notice};
use protocol::defender::action::MachineAction;
use serde_json::Value;

/// Follows an action.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countermand actions watch 7b0f0c52-2c0e-4a53-9d0e-5f4f8f1b6a10\n\n\
                        JSON: one history line on each line. Exit codes: those of cancel for an action that \
                        somebody cancelled, else 0 (Succeeded), 7 (Failed or expired) or 4 (not ended, or nobody knows).")]
pub struct WatchArgs {
    /// The action's id
    id: String,
    /// Watch at most so long
    #[arg(long, value_name = "SECONDS", default_value_t = WATCH_SECONDS_DEFAULT, value_parser = wait::seconds)]
    timeout: u64,
}

/// What was seen so far.
struct Watched {
    output: Output,
    /// The newest line that was printed.
    printed: Option<u64>,
    action: Option<MachineAction>,
}

impl WatchArgs {
    /// Runs it.
    pub async fn run(self, client: &Client, output: Output) -> Done {
        let mut watched = Watched { output, printed: None, action: None };
        let end = wait::bounded(self.timeout, follow(client, &self.id, &mut watched)).await;
        let still = watched.action.as_ref().map(wait::still_running).unwrap_or_default();
        match end {
            WaitEnd::Final => {}
            WaitEnd::TimedOut => notice(&format!("Not ended after {} s. {still}", self.timeout)),
            WaitEnd::Interrupted => notice(&format!("Interrupted. {still}")),
            WaitEnd::Broken(error) => {
                let complaint = Complaint::from(error);
                return Err(Complaint { text: format!("{}. {still}", complaint.text).trim_end().into(), ..complaint });
            }
        }
        let Some(action) = watched.action else { return Ok(Exit::Unconfirmed) };
        let explanation = outcome::explanation(client, &self.id).await;
        let outcome = outcome::of_watched(&action, explanation.as_ref());
        outcome.print(&action.id, output);
        Ok(outcome.exit)
    }
}

async fn follow(client: &Client, id: &str, watched: &mut Watched) -> Result<(), ClientError> {
    let mut pace = Pace::new();
    loop {
        match watched.look(client, id).await {
            Ok(()) if watched.action.as_ref().is_some_and(outcome::is_final) => return Ok(()),
            Ok(()) => {}
            Err(error) => pace.forgive(error)?,
        }
        pace.next().await;
    }
}

impl Watched {
    /// The action before its history: then what is printed is never behind what is taken for the end.
    async fn look(&mut self, client: &Client, id: &str) -> Result<(), ClientError> {
        let action = client.action(id).await?.item;
        let history = client.history(id).await;
        // Kept even if the history cannot be had, to say what still runs; but no end without its lines.
        if history.is_ok() || !outcome::is_final(&action) {
            self.action = Some(action);
        }
        let history = history?;
        self.print_new(&history.item, &history.json);
        Ok(())
    }

    fn print_new(&mut self, history: &History, json: &Value) {
        for (index, line) in history.lines.iter().enumerate() {
            if self.printed.is_some_and(|printed| line.sequence <= printed) {
                continue;
            }
            let status = line.status.as_ref().map(|status| format!("  [{status}]")).unwrap_or_default();
            self.output.line(&format!("{}  {:<8}  {}{status}", instant(&line.at), line.source, line.what));
            self.output.item_line(&json["lines"][index]);
            self.printed = Some(line.sequence);
        }
    }
}
