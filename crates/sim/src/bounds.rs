//! How far each run goes.

use crate::model::sights::is_within;
use crate::model::{Bounds, Plan};

/// A run of the checker.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// What is requested.
    pub plan: Plan,
    /// How far it goes.
    pub bounds: Bounds,
    /// Whether every sight that its bounds are for must be reached.
    pub sights: bool,
}

impl Run {
    /// Whether the sight of this name must be reached.
    pub fn must_reach(&self, name: &str) -> bool {
        self.sights && is_within(&self.bounds, name)
    }
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
    slow_sweeps: 0,
    reenrolments: 0,
};

/// Two actions one after the other: their orders multiply, so only the first may be cancelled, and neither is given up.
const PAIR: Bounds = Bounds { errors: 0, undo_failures: 0, wipes: 0, cancels: 1, deadlines: 0, ..ONCE };

/// The first of two actions is given up while its machine works, and the second is granted beside it.
const PAIR_GIVEN_UP: Bounds = Bounds { sessions: 1, crashes: 0, deadlines: 1, ..PAIR };

/// What every change must pass: more than a million states in less than two minutes.
pub const CHECKED: [Run; 10] = [
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
    Run { plan: Plan::Reversible, bounds: ENROLLED_AGAIN, sights: false },
    Run { plan: Plan::TwoActions, bounds: PAIR_ENROLLED_AGAIN, sights: true },
    Run { plan: Plan::Reversible, bounds: SLOW_SWEEP, sights: true },
];

/// By hand: tens of millions of states, an hour or more on two free cores, and some hundred bytes of memory for each.
pub const DEEP: [Run; 7] = [
    Run {
        plan: Plan::Reversible,
        bounds: Bounds { sessions: 5, crashes: 3, errors: 0, undo_failures: 0, ..ONCE },
        sights: false,
    },
    Run { plan: Plan::Irreversible, bounds: Bounds { sessions: 4, crashes: 2, wipes: 2, ..ONCE }, sights: false },
    Run { plan: Plan::TwoSteps, bounds: Bounds { sessions: 3, crashes: 2, ..ONCE }, sights: false },
    Run { plan: Plan::Reversible, bounds: Bounds { sessions: 3, crashes: 1, claims: 2, ..ONCE }, sights: false },
    Run { plan: Plan::TwoActions, bounds: Bounds { sessions: 2, wipes: 1, ..PAIR }, sights: false },
    Run { plan: Plan::Reversible, bounds: Bounds { deadlines: 1, cancels: 2, ..ENROLLED_AGAIN }, sights: false },
    Run { plan: Plan::TwoActions, bounds: Bounds { cancels: 1, ..PAIR_ENROLLED_AGAIN }, sights: false },
];

/// Where the way to an end is looked for from every state.
pub const ENDS: [Run; 5] = [
    Run { plan: Plan::Reversible, bounds: Bounds { sessions: 3, wipes: 0, errors: 0, ..ONCE }, sights: false },
    Run { plan: Plan::Irreversible, bounds: ONCE, sights: false },
    Run { plan: Plan::TwoSteps, bounds: Bounds { errors: 0, wipes: 0, ..ONCE }, sights: false },
    Run { plan: Plan::TwoActions, bounds: PAIR, sights: false },
    Run { plan: Plan::Reversible, bounds: ENROLLED_AGAIN, sights: false },
];

/// A few seconds even without optimisation.
pub const SMALL: [Run; 6] = [
    Run { plan: Plan::Reversible, bounds: Bounds { sessions: 1, errors: 0, wipes: 0, ..ONCE }, sights: false },
    Run { plan: Plan::Irreversible, bounds: Bounds { sessions: 1, wipes: 0, ..ONCE }, sights: false },
    Run { plan: Plan::TwoSteps, bounds: Bounds { sessions: 1, errors: 0, undo_failures: 0, ..ONCE }, sights: false },
    Run { plan: Plan::TwoActions, bounds: Bounds { crashes: 0, deadlines: 0, sessions: 1, ..PAIR }, sights: false },
    Run { plan: Plan::Irreversible, bounds: Bounds { crashes: 0, cancels: 0, ..ENROLLED_AGAIN }, sights: false },
    Run { plan: Plan::Reversible, bounds: Bounds { sessions: 1, crashes: 0, ..SLOW_SWEEP }, sights: false },
];

/// Where a mutant is looked for: first for a broken rule, then for states without an end.
pub const MUTANT: Bounds = Bounds { errors: 0, undo_failures: 0, ..ONCE };

/// Where a mutant that breaks no rule must leave states without an end.
pub const MUTANT_ENDS: Bounds = Bounds { sessions: 3, wipes: 0, ..MUTANT };

/// Where a mutant of the class guard is looked for.
pub const MUTANT_PAIR: Bounds = Bounds { sessions: 1, crashes: 0, ..PAIR };

/// A machine that is enrolled again, with the agent of its earlier enrolment beside it or not.
pub const ENROLLED_AGAIN: Bounds = Bounds {
    sessions: 3,
    crashes: 1,
    wipes: 0,
    errors: 0,
    undo_failures: 0,
    reenrolments: 1,
    cancels: 1,
    deadlines: 0,
    ..ONCE
};

/// Two actions, and what waits goes to the machine while the earlier agent still works on the other.
pub const PAIR_ENROLLED_AGAIN: Bounds = Bounds { crashes: 0, cancels: 0, ..ENROLLED_AGAIN };

/// A sweep that acts on what it saw only later.
pub const SLOW_SWEEP: Bounds = Bounds { slow_sweeps: 2, wipes: 0, errors: 0, undo_failures: 0, ..ONCE };

/// A journal that goes back in time after the server saw it further on.
pub const ROLLED_BACK: Run = Run {
    plan: Plan::Reversible,
    bounds: Bounds { sessions: 4, wipes: 0, rollbacks: 1, cancels: 0, deadlines: 0, ..MUTANT },
    sights: false,
};
