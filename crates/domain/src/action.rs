//! An action and its parts. A state carries exactly the data that exists in that state: a Cancelled without either the
//! certainty that no grant was given or a testimony cannot be written down.

use crate::command::Command;
use crate::ids::{ActionId, Epoch, JournalId, MachineId};
use crate::kind::{Kind, Scope};
use crate::lifecycle::Stage;
use crate::testimony::Testimony;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Something to be done on one machine, with a lifecycle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    /// Its id.
    pub id: ActionId,
    /// The machine it is for.
    pub machine: MachineId,
    /// What is to be done.
    pub body: Body,
    /// Who asked, and why.
    pub request: Request,
    /// When it was requested.
    pub created_at: Timestamp,
    /// When it last changed; rises with every change.
    pub updated_at: Timestamp,
    /// When it is TimedOut if no grant was given by then.
    pub expires_at: Timestamp,
    /// Counts its changes; guards a commit.
    pub revision: u64,
    /// Where it stands.
    pub state: State,
}

/// What is to be done. This is what a grant signs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body {
    /// Cut the machine from the network.
    Isolate {
        /// How far.
        scope: Scope,
    },
    /// Lift an isolation.
    Release,
    /// Run commands, in order, stopping at the first that fails.
    LiveResponse {
        /// The commands.
        commands: Vec<Command>,
    },
}

/// Who asked for an action, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Who: a sign-in name or an application's id.
    pub requestor: String,
    /// Why.
    pub comment: String,
    /// By which door.
    pub source: RequestSource,
    /// The customer's own correlation id.
    pub external_id: Option<String>,
}

/// By which door a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RequestSource {
    /// The API.
    PublicApi,
    /// The console.
    Portal,
}

/// Where an action stands, with what is known there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// No grant exists.
    Pending,
    /// A grant exists.
    Granted {
        /// The grant.
        grant: Grant,
    },
    /// A grant exists, and a cancel was accepted.
    Stopping {
        /// The grant.
        grant: Grant,
        /// The cancel.
        cancel: Cancel,
    },
    /// Finished, by testimony.
    Succeeded {
        /// The grantee's words.
        testimony: Testimony,
        /// A cancel that came too late.
        cancel: Option<Cancel>,
    },
    /// Did not finish, by testimony.
    Failed {
        /// The grantee's words.
        testimony: Testimony,
        /// A cancel that was asked for meanwhile.
        cancel: Option<Cancel>,
    },
    /// Never started in time, or nobody trustworthy can say.
    TimedOut {
        /// Which of these.
        why: TimedOutWhy,
        /// The grant, if one was given.
        grant: Option<Grant>,
        /// A cancel that was asked for meanwhile.
        cancel: Option<Cancel>,
    },
    /// Cancelled, and true.
    Cancelled {
        /// The cancel.
        cancel: Cancel,
        /// How we know.
        proof: CancelProof,
    },
}

/// How we know that a cancelled action has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CancelProof {
    /// No grant was ever given.
    NeverGranted,
    /// The grantee's journal testifies.
    Testified {
        /// Its words.
        testimony: Testimony,
    },
}

/// A grant as recorded: who holds the permission to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Its number: that of the session it was given in.
    pub epoch: Epoch,
    /// The journal that holds it: only that one can testify.
    pub journal: JournalId,
}

/// An accepted cancel: written once, never cleared, the first one kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cancel {
    /// Who asked.
    pub requestor: String,
    /// Why.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

/// Why an action is TimedOut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimedOutWhy {
    /// No grant was given in time: nothing happened.
    NotStarted,
    /// The journal that held the grant is lost.
    JournalLost,
    /// The machine was not heard of for too long.
    NoContact,
    /// The machine was enrolled anew while the action was open.
    Reenrolled,
}

/// What became of a cancel, in the four plain texts that people see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// Cancelled, never started.
    NeverStarted,
    /// Cancelled, stopped and rolled back.
    StoppedAndUndone,
    /// Stopping, waiting for the machine.
    Stopping,
    /// Too late: it ended first.
    TooLate,
    /// Nobody can say.
    Unknown,
}

