//! A film of a fault in the production code: found, the same again, and to be read.
#![cfg(feature = "mutants")]

use domain::mutant::{Mutant, set};
use sim::simulation::engine::Engine;
use sim::simulation::hunt::hunt;
use sim::simulation::run::run;

// One test: the switch is the whole process's.
#[test]
fn a_fault_is_found_and_its_film_tells_the_story() {
    let caught = hunt(Mutant::CancelledWhileGranted).expect("caught");
    set(Some(Mutant::CancelledWhileGranted));
    let film = || run(caught.seed, None, Engine::Memory, true).expect("a store");
    let (once, again) = (film(), film());
    set(None);
    assert_eq!(once.film, again.film);
    assert_eq!((once.breach.as_ref(), once.steps), (Some(&caught.breach), caught.step));
    let lines = &once.film;
    assert_eq!(lines.last(), Some(&format!("BROKEN {}", caught.breach)));
    for wanted in ["the agent starts", "reads Grant", "is Granted, grant", "a client asks for a cancel"] {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted} is not in\n{}", lines.join("\n"));
    }
    assert_eq!(film().breach, None, "without the fault the same seed breaks nothing");
}
