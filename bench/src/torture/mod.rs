//! `bench torture`: the agent is killed at every place before and after each journal record and each effect, and comes
//! back; then action, history and machine must be as exactly one of the final statuses promises.
//!
//! The binary under trial is a build with the feature `crash-points`.

mod judge;
mod look;
mod play;
mod rig;
mod right;
mod trial;

use crate::playground;
use crate::summary::Summary;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use play::Play;
use rig::Rig;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use trial::{Run, Way};

/// The most machines that are tortured at once.
const MACHINES_MAX: usize = 8;

/// The variable that tells an agent where to die; stands in every binary that can be told.
const CRASH_VARIABLE: &str = "COUNTERMAND_CRASH_AT";

/// How often a case is played until it dies at the place that it is to die at.
const TRIES_MAX: usize = 60;

/// How many lines of the agent's log a story has.
const STORY_LINES: usize = 30;

/// Kills the agent at every crash place of every executor, and compares machine and words after its return.
#[derive(Args, Debug)]
pub(crate) struct Torture {
    /// Only these executors. Repeatable.
    #[arg(long = "executor", value_name = "NAME")]
    executors: Vec<String>,
    /// Only places whose name contains this.
    #[arg(long, value_name = "TEXT")]
    place: Option<String>,
    /// How many machines are tortured at once.
    #[arg(long, default_value_t = 2)]
    machines: usize,
    /// Print every case, not only those that fail.
    #[arg(long)]
    verbose: bool,
}

/// What became of one play, or of all.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    cases: usize,
    failed: usize,
}

