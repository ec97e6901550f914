//! What a run came to.

use super::audit;
use super::book::{Book, Done, Violation};
use super::fault::{What, Who};
use super::proxy::Way;
use super::world::World;
use crate::summary::Summary;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How many violations are told in full.
const STORIES_MAX: usize = 20;

/// What is known beside the book.
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) agents: usize,
    pub(super) rounds: usize,
    pub(super) longest: Duration,
    pub(super) took: Duration,
    pub(super) died: usize,
}

/// How often what was done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    kills: usize,
    server_kills: usize,
    pauses: usize,
    server_pauses: usize,
    partitions: usize,
    one_way: usize,
    slow: usize,
    half_closed: usize,
    drops: usize,
    storms: usize,
    clocks: usize,
    server_clocks: usize,
    disks: usize,
    server_disks: usize,
}

impl Report {
    /// Tells it, keeps what tells why if anything is wrong, and returns how much is.
    ///
    /// # Errors
    /// The store cannot be asked, or what is to be kept cannot be copied.
    pub(super) fn tell(
        &self,
        world: &World,
        book: &Book,
        runtime: &Runtime,
        keep: impl Fn(u64) -> PathBuf,
    ) -> anyhow::Result<usize> {
        audit::store(&world.folder().join("server"), book)?;
        let violations = book.violations();
        let tally = Tally::of(&book.faults());
        let lines = self.lines(book, &tally);
        println!("{lines}");
        if !violations.is_empty() {
            let folder = keep(self.seed);
            self.keep(world, book, runtime, &violations, &folder)?;
            println!("  logs, store, journals and stories are in {}", folder.display());
        }
        println!("chaos: {} violations, seed {}", violations.len(), self.seed);
        let summary = Summary {
            what: "chaos",
            how_much: format!("{:.0} min, {} actions", self.took.as_secs_f64() / 60.0, book.lives().len()),
            seeds: self.seed.to_string(),
            failures: violations.len(),
            remark: self.remark(&tally),
        };
        summary.hand_over()?;
        Ok(violations.len())
    }

    fn lines(&self, book: &Book, tally: &Tally) -> String {
        let counts = &book.counts;
        let count = |count: &std::sync::atomic::AtomicUsize| count.load(Ordering::Relaxed);
        let mut text = format!(
            "chaos: {:.1} minutes, {} rounds, {} agents, seed {}\n  {} actions, {} cancels taken, {} too late, {} answers \
             lost\n  {} tables and {} files compared\n",
            self.took.as_secs_f64() / 60.0,
            self.rounds,
            self.agents,
            self.seed,
            book.lives().len(),
            count(&counts.cancels),
            count(&counts.cancels_late),
            count(&counts.lost),
            count(&counts.tables),
            count(&counts.files),
        );
        for (status, count) in book.ends() {
            let _ = writeln!(text, "    {count:>6}  {status}");
        }
        let _ = write!(text, "  {}\n  longest time to an end after a storm: ", self.remark_faults(tally));
        let _ = write!(text, "{:.1} s", self.longest.as_secs_f64());
        text
    }

    fn remark(&self, tally: &Tally) -> String {
        format!("{}; longest to an end {:.1} s", self.remark_faults(tally), self.longest.as_secs_f64())
    }

    fn remark_faults(&self, tally: &Tally) -> String {
        format!(
            "{} kills ({} of the server), {} pauses ({}), {} partitions ({} one-way), {} slow, {} half-closed, {} drops, {} \
             storms, {} clock jumps ({}), {} full disks ({}), {} ended by themselves",
            tally.kills,
            tally.server_kills,
            tally.pauses,
            tally.server_pauses,
            tally.partitions,
            tally.one_way,
            tally.slow,
            tally.half_closed,
            tally.drops,
            tally.storms,
            tally.clocks,
            tally.server_clocks,
            tally.disks,
            tally.server_disks,
            self.died,
        )
    }

    fn keep(
        &self,
        world: &World,
        book: &Book,
        runtime: &Runtime,
        violations: &[Violation],
        folder: &Path,
    ) -> anyhow::Result<()> {
        let wrong: Vec<_> = violations.iter().filter_map(|violation| book.life(violation.action.as_deref()?)).collect();
        world.keep(folder, &wrong)?;
        let faults = book.faults();
        let mut stories = String::new();
        for violation in violations {
            let _ = writeln!(stories, "{}", self.story(world, book, runtime, violation, &faults));
        }
        std::fs::write(folder.join("stories"), &stories)?;
        let shown: Vec<&str> = stories.split("\n\n").take(STORIES_MAX).collect();
        println!("{}", shown.join("\n\n"));
        Ok(())
    }

