//! SQLite's errors in the store's words.

use crate::StoreError;
use rusqlite::ErrorCode;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => Self::Refused(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(text),
            Some(_) => Self::Unavailable(text),
            // Without a code of SQLite's own it is about a value that came out of a column.
            None => Self::Damaged(text),
        }
    }
}
