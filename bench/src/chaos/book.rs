//! Everything that is known, for all who play: actions, what was done to whom, and what must not be.

use super::answers::{Answered, Life, Wish};
use super::fault::Fault;
use super::judge;
use crate::marks;
use anyhow::Context as _;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A fault explains what goes wrong up to this long after it: an agent that comes back undoes and proves first.
const FELT_FOR_NS: u64 = 30_000_000_000;

/// What comes after it in a violation does not make it another one.
pub(super) const MORE: &str = "; ";

/// What must not be.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    /// The machine's number, if it is about one.
    pub(super) machine: Option<usize>,
    /// The action's id, if it is about one.
    pub(super) action: Option<String>,
    /// What is wrong.
    pub(super) what: String,
    /// When it was found, on CLOCK_MONOTONIC.
    pub(super) at_ns: u64,
}

/// A fault and its time.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// What was done.
    pub(super) fault: Fault,
    /// From when.
    pub(super) from_ns: u64,
    /// Until when; none: it lasts.
    pub(super) until_ns: Option<u64>,
}

/// What is counted of the load.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Cancels that were taken.
    pub(super) cancels: AtomicUsize,
    /// Cancels that were refused as too late.
    pub(super) cancels_late: AtomicUsize,
    /// Answers that did not come.
    pub(super) lost: AtomicUsize,
    /// Looks at isolation tables that were compared.
    pub(super) tables: AtomicUsize,
    /// Looks at files that were compared.
    pub(super) files: AtomicUsize,
}

/// The book.
#[derive(Default)]
pub(super) struct Book {
    lives: Mutex<HashMap<String, Life>>,
    /// Asked for, with an answer that was lost: by comment.
    doubts: Mutex<HashMap<String, Wish>>,
    done: Mutex<Vec<Done>>,
    violations: Mutex<Vec<Violation>>,
    /// What was told already: one violation a thing.
    told: Mutex<HashSet<(Option<String>, String)>>,
    /// Workers that have something under way.
    pub(super) busy: AtomicUsize,
    /// Nobody waits for anything any more.
    pub(super) given_up: AtomicBool,
    /// What is counted.
    pub(super) counts: Counts,
}

impl Book {
    /// Notes an action.
    pub(super) fn begin(&self, id: &str, wish: Wish) {
        lock(&self.lives).entry(id.to_string()).or_insert_with(|| Life::new(id.to_string(), wish));
    }

    /// Notes that an answer to a creation was lost.
    pub(super) fn doubt(&self, wish: Wish) {
        lock(&self.doubts).insert(wish.comment.clone(), wish);
    }

    /// Whether somebody asked for this with an answer that was lost; then it is a life from now on.
    pub(super) fn adopt(&self, id: &str, comment: &str) -> bool {
        let known = lock(&self.lives).contains_key(id);
        let wish = lock(&self.doubts).get(comment).cloned();
        match wish {
            Some(wish) if !known => {
                self.begin(id, wish);
                true
            }
            _ => known,
        }
    }

    /// Whether a creation on this machine is still in doubt, of an action that is of this class.
    pub(super) fn in_doubt(&self, like: &Wish) -> Vec<String> {
        let doubts = lock(&self.doubts);
        let alike = doubts.values().filter(|wish| wish.machine == like.machine && wish.kind.shares_class(like.kind));
        alike.map(|wish| wish.comment.clone()).collect()
    }

    /// An answer about an action that is known.
    pub(super) fn heard(&self, id: &str, answered: &Answered) {
        let wrong = match lock(&self.lives).get_mut(id) {
            None => return,
            Some(life) => {
                let witness = life.wish.witness.clone();
                let length = || witness.as_deref().map_or(0, marks::length);
                life.heard(answered, length).into_iter().map(|what| (life.wish.machine, what)).collect::<Vec<_>>()
            }
        };
        for (machine, what) in wrong {
            self.violation(Some(machine), Some(id), what);
        }
    }

    /// Changes what is known of an action.
    pub(super) fn with<T>(&self, id: &str, change: impl FnOnce(&mut Life) -> T) -> Option<T> {
        lock(&self.lives).get_mut(id).map(change)
    }

