//! One trial: an action, an agent that dies at one place of it, perhaps a cancel, the agent's return, and a judgement.

use super::judge::{self, Ended};
use super::look;
use super::play::{Case, Play};
use super::rig::{Life, Rig};
use super::right::{Cancel, right};
use anyhow::{Context as _, ensure};

/// How the action goes until the death that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// To its end, undisturbed.
    Whole,
    /// Cancelled in its middle, with the agent alive: dies while it stops and undoes.
    Cancelled,
    /// The agent died in its middle before: dies again while it recovers.
    Interrupted,
    /// The same, and cancelled in between.
    InterruptedCancelled,
}

/// What happens in the death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing.
    LeftAlone,
    /// The action is cancelled.
    CancelledInDeath,
}

impl Run {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Whole, Self::Cancelled, Self::Interrupted, Self::InterruptedCancelled];

    /// What is tried in the death. One that is cancelled already is not cancelled again.
    pub(super) fn ways(self) -> &'static [Way] {
        match self {
            Self::Whole | Self::Interrupted => &[Way::LeftAlone, Way::CancelledInDeath],
            Self::Cancelled | Self::InterruptedCancelled => &[Way::LeftAlone],
        }
    }

    /// When the cancel was asked for, if the death goes this way.
    fn cancel(self, way: Way) -> Cancel {
        match (self, way) {
            (Self::Cancelled | Self::InterruptedCancelled, _) => Cancel::BeforeTheEnd,
            (_, Way::CancelledInDeath) => Cancel::InTheLastDeath,
            (_, Way::LeftAlone) => Cancel::Never,
        }
    }
}

/// The places of a run, of which each is to be a death.
pub(super) struct Route {
    /// All that the life under trial comes to, in order.
    pub(super) places: Vec<String>,
    /// The number of the first to die at, from 1; those before are another run's.
    pub(super) first: usize,
}

/// Finds the places by letting the run go to its end once. None: this run does not exist for this play.
///
/// # Errors
/// It does not go as it should even without a death.
pub(super) fn route(rig: &mut Rig, play: Play, run: Run, middle: usize) -> anyhow::Result<Option<Route>> {
    if run == Run::Cancelled && play.can_be_held().is_none() {
        return Ok(None);
    }
    let case = case(rig);
    play.prepare(rig)?;
    let begun = begin(rig, play, &case, run, middle, None)?;
    let ended = rig.wait_final(&begun.action)?;
    rig.wait_forgotten(&begun.lives(), &begun.action)?;
    rig.hold(false)?;
    let places = begun.life.places()?;
    rig.stop()?;
    let expected = match run {
        Run::Whole => "Succeeded",
        Run::Interrupted => "Failed",
        Run::Cancelled | Run::InterruptedCancelled => "Cancelled",
    };
    ensure!(ended.status == expected, "{run:?}, undisturbed, ended {}: {:?}", ended.status, ended.troubleshoot_info);
    let first = match (run, play.can_be_held()) {
        (Run::Cancelled, Some(held)) => number(&places, held)? + 1,
        _ => 1,
    };
    Ok(Some(Route { places, first }))
}

/// The number of a place, from 1.
///
/// # Errors
/// The run does not come to it.
pub(super) fn number(places: &[String], name: &str) -> anyhow::Result<usize> {
    let index = places.iter().position(|place| place == name);
    Ok(index.with_context(|| format!("the run does not come to {name}, but to {places:?}"))? + 1)
}

/// What came of a trial.
pub(super) struct Outcome {
    /// What is wrong with its end; nothing, if it is right.
    pub(super) wrong: Vec<String>,
    /// The place at which the agent died.
    pub(super) died_at: String,
}

