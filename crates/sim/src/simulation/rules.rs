//! What must hold, by its number in the protocol. A rule is judged when something happens; the first that breaks ends
//! the run.

use std::fmt;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// I1.
    NothingBeginsAfterCancelled,
    /// I2.
    FinalIsFinal,
    /// I3.
    CancelledIsClean,
    /// I4.
    AtMostOnce,
    /// I5.
    SucceededIsDone,
    /// I6.
    FailedIsClean,
    /// I7.
    JournalComesFirst,
    /// I8.
    GrantsRise,
    /// I9.
    OnlyTheGranteeTestifies,
    /// I9, its other side.
    LostIsSaidOfTheLostOnly,
    /// I10.
    CancelStays,
    /// I10, as the caller sees it.
    CancelAnswersTrue,
    /// I11.
    NewestSessionClaims,
    /// I12.
    NothingBeforeWelcome,
    /// I13.
    AcknowledgedStays,
    /// I14.
    EverythingEnds,
    /// I15.
    HistoriesAreWalks,
    /// I16.
    OneOpenOfAClass,
    /// One action's cancel is another's nothing.
    OnlyWhatWasAsked,
    /// I20: what is ended as overdue was so when it was looked for.
    OnlyWhatIsOverdueExpires,
    /// At the end the machines are as the ends of their actions say.
    MachinesAreAsTold,
    /// A scenario comes to what it must come to.
    AsTheStoryGoes,
    /// Nothing is tried that the store must refuse, and no code panics.
    NothingImpossibleIsTried,
}

impl Rule {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingBeginsAfterCancelled => "I1 nothing begins after Cancelled was shown",
            Self::FinalIsFinal => "I2 a final row never changes",
            Self::CancelledIsClean => "I3 Cancelled: nothing runs, nothing stands, what stays is listed",
            Self::AtMostOnce => "I4 a step starts at most once",
            Self::SucceededIsDone => "I5 Succeeded: the effect is there, the journal says so",
            Self::FailedIsClean => "I6 Failed: nothing runs, nothing stands, what stays is listed",
            Self::JournalComesFirst => "I7 no effect and no report before its record is durable",
            Self::GrantsRise => "I8 grants rise, and are given only for what has not begun and is not cancelled",
            Self::OnlyTheGranteeTestifies => "I9 only the grant's journal ends an action",
            Self::LostIsSaidOfTheLostOnly => "I9 a journal is called lost only if it is",
            Self::CancelStays => "I10 an accepted cancel stays, the first one",
            Self::CancelAnswersTrue => "I10 a cancel answers what is on record",
            Self::NewestSessionClaims => "I11 only the newest session claims",
            Self::NothingBeforeWelcome => "I12 nothing begins before Welcome",
            Self::AcknowledgedStays => "I13 what was acknowledged is still there",
            Self::EverythingEnds => "I14 with the faults healed everything ends",
            Self::HistoriesAreWalks => "I15 every history is a walk of the lifecycle, unbroken",
            Self::OneOpenOfAClass => "I16 at most one open action of a class",
            Self::OnlyWhatWasAsked => "B7 a cancel changes the action it names, and no other",
            Self::OnlyWhatIsOverdueExpires => "I20 only what was seen to be overdue, and is so still, expires",
            Self::MachinesAreAsTold => "the machines are as the ends of their actions say",
            Self::AsTheStoryGoes => "the story comes to what it must come to",
            Self::NothingImpossibleIsTried => "nothing is tried that the store must refuse, and nothing panics",
        }
    }
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub rule: Rule,
    /// What happened.
    pub why: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule.name(), self.why)
    }
}
