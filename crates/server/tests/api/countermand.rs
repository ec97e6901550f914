//! What we say beyond Defender's API.

mod actions;