    /// One violation with everything that is known of its action.
    fn story(&self, world: &World, book: &Book, runtime: &Runtime, violation: &Violation, faults: &[Done]) -> String {
        let mut text = format!("VIOLATION {}\n", violation.what);
        let life = violation.action.as_deref().and_then(|id| book.life(id));
        let machine = violation.machine.or(life.as_ref().map(|life| life.wish.machine));
        let Some(life) = life else {
            let _ = writeln!(text, "  machine {machine:?}, no action");
            return text;
        };
        let from = life.wish.asked_ns;
        let since = |at_ns: u64| (at_ns as f64 - from as f64) / 1e6;
        let at =
            |at_ns: Option<u64>| at_ns.map_or_else(|| "never".to_string(), |at_ns| format!("{:.1} ms", since(at_ns)));
        let _ = writeln!(text, "  machine {machine:?}, action {}, {:?} {}", life.id, life.wish.kind, life.wish.comment);
        let _ = writeln!(
            text,
            "  counted from its request: cancel taken {}, Cancelled shown {}, end shown {}, found {:.1} ms",
            at(life.cancel_taken_ns),
            at(life.cancelled_ns),
            at(life.ended_ns),
            since(violation.at_ns)
        );
        if let Ok(answer) = runtime.block_on(world.client.action(&life.id)) {
            let _ = writeln!(text, "  it is now {}", answer.json);
        }
        if let Ok(history) = runtime.block_on(world.client.history(&life.id)) {
            for line in history.item.lines {
                let status = line.status.unwrap_or_default();
                let _ = writeln!(text, "    {} {} {} {status}", line.at, line.source, line.what);
            }
        }
        let marks =
            life.wish.witness.as_deref().and_then(|witness| crate::marks::read(witness).ok()).unwrap_or_default();
        for mark in marks.first().into_iter().chain(marks.last()) {
            let _ = writeln!(text, "  mark {} at {:.1} ms, of {}", mark.word, since(mark.at_ns), marks.len());
        }
        let window = from.saturating_sub(FAULTS_BEFORE_NS)..life.ended_ns.unwrap_or(violation.at_ns);
        let felt = faults.iter().filter(|done| machine.is_none_or(|machine| done.fault.touches(machine)));
        for done in felt.filter(|done| done.from_ns < window.end && done.until_ns.unwrap_or(u64::MAX) > window.start) {
            let until = done.until_ns.map_or(0.0, since);
            let _ = writeln!(text, "  {} (from {:.1} to {until:.1} ms)", done.fault, since(done.from_ns));
        }
        text
    }
}

/// Faults that ended this long before an action are still told in its story.
const FAULTS_BEFORE_NS: u64 = 30_000_000_000;

impl Tally {
    fn of(done: &[Done]) -> Self {
        let mut tally = Self::default();
        for done in done {
            let server = usize::from(done.fault.who == Who::Server);
            match done.fault.what {
                What::Kill => (tally.kills, tally.server_kills) = (tally.kills + 1, tally.server_kills + server),
                What::Pause => (tally.pauses, tally.server_pauses) = (tally.pauses + 1, tally.server_pauses + server),
                What::Clock(_) => {
                    (tally.clocks, tally.server_clocks) = (tally.clocks + 1, tally.server_clocks + server)
                }
                What::DiskFull(_) => (tally.disks, tally.server_disks) = (tally.disks + 1, tally.server_disks + server),
                What::Line(Way::Held, Way::Held) => tally.partitions += 1,
                What::Line(Way::Held, _) | What::Line(_, Way::Held) => {
                    tally.partitions += 1;
                    tally.one_way += 1;
                }
                What::Line(..) => tally.slow += 1,
                What::HalfClose(_) => tally.half_closed += 1,
                What::Drop if done.fault.who == Who::Everybody => tally.storms += 1,
                What::Drop => tally.drops += 1,
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::*;

    #[test]
    fn faults_are_counted_by_what_they_were() {
        let done =
            |who, what| Done { fault: Fault { who, what, lasts: Duration::ZERO }, from_ns: 0, until_ns: Some(1) };
        let tally = Tally::of(&[
            done(Who::Server, What::Kill),
            done(Who::Machine(1), What::Kill),
            done(Who::Machine(1), What::Line(Way::Held, Way::Open)),
            done(Who::Machine(1), What::Line(Way::Held, Way::Held)),
            done(Who::Machine(1), What::Line(Way::Late(1), Way::Late(2))),
            done(Who::Everybody, What::Drop),
        ]);
        let expected =
            Tally { kills: 2, server_kills: 1, partitions: 2, one_way: 1, slow: 1, storms: 1, ..Tally::default() };
        assert_eq!(tally, expected);
    }
}
