//! `proof`: checks the protocol within bounds, simulates the whole from seeds, and sees that both checks bite.

use domain::mutant::Mutant;
use sim::bounds::{CHECKED, DEEP, ENDS, Run};
use sim::model::Protocol;
use sim::model::rules::Rule;
use sim::model::sights::SIGHTS;
use sim::search::{STATES_MAX, stuck};
use sim::simulation::report;
use sim::story;
use stateright::{Checker as _, Model as _};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "\
proof [model [--deep] | mutants | replay MUTANT | simulate [--seeds N] [--from SEED] [--engine memory|sqlite]
       | film SEED [--engine memory|sqlite] [--mutant NAME] | scenarios | inject]

  model      the rules in every state within the bounds, and a way to an end from each of them;
             --deep: tens of millions of states
  mutants    every fault that can be switched on is found, by the model and by the simulator (build with the feature
             mutants)
  replay     the shortest way to what a fault breaks, with the journal
  simulate   the real core, store and worker over a host, network, disk and clocks that fail: one run for each seed
  film       one run, step by step, with everything that changes
  scenarios  the bugs that every cancel feature repeats, each as a story
  inject     every call that can fail fails once
  nothing    all of these but the deep model and the single replays
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let passed = match args.as_slice() {
        [] => model(&CHECKED) & mutants() & report::simulate(&[]) & report::scenarios() & report::inject(),
        ["model"] => model(&CHECKED),
        ["model", "--deep"] => model(&DEEP),
        ["mutants"] => mutants(),
        ["replay", name] => replay(name),
        ["simulate", options @ ..] => report::simulate(options),
        ["film", seed, options @ ..] => film(seed, options),
        ["scenarios"] => report::scenarios(),
        ["inject"] => report::inject(),
        _ => {
            eprint!("{USAGE}");
            false
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn model(runs: &[Run]) -> bool {
    let (began, mut passed, mut states) = (Instant::now(), true, 0);
    for run in runs {
        let (held, count) = rules_hold(run);
        passed &= held;
        states += count;
    }
    for run in &ENDS {
        passed &= ends_are_reached(run);
    }
    println!("{states} states in {:.0?}", began.elapsed());
    passed
}

/// One run of the checker; also how many states it looked at.
fn rules_hold(run: &Run) -> (bool, usize) {
    println!("{:?}, {:?}", run.plan, run.bounds);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let protocol = Protocol::new(run.plan, run.bounds, true);
    let began = Instant::now();
    let checker = protocol.checker().threads(threads).spawn_bfs().join();
    let (states, generated, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    println!("  {states} states, {generated} generated, depth {depth}, {:.1?}", began.elapsed());
    let mut passed = true;
    let found = checker.discoveries();
    for rule in Rule::ALL {
        if let Some(path) = found.get(rule.name()) {
            passed = false;
            let taken = path.clone().into_actions().into_iter();
            let way: Vec<_> = taken.map(|(step, next)| (step, *next)).collect();
            println!("  BROKEN {}\n{}", rule.name(), story::words(&way));
        }
    }
    let missing: Vec<&str> = SIGHTS.iter().map(|(name, _)| *name).filter(|name| !found.contains_key(name)).collect();
    let reached: Vec<&str> = SIGHTS.iter().map(|(name, _)| *name).filter(|name| found.contains_key(name)).collect();
    println!("  {} rules; of {} sights reached: {}", Rule::ALL.len(), SIGHTS.len(), reached.join("; "));
    for name in missing.iter().filter(|name| run.must_reach(name)) {
        println!("  NOT REACHED {name}");
        passed = false;
    }
    (passed, states)
}

/// AG EF: from every state an end can be reached by merit.
fn ends_are_reached(run: &Run) -> bool {
    let began = Instant::now();
    let found = stuck(&Protocol::new(run.plan, run.bounds, false), STATES_MAX);
    println!("AG EF an end, without give-up, expiry, cancel or fault: {:?}, {:?}", run.plan, run.bounds);
    println!("  {} states, {} stuck, {:.1?}", found.states, found.stuck, began.elapsed());
    print!("{}", story::words(&found.way));
    found.stuck == 0
}

#[cfg(feature = "mutants")]
fn mutants() -> bool {
    let mut passed = true;
    for mutant in Mutant::ALL {
        let began = Instant::now();
        let found = sim::mutants::hunt(mutant);
        let by = sim::mutants::caught(&found);
        passed &= by.is_some();
        let by = by.unwrap_or_else(|| "NOT CAUGHT".into());
        let (steps, states) = (found.way.len(), found.states);
        println!("mutant {}", mutant.name());
        println!("  by the model: {by}; {steps} steps, {states} states, {:.1?}", began.elapsed());
        passed &= report::hunt(mutant);
        print!("{}", story::words(&found.way));
    }
    passed
}

/// The film of one seed, under a mutant if one is named.
#[cfg(feature = "mutants")]
fn film(seed: &str, options: &[&str]) -> bool {
    match options {
        [rest @ .., "--mutant", name] => {
            let Some(mutant) = Mutant::parse(name) else { return replay(name) };
            domain::mutant::set(Some(mutant));
            report::film(seed, rest)
        }
        _ => report::film(seed, options),
    }
}

#[cfg(feature = "mutants")]
fn replay(name: &str) -> bool {
    let Some(mutant) = Mutant::parse(name) else {
        let names: Vec<String> = Mutant::ALL.into_iter().map(Mutant::name).collect();
        eprintln!("there is no mutant {name:?}; there are {}", names.join(", "));
        return false;
    };
    let found = sim::mutants::hunt(mutant);
    println!("{}", sim::mutants::caught(&found).unwrap_or_else(|| "NOT CAUGHT".into()));
    print!("{}", story::details(&found.way));
    true
}

#[cfg(not(feature = "mutants"))]
fn film(seed: &str, options: &[&str]) -> bool {
    report::film(seed, options)
}

#[cfg(not(feature = "mutants"))]
fn mutants() -> bool {
    eprintln!("none of the {} mutants can be switched on: build with the feature mutants", Mutant::ALL.len());
    false
}

#[cfg(not(feature = "mutants"))]
fn replay(_: &str) -> bool {
    mutants()
}
