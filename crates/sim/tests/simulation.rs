//! The simulator: the same seed is the same run, and what is run here breaks no rule.

use sim::simulation::engine::Engine;
use sim::simulation::inject;
use sim::simulation::run::{run, run_all};
use sim::simulation::scenarios::SCENARIOS;

/// So many seeds are run twice.
const TWICE: u64 = 50;

/// So many seeds are run in a test that is built without optimisation.
const SEEDS: u64 = 300;

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..TWICE {
        let film = || run(seed, None, Engine::Memory, true).expect("a store").film.join("\n");
        assert_eq!(film(), film(), "seed {seed}");
    }
    let film = || run(1, None, Engine::Sqlite, true).expect("a store").film.join("\n");
    assert_eq!(film(), film(), "the other engine");
}

#[test]
fn both_engines_make_the_same_film() {
    for seed in 0..5 {
        let film = |engine| run(seed, None, engine, true).expect("a store").film.join("\n");
        assert_eq!(film(Engine::Memory), film(Engine::Sqlite), "seed {seed}");
    }
}

#[test]
fn some_hundred_seeds_break_no_rule() {
    let report = run_all(0, SEEDS, Engine::Memory);
    assert_eq!(report.runs, SEEDS);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
}

#[test]
fn every_scenario_holds() {
    for scenario in &SCENARIOS {
        for seed in 0..4 {
            let engine = if seed == 3 { Engine::Sqlite } else { Engine::Memory };
            let (breach, film) = scenario.play(seed, engine, true).expect("a store");
            assert_eq!(breach, None, "{}, play {seed}\n{}", scenario.bug, film.join("\n"));
        }
    }
}

#[test]
fn a_call_that_fails_is_named() {
    let whole = run(0, Some(inject::setting(None)), Engine::Memory, false).expect("a store");
    assert_eq!(whole.failed, None);
    let side = sim::simulation::ground::Side::After;
    let setting = inject::setting(Some((whole.calls / 2, side)));
    let outcome = run(0, Some(setting), Engine::Memory, true).expect("a store");
    let failed = outcome.failed.expect("the call that fails");
    assert!(failed.contains("After"), "{failed}");
    assert_eq!(outcome.breach, None, "{}", outcome.film.join("\n"));
}
