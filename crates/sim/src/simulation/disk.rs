//! The disk that a journal is on.

use super::ground::{Ground, Place, Side, lock};
use super::machine::{AgentDies, DiskImage, Site};
use super::sights::Sight;
use agent::journal::Disk;
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;

/// A journal's disk, as the agent has it open.
pub(super) struct SimDisk {
    site: Site,
    ground: Arc<Ground>,
}

impl SimDisk {
    /// The disk of this machine.
    pub(super) fn new(site: Site, ground: Arc<Ground>) -> Self {
        Self { site, ground }
    }

    /// Does it, or fails on one side of it, or is the last thing this agent does.
    fn call(&self, name: &str, act: impl FnOnce(&mut DiskImage)) -> io::Result<()> {
        passes(&self.site);
        let fails = self.ground.fails(Place::Journal, name);
        if fails.is_some() {
            self.ground.judge().sights.see(Sight::JournalFailed);
        }
        if fails != Some(Side::Before) {
            act(&mut lock(&self.site).disk);
        }
        match fails {
            None => Ok(()),
            Some(_) => Err(io::Error::other("injected")),
        }
    }
}

/// A place at which the agent may die.
pub(super) fn passes(site: &Site) {
    if !lock(site).passes() {
        resume_unwind(Box::new(AgentDies));
    }
}

impl Disk for SimDisk {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.call("read_all", |disk| bytes = disk.read())?;
        Ok(bytes)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let room = {
            let disk = &lock(&self.site).disk;
            !disk.is_full || offset + bytes.len() as u64 <= disk.length
        };
        if !room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let first = offset == 0;
        self.call("write", |disk| {
            disk.write(offset as usize, bytes);
            if first {
                // A file gets its header under another name, and is there whole or not at all.
                disk.sync();
            }
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.call("sync_data", DiskImage::sync)
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.ground.judge().sights.see(Sight::TornRecordRecovered);
        self.call("set_len", |disk| disk.cut(bytes))
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.call("sync_all", DiskImage::sync)
    }

    fn allocate(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        if lock(&self.site).disk.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.call("allocate", |disk| disk.length = disk.length.max(offset + bytes))
    }
}
