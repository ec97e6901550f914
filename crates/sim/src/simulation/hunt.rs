//! Looking for the first seed that breaks a rule while a fault is switched on in the production code.

use super::engine::Engine;
use super::rules::Breach;
use super::run::run_all;
use domain::mutant::{Mutant, set};

/// So many seeds are run at a time; the first that fails is then the first of all.
const BLOCK: u64 = 128;

/// After so many seeds a fault counts as not caught.
pub const SEEDS_MAX: u64 = 50_000;

/// How a fault was caught.
#[derive(Clone, Debug)]
pub struct Caught {
    /// By the run of this seed, the first that does.
    pub seed: u64,
    /// At this step.
    pub step: u32,
    /// By this rule.
    pub breach: Breach,
}

/// Switches a fault on and looks for a seed that notices. Not for two at a time: the switch is the whole process's.
///
/// A seed that fails without the fault as well is passed over: what it notices is something else.
pub fn hunt(mutant: Mutant) -> Option<Caught> {
    let blocks = (0..SEEDS_MAX).step_by(BLOCK as usize);
    let mut failed = blocks.into_iter().flat_map(|from| {
        set(Some(mutant));
        let failed = run_all(from, BLOCK, Engine::Memory).failed;
        set(None);
        failed
    });
    let found = failed.find(|(seed, _, _)| run_all(*seed, 1, Engine::Memory).failed.is_empty());
    found.map(|(seed, step, breach)| Caught { seed, step, breach })
}
