//! Looks through every state by itself: for the shortest way to a broken rule, and for states without a way to an end.

use crate::model::Protocol;
use crate::model::rules::Rule;
use crate::model::state::State;
use crate::model::step::Step;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The most states that a search by itself looks at.
pub const STATES_MAX: usize = 4_000_000;

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// States looked at.
    pub states: usize,
    /// The first broken rule on the shortest way.
    pub broken: Option<Rule>,
    /// States from which no end can be reached.
    pub stuck: usize,
    /// The way there, with the state after each step.
    pub way: Vec<(Step, State)>,
}

/// Every state, in order of distance, and how it was reached.
struct Explored {
    states: Vec<State>,
    came: Vec<(u32, Option<Step>)>,
    /// From each state to those that lead to it by merit.
    back: Vec<Vec<u32>>,
}

/// The shortest way to a broken rule; looks at no more than `limit` states.
pub fn shortest_breach(protocol: &Protocol, limit: usize) -> Found {
    let (explored, broken) = explore(protocol, limit, false);
    let mut found = Found { states: explored.states.len(), ..Found::default() };
    if let Some(index) = broken {
        let state = &explored.states[index as usize];
        found.broken = Rule::ALL.into_iter().find(|rule| state.broken & rule.bit() != 0);
        found.way = explored.way(index);
    }
    found
}

/// States from which no end can be reached without a fault, a client, a clock or luck. Those in which no further session
/// may be opened are not counted: there it is the bound that stands in the way.
pub fn stuck(protocol: &Protocol, limit: usize) -> Found {
    let (explored, _) = explore(protocol, limit, true);
    let mut ends = vec![false; explored.states.len()];
    let mut open: Vec<u32> = Vec::new();
    for (index, state) in explored.states.iter().enumerate() {
        if state.all_final() {
            open.push(index as u32);
        }
    }
    while let Some(index) = open.pop() {
        if !std::mem::replace(&mut ends[index as usize], true) {
            open.extend(explored.back[index as usize].iter().filter(|before| !ends[**before as usize]));
        }
    }
    let room = |state: &State| state.session < protocol.bounds().sessions && state.broken == 0;
    let stuck = |index: &usize| !ends[*index] && room(&explored.states[*index]);
    let mut found = Found { states: explored.states.len(), ..Found::default() };
    found.stuck = (0..explored.states.len()).filter(stuck).count();
    if let Some(first) = (0..explored.states.len()).find(stuck) {
        found.way = explored.way(first as u32);
    }
    found
}

fn explore(protocol: &Protocol, limit: usize, whole: bool) -> (Explored, Option<u32>) {
    let first = protocol.first();
    let mut known = HashMap::from([(first.clone(), 0u32)]);
    let mut explored = Explored { states: vec![first], came: vec![(0, None)], back: vec![vec![]] };
    let mut index = 0;
    while index < explored.states.len() && explored.states.len() < limit {
        for (step, next) in protocol.next(&explored.states[index]) {
            let broken = next.broken != 0;
            let number = match known.entry(next) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    let number = explored.states.len() as u32;
                    explored.states.push(entry.key().clone());
                    entry.insert(number);
                    explored.came.push((index as u32, Some(step)));
                    explored.back.push(vec![]);
                    number
                }
            };
            if broken && !whole {
                return (explored, Some(number));
            }
            if whole && !step.is_no_merit() {
                explored.back[number as usize].push(index as u32);
            }
        }
        index += 1;
    }
    assert!(!whole || explored.states.len() < limit, "more than {limit} states: the bounds are too wide");
    (explored, None)
}

impl Explored {
    fn way(&self, mut index: u32) -> Vec<(Step, State)> {
        let mut way = Vec::new();
        while let (before, Some(step)) = self.came[index as usize] {
            way.push((step, self.states[index as usize].clone()));
            index = before;
        }
        way.reverse();
        way
    }
}
