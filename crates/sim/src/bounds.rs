//! How far each run goes.

use crate::model::{Bounds, Plan};

/// A run of the checker.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// What is requested.
    pub plan: Plan,
    /// How far it goes.
    pub bounds: Bounds,
    /// Whether every sight must be reached.
    pub sights: bool,
}

/// Everything once: what each further bound is written against.
const ONCE: Bounds = Bounds {
    sessions: 2,
    crashes: 1,
    wipes: 1,
    rollbacks: 0,
    errors: 1,
    undo_failures: 1,
    claims: 1,
    cancels: 2,
    deadlines: 2,
};

/// Two actions one after the other: their orders multiply, so only the first may be cancelled, and neither is given up.
const PAIR: Bounds = Bounds { errors: 0, undo_failures: 0, wipes: 0, cancels: 1, deadlines: 0, ..ONCE };

/// The first of two actions is given up while its machine works, and the second is granted beside it.
const PAIR_GIVEN_UP: Bounds = Bounds { sessions: 1, crashes: 0, deadlines: 1, ..PAIR };

/// What every change must pass: more than a million states in less than two minutes.
pub const CHECKED: [Run; 7] = [
    Run { plan: Plan::Reversible, bounds: ONCE, sights: true },
    Run { plan: Plan::Irreversible, bounds: ONCE, sights: true },
    Run { plan: Plan::TwoSteps, bounds: ONCE, sights: true },
    Run {
        plan: Plan::Reversible,
        bounds: Bounds { sessions: 3, crashes: 2, errors: 0, undo_failures: 0, ..ONCE },
        sights: false,
    },
    Run { plan: Plan::TwoActions, bounds: PAIR, sights: false },
    Run { plan: Plan::TwoActions, bounds: PAIR_GIVEN_UP, sights: false },
    ROLLED_BACK,
];

/// By hand: tens of millions of states, most of an hour on two cores.
pub const DEEP: [Run; 5] = [
    Run { plan: Plan::Reversible, bounds: Bounds { sessions: 4, crashes: 3, undo_failures: 0, ..ONCE }, sights: false },
    Run { plan: Plan::Irreversible, bounds: Bounds { sessions: 4, crashes: 2, wipes: 2, ..ONCE }, sights: false },
    Run { plan: Plan::TwoSteps, bounds: Bounds { sessions: 3, crashes: 2, ..ONCE }, sights: false },
    Run { plan: Plan::Reversible, bounds: Bounds { sessions: 3, crashes: 1, claims: 2, ..ONCE }, sights: false },
    Run { plan: Plan::TwoActions, bounds: Bounds { sessions: 2, wipes: 1, ..PAIR }, sights: false },
];

/// Where the way to an end is looked for from every state.
pub const ENDS: [Run; 4] = [
    Run { plan: Plan::Reversible, bounds: Bounds { sessions: 3, wipes: 0, errors: 0, ..ONCE }, sights: false },
    Run { plan: Plan::Irreversible, bounds: ONCE, sights: false },
    Run { plan: Plan::TwoSteps, bounds: Bounds { errors: 0, wipes: 0, ..ONCE }, sights: false },
    Run { plan: Plan::TwoActions, bounds: PAIR, sights: false },
];

/// A few seconds even without optimisation.
pub const SMALL: [Run; 4] = [
    Run { plan: Plan::Reversible, bounds: Bounds { sessions: 1, errors: 0, wipes: 0, ..ONCE }, sights: false },
    Run { plan: Plan::Irreversible, bounds: Bounds { sessions: 1, wipes: 0, ..ONCE }, sights: false },
    Run { plan: Plan::TwoSteps, bounds: Bounds { sessions: 1, errors: 0, undo_failures: 0, ..ONCE }, sights: false },
    Run { plan: Plan::TwoActions, bounds: Bounds { crashes: 0, deadlines: 0, sessions: 1, ..PAIR }, sights: false },
];

/// Where a mutant is looked for: first for a broken rule, then for states without an end.
pub const MUTANT: Bounds = Bounds { errors: 0, undo_failures: 0, ..ONCE };

/// Where a mutant that breaks no rule must leave states without an end.
pub const MUTANT_ENDS: Bounds = Bounds { sessions: 3, wipes: 0, ..MUTANT };

/// Where a mutant of the class guard is looked for.
pub const MUTANT_PAIR: Bounds = Bounds { sessions: 1, crashes: 0, ..PAIR };

/// A journal that goes back in time after the server saw it further on.
pub const ROLLED_BACK: Run = Run {
    plan: Plan::Reversible,
    bounds: Bounds { sessions: 4, wipes: 0, rollbacks: 1, cancels: 0, deadlines: 0, ..MUTANT },
    sights: false,
};