impl Body {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Isolate { .. } => Kind::Isolate,
            Self::Release => Kind::Release,
            Self::LiveResponse { .. } => Kind::LiveResponse,
        }
    }

    /// Its scope, where the kind has any.
    pub fn scope(&self) -> Option<Scope> {
        match self {
            Self::Isolate { scope } => Some(*scope),
            Self::Release | Self::LiveResponse { .. } => None,
        }
    }

    /// Its commands; none for what is not a live response.
    pub fn commands(&self) -> &[Command] {
        match self {
            Self::LiveResponse { commands } => commands,
            Self::Isolate { .. } | Self::Release => &[],
        }
    }

    /// How many steps it takes. At least one for everything but an empty live response, which is refused at the door.
    pub fn steps(&self) -> u16 {
        match self {
            Self::Isolate { .. } | Self::Release => 1,
            Self::LiveResponse { commands } => u16::try_from(commands.len()).unwrap_or(u16::MAX),
        }
    }
}

impl State {
    /// The stage.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Pending => Stage::Pending,
            Self::Granted { .. } => Stage::Granted,
            Self::Stopping { .. } => Stage::Stopping,
            Self::Succeeded { .. } => Stage::Succeeded,
            Self::Failed { .. } => Stage::Failed,
            Self::TimedOut { .. } => Stage::TimedOut,
            Self::Cancelled { .. } => Stage::Cancelled,
        }
    }

    /// The grant, where one was given and is known.
    pub fn grant(&self) -> Option<Grant> {
        match self {
            Self::Pending => None,
            Self::Granted { grant } | Self::Stopping { grant, .. } => Some(*grant),
            Self::TimedOut { grant, .. } => *grant,
            Self::Succeeded { .. } | Self::Failed { .. } | Self::Cancelled { .. } => {
                self.testimony().map(|words| Grant { epoch: words.epoch, journal: words.journal })
            }
        }
    }

    /// The accepted cancel, if any.
    pub fn cancel(&self) -> Option<&Cancel> {
        match self {
            Self::Pending | Self::Granted { .. } => None,
            Self::Stopping { cancel, .. } | Self::Cancelled { cancel, .. } => Some(cancel),
            Self::Succeeded { cancel, .. } | Self::Failed { cancel, .. } | Self::TimedOut { cancel, .. } => {
                cancel.as_ref()
            }
        }
    }

    /// The grantee's words, where they ended the action.
    pub fn testimony(&self) -> Option<&Testimony> {
        match self {
            Self::Succeeded { testimony, .. } | Self::Failed { testimony, .. } => Some(testimony),
            Self::Cancelled { proof: CancelProof::Testified { testimony }, .. } => Some(testimony),
            _ => None,
        }
    }

    /// What became of the cancel; `None` where none was accepted.
    pub fn cancel_outcome(&self) -> Option<CancelOutcome> {
        self.cancel()?;
        Some(match self {
            Self::Cancelled { proof: CancelProof::NeverGranted, .. } => CancelOutcome::NeverStarted,
            Self::Cancelled { proof: CancelProof::Testified { testimony }, .. } => match testimony.ending {
                crate::testimony::Ending::Stopped { began: false } => CancelOutcome::NeverStarted,
                _ => CancelOutcome::StoppedAndUndone,
            },
            Self::Stopping { .. } => CancelOutcome::Stopping,
            Self::Succeeded { .. } | Self::Failed { .. } => CancelOutcome::TooLate,
            Self::TimedOut { .. } => CancelOutcome::Unknown,
            Self::Pending | Self::Granted { .. } => return None,
        })
    }
}

impl Action {
    /// A new action: Pending, revision 1.
    pub fn requested(id: ActionId, machine: MachineId, body: Body, request: Request, now: Timestamp) -> Self {
        let expires_at = now.plus_seconds(body.kind().row().pending_seconds);
        Self {
            id,
            machine,
            body,
            request,
            created_at: now,
            updated_at: now,
            expires_at,
            revision: 1,
            state: State::Pending,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.body.kind()
    }

    /// Its stage.
    pub fn stage(&self) -> Stage {
        self.state.stage()
    }
}
