//! Reading a journal back. A record that was cut off by a crash is the last thing in the file, with nothing but zeros
//! behind it; anything else that does not fit is damage, and is never repaired by guessing.

use super::{FRAME_HEAD_BYTES, HEADER_BYTES, JournalError, MAGIC, PAYLOAD_BYTES_MAX};
use domain::grantee::Entry;
use domain::ids::{Digest, JournalId};

/// What a journal's bytes hold.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: JournalId,
    pub(super) entries: Vec<Entry>,
    pub(super) end: u64,
    pub(super) head: Digest,
    pub(super) torn: bool,
}

pub(super) fn recover(bytes: &[u8]) -> Result<Found, JournalError> {
    let id = header(bytes)?;
    let mut found = Found { id, entries: vec![], end: HEADER_BYTES, head: Digest([0; 32]), torn: false };
    loop {
        let at = usize::try_from(found.end).unwrap_or(usize::MAX);
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(found);
        }
        let Some(payload) = frame(rest) else {
            let written = rest.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            if (1..=written).any(|offset| frame(&rest[offset..]).is_some()) {
                return Err(damaged(found.end, "a record is unreadable and there are more behind it"));
            }
            found.torn = true;
            return Ok(found);
        };
        let Some((previous, record)) = payload.split_first_chunk::<32>() else {
            return Err(damaged(found.end, "a record without the hash of the one before it"));
        };
        if *previous != found.head.0 {
            return Err(damaged(found.end, "a record that does not follow the one before it"));
        }
        match postcard::take_from_bytes::<Entry>(record) {
            Ok((entry, [])) => found.entries.push(entry),
            _ => return Err(damaged(found.end, "a record that is whole and says nothing")),
        }
        found.head = Digest::of(payload);
        found.end += (FRAME_HEAD_BYTES + payload.len()) as u64;
    }
}

fn header(bytes: &[u8]) -> Result<JournalId, JournalError> {
    let Some((header, crc)) = bytes.get(..28).map(|header| header.split_at(24)) else {
        return Err(damaged(0, "no header"));
    };
    if &header[..8] != MAGIC || crc32c::crc32c(header).to_le_bytes() != crc {
        return Err(damaged(0, "not a journal of ours"));
    }
    let id: [u8; 16] = header[8..].try_into().map_err(|_| damaged(0, "no id"))?;
    Ok(JournalId(uuid::Uuid::from_bytes(id)))
}

/// The payload of the frame that `bytes` begin with, if there is a whole one.
fn frame(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length == 0 || length > PAYLOAD_BYTES_MAX {
        return None;
    }
    let payload = rest.get(..length)?;
    (crc32c::crc32c(payload) == u32::from_le_bytes(*crc)).then_some(payload)
}

fn damaged(at: u64, why: &'static str) -> JournalError {
    JournalError::Damaged { at, why }
}
