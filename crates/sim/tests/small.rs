//! The whole proof within small bounds: seconds without optimisation.

use sim::bounds::SMALL;
use sim::model::Protocol;
use sim::model::rules::Rule;
use sim::search::{STATES_MAX, shortest_breach, stuck};
use sim::story;

#[test]
fn every_rule_holds_and_every_end_can_be_reached() {
    for run in SMALL {
        let breach = shortest_breach(&Protocol::new(run.plan, run.bounds, false), STATES_MAX);
        let way = story::words(&breach.way);
        assert!(breach.broken.is_none(), "{:?}: {}\n{way}", run.plan, breach.broken.map_or("", Rule::name));
        assert!(breach.states > 100, "{:?}: only {} states", run.plan, breach.states);
        let found = stuck(&Protocol::new(run.plan, run.bounds, false), STATES_MAX);
        assert_eq!(found.stuck, 0, "{:?}\n{}", run.plan, story::words(&found.way));
    }
}