/// Plays one trial and judges its end.
///
/// # Errors
/// It did not come to an end that could be judged.
pub(super) fn play(
    rig: &mut Rig,
    play: Play,
    run: Run,
    way: Way,
    middle: usize,
    place: usize,
) -> anyhow::Result<Outcome> {
    let case = case(rig);
    play.prepare(rig)?;
    let before = rig.look()?;
    let begun = begin(rig, play, &case, run, middle, Some(place))?;
    let mut places = begun.earlier.as_ref().map_or(Ok(Vec::new()), Life::places)?;
    places.extend(rig.wait_death(&begun.life)?);
    rig.hold(false)?;
    let mut wrong = Vec::new();
    if !places.iter().any(|place| place == "journal.after.intent") {
        let early = rig.look()?.differences(&before);
        wrong.extend(early.into_iter().map(|what| format!("an effect without a durable intent: {what}")));
    }
    let taken = match (run.cancel(way), way) {
        (Cancel::BeforeTheEnd, _) => Some(begun.cancel_taken),
        (_, Way::CancelledInDeath) => Some(rig.cancel(&begun.action)?),
        (_, Way::LeftAlone) => None,
    };
    let right = right(&places, play.steps(), run.cancel(way));
    if taken != right.cancel_taken {
        wrong.push(format!("the cancel was taken: {taken:?}; right is {:?}", right.cancel_taken));
    }
    let last = rig.start(None)?;
    let action = rig.wait_final(&begun.action)?;
    // At once: Cancelled and Failed must be true when they are shown, not some time later.
    let alive = look::lives(&begun.action, &case.marker)?;
    let machine = rig.look()?;
    let mut lives = begun.lives();
    lives.push(&last);
    if let Err(error) = rig.wait_forgotten(&lives, &begun.action) {
        wrong.push(format!("{error:#}"));
    }
    let (history, explained) = rig.told(&begun.action)?;
    let ended = Ended { action, before, machine, alive, history, explained };
    wrong.extend(judge::judge(rig, play, &case, right, &ended)?);
    rig.stop()?;
    if !wrong.is_empty() {
        wrong.push(judge::story(rig, &ended, &places));
    }
    Ok(Outcome { wrong, died_at: places.pop().unwrap_or_default() })
}

/// What stands when the life under trial goes on, or dies.
struct Begun {
    action: String,
    earlier: Option<Life>,
    life: Life,
    cancel_taken: bool,
}

impl Begun {
    fn lives(&self) -> Vec<&Life> {
        self.earlier.iter().chain([&self.life]).collect()
    }
}

fn begin(
    rig: &mut Rig,
    play: Play,
    case: &Case,
    run: Run,
    middle: usize,
    crash_at: Option<usize>,
) -> anyhow::Result<Begun> {
    match run {
        Run::Whole => {
            let action = play.request(rig, case, false)?;
            let life = rig.start(crash_at)?;
            Ok(Begun { action, earlier: None, life, cancel_taken: false })
        }
        Run::Cancelled => begin_cancelled(rig, play, case, crash_at),
        Run::Interrupted | Run::InterruptedCancelled => {
            let action = play.request(rig, case, true)?;
            let earlier = rig.start(Some(middle))?;
            rig.wait_death(&earlier)?;
            let cancel_taken = run == Run::InterruptedCancelled && rig.cancel(&action)?;
            let life = rig.start(crash_at)?;
            Ok(Begun { action, earlier: Some(earlier), life, cancel_taken })
        }
    }
}

/// Held up in its middle and cancelled there. What is held by the network is held once the agent has its session.
fn begin_cancelled(rig: &mut Rig, play: Play, case: &Case, crash_at: Option<usize>) -> anyhow::Result<Begun> {
    let held = play.can_be_held().context("it cannot be held up")?;
    let (action, life) = if play.held_by_network() {
        let life = rig.start(crash_at)?;
        rig.wait_session(&life)?;
        rig.hold(true)?;
        (play.request(rig, case, true)?, life)
    } else {
        (play.request(rig, case, true)?, rig.start(crash_at)?)
    };
    rig.wait_place(&life, held)?;
    let cancel_taken = rig.cancel(&action)?;
    Ok(Begun { action, earlier: None, life, cancel_taken })
}

fn case(rig: &mut Rig) -> Case {
    let number = rig.next_case();
    let marker = format!("countermand-torture-{}-{}-{number}", std::process::id(), rig.name);
    Case { witness: rig.file(&format!("witness-{number}")), marker }
}
