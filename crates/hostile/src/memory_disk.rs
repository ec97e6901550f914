//! A disk in memory, for journals.

use agent::journal::Disk;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<Vec<u8>>>);

impl MemoryDisk {
    pub(crate) fn holding(bytes: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(bytes.to_vec())))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

impl Disk for MemoryDisk {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.bytes())
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (start, mut disk) = (place(offset)?, self.locked());
        let length = disk.len().max(start + bytes.len());
        disk.resize(length, 0);
        disk[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.locked().resize(place(bytes)?, 0);
        Ok(())
    }

    fn sync_all(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        // As much as a test can do with: the journal asks for a mebibyte, which would have to be cleared every time.
        let (end, mut disk) = (place(offset)? + place(bytes)?.min(1 << 12), self.locked());
        let length = disk.len().max(end);
        disk.resize(length, 0);
        Ok(())
    }
}
