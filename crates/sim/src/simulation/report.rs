//! The simulator's commands, and what they print.

use super::engine::Engine;
#[cfg(feature = "mutants")]
use super::hunt;
use super::inject;
use super::run::{run, run_all};
use super::scenarios::{PLAYS, SCENARIOS};
use super::sights::Sight;
use std::io::Write as _;
use std::time::Instant;

/// The seeds that every change must pass.
pub const SEEDS: u64 = 20_000;

/// Of these so many with the SQLite engine, which takes longer.
pub const SQLITE_SEEDS: u64 = 200;

/// What a command is told.
struct Told {
    seeds: Option<u64>,
    from: u64,
    engine: Option<Engine>,
}

impl Told {
    fn parse(options: &[&str]) -> Option<Self> {
        let mut told = Self { seeds: None, from: 0, engine: None };
        for pair in options.chunks(2) {
            match pair {
                ["--seeds", number] => told.seeds = Some(number.parse().ok()?),
                ["--from", number] => told.from = number.parse().ok()?,
                ["--engine", "memory"] => told.engine = Some(Engine::Memory),
                ["--engine", "sqlite"] => told.engine = Some(Engine::Sqlite),
                _ => return None,
            }
        }
        Some(told)
    }
}

/// Runs very many seeds. Without an engine: all in memory, and some of them in SQLite too.
pub fn simulate(options: &[&str]) -> bool {
    let Some(told) = Told::parse(options) else {
        eprintln!("simulate [--seeds N] [--from SEED] [--engine memory|sqlite]");
        return false;
    };
    let seeds = told.seeds.unwrap_or(SEEDS);
    match told.engine {
        Some(engine) => seeds_of(told.from, seeds, engine),
        None => {
            let in_memory = seeds_of(told.from, seeds, Engine::Memory);
            in_memory & seeds_of(told.from, SQLITE_SEEDS.min(seeds), Engine::Sqlite)
        }
    }
}

fn seeds_of(from: u64, seeds: u64, engine: Engine) -> bool {
    let began = Instant::now();
    let report = run_all(from, seeds, engine);
    let seconds = began.elapsed().as_secs_f64();
    let per_second = report.runs as f64 / seconds;
    println!(
        "{} runs from seed {from}, {engine:?}: {} steps, {} broke a rule; {seconds:.1} s, {per_second:.0} runs/s",
        report.runs,
        report.steps,
        report.failed.len()
    );
    let seen = Sight::ALL.map(|sight| format!("{sight:?} {}", report.sights.of(sight)));
    println!("  seen: {}", seen.join(", "));
    for (seed, step, breach) in &report.failed {
        println!("  BROKEN by seed {seed} at step {step}: {breach}");
        println!("    replay: cargo xtask proof film {seed}{}", engine.option());
    }
    let missing = if seeds >= SEEDS { report.sights.missing() } else { vec![] };
    for sight in &missing {
        println!("  NEVER SEEN {sight:?}");
    }
    report.failed.is_empty() && missing.is_empty()
}

/// The film of one seed.
pub fn film(seed: &str, options: &[&str]) -> bool {
    let told = Told::parse(options).and_then(|told| Some((seed.parse().ok()?, told.engine.unwrap_or(Engine::Memory))));
    let Some((seed, engine)) = told else {
        eprintln!("film SEED [--engine memory|sqlite] [--mutant NAME]");
        return false;
    };
    match run(seed, None, engine, true) {
        Ok(outcome) => {
            print_all(&outcome.film);
            outcome.breach.is_none()
        }
        Err(error) => {
            eprintln!("no store: {error}");
            false
        }
    }
}

/// Prints lines, as long as somebody reads them.
fn print_all(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}

/// Plays every scenario, in many orders, on both engines.
pub fn scenarios() -> bool {
    let mut passed = true;
    for scenario in &SCENARIOS {
        let began = Instant::now();
        let broken = (0..PLAYS).find_map(|seed| {
            // Every tenth on SQLite.
            let engine = if seed % 10 == 9 { Engine::Sqlite } else { Engine::Memory };
            match scenario.play(seed, engine, false) {
                Ok((None, _)) => None,
                Ok((Some(breach), _)) => Some((seed, engine, breach.to_string())),
                Err(error) => Some((seed, engine, error.to_string())),
            }
        });
        let held = if broken.is_none() { "held" } else { "BROKEN" };
        println!("{} {}: {held}, {PLAYS} plays, {:.1?}", scenario.bug, scenario.what, began.elapsed());
        if let Some((seed, engine, why)) = broken {
            passed = false;
            println!("  BROKEN in play {seed}: {why}");
            print_all(&scenario.play(seed, engine, true).map(|(_, film)| film).unwrap_or_default());
        }
    }
    passed
}

/// Lets every call that can fail fail once.
pub fn inject() -> bool {
    let began = Instant::now();
    match inject::inject(Engine::Memory) {
        Ok(injected) => {
            println!(
                "{} calls can fail; {} runs, one failure each: {} broke a rule; {:.1?}",
                injected.calls,
                injected.runs,
                injected.failed.len(),
                began.elapsed()
            );
            for (seed, call, breach) in &injected.failed {
                println!("  BROKEN in world {seed} by {call}: {breach}");
            }
            injected.failed.is_empty()
        }
        Err(error) => {
            eprintln!("no store: {error}");
            false
        }
    }
}

/// Looks for a fault with the simulator.
#[cfg(feature = "mutants")]
pub fn hunt(mutant: domain::mutant::Mutant) -> bool {
    let began = Instant::now();
    let found = hunt::hunt(mutant);
    match &found {
        Some(caught) => {
            let (seed, step, breach) = (caught.seed, caught.step, &caught.breach);
            println!("  by the simulator: seed {seed}, step {step}: {breach}; {:.1?}", began.elapsed());
            println!("    replay: cargo xtask proof film {seed} --mutant {}", mutant.name());
        }
        None => println!("  by the simulator: NOT CAUGHT; {:.1?}", began.elapsed()),
    }
    found.is_some()
}
