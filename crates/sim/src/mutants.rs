//! Every mutant must be caught: by a broken rule, or by states from which no end can be reached.

use crate::bounds::{ENROLLED_AGAIN, MUTANT, MUTANT_ENDS, MUTANT_PAIR, SLOW_SWEEP};
use crate::model::{Plan, Protocol};
use crate::search::{Found, STATES_MAX, shortest_breach, stuck};
use domain::mutant::{Mutant, set};

/// Switches a mutant on and looks for what it breaks. Not for two at a time: the switch is the whole process's.
pub fn hunt(mutant: Mutant) -> Found {
    set(Some(mutant));
    let found = found(mutant);
    set(None);
    found
}

fn found(mutant: Mutant) -> Found {
    let (plan, bounds) = match mutant {
        Mutant::NoClassGuard => (Plan::TwoActions, MUTANT_PAIR),
        Mutant::OldIncarnationTrusted | Mutant::GrantOutlivesEnrolment => (Plan::Reversible, ENROLLED_AGAIN),
        Mutant::ExpiryOfWhatMovedOn => (Plan::Reversible, SLOW_SWEEP),
        _ => (Plan::Reversible, MUTANT),
    };
    let breach = shortest_breach(&Protocol::new(plan, bounds, false), STATES_MAX);
    match breach.broken {
        Some(_) => breach,
        None => stuck(&Protocol::new(plan, MUTANT_ENDS, false), STATES_MAX),
    }
}

/// What caught it, in words; `None`: nothing did.
pub fn caught(found: &Found) -> Option<String> {
    match (found.broken, found.stuck) {
        (Some(rule), _) => Some(rule.name().into()),
        (None, 0) => None,
        (None, stuck) => Some(format!("I14 an end can always be reached: not from {stuck} states")),
    }
}
