//! The life of one action: asked for, cancelled at a moment that the dice choose, watched to its end.

use super::SCRIPT_NAME;
use crate::dice::Dice;
use crate::marks;
use anyhow::{Context as _, bail};
use cli::client::{Client, ClientError};
use cli::fleet::Fleet;
use protocol::defender::action::{CommandWords, MachineAction, Param};
use rustix::process::Signal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a script lives, in milliseconds: from, and up to.
const LIFE_MS: (u64, u64) = (50, 400);

/// How long an action may take to its end once it may end.
const FINAL_WITHIN: Duration = Duration::from_secs(60);

/// How long a script may take to leave its first mark.
const BEGUN_WITHIN: Duration = Duration::from_secs(30);

/// The pause between two looks at an action whose end is awaited.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// The window after the creation in which offer, claim, grant and start happen.
const BETWEEN: Duration = Duration::from_millis(60);

/// How far before and after its natural end a script is cancelled that is cancelled near it.
const NEAR: Duration = Duration::from_millis(25);

/// When an action is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Moment {
    /// While its agent is paused: it has a session, and cannot be offered anything.
    AgentPaused,
    /// While its agent does not run.
    AgentDead,
    /// Between creation and start, more or less.
    Between,
    /// While the script runs.
    During,
    /// Near the script's own end.
    NearTheEnd,
    /// Not at all.
    Never,
}

impl Moment {
    /// One of the four windows with equal chance; one in twenty lives undisturbed.
    fn choose(dice: &mut Dice) -> Self {
        if dice.below(20) == 0 {
            return Self::Never;
        }
        match dice.below(4) {
            0 if dice.below(4) == 0 => Self::AgentDead,
            0 => Self::AgentPaused,
            1 => Self::Between,
            2 => Self::During,
            _ => Self::NearTheEnd,
        }
    }
}

/// What was seen of an action. Times are nanoseconds on CLOCK_MONOTONIC.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// The action.
    pub(super) id: String,
    /// When it was cancelled.
    pub(super) moment: Moment,
    /// Its witness file.
    pub(super) witness: PathBuf,
    /// When the cancel was asked for.
    pub(super) asked_ns: Option<u64>,
    /// Whether the cancel was taken.
    pub(super) taken: bool,
    /// When anybody was first shown Cancelled.
    pub(super) shown_ns: Option<u64>,
    /// How long the witness file was just after that, in bytes.
    pub(super) length_when_shown: u64,
    /// How it ended; none: it did not within the limit.
    pub(super) end: Option<MachineAction>,
    /// When the end was first shown, whichever it was.
    pub(super) ended_ns: Option<u64>,
}

/// One agent and what is needed to race on it.
pub(super) struct Track {
    /// What it is played on.
    pub(super) fleet: Arc<Mutex<Fleet>>,
    /// Whoever asks.
    pub(super) client: Client,
    /// The machine's name.
    pub(super) name: String,
    /// Its id.
    pub(super) machine: String,
    /// The only moment to cancel at, if one was asked for.
    pub(super) only: Option<Moment>,
    /// Where witness files lie.
    pub(super) folder: PathBuf,
    /// The program that leaves marks.
    pub(super) program: String,
}

impl Track {
    /// Lives through one action.
    pub(super) async fn live(&mut self, number: usize, dice: &mut Dice) -> anyhow::Result<Life> {
        let chosen = Moment::choose(dice);
        let moment = self.only.unwrap_or(chosen);
        let lives = Duration::from_millis(LIFE_MS.0 + dice.below(LIFE_MS.1 - LIFE_MS.0));
        let witness = self.folder.join(format!("witness-{number}"));
        self.silence(moment)?;
        let id = self.create(&witness, lives).await?;
        let mut life = Life {
            id,
            moment,
            witness,
            asked_ns: None,
            taken: false,
            shown_ns: None,
            length_when_shown: 0,
            end: None,
            ended_ns: None,
        };
        if moment != Moment::Never {
            self.wait_moment(&life, lives, dice).await?;
            self.cancel(&mut life).await?;
        }
        self.revive(moment)?;
        self.watch(&mut life).await?;
        Ok(life)
    }

