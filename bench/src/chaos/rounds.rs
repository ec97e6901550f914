//! The director: rounds of a storm, in which things are done to everybody, and a calm, in which everything must come to
//! its end.

use super::book::Book;
use super::fault::Fault;
use super::world::World;
use crate::dice::Dice;
use crate::marks;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// For how long new faults begin, in a storm: from, and up to that more.
const STORM: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(30));

/// Load without faults at the start of a storm.
const QUIET: Duration = Duration::from_secs(4);

/// The longest pause between the beginnings of two faults.
const BETWEEN: Duration = Duration::from_millis(4500);

/// How many faults there are at once.
const AT_ONCE_MAX: usize = 4;

/// How long everything may take to its end once everything was taken back.
pub(super) const FINAL_WITHIN: Duration = Duration::from_secs(60);

/// How long the workers may then take to look at their machines.
const LOOKED_WITHIN: Duration = Duration::from_secs(30);

/// Marks that come late have this long to show themselves.
const SETTLE: Duration = Duration::from_millis(400);

const TICK: Duration = Duration::from_millis(50);

/// How often the supervisor looks, in ticks.
const SUPERVISE_EVERY: u32 = 6;

/// The director.
pub(super) struct Director {
    /// What is played with.
    pub(super) world: Arc<World>,
    /// What is known.
    pub(super) book: Arc<Book>,
    /// Lets the load ask for more, or not.
    pub(super) gate: watch::Sender<bool>,
    /// What faults are drawn from.
    pub(super) dice: Dice,
    /// Tell every fault.
    pub(super) verbose: bool,
    /// So many violations are enough to end.
    pub(super) enough: usize,
    /// The longest time from a calm's beginning to the last end.
    pub(super) longest: Duration,
    /// How many rounds there were.
    pub(super) rounds: usize,
}

struct Active {
    fault: Fault,
    until: Instant,
    number: usize,
}

impl Director {
    /// Plays rounds until the time is over; the last one is whole.
    ///
    /// # Errors
    /// The world cannot be played with any more.
    pub(super) fn play(&mut self, until: Instant) -> anyhow::Result<()> {
        while Instant::now() < until {
            let began_ns = marks::now_ns();
            self.gate.send_replace(true);
            self.storm(until)?;
            self.gate.send_replace(false);
            let is_stuck = self.calm()?;
            std::thread::sleep(SETTLE);
            let judged = self.book.judge_since(began_ns)?;
            self.look_for_strays()?;
            self.rounds += 1;
            println!(
                "  round {}: {judged} actions ended, longest {:.1} s after the storm so far; {} faults, {} violations",
                self.rounds,
                self.longest.as_secs_f64(),
                self.book.faults().len(),
                self.book.violations().len()
            );
            if is_stuck || self.is_enough() {
                break;
            }
        }
        self.book.given_up.store(true, Ordering::SeqCst);
        self.gate.send_replace(true);
        Ok(())
    }

    fn storm(&mut self, until: Instant) -> anyhow::Result<()> {
        let began = Instant::now();
        let ends = (began + STORM.0 + self.dice.within(STORM.1)).min(until.max(began + STORM.0));
        let mut next = began + QUIET;
        let mut active: Vec<Active> = Vec::new();
        let mut ticks = 0u32;
        loop {
            let now = Instant::now();
            for over in active.extract_if(.., |one| one.until <= now).collect::<Vec<_>>() {
                self.end(&over)?;
            }
            if (now >= ends || self.is_enough()) && active.is_empty() {
                return Ok(());
            }
            if now >= next && now < ends && active.len() < AT_ONCE_MAX && !self.is_enough() {
                let fault = Fault::draw(&mut self.dice, self.world.machines.len());
                next = now + self.dice.within(BETWEEN);
                if !active.iter().any(|one| one.fault.excludes(&fault)) {
                    active.push(self.begin(fault)?);
                }
            }
            if ticks.is_multiple_of(SUPERVISE_EVERY) {
                self.world.supervise()?;
            }
            ticks = ticks.wrapping_add(1);
            std::thread::sleep(TICK);
        }
    }

    fn is_enough(&self) -> bool {
        self.book.violations().len() >= self.enough
    }

    fn begin(&mut self, fault: Fault) -> anyhow::Result<Active> {
        if self.verbose {
            println!("  {fault}");
        }
        let number = self.book.fault_begins(fault);
        self.world.begin(&fault)?;
        Ok(Active { fault, until: Instant::now() + fault.lasts, number })
    }

    fn end(&mut self, active: &Active) -> anyhow::Result<()> {
        let drop = self.dice.below(2) == 0;
        self.world.end(&active.fault, drop)?;
        self.book.fault_ends(active.number);
        Ok(())
    }

    /// Everybody is well, and nobody asks for more: every action comes to its end. True: one does not.
    fn calm(&mut self) -> anyhow::Result<bool> {
        self.world.heal()?;
        let (began, began_ns) = (Instant::now(), marks::now_ns());
        let mut ticks = 0u32;
        loop {
            let unended = self.book.unended();
            if unended.is_empty() {
                break;
            }
            if began.elapsed() > FINAL_WITHIN {
                for id in &unended {
                    let machine = self.book.life(id).map(|life| life.wish.machine);
                    self.book.violation(machine, Some(id), format!("stuck: no end {FINAL_WITHIN:?} after the storm"));
                }
                return Ok(true);
            }
            if ticks.is_multiple_of(SUPERVISE_EVERY) {
                self.world.supervise()?;
            }
            ticks = ticks.wrapping_add(1);
            std::thread::sleep(TICK);
        }
        let last = self.book.lives().iter().filter_map(|life| life.ended_ns).max().unwrap_or(began_ns);
        self.longest = self.longest.max(Duration::from_nanos(last.saturating_sub(began_ns)));
        let deadline = Instant::now() + LOOKED_WITHIN;
        while self.book.busy.load(Ordering::SeqCst) > 0 {
            if Instant::now() > deadline {
                self.book.violation(None, None, format!("clients still wait {LOOKED_WITHIN:?} after the last end"));
                return Ok(true);
            }
            std::thread::sleep(TICK);
        }
        Ok(false)
    }

    /// Every script is dead by now.
    fn look_for_strays(&self) -> anyhow::Result<()> {
        let witnesses = self.world.witnesses().to_string_lossy().into_owned();
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path();
            // Not a process, or one that has just ended.
            let Ok(line) = std::fs::read(path.join("cmdline")) else { continue };
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(&witnesses) {
                let name = line.split(&witnesses).nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
                let life = self.book.lives().into_iter().find(|life| format!("/{}", life.wish.comment) == name);
                let (machine, id) = life.map_or((None, None), |life| (Some(life.wish.machine), Some(life.id)));
                self.book.violation(machine, id.as_deref(), format!("a process lives after every end: {line}"));
            }
        }
        Ok(())
    }
}