impl Torture {
    /// Does it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let began = Instant::now();
        check_binary()?;
        let mut plays = self.plays()?;
        plays.reverse();
        let count = self.machines.clamp(1, MACHINES_MAX).min(plays.len());
        // One after another: whether a control group is ours to remove is found out by looking before.
        let rigs: Vec<Rig> = (0..count).map(|number| Rig::open(&format!("rack{number}"))).collect::<Result<_, _>>()?;
        let (waiting, total) = (Mutex::new(plays), Mutex::new(Tally::default()));
        let rigs: Vec<Rig> = std::thread::scope(|scope| {
            let work = |rig| scope.spawn(|| self.work(rig, &waiting, &total));
            let threads: Vec<_> = rigs.into_iter().map(work).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let total = *lock(&total);
        let is_whole = rigs.len() == count;
        for rig in rigs.into_iter().rev() {
            rig.close()?;
        }
        println!("torture: {} cases, {} failed, in {:.0} s", total.cases, total.failed, began.elapsed().as_secs_f64());
        let summary = Summary {
            what: "torture",
            how_much: format!("{} cases", total.cases),
            seeds: "none".into(),
            failures: total.failed,
            remark: self.remark(),
        };
        summary.hand_over()?;
        ensure!(is_whole, "a thread of the torture itself failed");
        ensure!(total.cases > 0, "nothing was tortured");
        ensure!(total.failed == 0, "{} of {} cases failed", total.failed, total.cases);
        Ok(())
    }

    fn remark(&self) -> String {
        let place = self.place.iter().map(|place| format!("places with {place:?}"));
        let chosen: Vec<String> = self.executors.iter().cloned().chain(place).collect();
        if chosen.is_empty() { "every crash place".into() } else { format!("only {}", chosen.join(", ")) }
    }

    fn plays(&self) -> anyhow::Result<Vec<Play>> {
        let known = Play::ALL.map(Play::name);
        if let Some(unknown) = self.executors.iter().find(|name| !known.contains(&name.as_str())) {
            bail!("there is no executor {unknown}; there are {}", known.join(", "));
        }
        let wanted = |play: &Play| self.executors.is_empty() || self.executors.iter().any(|name| name == play.name());
        Ok(Play::ALL.into_iter().filter(wanted).collect())
    }

    /// Takes plays until there is none left. A play that cannot go on is one failed case.
    fn work(&self, mut rig: Rig, waiting: &Mutex<Vec<Play>>, total: &Mutex<Tally>) -> Rig {
        if let Err(error) = play::provide(&rig) {
            println!("torture: the library cannot be filled: {error:#}");
            lock(total).failed += 1;
            return rig;
        }
        while let Some(play) = next(waiting) {
            let began = Instant::now();
            let mut tally = Tally::default();
            for run in Run::ALL {
                if let Err(error) = self.run_of(&mut rig, play, run, &mut tally) {
                    tally.failed += 1;
                    println!("FAILED {} {run:?}: {error:#}\n{}", play.name(), rig.agent_tail(STORY_LINES));
                    if let Err(error) = rig.settle() {
                        println!("FAILED {}: the machine could not be brought back: {error:#}", play.name());
                        break;
                    }
                }
            }
            let seconds = began.elapsed().as_secs_f64();
            println!("{:<14} {:>4} cases, {} failed, in {seconds:.0} s", play.name(), tally.cases, tally.failed);
            let mut total = lock(total);
            total.cases += tally.cases;
            total.failed += tally.failed;
        }
        rig
    }

    fn run_of(&self, rig: &mut Rig, play: Play, run: Run, tally: &mut Tally) -> anyhow::Result<()> {
        let whole = trial::route(rig, play, Run::Whole, 0)?.context("every play has a whole run")?;
        let middle = trial::number(&whole.places, play.middle())?;
        let Some(route) = trial::route(rig, play, run, middle)? else { return Ok(()) };
        for (number, name) in (1..).zip(&route.places).skip(route.first - 1) {
            if self.place.as_ref().is_some_and(|wanted| !name.contains(wanted)) {
                continue;
            }
            for way in run.ways() {
                tally.cases += 1;
                let case = Case { play, run, way: *way, middle, number, name };
                let failed = try_one(rig, &case)?;
                tally.failed += usize::from(failed);
                if self.verbose && !failed {
                    println!("ok     {case}");
                }
            }
        }
        Ok(())
    }
}

/// Refuses a binary that would never die: every case would only wait in vain.
fn check_binary() -> anyhow::Result<()> {
    let path = playground::binary()?;
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let has_places = bytes.windows(CRASH_VARIABLE.len()).any(|window| window == CRASH_VARIABLE.as_bytes());
    ensure!(has_places, "{} has no crash places: build it with the feature crash-points", path.display());
    Ok(())
}

/// One case: which run dies where, and what happens then.
struct Case<'a> {
    play: Play,
    run: Run,
    way: Way,
    middle: usize,
    number: usize,
    name: &'a str,
}

/// Plays one case; true: it failed, and its story is told. A case that dies at another place than it was to is judged
/// all the same, and played again until it meets its own.
fn try_one(rig: &mut Rig, case: &Case<'_>) -> anyhow::Result<bool> {
    let mut wrong = Vec::new();
    for _ in 0..TRIES_MAX {
        match trial::play(rig, case.play, case.run, case.way, case.middle, case.number) {
            Ok(outcome) if outcome.wrong.is_empty() && outcome.died_at == case.name => return Ok(false),
            Ok(outcome) if outcome.wrong.is_empty() => wrong = vec![format!("it died at {}", outcome.died_at)],
            Ok(outcome) => {
                wrong = outcome.wrong;
                break;
            }
            Err(error) => {
                wrong = vec![format!("{error:#}"), rig.agent_tail(STORY_LINES)];
                rig.settle().context("the machine could not be brought back")?;
                break;
            }
        }
    }
    println!("FAILED {case}\n  {}", wrong.join("\n  "));
    Ok(true)
}

impl std::fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?} at {} {}", self.play.name(), self.run, self.way, self.number, self.name)
    }
}

fn next(waiting: &Mutex<Vec<Play>>) -> Option<Play> {
    lock(waiting).pop()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Numbers and a list, whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