    async fn create(&self, witness: &std::path::Path, lives: Duration) -> anyhow::Result<String> {
        let args = format!("{} {} {}", self.program, witness.display(), lives.as_millis());
        let param = |key: &str, value: &str| Param { key: key.into(), value: value.into() };
        let params = vec![param("ScriptName", SCRIPT_NAME), param("Args", &args)];
        let commands = [CommandWords { r#type: "RunScript".into(), params }];
        let created = self.client.live_response(&self.machine, "race", &commands).await;
        Ok(created.context("creating")?.item.id)
    }

    async fn wait_moment(&self, life: &Life, lives: Duration, dice: &mut Dice) -> anyhow::Result<()> {
        let after_start = match life.moment {
            Moment::AgentPaused | Moment::AgentDead | Moment::Between | Moment::Never => None,
            Moment::During => Some(dice.within(lives)),
            Moment::NearTheEnd => Some((lives + dice.within(NEAR * 2)).saturating_sub(NEAR)),
        };
        let Some(after_start) = after_start else {
            return exactly(dice.within(BETWEEN)).await;
        };
        let deadline = marks::now_ns() + nanos(BEGUN_WITHIN);
        while marks::length(&life.witness) == 0 {
            if marks::now_ns() > deadline {
                bail!("the script of {} left no mark within {BEGUN_WITHIN:?}", life.id);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        exactly(after_start).await
    }

    /// Asks to cancel, and looks meanwhile like anybody else would: what one is shown another may have seen before.
    async fn cancel(&self, life: &mut Life) -> anyhow::Result<()> {
        let asked = marks::now_ns();
        life.asked_ns = Some(asked);
        let (id, client) = (life.id.clone(), self.client.clone());
        // In a task of its own, so that a look that is under way does not make its answer seem later.
        let mut cancelling = tokio::spawn(async move { (client.cancel(&id, "race").await, marks::now_ns()) });
        loop {
            tokio::select! {
                answered = &mut cancelling => {
                    let (answer, at_ns) = answered.context("the task of a cancel")?;
                    match answer {
                        Ok(answer) => {
                            life.taken = true;
                            life.shown(&answer.item.status, at_ns);
                        }
                        Err(ClientError::Api { status: 400, .. }) => {}
                        Err(error) => return Err(error).context("cancelling"),
                    }
                    return Ok(());
                }
                () = tokio::time::sleep(POLL_EVERY) => {
                    let seen = self.client.action(&life.id).await.context("looking")?;
                    life.shown(&seen.item.status, marks::now_ns());
                }
            }
        }
    }

    /// Looks until the end.
    async fn watch(&self, life: &mut Life) -> anyhow::Result<()> {
        let deadline = marks::now_ns() + nanos(FINAL_WITHIN);
        loop {
            let seen = self.client.action(&life.id).await.context("looking")?.item;
            let at_ns = marks::now_ns();
            life.shown(&seen.status, at_ns);
            if !matches!(seen.status.as_str(), "Pending" | "InProgress") {
                life.end = Some(seen);
                life.ended_ns = Some(at_ns);
                return Ok(());
            }
            if marks::now_ns() > deadline {
                return Ok(());
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    fn silence(&self, moment: Moment) -> anyhow::Result<()> {
        let mut fleet = lock(&self.fleet);
        match moment {
            Moment::AgentPaused => fleet.signal_agent(&self.name, Signal::STOP),
            Moment::AgentDead => fleet.stop_agent(&self.name, Signal::KILL),
            _ => Ok(()),
        }
    }

    fn revive(&self, moment: Moment) -> anyhow::Result<()> {
        let mut fleet = lock(&self.fleet);
        match moment {
            Moment::AgentPaused => fleet.signal_agent(&self.name, Signal::CONT),
            Moment::AgentDead => fleet.start_agent(&self.name, &[]),
            _ => Ok(()),
        }
    }
}

impl Life {
    fn shown(&mut self, status: &str, at_ns: u64) {
        if status == "Cancelled" && self.shown_ns.is_none() {
            self.shown_ns = Some(at_ns);
            self.length_when_shown = marks::length(&self.witness);
        }
    }
}

/// Sleeps in a thread of its own: the runtime's timers know whole milliseconds only.
async fn exactly(length: Duration) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || std::thread::sleep(length)).await.context("a sleeping thread")
}

/// The fleet, for one at a time.
pub(super) fn lock(fleet: &Mutex<Fleet>) -> MutexGuard<'_, Fleet> {
    // Its tables are whole after every call, so a panic elsewhere spoils nothing.
    fleet.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many nanoseconds.
fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
