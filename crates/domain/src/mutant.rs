//! Faults that can be switched on, to see that the checks bite. Each names one line of the protocol and takes it away.
//!
//! Only a build with the feature `mutants` can switch one on. Without it [`is_on`] is a constant, and the compiler drops
//! every switch.

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mutant {
    /// A grant is given without being recorded. Switched in `decide`.
    NoClaimStep = 1,
    /// A step's effect begins before its intent is journalled. Switched in `grantee`.
    EffectBeforeJournal,
    /// A cancel of a granted action shows Cancelled at once. Switched in `decide`.
    CancelledWhileGranted,
    /// The agent stops without journalling that it does. Switched in `grantee`.
    CancelOnlyInMemory,
    /// A cancel is passed on without being recorded. Switched in `decide`.
    CancelNotRecorded,
    /// An abort of an action never heard of leaves nothing behind. Switched in `grantee`.
    NoTombstone,
    /// A testimony that comes after the end replaces it. Switched in `decide`.
    LateResultOverwrites,
    /// A kill and the sweep at the start pass over what a dead agent left running. Switched by whoever plays the host.
    OrphanNotKilled,
    /// The end is written without waiting for the undo. Switched in `grantee`.
    UndoNotAwaited,
    /// The end is written without waiting for the step that was killed. Switched in `grantee`.
    RunNotAwaited,
    /// A silent machine's cancelled action becomes Cancelled when the horizon passes. Switched in `decide`.
    LeaseBecomesCancelled,
    /// A replica grants on what it remembers of an action. Switched by whoever plays the store.
    StaleReplicaGrants,
    /// Any session may claim, and use a grant. Switched in `grantee` and by whoever plays the store.
    NoSessionFence,
    /// A journal that does not hold the grant is given a new one. Switched in `decide` and `hello`.
    RegrantAfterWipe,
    /// What a crash left half-way is not undone. Switched in `grantee`.
    UndoSkippedAfterCrash,
    /// A cancel turns any end into Cancelled. Switched in `decide`.
    CancelOverwritesFinal,
    /// A journal that does not hold the grant may testify. Switched in `decide` and `hello`.
    WipedAgentTrusted,
    /// The store forgets what it acknowledged. Switched by whoever plays the store.
    StoreLosesCommit,
    /// An abort counts only for exactly the grant that is held. Switched in `grantee`.
    ExactEpochAbort,
    /// Two actions may be open that need the same thing. Switched by whoever plays the store.
    NoClassGuard,
    /// A machine that was enrolled again is believed under its earlier enrolment too. Switched in `hello`.
    OldIncarnationTrusted,
    /// What is open stays open when its machine is enrolled again. Switched in `hello`.
    GrantOutlivesEnrolment,
    /// What was seen to be overdue is ended whatever it is by then. Switched in `decide`.
    ExpiryOfWhatMovedOn,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::NoClaimStep,
        Self::EffectBeforeJournal,
        Self::CancelledWhileGranted,
        Self::CancelOnlyInMemory,
        Self::CancelNotRecorded,
        Self::NoTombstone,
        Self::LateResultOverwrites,
        Self::OrphanNotKilled,
        Self::UndoNotAwaited,
        Self::RunNotAwaited,
        Self::LeaseBecomesCancelled,
        Self::StaleReplicaGrants,
        Self::NoSessionFence,
        Self::RegrantAfterWipe,
        Self::UndoSkippedAfterCrash,
        Self::CancelOverwritesFinal,
        Self::WipedAgentTrusted,
        Self::StoreLosesCommit,
        Self::ExactEpochAbort,
        Self::NoClassGuard,
        Self::OldIncarnationTrusted,
        Self::GrantOutlivesEnrolment,
        Self::ExpiryOfWhatMovedOn,
    ];

    /// Its name on a command line: `no-claim-step`.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }
}

/// Whether this fault is switched on. Never, in a build without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
pub const fn is_on(_mutant: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub use switch::{is_on, set};

#[cfg(feature = "mutants")]
mod switch {
    use super::Mutant;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// The fault that is on, by its number; 0: none.
    static ON: AtomicU8 = AtomicU8::new(0);

    /// Whether this fault is switched on.
    pub fn is_on(mutant: Mutant) -> bool {
        ON.load(Ordering::Relaxed) == mutant as u8
    }

    /// Switches one fault on, for the whole process, or all off.
    pub fn set(mutant: Option<Mutant>) {
        ON.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_known_by_its_name() {
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::parse(&mutant.name()), Some(mutant));
        }
        assert_eq!(Mutant::parse("ack-while-granted"), None);
        assert_eq!(Mutant::NoClaimStep.name(), "no-claim-step");
    }
}
