//! What a machine may say, made of choices: every field can be anything, and mostly is something that could be true.

use crate::dice::Dice;
use domain::ids::{ActionId, Digest, Epoch, JournalId, Nonce};
use domain::kind::Kind;
use domain::machine::{JournalSeen, Told};
use domain::testimony::{Artifact, Ending, Fact, StepReport, StepStatus, Testimony};
use domain::time::Timestamp;
use protocol::agent::{Hello, ListedAction, ToServer};
use uuid::Uuid;

/// More than a Hello may list.
pub(crate) const LISTED_FLOOD: usize = server::agent_link::talk::LISTED_MAX + 1;

/// More than is kept of anything.
const FLOOD: usize = 2000;

/// What a machine could know.
pub(crate) struct Known<'a> {
    /// Actions: its own, others', and one that never was.
    pub(crate) actions: &'a [ActionId],
    /// Journals.
    pub(crate) journals: &'a [JournalId],
    /// The session it is in.
    pub(crate) session: Epoch,
    /// Its newest session, as the server's first word says it.
    pub(crate) newest: Epoch,
    /// The time.
    pub(crate) now: i64,
}

impl Known<'_> {
    pub(crate) fn action(&self, dice: &mut Dice<'_>) -> ActionId {
        match dice.byte() {
            255 => ActionId(Uuid::from_bytes(std::array::from_fn(|_| dice.byte()))),
            index => self.actions[usize::from(index) % self.actions.len()],
        }
    }

    pub(crate) fn journal(&self, dice: &mut Dice<'_>) -> JournalId {
        self.journals[dice.below(self.journals.len())]
    }

    pub(crate) fn epoch(&self, dice: &mut Dice<'_>) -> Epoch {
        match dice.byte() {
            0..=99 => self.session,
            _ => Epoch(dice.number()),
        }
    }

    pub(crate) fn hello(&self, dice: &mut Dice<'_>) -> ToServer {
        let (low, high) = dice.of(&[(1, 1), (1, 1), (0, 255), (2, 9), (0, 0), (9, 0)]);
        let seen = JournalSeen { id: self.journal(dice), sequence: dice.number(), head: digest(dice) };
        let listed = |dice: &mut Dice<'_>| ListedAction {
            action: self.action(dice),
            epoch: self.epoch(dice),
            started: dice.flag(),
        };
        ToServer::Hello(Box::new(Hello {
            version_min: low,
            version_max: high,
            incarnation: dice.of(&[1, 1, 1, 1, 1, 0, 2, u32::MAX]),
            after: if dice.byte() < 200 { self.newest } else { Epoch(dice.number()) },
            told: self.told(dice),
            journal: seen,
            listed: dice.list(6, LISTED_FLOOD, listed),
        }))
    }

    fn told(&self, dice: &mut Dice<'_>) -> Told {
        let kinds = [Kind::Isolate, Kind::Release, Kind::LiveResponse];
        Told {
            os_platform: dice.text(),
            os_version: dice.text(),
            agent_version: dice.text(),
            last_address: dice.flag().then(|| dice.text()),
            boot_id: dice.text(),
            kinds: dice.list(3, FLOOD, |dice| dice.of(&kinds)),
            journal: None,
        }
    }

    pub(crate) fn claim(&self, dice: &mut Dice<'_>) -> ToServer {
        ToServer::Claim {
            session: self.epoch(dice),
            action: self.action(dice),
            nonce: Nonce([dice.byte(); 16]),
            journal: self.journal(dice),
        }
    }

    pub(crate) fn phase(&self, dice: &mut Dice<'_>) -> ToServer {
        ToServer::Phase {
            action: self.action(dice),
            epoch: self.epoch(dice),
            journal: self.journal(dice),
            sequence: dice.number(),
            at: Timestamp(dice.instant(self.now)),
            what: dice.text(),
        }
    }

    pub(crate) fn end(&self, dice: &mut Dice<'_>) -> ToServer {
        ToServer::Final { action: self.action(dice), testimony: Box::new(self.testimony(dice)) }
    }

    fn testimony(&self, dice: &mut Dice<'_>) -> Testimony {
        let now = self.now;
        let (epoch, journal) = (self.epoch(dice), self.journal(dice));
        let ending = match dice.below(5) {
            0 => Ending::Finished,
            1 => Ending::Stopped { began: true },
            2 => Ending::Stopped { began: false },
            _ => Ending::Broke { why: dice.text() },
        };
        Testimony {
            epoch,
            journal,
            sequence: dice.number(),
            ending,
            steps: dice.list(4, FLOOD, |dice| step(dice, now)),
            residue: dice.list(3, FLOOD, |dice| dice.text()),
            facts: dice.list(4, FLOOD, |dice| fact(dice, now)),
        }
    }
}

fn step(dice: &mut Dice<'_>, now: i64) -> StepReport {
    use StepStatus::{Completed, Created, Failed, InProgress};
    let artifact =
        |dice: &mut Dice<'_>| Artifact { sha256: digest(dice), size_bytes: dice.number(), file_name: dice.text() };
    StepReport {
        index: dice.of(&[0, 1, 2, 63, 64, u16::MAX]),
        status: dice.of(&[Created, InProgress, Completed, Failed]),
        started_at: dice.flag().then(|| Timestamp(dice.instant(now))),
        ended_at: dice.flag().then(|| Timestamp(dice.instant(now))),
        errors: dice.list(2, FLOOD, |dice| dice.text()),
        artifact: dice.flag().then(|| artifact(dice)),
    }
}

fn fact(dice: &mut Dice<'_>, now: i64) -> Fact {
    Fact { sequence: dice.number(), at: Timestamp(dice.instant(now)), what: dice.text() }
}

fn digest(dice: &mut Dice<'_>) -> Digest {
    Digest([dice.byte(); 32])
}
