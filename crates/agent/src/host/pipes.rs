//! Reading what a child says, up to a cap: what lies beyond is read and thrown away, so that the child never blocks.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, ioctl_fionbio, read};

/// Bytes asked for in one read.
const READ_BYTES: usize = 64 * 1024;
/// Reads in a row before other descriptors get their turn: a child that floods its output must not delay a stop.
const READS_IN_A_ROW_MAX: usize = 16;

/// The most a pipe holds, in bytes: what an unprivileged process may make of it at most.
const PIPE_BYTES_MAX: usize = 1024 * 1024;

/// What a child wrote to one of its outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes it wrote, at most the cap.
    pub bytes: Vec<u8>,
    /// True if it wrote more than that.
    pub truncated: bool,
}

/// The reading end of one output.
pub(super) struct Tap {
    pipe: Option<OwnedFd>,
    cap_bytes: usize,
    captured: Captured,
}

impl Tap {
    /// Takes over the reading end; keeps at most `cap_bytes`.
    pub(super) fn new(pipe: impl Into<OwnedFd>, cap_bytes: usize) -> io::Result<Self> {
        let pipe = pipe.into();
        ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: Some(pipe), cap_bytes, captured: Captured::default() })
    }

    /// The descriptor to wait on; none once the output has ended.
    pub(super) fn open(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there now, without waiting. True if there may be more at once.
    pub(super) fn take_ready(&mut self) -> io::Result<bool> {
        let mut chunk = vec![0; READ_BYTES];
        for _ in 0..READS_IN_A_ROW_MAX {
            let Some(pipe) = &self.pipe else { return Ok(false) };
            match read(pipe, &mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.keep(&chunk[..count]),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.pipe.is_some())
    }

    /// Takes what is still in the pipe, and ends. A pipe holds no more than this reads; if it does not end then, somebody
    /// outside of the group holds it and writes on, who must not keep us here.
    pub(super) fn finish(mut self) -> io::Result<Captured> {
        for _ in 0..PIPE_BYTES_MAX / (READ_BYTES * READS_IN_A_ROW_MAX) + 1 {
            if !self.take_ready()? {
                break;
            }
        }
        Ok(self.captured)
    }

    fn keep(&mut self, chunk: &[u8]) {
        let room = self.cap_bytes - self.captured.bytes.len();
        self.captured.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.captured.truncated |= chunk.len() > room;
    }
}
