//! When an action last changed, as whoever pages by it needs it: distinct and rising over all actions, in the order in
//! which changes are committed. Whoever asks for what is greater than the last one seen misses nothing.

use crate::StoreError;
use domain::time::Timestamp;

/// What became of an action that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The commit's number.
    pub number: u64,
    /// The action's `updated_at` as it stands on record: when it was decided, or a little later, after every stamp that
    /// was given before.
    pub updated_at: Timestamp,
}

/// The stamp of what is committed now: when it was decided, and after `newest`, the newest there is.
pub(crate) fn stamp(decided: Timestamp, newest: Option<Timestamp>) -> Result<Timestamp, StoreError> {
    match newest {
        Some(Timestamp(i64::MAX)) => Err(StoreError::Refused("an action was changed at the end of time".into())),
        Some(newest) => Ok(decided.after(newest)),
        None => Ok(decided),
    }
}
