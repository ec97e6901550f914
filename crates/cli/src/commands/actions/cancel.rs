//! `actions cancel`: ask, then wait until it is known what became of each action. An accepted cancel is a promise to
//! stop, not a stop: only Cancelled is printed as such.

use crate::client::{Answer, Client, ClientError};
use crate::commands::wait::{CANCEL_WAIT_SECONDS_DEFAULT, WaitEnd};
use crate::commands::{Complaint, Done, outcome, wait};
use crate::exit::Exit;
use crate::output::{Format, Output, notice};
use protocol::defender::action::MachineAction;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// So many cancels are on their way at the same time: each may take the server's wait budget of some seconds.
const CANCELS_AT_ONCE: usize = 8;
/// The comment that is kept if none is given.
const COMMENT_DEFAULT: &str = "cancelled from the command line";

/// Cancels actions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  countermand actions cancel 7b0f0c52-2c0e-4a53-9d0e-5f4f8f1b6a10 --comment \"wrong machine\"
  countermand actions list --status Pending -o jsonl | jq -r .id | xargs countermand actions cancel

Each id gets a line:
  Cancelled - never started               it did nothing on the machine
  Cancelled - stopped and rolled back     what cannot be undone is listed below the line
  Stopping - waiting for the machine      accepted, not confirmed (exit code 4)
  Too late - finished first               it had ended by itself (exit code 3)
The other exit codes are in countermand --help. JSON: one id gives the action, several an array.")]
pub struct CancelArgs {
    /// The actions' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why; kept with the action
    #[arg(long, default_value = COMMENT_DEFAULT)]
    comment: String,
    /// Wait until it is known what became of each (what happens anyway)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Do not wait: an action that cannot be stopped at once is reported as stopping
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
    /// Wait at most so long
    #[arg(long, value_name = "SECONDS", default_value_t = CANCEL_WAIT_SECONDS_DEFAULT, value_parser = wait::seconds)]
    timeout: u64,
}

/// One id on its way.
#[derive(Debug)]
enum Item {
    /// It is not known whether the server got the cancel.
    Unanswered,
    /// The newest answer; reported or still waited for.
    Answered { answer: Box<Answer<MachineAction>>, reported: bool },
    /// Refused, and said so.
    Refused,
}

/// All ids of one call, with what is known of each.
struct Cancels<'a> {
    client: &'a Client,
    output: Output,
    ids: Vec<String>,
    items: BTreeMap<String, Item>,
    exit: Exit,
}

impl CancelArgs {
    /// Runs it.
    pub async fn run(self, client: &Client, output: Output) -> Done {
        let mut ids: Vec<String> = Vec::new();
        for id in self.ids {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let items = ids.iter().map(|id| (id.clone(), Item::Unanswered)).collect();
        let mut cancels = Cancels { client, output, ids, items, exit: Exit::Ok };
        let end = match cancels.ask(&self.comment).await {
            WaitEnd::Final if !self.no_wait => cancels.wait(self.timeout).await,
            end => end,
        };
        cancels.report_open(end, self.timeout).await;
        Ok(cancels.exit)
    }
}

impl Cancels<'_> {
    /// Sends every cancel. What ends at once is reported at once.
    async fn ask(&mut self, comment: &str) -> WaitEnd {
        let mut waiting = self.ids.clone().into_iter();
        let mut on_their_way = JoinSet::new();
        loop {
            while on_their_way.len() < CANCELS_AT_ONCE
                && let Some(id) = waiting.next()
            {
                let (client, comment) = (self.client.clone(), comment.to_string());
                on_their_way.spawn(async move {
                    let result = cancel(&client, &id, &comment).await;
                    (id, result)
                });
            }
            let joined = tokio::select! {
                joined = on_their_way.join_next() => joined,
                () = wait::interrupt() => return WaitEnd::Interrupted,
            };
            match joined {
                Some(Ok((id, Ok(answer)))) => self.note(id, answer).await,
                Some(Ok((id, Err(error)))) => self.refused(id, error),
                // A cancel whose task died stays Unanswered, and is reported as that.
                Some(Err(_)) => {}
                None => return WaitEnd::Final,
            }
        }
    }

    /// Waits for what is not final yet.
    async fn wait(&mut self, seconds: u64) -> WaitEnd {
        let open = self.open();
        if open.is_empty() {
            return WaitEnd::Final;
        }
        notice(&format!("Accepted; waiting up to {seconds} s for {} to stop.", count(open.len())));
        let (client, mut news) = (self.client.clone(), tokio::sync::mpsc::unbounded_channel());
        let looks = wait::until_final(&client, open, seconds, move |answer| {
            // The receiver lives as long as the wait.
            let _ = news.0.send(answer);
        });
        tokio::pin!(looks);
        loop {
            tokio::select! {
                biased;
                Some(answer) = news.1.recv() => {
                    let id = self.id_of(&answer.item);
                    self.note(id, answer).await;
                }
                end = &mut looks => {
                    while let Ok(answer) = news.1.try_recv() {
                        let id = self.id_of(&answer.item);
                        self.note(id, answer).await;
                    }
                    return end;
                }
            }
        }
    }

