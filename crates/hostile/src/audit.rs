//! Exported lines of the audit log. What holds, byte for byte, up to a head that was kept is what was exported.

use domain::audit::{CallerKind, Entry, Head, LOG_START, Outcome, StoredEntry};
use domain::ids::Digest;
use domain::time::Timestamp;
use server::audit_file::{LINE_BYTES_MAX, parse, show, verify_file};
use std::sync::LazyLock;

/// What was exported, and the head that was kept of it.
static EXPORTED: LazyLock<(Vec<Vec<u8>>, Head)> = LazyLock::new(exported);

pub(crate) fn check(bytes: &[u8]) {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Ok((previous, stored)) = parse(line) {
            assert!(line.len() <= LINE_BYTES_MAX);
            assert_eq!(show(previous, &stored).expect("what is read can be written").as_bytes(), line);
        }
    }
    let (lines, kept) = &*EXPORTED;
    if let Ok(extent) = verify_file(&mut &bytes[..], &[]) {
        let count = bytes.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!((extent.lines, bytes.last()), (count as u64, Some(&b'\n')));
        assert_eq!(extent.head.sequence - extent.before.sequence, extent.lines);
    }
    if let Ok(extent) = verify_file(&mut &bytes[..], &[*kept]) {
        // It may go on: whoever keeps a head knows nothing of what comes after it.
        let left_out = usize::try_from(extent.before.sequence).expect("no further than the head");
        assert!(bytes.starts_with(&lines[left_out..].concat()), "another log than was exported leads to its head");
    }
}

fn entries() -> Vec<Entry> {
    let at = |seconds: i64| Timestamp(Timestamp::from_seconds(1_790_000_000 + seconds).0 + 1_234_567);
    let plain = Entry::new(at(0), CallerKind::Administrator, "", "countermand app add");
    let full = Entry {
        address: Some("2001:db8::1".into()),
        correlation: Some("0c9f0a4c-4f0c-4a53-9b93-0d8c3d6b5b0e".into()),
        times: 3,
        ..Entry::new(at(1), CallerKind::User, "é \"quoted\" \u{202e}\n@example.test", "POST /api/machines/{id}/isolate")
    };
    let full =
        full.machine("ab".repeat(20)).action("an action").object("a \\ b").comment("why").content(Digest([7; 32]));
    let refused = Outcome::Refused { status: 429, code: "TooManyRequests".into() };
    vec![
        plain.clone(),
        full,
        Entry { outcome: refused, ..plain.clone() },
        Entry { outcome: Outcome::Unchanged, ..plain },
    ]
}

fn exported() -> (Vec<Vec<u8>>, Head) {
    let mut head = LOG_START;
    let line = |entry: Entry| {
        let before = head;
        head = head.after(&entry);
        let stored = StoredEntry { sequence: head.sequence, entry, hash: head.hash };
        show(before.hash, &stored).expect("it can be written").into_bytes()
    };
    let lines = entries().into_iter().map(line).collect();
    (lines, head)
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let (lines, _) = &*EXPORTED;
    let mut seeds =
        vec![vec![], b"\n".to_vec(), b"{}\n".to_vec(), lines.concat(), lines[1..].concat(), lines[..2].concat()];
    seeds.extend(lines.iter().cloned());
    seeds.push([&lines[1][..], &lines[0], &lines[2]].concat());
    seeds
}

#[cfg(test)]
mod tests {
    use super::{EXPORTED, check, seeds};
    use server::audit_file::verify_file;

    #[test]
    fn no_single_byte_of_an_export_can_be_another() {
        let (lines, kept) = &*EXPORTED;
        let whole = lines.concat();
        assert!(verify_file(&mut &whole[..], &[*kept]).is_ok());
        for place in 0..whole.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut other = whole.clone();
                other[place] ^= flip;
                assert!(verify_file(&mut &other[..], &[]).is_err(), "byte {place} with {flip:#x}");
            }
        }
        seeds().iter().for_each(|seed| check(seed));
    }
}
