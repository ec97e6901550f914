//! What is done to server, agents and the lines between them: drawn from the dice.

use super::proxy::Way;
use crate::dice::Dice;
use std::fmt;
use std::time::Duration;

/// Whom it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// The server.
    Server,
    /// The agent, or the line, of the machine with this number.
    Machine(usize),
    /// Every line.
    Everybody,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The process is killed, and comes back at the end.
    Kill,
    /// The process is stopped, and goes on at the end.
    Pause,
    /// The line is held or slow, in each direction by itself: up, down.
    Line(Way, Way),
    /// An end is passed on in one direction of the connections that stand; true: towards the server.
    HalfClose(bool),
    /// The connections that stand are dropped, all at once.
    Drop,
    /// The clock is off by so many seconds.
    Clock(i64),
    /// The disk is full, but for so many KiB.
    DiskFull(u64),
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// To whom.
    pub(super) who: Who,
    /// What.
    pub(super) what: What,
    /// For how long.
    pub(super) lasts: Duration,
}

/// Faults of the same sort on the same target do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Process,
    Line,
    Clock,
    Disk,
}

const HOUR: i64 = 3600;
const TEN_YEARS: i64 = 3653 * 24 * HOUR;

/// How far clocks jump, in seconds.
const JUMPS: [i64; 4] = [HOUR, -HOUR, TEN_YEARS, -TEN_YEARS];

/// How long a process is paused: from, and up to.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long a killed process stays away at most.
const AWAY_MAX: Duration = Duration::from_secs(8);

/// How long everything else lasts at most.
const LASTS_MAX: Duration = Duration::from_secs(25);

/// How much room there still is on a full disk, in KiB.
const ROOM_KIB: [u64; 5] = [0, 0, 8, 200, 1600];

/// The longest delay of a piece, in milliseconds.
const LATE_MS_MAX: u64 = 1500;

/// Out of a hundred faults: how many are of which sort. The rest are full disks.
const OF_HUNDRED: [(u64, Chance); 5] =
    [(34, Chance::Kill), (16, Chance::Pause), (28, Chance::Line), (4, Chance::Storm), (11, Chance::Clock)];

#[derive(Clone, Copy)]
enum Chance {
    Kill,
    Pause,
    Line,
    Storm,
    Clock,
    Disk,
}

impl Fault {
    /// The next one.
    pub(super) fn draw(dice: &mut Dice, machines: usize) -> Self {
        let who = if dice.below(4) == 0 { Who::Server } else { machine(dice, machines) };
        let lasts = Duration::from_millis(500) + skewed(dice, LASTS_MAX);
        match chance(dice) {
            Chance::Kill => Self { who, what: What::Kill, lasts: skewed(dice, AWAY_MAX) },
            Chance::Pause => Self { who, what: What::Pause, lasts: PAUSE.0 + skewed(dice, PAUSE.1 - PAUSE.0) },
            Chance::Line => {
                let (who, what) = (machine(dice, machines), line(dice));
                // What is dropped is dropped at once.
                Self { who, what, lasts: if what == What::Drop { Duration::ZERO } else { lasts } }
            }
            Chance::Storm => Self { who: Who::Everybody, what: What::Drop, lasts: Duration::ZERO },
            Chance::Clock => {
                let jump = JUMPS[below(dice, JUMPS.len())];
                Self { who, what: What::Clock(jump), lasts: lasts + Duration::from_secs(3) }
            }
            Chance::Disk => Self { who, what: What::DiskFull(ROOM_KIB[below(dice, ROOM_KIB.len())]), lasts },
        }
    }

    /// Its sort.
    pub(super) fn sort(&self) -> Sort {
        match self.what {
            What::Kill | What::Pause => Sort::Process,
            What::Line(..) | What::HalfClose(_) | What::Drop => Sort::Line,
            What::Clock(_) => Sort::Clock,
            What::DiskFull(_) => Sort::Disk,
        }
    }

    /// Whether both cannot be at once.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        self.who == other.who && self.sort() == other.sort()
    }

    /// Whether it can be felt on this machine.
    pub(super) fn touches(&self, machine: usize) -> bool {
        !matches!(self.who, Who::Machine(other) if other != machine)
    }
}

fn machine(dice: &mut Dice, machines: usize) -> Who {
    Who::Machine(below(dice, machines))
}

fn below(dice: &mut Dice, limit: usize) -> usize {
    usize::try_from(dice.below(limit as u64)).unwrap_or(0)
}

fn chance(dice: &mut Dice) -> Chance {
    let mut throw = dice.below(100);
    for (part, chance) in OF_HUNDRED {
        if throw < part {
            return chance;
        }
        throw -= part;
    }
    Chance::Disk
}

/// Of lines: three in ten are cut in one direction only, three in both; the others are slow, half closed, or dropped.
fn line(dice: &mut Dice) -> What {
    let late = |dice: &mut Dice| Way::Late(20 + dice.below(LATE_MS_MAX));
    match dice.below(20) {
        0..3 => What::Line(Way::Held, Way::Open),
        3..6 => What::Line(Way::Open, Way::Held),
        6..12 => What::Line(Way::Held, Way::Held),
        12..15 => What::Line(late(dice), late(dice)),
        15..18 => What::HalfClose(dice.below(2) == 0),
        _ => What::Drop,
    }
}

/// Mostly short, sometimes up to the limit.
fn skewed(dice: &mut Dice, limit: Duration) -> Duration {
    let part = dice.below(1000) as f64 / 1000.0;
    limit.mul_f64(part * part * part)
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("server"),
            Self::Machine(number) => write!(f, "machine {number}"),
            Self::Everybody => f.write_str("all lines"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} for {:.1} s", self.who, self.what, self.lasts.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_of_fault_is_drawn_and_lasts_as_long_as_it_may() {
        let mut dice = Dice::new(1);
        let faults: Vec<Fault> = (0..2000).map(|_| Fault::draw(&mut dice, 10)).collect();
        let count = |is: fn(&Fault) -> bool| faults.iter().filter(|fault| is(fault)).count();
        assert!(count(|fault| fault.what == What::Kill && fault.who == Who::Server) > 50);
        assert!(count(|fault| fault.what == What::Kill && fault.who != Who::Server) > 200);
        assert!(count(|fault| fault.what == What::Pause) > 100);
        let one_way =
            count(|fault| matches!(fault.what, What::Line(Way::Held, Way::Open) | What::Line(Way::Open, Way::Held)));
        let held = count(|fault| matches!(fault.what, What::Line(up, down) if up == Way::Held || down == Way::Held));
        assert!(one_way * 10 >= held * 3, "{one_way} of {held}");
        for jump in JUMPS {
            assert!(faults.iter().any(|fault| fault.what == What::Clock(jump)));
        }
        assert!(count(|fault| matches!(fault.what, What::DiskFull(_))) > 50);
        assert!(count(|fault| fault.who == Who::Everybody) > 30);
        assert!(faults.iter().all(|fault| fault.lasts <= PAUSE.1));
    }

    #[test]
    fn a_fault_is_felt_by_its_machine_and_the_servers_by_all() {
        let fault = |who| Fault { who, what: What::Kill, lasts: Duration::ZERO };
        assert!(fault(Who::Server).touches(3) && fault(Who::Machine(3)).touches(3));
        assert!(!fault(Who::Machine(2)).touches(3));
        assert!(fault(Who::Server).excludes(&fault(Who::Server)));
        assert!(!fault(Who::Server).excludes(&fault(Who::Machine(0))));
    }
}
