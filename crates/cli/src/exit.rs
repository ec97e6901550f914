//! How the binary ends: one number per thing a script must tell apart.

use crate::client::ClientError;

/// How a command ended. The numbers are part of the interface and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, and where something was waited for: confirmed. A cancel: it shows Cancelled.
    Ok = 0,
    /// Anything that has no number of its own: no connection, a refused request, a full disk.
    Other = 1,
    /// The command line or the settings are wrong; nothing was asked of the server.
    Usage = 2,
    /// A cancel came too late: the action had ended by itself. What is true is known.
    TooLate = 3,
    /// Not confirmed: still in progress when the wait ended, or ended with its outcome unknown.
    Unconfirmed = 4,
    /// No such action, machine or file, or none that this caller may see.
    NotFound = 5,
    /// Not signed in, or not permitted.
    Forbidden = 6,
    /// The action that was waited for did not do its work: Failed, cancelled by someone, or expired.
    Failed = 7,
}

/// The exit codes as `--help` prints them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done; where something was waited for, confirmed
  1  any other error (no connection, refused request, ...)
  2  wrong command line or settings
  3  too late: the action ended before it could be cancelled
  4  unconfirmed: still in progress when the wait ended, or the outcome is unknown
  5  not found
  6  not signed in, or not permitted
  7  the action failed, expired, or was cancelled by someone while it was waited for
Several ids: the code of the one that leaves the most open (1, 6, 4, 5, 7, 3, 0 in this order).";

/// From what leaves nothing open to what leaves the most open. After a 3 or 7 the end is known; after a 5 there is
/// nothing to cancel; a 4 was at least asked for; after a 6 the work goes on unasked; after a 1 or 2 nothing is known.
const FROM_BEST_TO_WORST: [Exit; 8] = [
    Exit::Ok,
    Exit::TooLate,
    Exit::Failed,
    Exit::NotFound,
    Exit::Unconfirmed,
    Exit::Forbidden,
    Exit::Other,
    Exit::Usage,
];

impl Exit {
    /// Of two, the one that leaves more open.
    pub fn worse(self, other: Self) -> Self {
        let place = |exit: Self| FROM_BEST_TO_WORST.iter().position(|known| *known == exit);
        if place(self) >= place(other) { self } else { other }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&ClientError> for Exit {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::Config(_) | ClientError::Ambiguous { .. } => Self::Usage,
            ClientError::NoMachine(_) | ClientError::Api { status: 404, .. } => Self::NotFound,
            ClientError::Api { status: 401 | 403, .. } | ClientError::SignIn { status: 400..=403, .. } => {
                Self::Forbidden
            }
            ClientError::Api { .. }
            | ClientError::SignIn { .. }
            | ClientError::Transport { .. }
            | ClientError::Answer(_)
            | ClientError::Write(_) => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_counts() {
        assert_eq!(Exit::Ok.worse(Exit::TooLate), Exit::TooLate);
        assert_eq!(Exit::Unconfirmed.worse(Exit::NotFound), Exit::Unconfirmed);
        assert_eq!(Exit::Forbidden.worse(Exit::Unconfirmed), Exit::Forbidden);
        assert_eq!(Exit::Failed.worse(Exit::Failed), Exit::Failed);
    }

    #[test]
    fn every_code_is_explained() {
        for exit in FROM_BEST_TO_WORST {
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
        }
    }
}
