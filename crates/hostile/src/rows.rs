//! What the store holds of one machine.

use domain::action::Action;
use domain::history::StoredLine;
use domain::ids::MachineId;
use domain::machine::Machine;
use store::query::Value;
use store::{ActionField, ActionQuery, Filter, Store};

/// More than any input makes.
const ACTIONS_MAX: u32 = 100_000;

/// Everything the store holds of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) machine: Option<Machine>,
    pub(crate) actions: Vec<(Action, Vec<StoredLine>)>,
}

impl Rows {
    pub(crate) async fn of(store: &dyn Store, machine: MachineId) -> Self {
        let filter = Filter::is(ActionField::Machine, Value::Machine(machine));
        let query = ActionQuery::of(filter, ACTIONS_MAX);
        let mut actions = vec![];
        for action in store.actions(&query).await.expect("the store answers") {
            let lines = store.history(action.id).await.expect("the store answers");
            actions.push((action, lines));
        }
        Self { machine: store.machine(machine).await.expect("the store answers"), actions }
    }
}
