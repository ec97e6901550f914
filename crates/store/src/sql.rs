//! What the SQL engines share: the statements, the words that stand in columns, and rows as plain values.
//!
//! Placeholders are `$1`, `$2`, … and first occur in that order in every statement: then they mean the same to SQLite,
//! which numbers names by their first occurrence, and to PostgreSQL, which reads the number.

pub(crate) mod rows;
pub(crate) mod statements;
pub(crate) mod words;
