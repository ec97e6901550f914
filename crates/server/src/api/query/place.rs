//! A place in a list as it stands in a link: opaque to clients. It carries no authority, so it need not be signed:
//! whoever changes it gets another part of a list that is theirs to see.

use crate::actions::Position;
use crate::api::error::ApiError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The longest token, in bytes: a few of the longest comments.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// The place of a token.
///
/// # Errors
/// It is none of ours.
pub(super) fn read(token: &str) -> Result<Position, ApiError> {
    let not_ours = || ApiError::query("The $skiptoken is not one that was given out.");
    if token.len() > TOKEN_BYTES_MAX {
        return Err(not_ours());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| not_ours())?;
    serde_json::from_slice(&bytes).map_err(|_| not_ours())
}

/// The token of a place.
pub(super) fn show(place: &Position) -> String {
    // Plain values: this cannot fail, and what is empty would be refused.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}
