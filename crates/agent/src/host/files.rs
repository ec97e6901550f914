//! Files, by descriptor and never through a link: what a path means cannot be changed under us while we work.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use flate2::{Compression, GzBuilder};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, fstatfs, openat2, unlinkat};
use sha2::{Digest, Sha256};

use super::{Collected, Copied, HostError, StopSignal};

/// The longest file name, in bytes; every usual file system has this limit.
const NAME_BYTES_MAX: usize = 255;
/// Bytes moved at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// How much of a copied file's beginning is shown to the caller, in bytes.
const HEAD_BYTES: usize = 128;
/// Trees that hold no files but views of the kernel.
const NOT_FILES: [&str; 3] = ["/proc", "/sys", "/dev"];
/// The same by file system, should one be mounted elsewhere: proc, sysfs, cgroup, cgroup2, debugfs, tracefs.
const NOT_FILE_SYSTEMS: [u32; 6] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163];
/// No link is followed, neither in the last part nor before it, nor a link of `/proc` that leads anywhere.
const RESOLVE: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// Refuses what is not the plain name of a file within a folder: no `/`, no NUL, neither `.` nor `..`, at most 255 bytes.
pub fn check_file_name(name: &str) -> Result<(), HostError> {
    let bad =
        name.is_empty() || name.len() > NAME_BYTES_MAX || name == "." || name == ".." || name.contains(['/', '\0']);
    match bad {
        true => Err(HostError::Refused(format!("{name:?} cannot be the name of a file"))),
        false => Ok(()),
    }
}

/// Copies the regular file at `path` compressed to the new file `out`. `off_limits` is a tree that is not given away.
pub(super) fn collect(
    path: &Path,
    cap_bytes: u64,
    out: &Path,
    off_limits: &Path,
    stop: &StopSignal,
) -> Result<Collected, HostError> {
    check_path(path, off_limits)?;
    let source = open_regular(path)?;
    let size = source.metadata().map_err(|error| failed("cannot look at", path, error))?.len();
    if size > cap_bytes {
        return Err(HostError::TooLarge { path: path.to_owned(), size_bytes: size, cap_bytes });
    }
    let outcome = fresh(out, 0o600).and_then(|file| compress(source, size, path, file, out, stop));
    if outcome.is_err() {
        let _ = fs::remove_file(out);
    }
    outcome
}

/// Reads a file of ours, at most its first `cap_bytes`; none if it does not exist.
pub(super) fn read_private(path: &Path, cap_bytes: u64) -> Result<Option<Vec<u8>>, HostError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(cap_bytes).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("cannot read", path, error)),
    }
}

/// Copies `source` to the new file `to`, replacing what an earlier attempt may have left there.
pub(super) fn copy_private(source: &Path, to: &Path, mode: u32) -> Result<Copied, HostError> {
    let mut from = open_own(source)?;
    let mut into = fresh(to, mode)?;
    let (mut hash, mut head) = (Sha256::new(), Vec::new());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut chunk).map_err(|error| failed("cannot read", source, error))?;
        if count == 0 {
            break;
        }
        hash.update(&chunk[..count]);
        let room = HEAD_BYTES.saturating_sub(head.len());
        head.extend_from_slice(&chunk[..count.min(room)]);
        into.write_all(&chunk[..count]).map_err(|error| failed("cannot write", to, error))?;
    }
    into.sync_all().map_err(|error| failed("cannot sync", to, error))?;
    Ok(Copied { sha256: hex(&hash.finalize()), head })
}

/// Makes a folder for root alone; one that is there already will do.
pub(super) fn make_private_folder(path: &Path) -> Result<(), HostError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("cannot make", path, error)),
        _ => Ok(()),
    }
}

/// Removes a folder of ours with all that is in it, by descriptor and through no link; nothing to do if it is not there.
pub(super) fn remove_private_folder(path: &Path) -> Result<(), HostError> {
    match fs::remove_dir_all(settled(path)?) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("cannot remove", path, error)),
        _ => Ok(()),
    }
}

/// The names of what is in a folder of ours; none if it is not there.
pub(super) fn private_folders(path: &Path) -> Result<Vec<String>, HostError> {
    let unreadable = |error| failed("cannot read", path, error);
    let found = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(unreadable)?,
    };
    let mut names = Vec::new();
    for entry in found {
        names.extend(entry.map_err(unreadable)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Writes `bytes` to the new file `to`, durably, replacing what an earlier attempt may have left there.
pub(super) fn write_private(to: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let mut file = fresh(to, 0o600)?;
    file.write_all(bytes).map_err(|error| failed("cannot write", to, error))?;
    file.sync_all().map_err(|error| failed("cannot sync", to, error))?;
    sync_folder_of(to)
}

/// Removes a file; nothing to do if it is not there.
pub(super) fn remove(path: &Path) -> Result<(), HostError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("cannot remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes a folder that only root may enter, and those above it.
pub(super) fn private_folder(path: &Path) -> Result<(), HostError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| failed("cannot create", path, error))
}

/// Opens a folder without following any link; none if it does not exist.
pub(super) fn open_folder(path: &Path) -> Result<Option<OwnedFd>, HostError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), RESOLVE) {
        Ok(folder) => Ok(Some(folder)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(failed("cannot open", path, error.into())),
    }
}

