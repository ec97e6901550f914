//! What a journal lies on.

use rustix::fs::{FallocateFlags, fallocate};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt;

/// Where a journal's bytes are. Each function can fail, and after a failed one nobody knows what is there.
pub trait Disk: Send {
    /// Everything that is there, zeros that were only allocated included.
    fn read_all(&mut self) -> io::Result<Vec<u8>>;

    /// Writes at an offset, and makes it longer where need be. Survives a crash only after [`Disk::sync_data`].
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// What was written, and the length that reading it back needs, is there after a crash.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts off what lies behind the first `bytes`. Survives a crash only after [`Disk::sync_all`].
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;

    /// Everything about it is there after a crash.
    fn sync_all(&mut self) -> io::Result<()>;

    /// Keeps room for `bytes` from `offset` on, and makes it longer where need be; what is new reads as zeros.
    fn allocate(&mut self, offset: u64, bytes: u64) -> io::Result<()>;
}

impl Disk for File {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }

    fn sync_all(&mut self) -> io::Result<()> {
        File::sync_all(self)
    }

    fn allocate(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        Ok(fallocate(self, FallocateFlags::empty(), offset, bytes)?)
    }
}
