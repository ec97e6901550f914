//! Keys and certificates on disk: made once, never half written; keys are readable by their owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The mode of a key file.
const OWNER_ONLY: u32 = 0o600;

/// The mode of a file that is no secret.
const EVERYONE: u32 = 0o644;

/// The bits of a mode that let others in.
const OTHERS: u32 = 0o077;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could have read it.
    #[error("{path} may be read by others (mode {mode:o}); make it 600, or delete it if it may have been read")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key cannot be made.
    #[error("{path}: no key could be made: {why}")]
    Make {
        /// For which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// The content of the key file at `path`; made by `make` if there is none yet.
///
/// # Errors
/// The file cannot be read or written, others may read it, or `make` fails.
pub fn load_or_make(path: &Path, make: impl FnOnce() -> Result<Vec<u8>, String>) -> Result<Vec<u8>, SecretFileError> {
    load(path, OWNER_ONLY, make)
}

/// The content of a file that everyone may read, such as a certificate; made by `make` if there is none yet.
///
/// # Errors
/// The file cannot be read or written, or `make` fails.
pub fn load_or_make_public(
    path: &Path,
    make: impl FnOnce() -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, SecretFileError> {
    load(path, EVERYONE, make)
}

fn load(path: &Path, mode: u32, make: impl FnOnce() -> Result<Vec<u8>, String>) -> Result<Vec<u8>, SecretFileError> {
    match read(path, mode) {
        Err(SecretFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let content = make().map_err(|why| SecretFileError::Make { path: path.into(), why })?;
    let failed = |source| SecretFileError::Io { path: path.into(), source };
    match put(path, mode, &content) {
        // Another process was first: its key is the key.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => read(path, mode),
        Err(e) => Err(failed(e)),
        Ok(()) => Ok(content),
    }
}

/// Writes `content` to `path` whole or not at all, replacing what was there; readable by its owner only.
///
/// # Errors
/// The file cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), SecretFileError> {
    let failed = |source| SecretFileError::Io { path: path.into(), source };
    let temporary = write_beside(path, OWNER_ONLY, content).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    sync_folder(path).map_err(failed)
}

fn read(path: &Path, made_with: u32) -> Result<Vec<u8>, SecretFileError> {
    let failed = |source| SecretFileError::Io { path: path.into(), source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if made_with == OWNER_ONLY && mode & OTHERS != 0 {
        return Err(SecretFileError::Open { path: path.into(), mode });
    }
    fs::read(path).map_err(failed)
}

/// A link cannot replace: of two processes at a first start, one wins and both use its key.
fn put(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, mode, content)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    linked?;
    sync_folder(path)
}

fn write_beside(path: &Path, mode: u32, content: &[u8]) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    // Left over from a process of the same number that was killed.
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(temporary)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_others_may_not_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert_eq!(load_or_make(&path, || Ok(vec![1])).unwrap(), [1]);
        assert_eq!(load_or_make(&path, || Ok(vec![2])).unwrap(), [1]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");

        replace(&path, &[3]).unwrap();
        assert_eq!(load_or_make(&path, || Ok(vec![4])).unwrap(), [3]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_make(&path, || Ok(vec![4])), Err(SecretFileError::Open { mode: 0o640, .. })));
    }

    #[test]
    fn a_file_that_is_no_secret_may_be_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("certificate");
        load_or_make_public(&path, || Ok(vec![1])).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(load_or_make_public(&path, || Ok(vec![2])).unwrap(), [1]);
    }

    #[test]
    fn a_key_that_cannot_be_made_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(load_or_make(&path, || Err("no".into())).is_err());
        assert!(!path.exists());
    }
}
