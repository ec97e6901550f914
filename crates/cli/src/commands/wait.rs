//! Waiting for actions to end: bounded, interruptible, and never taken for the end itself.

use super::outcome::is_final;
use super::{Complaint, machine_words};
use crate::client::{ActionFilter, Answer, Client, ClientError, PAGE_ITEMS_MAX};
use crate::output::notice;
use protocol::defender::action::MachineAction;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at first, when most ends come.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Between two looks later: the API allows 100 calls in a minute and 1500 in an hour.
pub const POLL_INTERVAL_SLOW: Duration = Duration::from_secs(3);
/// For so long the looks are quick.
pub const POLL_QUICK_FOR: Duration = Duration::from_secs(20);
/// How long `actions cancel` waits if nothing else is said, in seconds.
pub const CANCEL_WAIT_SECONDS_DEFAULT: u64 = 60;
/// How long `isolate --wait` and `release --wait` wait if nothing else is said, in seconds.
pub const ACTION_WAIT_SECONDS_DEFAULT: u64 = 300;
/// How long `live-response --wait` waits if nothing else is said, in seconds: a script may take ten minutes.
pub const LIVE_RESPONSE_WAIT_SECONDS_DEFAULT: u64 = 900;
/// How long `actions watch` watches if nothing else is said, in seconds: a day.
pub const WATCH_SECONDS_DEFAULT: u64 = 86_400;
/// The longest wait there is, in seconds: a year.
pub const WAIT_SECONDS_MAX: u64 = 365 * 86_400;

/// How a wait ended.
#[derive(Debug)]
pub enum WaitEnd {
    /// Everything waited for is final.
    Final,
    /// The time is over.
    TimedOut,
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// Asking again would not help.
    Broken(ClientError),
}

/// Paces the looks of one wait.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
    complained: bool,
}

impl Pace {
    /// From now on.
    pub fn new() -> Self {
        Self { began: Instant::now(), complained: false }
    }

    /// Until the next look.
    pub async fn next(&self) {
        let quick = self.began.elapsed() < POLL_QUICK_FOR;
        tokio::time::sleep(if quick { POLL_INTERVAL } else { POLL_INTERVAL_SLOW }).await;
    }

    /// Passes on an error that asking again will not mend; says of any other, once, that the wait goes on.
    pub fn forgive(&mut self, error: ClientError) -> Result<(), ClientError> {
        if !error.is_passing() {
            return Err(error);
        }
        if !self.complained {
            notice(&format!("Cannot look at the moment, still trying: {error}"));
            self.complained = true;
        }
        Ok(())
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until all of these actions are final. `seen` gets each answer of each look.
pub async fn until_final(
    client: &Client,
    ids: Vec<String>,
    seconds: u64,
    seen: impl FnMut(Answer<MachineAction>),
) -> WaitEnd {
    bounded(seconds, look_until_final(client, ids, seen)).await
}

/// Runs a wait until it ends, its time is over, or somebody presses Ctrl-C.
pub async fn bounded(seconds: u64, work: impl Future<Output = Result<(), ClientError>>) -> WaitEnd {
    tokio::select! {
        ended = work => match ended {
            Ok(()) => WaitEnd::Final,
            Err(error) => WaitEnd::Broken(error),
        },
        () = tokio::time::sleep(Duration::from_secs(seconds)) => WaitEnd::TimedOut,
        () = interrupt() => WaitEnd::Interrupted,
    }
}

/// Ctrl-C. Where it cannot be caught, the operating system's own way ends the program, and this never returns.
pub async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What to tell somebody who stops waiting for an action: what still runs, and how to cancel it.
pub fn still_running(action: &MachineAction) -> String {
    let what = format!("{} on {}", action.r#type, machine_words(action));
    let id = &action.id;
    if action.cancellation_requestor.is_some() {
        return format!(
            "Its cancel stays in force: {what} ({id}) is {}, to be stopped. See: countermand actions watch {id}",
            action.status
        );
    }
    format!("Nothing was cancelled: {what} ({id}) is {}. Cancel it by: countermand actions cancel {id}", action.status)
}

async fn look_until_final(
    client: &Client,
    mut open: Vec<String>,
    mut seen: impl FnMut(Answer<MachineAction>),
) -> Result<(), ClientError> {
    let mut pace = Pace::new();
    while !open.is_empty() {
        match look(client, &open).await {
            Ok(answers) => {
                for answer in answers {
                    if is_final(&answer.item) {
                        open.retain(|id| !id.eq_ignore_ascii_case(&answer.item.id));
                    }
                    seen(answer);
                }
            }
            Err(error) => pace.forgive(error)?,
        }
        if !open.is_empty() {
            pace.next().await;
        }
    }
    Ok(())
}

/// One look at all of them. Calls are counted, so several are looked at by one list of what is in progress; only what
/// is not in it any more is asked for by itself.
async fn look(client: &Client, ids: &[String]) -> Result<Vec<Answer<MachineAction>>, ClientError> {
    let mut answers = Vec::new();
    if ids.len() > 1 {
        let in_progress = ActionFilter { statuses: vec!["InProgress".into()], ..ActionFilter::default() };
        answers = client.actions(&in_progress, PAGE_ITEMS_MAX).await?.split();
        answers.retain(|answer| ids.iter().any(|id| id.eq_ignore_ascii_case(&answer.item.id)));
    }
    let listed = answers.len();
    for id in ids {
        if !answers[..listed].iter().any(|answer| id.eq_ignore_ascii_case(&answer.item.id)) {
            answers.push(client.action(id).await?);
        }
    }
    Ok(answers)
}

/// Reads a number of seconds for clap.
pub fn seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds) if seconds <= WAIT_SECONDS_MAX => Ok(seconds),
        _ => Err(format!("a number of seconds from 0 to {WAIT_SECONDS_MAX}")),
    }
}

/// A broken wait as a complaint that does not hide what still runs.
pub fn broken(error: ClientError, action: &MachineAction) -> Complaint {
    let complaint = Complaint::from(error);
    Complaint { text: format!("{}. {}", complaint.text, still_running(action)), ..complaint }
}
