//! Running seeds: one, or very many on every core.

use super::engine::Engine;
use super::rules::Breach;
use super::setting::Setting;
use super::sights::Sights;
use super::world::{Outcome, World};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most failing seeds that are noted: the first few tell enough.
const FAILED_MAX: usize = 20;

/// What very many runs came to.
#[derive(Debug, Default)]
pub struct Report {
    /// How many runs.
    pub runs: u64,
    /// How many steps, in all.
    pub steps: u64,
    /// What was seen, in all.
    pub sights: Sights,
    /// Seeds that broke a rule, in order, with the step at which they did.
    pub failed: Vec<(u64, u32, Breach)>,
}

/// Runs one seed. Recorded, its outcome has a film.
///
/// # Errors
/// There is no place for the store.
pub fn run(seed: u64, setting: Option<Setting>, engine: Engine, recorded: bool) -> Result<Outcome, store::StoreError> {
    let opened = engine.open()?;
    Ok(World::new(seed, setting, opened.store.clone(), recorded).run())
}

/// Runs so many seeds, on every core.
pub fn run_all(from: u64, count: u64, engine: Engine) -> Report {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, report) = (AtomicU64::new(0), Mutex::new(Report::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut mine = Report::default();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    mine.note(from + index, engine);
                }
                super::ground::lock(&report).add(mine);
            });
        }
    });
    let mut report = report.into_inner().unwrap_or_default();
    report.failed.sort_by_key(|(seed, ..)| *seed);
    report.failed.truncate(FAILED_MAX);
    report
}

impl Report {
    fn note(&mut self, seed: u64, engine: Engine) {
        let (steps, breach, sights) = match run(seed, None, engine, false) {
            Ok(outcome) => (outcome.steps, outcome.breach, outcome.sights),
            Err(error) => {
                let rule = super::rules::Rule::NothingImpossibleIsTried;
                (0, Some(Breach { rule, why: format!("no store: {error}") }), Sights::default())
            }
        };
        self.runs += 1;
        self.steps += u64::from(steps);
        self.sights.add(&sights);
        if let Some(breach) = breach.filter(|_| self.failed.len() < FAILED_MAX) {
            self.failed.push((seed, steps, breach));
        }
    }

    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.steps += other.steps;
        self.sights.add(&other.sights);
        self.failed.extend(other.failed);
    }
}
