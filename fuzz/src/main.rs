//! One binary for every target, since each would link the whole server and agent: `FUZZ_TARGET` says which it is.
//! `cargo xtask fuzz` builds and runs it.

#![no_main]

use hostile::{Target, target};
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET names no target: {name:?}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.check)(bytes));