/// Opens the regular file `name` in `folder` for reading; none if there is nothing of that name.
pub(super) fn open_in(folder: impl AsFd, name: &str) -> Result<Option<File>, HostError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat2(folder, name, flags, Mode::empty(), RESOLVE | ResolveFlags::BENEATH) {
        Ok(file) => regular(File::from(file), Path::new(name)).map(Some),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(failed("cannot open", Path::new(name), error.into())),
    }
}

/// Creates `name` in `folder`, which must not exist there.
pub(super) fn create_in(folder: impl AsFd, name: &str, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = File::from(openat2(folder, name, flags, Mode::from_raw_mode(0o600), RESOLVE | ResolveFlags::BENEATH)?);
    // The mode asked for when creating is narrowed by the umask; this is not.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    Ok(file)
}

/// Removes `name` from `folder`; nothing to do if it is not there.
pub(super) fn remove_in(folder: impl AsFd, name: &str) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The SHA-256 of what is left to read of `file`, as lower-case hex.
pub(super) fn sha256_of(mut file: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&chunk[..count]),
        }
    }
}

/// Opens a regular file by its path without following any link, and without waiting on a FIFO.
pub(super) fn open_regular(path: &Path) -> Result<File, HostError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), RESOLVE) {
        Ok(file) => regular(File::from(file), path),
        Err(rustix::io::Errno::LOOP) => Err(HostError::Refused(format!(
            "{} is, or leads through, a symbolic link; give the path that it stands for",
            path.display()
        ))),
        Err(error) => Err(failed("cannot open", path, error.into())),
    }
}

/// Opens a regular file of ours. The folders above it are trusted, links among them included; its name is not.
pub(super) fn open_own(path: &Path) -> Result<File, HostError> {
    open_regular(&settled(path)?)
}

pub(super) fn failed(what: &str, path: &Path, source: io::Error) -> HostError {
    HostError::Io { what: format!("{what} {}", path.display()), source }
}

fn check_path(path: &Path, off_limits: &Path) -> Result<(), HostError> {
    let refuse = |why: &str| Err(HostError::Refused(format!("{}: {why}", path.display())));
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    // `components` passes over "." in the middle, which is harmless; the rest is refused rather than resolved.
    if !path.is_absolute() || !path.components().all(plain) {
        return refuse("a path must be absolute and without \"..\"");
    }
    if NOT_FILES.iter().any(|tree| path.starts_with(tree)) {
        return refuse("/proc, /sys and /dev hold no files to collect");
    }
    if path.starts_with(off_limits) {
        return refuse("the agent's own state is not given away");
    }
    Ok(())
}

fn regular(file: File, path: &Path) -> Result<File, HostError> {
    let about = file.metadata().map_err(|error| failed("cannot look at", path, error))?;
    let system = fstatfs(&file).map_err(|error| failed("cannot look at the file system of", path, error.into()))?;
    let is_view = u32::try_from(system.f_type).is_ok_and(|magic| NOT_FILE_SYSTEMS.contains(&magic));
    match about.is_file() && !is_view {
        true => Ok(file),
        false => Err(HostError::Refused(format!("{} is not a regular file", path.display()))),
    }
}

/// A new file at `path`, in a folder that is only ours; an older one of that name is removed, not written into.
fn fresh(path: &Path, mode: u32) -> Result<File, HostError> {
    let path = &settled(path)?;
    remove(path)?;
    let (folder, name) = parts(path)?;
    let folder = open_folder(folder)?.ok_or_else(|| failed("cannot open", folder, io::ErrorKind::NotFound.into()))?;
    create_in(folder, name, mode).map_err(|error| failed("cannot create", path, error))
}

/// The same path with all links above the last part followed.
fn settled(path: &Path) -> Result<PathBuf, HostError> {
    let (folder, name) = parts(path)?;
    let folder = fs::canonicalize(folder).map_err(|error| failed("cannot find", folder, error))?;
    Ok(folder.join(name))
}

fn parts(path: &Path) -> Result<(&Path, &str), HostError> {
    match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
        (Some(folder), Some(name)) => check_file_name(name).map(|()| (folder, name)),
        _ => Err(HostError::Refused(format!("{} names no file", path.display()))),
    }
}

fn compress(
    source: File,
    size: u64,
    path: &Path,
    file: File,
    out: &Path,
    stop: &StopSignal,
) -> Result<Collected, HostError> {
    // As much as there was when we looked: a file that grows while it is read would otherwise never end.
    let mut source = source.take(size);
    let mut gz =
        GzBuilder::new().mtime(0).write(Hashed { file, hash: Sha256::new(), bytes: 0 }, Compression::default());
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut read_bytes = 0;
    loop {
        if stop.is_stopped() {
            return Err(HostError::Stopped);
        }
        let count = source.read(&mut chunk).map_err(|error| failed("cannot read", path, error))?;
        if count == 0 {
            break;
        }
        read_bytes += count as u64;
        gz.write_all(&chunk[..count]).map_err(|error| failed("cannot write", out, error))?;
    }
    let written = gz.finish().map_err(|error| failed("cannot write", out, error))?;
    written.file.sync_all().map_err(|error| failed("cannot sync", out, error))?;
    sync_folder_of(out)?;
    Ok(Collected { read_bytes, gz_bytes: written.bytes, gz_sha256: hex(&written.hash.finalize()) })
}

fn sync_folder_of(path: &Path) -> Result<(), HostError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("cannot sync", folder, error))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that remembers what was written to it.
struct Hashed {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Which file a descriptor means: device and number of the inode.
pub(super) fn inode(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|about| (about.dev(), about.ino()))
}