    /// An action.
    pub(super) fn life(&self, id: &str) -> Option<Life> {
        lock(&self.lives).get(id).cloned()
    }

    /// All actions.
    pub(super) fn lives(&self) -> Vec<Life> {
        lock(&self.lives).values().cloned().collect()
    }

    /// The ids of those that have no end yet.
    pub(super) fn unended(&self) -> Vec<String> {
        lock(&self.lives).values().filter(|life| life.ended_ns.is_none()).map(|life| life.id.clone()).collect()
    }

    /// How many ended how.
    pub(super) fn ends(&self) -> BTreeMap<String, usize> {
        let mut ends = BTreeMap::new();
        for life in lock(&self.lives).values() {
            let status = if life.status().is_empty() { "no end" } else { life.status() };
            *ends.entry(status.to_string()).or_default() += 1;
        }
        ends
    }

    /// Notes a fault; returns its number.
    pub(super) fn fault_begins(&self, fault: Fault) -> usize {
        let mut done = lock(&self.done);
        done.push(Done { fault, from_ns: marks::now_ns(), until_ns: None });
        done.len() - 1
    }

    /// Notes its end.
    pub(super) fn fault_ends(&self, number: usize) {
        if let Some(done) = lock(&self.done).get_mut(number) {
            done.until_ns = Some(marks::now_ns());
        }
    }

    /// Every fault so far.
    pub(super) fn faults(&self) -> Vec<Done> {
        lock(&self.done).clone()
    }

    /// Whether something was done, lately enough, that an action of this machine can have felt in its life.
    pub(super) fn explained(&self, life: &Life) -> bool {
        let ended = life.ended_ns.unwrap_or(u64::MAX);
        lock(&self.done).iter().any(|done| {
            let until = done.until_ns.map_or(u64::MAX, |until| until.saturating_add(FELT_FOR_NS));
            done.fault.touches(life.wish.machine) && done.from_ns < ended && until > life.wish.asked_ns
        })
    }

    /// Notes what must not be, once.
    pub(super) fn violation(&self, machine: Option<usize>, action: Option<&str>, what: String) {
        let action = action.map(str::to_string);
        // Numbers change from look to look; the words do not.
        let words: String =
            what.split(MORE).take(1).flat_map(str::chars).filter(|letter| !letter.is_ascii_digit()).collect();
        if !lock(&self.told).insert((action.clone(), words)) {
            return;
        }
        println!("VIOLATION machine {machine:?} action {action:?}: {what}");
        lock(&self.violations).push(Violation { machine, action, what, at_ns: marks::now_ns() });
    }

    /// What must not be.
    pub(super) fn violations(&self) -> Vec<Violation> {
        lock(&self.violations).clone()
    }

    /// Compares lives that ended since `since_ns` with their witnesses.
    ///
    /// # Errors
    /// A witness file cannot be read.
    pub(super) fn judge_since(&self, since_ns: u64) -> anyhow::Result<usize> {
        let lives = self.lives();
        let mut judged = 0;
        for life in lives.iter().filter(|life| life.ended_ns.is_some_and(|ended| ended >= since_ns)) {
            judged += 1;
            self.judge(life)?;
        }
        Ok(judged)
    }

    fn judge(&self, life: &Life) -> anyhow::Result<()> {
        let (seen, length) = match &life.wish.witness {
            Some(witness) => (marks::read(witness).with_context(|| life.id.clone())?, marks::length(witness)),
            None => (Vec::new(), 0),
        };
        for what in judge::judge(life, &seen, length, self.explained(life)) {
            self.violation(Some(life.wish.machine), Some(&life.id), what);
        }
        Ok(())
    }

    /// Counts one worker as busy while the value lives.
    pub(super) fn work(&self) -> Working<'_> {
        self.busy.fetch_add(1, Ordering::SeqCst);
        Working(self)
    }
}

/// A worker that has something under way.
pub(super) struct Working<'a>(&'a Book);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Lists and tables, whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
