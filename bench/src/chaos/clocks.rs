//! Clocks that can be wrong: libfaketime bends the wall clock of the process it is loaded into, as a file says that may
//! change at any time. Lengths of time stay the kernel's.

use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// Bends the clocks of whoever it is loaded into.
const LIBRARY: &str = "faketime/libfaketime.so.1";

/// Makes clocks of these names, all of them right.
///
/// # Errors
/// They cannot be written.
pub(super) fn make<'a>(folder: &Path, names: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    std::fs::create_dir(folder.join("clocks"))?;
    names.into_iter().try_for_each(|name| set(folder, name, 0))
}

/// Where that is.
///
/// # Errors
/// It is not installed.
pub(super) fn library() -> anyhow::Result<String> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders.map(|folder| folder.path().join(LIBRARY)).find(|path| path.exists());
    let path = found.context("chaos bends clocks with libfaketime: apt-get install libfaketime")?;
    Ok(path.to_string_lossy().into_owned())
}

/// What has a process live by the clock of this name. Only the wall clock is bent: lengths of time are the kernel's.
pub(super) fn env(folder: &Path, library: &str, name: &str) -> Vec<(String, String)> {
    let file = clock_file(folder, name).to_string_lossy().into_owned();
    [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", &file),
        // In seconds: how soon a jump is felt.
        ("FAKETIME_CACHE_DURATION", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        // What older versions call it.
        ("DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
    ]
    .map(|(name, value)| (name.to_string(), value.to_string()))
    .to_vec()
}

fn clock_file(folder: &Path, name: &str) -> PathBuf {
    folder.join("clocks").join(name)
}

/// Sets a clock so many seconds off. In one piece: whoever reads it meanwhile reads one of the two.
///
/// # Errors
/// It cannot be written.
pub(super) fn set(folder: &Path, name: &str, seconds: i64) -> anyhow::Result<()> {
    let (file, new) = (clock_file(folder, name), clock_file(folder, &format!("{name}.new")));
    std::fs::write(&new, format!("{seconds:+}\n"))?;
    Ok(std::fs::rename(new, file)?)
}
