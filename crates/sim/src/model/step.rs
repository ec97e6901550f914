//! What can happen next, in words.

use super::message::{End, Message};
use super::state::Job;
use std::fmt;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// What.
    pub what: What,
    /// The agent dies after so many of the things it then does.
    pub cut: Option<Cut>,
    /// It happens on the other host, with the agent of the earlier enrolment.
    pub elsewhere: bool,
}

/// What becomes of the agent of the earlier enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Beside {
    /// It is dead: the host lost its key and nothing else.
    Nobody,
    /// It goes on elsewhere with its key and its journal; the machine begins with neither.
    Elsewhere,
}

/// Where a crash falls between the outputs of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cut {
    /// So many of them are done.
    pub done: u8,
    /// A process that one of them began was started before the crash.
    pub spawned: bool,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A client asks for a cancel.
    Cancel(u8),
    /// An action's time is up: Pending too long, or its machine silent too long.
    Deadline(u8),
    /// The sweep sees that an action's time is up, and acts on it later.
    Looks(u8),
    /// The machine is enrolled again: the same host, or another one beside it.
    Reenrol(Beside),
    /// The store forgets a commit. Only with a mutant.
    LoseCommit(u8),
    /// The agent opens a session.
    Dial,
    /// A replica answers its Hello.
    Answer,
    /// Welcome arrives.
    Welcome,
    /// The link is lost.
    Disconnect,
    /// A replica says what is outstanding, and it is not lost.
    Outstanding(u8),
    /// A replica says what is outstanding, and it does not arrive now.
    SayOutstanding,
    /// A message arrives.
    Arrives(Message),
    /// Offers are repeated until the agent claims anew.
    OffersRepeated(u8),
    /// What failed is tried again.
    Retry,
    /// The agent dies.
    Crash,
    /// The agent starts: leftovers are swept, the journal is folded.
    Boot,
    /// The journal is lost while no agent runs.
    Wipe,
    /// The journal is set back, while no agent runs, to its first so many records.
    Rollback(u8),
    /// A process of an action makes its effect.
    Effect(u8),
    /// A task goes on to the next of its parts.
    Goes(u8, Job),
    /// A task ends well.
    EndsWell(u8, Job),
    /// A task ends in an error.
    EndsBadly(u8, Job),
    /// A task ends because it was told to stop, or because what it waited for was killed.
    Stops(u8, Job),
}

impl Step {
    /// Without a crash in it.
    pub fn whole(what: What) -> Self {
        Self { what, cut: None, elsewhere: false }
    }

    /// Whether no end may depend on this: a fault, a client, a clock, or luck.
    pub fn is_no_merit(&self) -> bool {
        if self.cut.is_some() {
            return true;
        }
        match self.what {
            What::Cancel(_) | What::Deadline(_) | What::LoseCommit(_) => true,
            What::Looks(_) | What::Reenrol(_) => true,
            What::Crash | What::Wipe | What::Rollback(_) | What::EndsBadly(..) => true,
            // Said in an older session, and by luck still under way.
            What::Arrives(Message::Offer { .. } | Message::Abort { .. } | Message::Hello { .. }) => true,
            What::Arrives(Message::Overdue { .. }) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.elsewhere {
            write!(f, "elsewhere: ")?;
        }
        self.what.fmt(f)?;
        match self.cut {
            None => Ok(()),
            Some(Cut { done, spawned: false }) => write!(f, "; the agent dies after {done} of what it does then"),
            Some(Cut { done, spawned: true }) => {
                write!(f, "; the agent dies after {done} of what it does then, and what it began lives")
            }
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancel(action) => write!(f, "a client cancels action {action}"),
            Self::Deadline(action) => write!(f, "the time of action {action} is up"),
            Self::Looks(action) => write!(f, "the sweep sees that the time of action {action} is up"),
            Self::Reenrol(Beside::Nobody) => write!(f, "the machine is enrolled again, with the journal it has"),
            Self::Reenrol(Beside::Elsewhere) => {
                write!(f, "the machine is enrolled again, as a new host beside the old one")
            }
            Self::LoseCommit(action) => write!(f, "the store forgets what became of action {action}"),
            Self::Dial => write!(f, "the agent opens a session"),
            Self::Answer => write!(f, "a replica answers its Hello"),
            Self::Welcome => write!(f, "Welcome arrives"),
            Self::Disconnect => write!(f, "the link is lost"),
            Self::Outstanding(_) => write!(f, "a replica says what is outstanding, and the agent hears it"),
            Self::SayOutstanding => write!(f, "a replica says what is outstanding; it is under way"),
            Self::Arrives(message) => message.fmt(f),
            Self::OffersRepeated(action) => write!(f, "action {action} is offered until the agent claims it anew"),
            Self::Retry => write!(f, "the agent tries again what failed"),
            Self::Crash => write!(f, "the agent dies"),
            Self::Boot => write!(f, "the agent starts: sweeps leftovers, folds its journal"),
            Self::Wipe => write!(f, "the journal is lost"),
            Self::Rollback(kept) => write!(f, "a snapshot sets the journal back to its first {kept} records"),
            Self::Effect(action) => write!(f, "a process of action {action} makes its effect"),
            Self::Goes(action, job) => write!(f, "action {action}: {job} goes on"),
            Self::EndsWell(action, job) => write!(f, "action {action}: {job} ends"),
            Self::Stops(action, job) => write!(f, "action {action}: {job} is stopped"),
            Self::EndsBadly(action, job) => write!(f, "action {action}: {job} ends in an error"),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare => write!(f, "prepare"),
            Self::Plan(step) => write!(f, "plan of step {step}"),
            Self::Run(step) => write!(f, "run of step {step}, not yet started,"),
            Self::Running(step) => write!(f, "run of step {step}"),
            Self::Kill => write!(f, "kill"),
            Self::Undo(step) => write!(f, "undo of step {step}"),
            Self::Undone(step) => write!(f, "undo of step {step}, done,"),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offer { action } => write!(f, "an offer of action {action} arrives"),
            Self::Claim { action, session, journal, .. } => {
                write!(f, "the claim of action {action} of session {session}, journal {journal}, reaches a replica")
            }
            Self::Grant { action, epoch, .. } => write!(f, "the grant {epoch} of action {action} arrives"),
            Self::Deny { action, .. } => write!(f, "a refusal of action {action} arrives"),
            Self::Abort { action, epoch, .. } => write!(f, "the abort of action {action}, grant {epoch}, arrives"),
            Self::Final { action, epoch, journal, end, .. } => {
                let end = match end {
                    End::Finished => "finished",
                    End::NeverBegan => "never began",
                    End::Undone => "stopped and undone",
                    End::Broke => "did not finish",
                };
                write!(
                    f,
                    "the testimony of action {action}, grant {epoch}, journal {journal}, reaches a replica: {end}"
                )
            }
            Self::Acknowledge { action, .. } => write!(f, "the acknowledgement of action {action} arrives"),
            Self::Overdue { action, silent_in: 0 } => {
                write!(f, "the sweep ends action {action}, which was Pending when it looked")
            }
            Self::Overdue { action, silent_in } => {
                write!(f, "the sweep ends action {action}, whose machine was silent in session {silent_in}")
            }
            Self::Hello { session, journal, .. } => {
                write!(
                    f,
                    "a replica goes on with the Hello of session {session}, journal {journal}, whose link is gone"
                )
            }
        }
    }
}
