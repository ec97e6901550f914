//! What must be seen in some run: a simulator in which nothing happens keeps every rule.

/// Something worth seeing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Sight {
    /// An action succeeds.
    Succeeded,
    /// An action fails.
    Failed,
    /// A cancel came before any grant.
    CancelBeatClaim,
    /// Granted, cancelled, and never begun.
    CancelledBeforeStart,
    /// Begun, and cancelled before it had done anything.
    CancelledAfterStart,
    /// An effect was made and undone, then Cancelled.
    CancelledAfterEffect,
    /// A script ran, was killed, and is listed.
    CancelledWithResidue,
    /// A cancel was accepted, and the result had come first on the machine.
    CancelLostToResult,
    /// A cancel was refused: the action had ended.
    CancelRefused,
    /// An abort came before the grant that it speaks of.
    AbortOvertookGrant,
    /// A grant was given once more in a later session.
    GrantedAgain,
    /// Nobody asked for a grant in time.
    NeverStarted,
    /// The journal that held a grant was lost.
    JournalLostUnknown,
    /// A machine was silent for too long.
    SilentTooLong,
    /// A testimony came after its action's end.
    LateEvidence,
    /// A record that was cut off was found and taken away.
    TornRecordRecovered,
    /// What was written and not synced was gone.
    UnsyncedLost,
    /// A dead agent's processes were found and killed.
    OrphanSwept,
    /// An undo failed, and was tried again.
    UndoFailed,
    /// An agent died in the middle of what it was told.
    DiedMidway,
    /// An agent died while it started.
    DiedAtBoot,
    /// A journal's write or sync failed.
    JournalFailed,
    /// Nothing was claimed because there was no room for the journal.
    NoRoomNoClaim,
    /// A call of the store failed.
    StoreFailed,
    /// A commit stood though its caller was told that the store failed.
    CommittedUnheard,
    /// A change was decided on what had moved meanwhile.
    Moved,
    /// A grant was refused because the session was no longer the newest.
    SessionMoved,
    /// A grant had to wait for another action.
    ClassBusy,
    /// A Hello came after a later one of the same agent.
    LateHello,
    /// Words of an agent that had given its stream up were still heard.
    HalfOpen,
    /// An isolation cut off the server and was taken back.
    ProofFailed,
    /// A wake was lost.
    WakeLost,
    /// A machine was set back to an earlier state.
    SetBack,
    /// A clock jumped.
    ClockJumped,
    /// A replica died with use cases under way.
    ReplicaDied,
    /// A request was refused because one of its kind is live.
    AlreadyActive,
    /// A machine was enrolled again.
    EnrolledAgain,
}

impl Sight {
    /// All of them.
    pub const ALL: [Self; 37] = [
        Self::Succeeded,
        Self::Failed,
        Self::CancelBeatClaim,
        Self::CancelledBeforeStart,
        Self::CancelledAfterStart,
        Self::CancelledAfterEffect,
        Self::CancelledWithResidue,
        Self::CancelLostToResult,
        Self::CancelRefused,
        Self::AbortOvertookGrant,
        Self::GrantedAgain,
        Self::NeverStarted,
        Self::JournalLostUnknown,
        Self::SilentTooLong,
        Self::LateEvidence,
        Self::TornRecordRecovered,
        Self::UnsyncedLost,
        Self::OrphanSwept,
        Self::UndoFailed,
        Self::DiedMidway,
        Self::DiedAtBoot,
        Self::JournalFailed,
        Self::NoRoomNoClaim,
        Self::StoreFailed,
        Self::CommittedUnheard,
        Self::Moved,
        Self::SessionMoved,
        Self::ClassBusy,
        Self::LateHello,
        Self::HalfOpen,
        Self::ProofFailed,
        Self::WakeLost,
        Self::SetBack,
        Self::ClockJumped,
        Self::ReplicaDied,
        Self::AlreadyActive,
        Self::EnrolledAgain,
    ];
}

/// How often each was seen.
#[derive(Clone, Debug)]
pub struct Sights([u64; Sight::ALL.len()]);

impl Default for Sights {
    fn default() -> Self {
        Self([0; Sight::ALL.len()])
    }
}

impl Sights {
    /// It is seen.
    pub fn see(&mut self, sight: Sight) {
        self.0[sight as usize] += 1;
    }

    /// How often it was seen.
    pub fn of(&self, sight: Sight) -> u64 {
        self.0[sight as usize]
    }

    /// What another run saw.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// What was never seen.
    pub fn missing(&self) -> Vec<Sight> {
        Sight::ALL.into_iter().filter(|sight| self.of(*sight) == 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sight_stands_at_its_place() {
        for (index, sight) in Sight::ALL.into_iter().enumerate() {
            assert_eq!(sight as usize, index);
        }
    }
}
