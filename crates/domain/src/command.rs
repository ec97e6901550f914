//! The commands of a live response, and the library files they name.

use crate::ids::Digest;
use serde::{Deserialize, Serialize};

/// A library file as it was when the action was requested. Later uploads under the same name do not change what runs:
/// the bytes executed are the bytes that were authorised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LibraryRef {
    /// The file's name in the library.
    pub name: String,
    /// The SHA-256 of its content.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// One command of a live response; each is a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Put a library file on the machine.
    PutFile {
        /// What to put.
        file: LibraryRef,
    },
    /// Run a library script.
    RunScript {
        /// What to run.
        script: LibraryRef,
        /// Its arguments as one string, split without any shell.
        args: Option<String>,
    },
    /// Get a file from the machine.
    GetFile {
        /// Its absolute path.
        path: String,
    },
}

impl Command {
    /// The library file this command needs.
    pub fn library(&self) -> Option<&LibraryRef> {
        match self {
            Self::PutFile { file } => Some(file),
            Self::RunScript { script, .. } => Some(script),
            Self::GetFile { .. } => None,
        }
    }
}
