//! What everything in one run stands on: the dice, the clock, the film, the judge, and the faults of single calls.
//!
//! A run is one thread; the locks are here because the traits of store and host ask for them, and are never waited for.

use super::dice::Dice;
use super::film::Film;
use super::judge::Judge;
use super::library::{KEY, key_id};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use domain::time::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks, also behind a panic: a run that panicked is over, and its film is still wanted.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one run stands on.
pub struct Ground {
    dice: Mutex<Dice>,
    film: Mutex<Film>,
    judge: Mutex<Judge>,
    faults: Mutex<Faults>,
    now: AtomicI64,
    gave_way: AtomicBool,
}

/// Where a call can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A call of the store.
    Store,
    /// A call of the journal's disk.
    Journal,
    /// A call of the machine.
    Host,
    /// A message on a stream.
    Link,
}

/// On which side of what a call does it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nothing was done.
    Before,
    /// It was done, and nobody hears of it.
    After,
}

/// Which calls fail.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// So many calls of the store in a thousand.
    pub store_per_mille: u64,
    /// So many calls of the journal's disk in a thousand.
    pub journal_per_mille: u64,
    /// So many calls of the machine in a thousand.
    pub host_per_mille: u64,
    /// This call and no other, counted from 0.
    pub only: Option<(u64, Side)>,
    /// How many calls there were.
    pub calls: u64,
    /// What the call was that failed.
    pub failed: Option<String>,
}

impl Ground {
    /// For a new run.
    pub fn new(dice: Dice, film: Film, faults: Faults, now: Timestamp) -> Self {
        Self {
            dice: Mutex::new(dice),
            film: Mutex::new(film),
            judge: Mutex::new(Judge::default()),
            faults: Mutex::new(faults),
            now: AtomicI64::new(now.0),
            gave_way: AtomicBool::new(false),
        }
    }

    /// The dice.
    pub fn dice(&self) -> MutexGuard<'_, Dice> {
        lock(&self.dice)
    }

    /// The judge.
    pub fn judge(&self) -> MutexGuard<'_, Judge> {
        lock(&self.judge)
    }

    /// The film.
    pub fn film(&self) -> MutexGuard<'_, Film> {
        lock(&self.film)
    }

    /// The faults.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// Writes a line of the film, if there is one.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut film = lock(&self.film);
        if film.is_recorded() {
            film.note(format!("           {}", line()));
        }
    }

    /// The true time.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    /// Time goes on.
    pub fn pass(&self, ticks: i64) {
        self.now.fetch_add(ticks, Ordering::Relaxed);
    }

    /// A use case waits for its turn.
    pub fn give_way(&self) {
        self.gave_way.store(true, Ordering::Relaxed);
    }

    /// Whether a use case waits for its turn since this was asked last.
    pub fn has_given_way(&self) -> bool {
        self.gave_way.swap(false, Ordering::Relaxed)
    }

    /// No call fails by chance any more.
    pub fn heal(&self) {
        let mut faults = lock(&self.faults);
        (faults.store_per_mille, faults.journal_per_mille, faults.host_per_mille) = (0, 0, 0);
    }

    /// Whether this call fails, and on which side.
    pub fn fails(&self, place: Place, name: &str) -> Option<Side> {
        let mut faults = lock(&self.faults);
        let number = faults.calls;
        faults.calls += 1;
        let side = match faults.only {
            Some((only, side)) => (only == number).then_some(side),
            None => {
                let per_mille = match place {
                    Place::Store => faults.store_per_mille,
                    Place::Journal => faults.journal_per_mille,
                    Place::Host => faults.host_per_mille,
                    Place::Link => 0,
                };
                let mut dice = lock(&self.dice);
                let fails = per_mille > 0 && dice.chance(per_mille);
                fails.then(|| if dice.chance(500) { Side::Before } else { Side::After })
            }
        }?;
        faults.failed = Some(format!("{place:?} {name}, call {number}, {side:?}"));
        drop(faults);
        self.note(|| format!("FAULT: {place:?} {name} fails, {}", side.words()));
        Some(side)
    }
}

impl Side {
    fn words(self) -> &'static str {
        match self {
            Self::Before => "nothing done",
            Self::After => "though it was done",
        }
    }
}

/// A node's clock: the true time, and by how much it is wrong.
#[derive(Clone)]
pub struct SimClock {
    ground: Arc<Ground>,
    wrong_by: Arc<AtomicI64>,
}

impl SimClock {
    /// A clock that is wrong by so many ticks.
    pub fn new(ground: Arc<Ground>, wrong_by: i64) -> Self {
        Self { ground, wrong_by: Arc::new(AtomicI64::new(wrong_by)) }
    }

    /// Jumps.
    pub fn jump(&self, ticks: i64) {
        self.wrong_by.fetch_add(ticks, Ordering::Relaxed);
    }

    /// Is right again.
    pub fn set_right(&self) {
        self.wrong_by.store(0, Ordering::Relaxed);
    }

    /// What it shows.
    pub fn shows(&self) -> Timestamp {
        Timestamp(self.ground.now().0 + self.wrong_by.load(Ordering::Relaxed))
    }
}

impl server::clock::Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.shows()
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.ground.dice().fill(bytes);
    }
}

/// Signs grants with the one key of every run.
pub struct SimSigner {
    key: Ed25519KeyPair,
    key_id: String,
}

impl SimSigner {
    /// The signer.
    ///
    /// # Panics
    /// The key in this file is none.
    pub fn new() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&KEY).expect("32 bytes are a key");
        Self { key, key_id: key_id() }
    }
}

impl Default for SimSigner {
    fn default() -> Self {
        Self::new()
    }
}

impl server::signer::Signer for SimSigner {
    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn public_key(&self) -> [u8; 32] {
        self.key.public_key().as_ref().try_into().expect("32 bytes")
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.key.sign(bytes).as_ref().to_vec()
    }
}
