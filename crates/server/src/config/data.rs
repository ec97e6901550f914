//! Where things are kept.

use std::path::{Path, PathBuf};

/// Where things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataConfig {
    /// The data directory: keys, certificates, the store, artifacts. Only the server's own user may enter it.
    pub dir: PathBuf,
}

impl DataConfig {
    /// Where artifacts lie, each under its action, its step and its SHA-256 in hex.
    pub fn artifact_dir(&self) -> PathBuf {
        self.dir.join("artifacts")
    }

    /// For tests: below `dir`.
    pub fn for_testing(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { dir: "/var/lib/countermand".into() }
    }
}