    /// Keeps an answer, and reports it once if it is final.
    async fn note(&mut self, id: String, answer: Answer<MachineAction>) {
        let reported = matches!(self.items.get(&id), Some(Item::Answered { reported: true, .. }));
        let now = !reported && outcome::is_final(&answer.item);
        if now {
            self.report(&id, &answer).await;
        }
        self.items.insert(id, Item::Answered { answer: Box::new(answer), reported: reported || now });
    }

    async fn report(&mut self, id: &str, answer: &Answer<MachineAction>) {
        let explanation = outcome::explanation(self.client, id).await;
        let outcome = outcome::of_cancel(&answer.item, explanation.as_ref());
        outcome.print(id, self.output);
        if self.output.format == Format::Jsonl {
            self.output.item(&answer.json);
        }
        self.exit = self.exit.worse(outcome.exit);
    }

    fn refused(&mut self, id: String, error: ClientError) {
        let complaint = Complaint::from(error);
        // People read one list: the line belongs beside the others, in the formats for scripts beside the results.
        let line = format!("{id}  Not cancelled - {}", complaint.text);
        if self.output.is_table() {
            self.output.line(&line)
        } else {
            notice(&line)
        }
        self.exit = self.exit.worse(complaint.exit);
        self.items.insert(id, Item::Refused);
    }

    /// Reports everything that has no line yet, and prints the list that `-o json` asks for.
    async fn report_open(&mut self, end: WaitEnd, seconds: u64) {
        let open = self.open();
        match &end {
            WaitEnd::Interrupted => notice("Interrupted. Accepted cancels stay in force."),
            WaitEnd::TimedOut => notice(&format!(
                "Not confirmed after {seconds} s for {}. The cancel stays in force. See: countermand actions watch ID",
                count(open.len())
            )),
            WaitEnd::Broken(error) => {
                notice(&format!("Cannot look any more: {error}. Accepted cancels stay in force."))
            }
            WaitEnd::Final => {}
        }
        if let WaitEnd::Broken(error) = &end {
            self.exit = self.exit.worse(Exit::from(error));
        }
        for id in open {
            if let Some(Item::Answered { answer, .. }) = self.items.get(&id) {
                let answer = answer.clone();
                self.report(&id, &answer).await;
            }
        }
        for id in &self.ids {
            if matches!(self.items.get(id), Some(Item::Unanswered)) {
                notice(&format!(
                    "{id}  Not known whether the server got the cancel. See: countermand actions show {id}"
                ));
                self.exit = self.exit.worse(Exit::Other);
            }
        }
        if self.output.format == Format::Json {
            self.print_json();
        }
    }

    fn print_json(&self) {
        let answered = |id: &String| match self.items.get(id) {
            Some(Item::Answered { answer, .. }) => Some(answer.json.clone()),
            _ => None,
        };
        let mut actions: Vec<Value> = self.ids.iter().filter_map(answered).collect();
        match (self.ids.len(), actions.pop()) {
            (1, Some(action)) => self.output.item(&action),
            (1, None) => {}
            (_, last) => self.output.item(&actions.into_iter().chain(last).collect()),
        }
    }

    /// The accepted ones that have no line yet, in the order they were given.
    fn open(&self) -> Vec<String> {
        let is_open = |id: &&String| matches!(self.items.get(*id), Some(Item::Answered { reported: false, .. }));
        self.ids.iter().filter(is_open).cloned().collect()
    }

    /// The id as it was given: the API may spell it in another case.
    fn id_of(&self, action: &MachineAction) -> String {
        self.ids.iter().find(|id| id.eq_ignore_ascii_case(&action.id)).unwrap_or(&action.id).clone()
    }
}

/// Cancels one action. The refusal of an action that has ended is an answer too: its end.
async fn cancel(client: &Client, id: &str, comment: &str) -> Result<Answer<MachineAction>, ClientError> {
    match client.cancel(id, comment).await {
        Err(refusal @ ClientError::Api { status: 400 | 409, .. }) => match client.action(id).await {
            Ok(answer) if outcome::is_final(&answer.item) => Ok(answer),
            _ => Err(refusal),
        },
        other => other,
    }
}

fn count(actions: usize) -> String {
    if actions == 1 { String::from("1 action") } else { format!("{actions} actions") }
}
