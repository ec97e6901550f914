//! The proof bites: every mutant is caught. One test, because the switch is the whole process's.

#![cfg(feature = "mutants")]

use domain::mutant::Mutant;
use sim::mutants::{caught, hunt};

#[test]
fn every_mutant_is_caught() {
    let missed: Vec<String> =
        Mutant::ALL.into_iter().filter(|mutant| caught(&hunt(*mutant)).is_none()).map(Mutant::name).collect();
    assert!(missed.is_empty(), "not caught: {}", missed.join(", "));
}
