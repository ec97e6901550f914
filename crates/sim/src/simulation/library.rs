//! What every run has: the key that signs grants, and the files in the library.

use domain::ids::Digest;
use domain::time::Timestamp;
use std::sync::LazyLock;
use store::LibraryFile;

/// The seed of the key that signs grants.
pub(super) const KEY: [u8; 32] = [7; 32];

/// Its id.
pub(super) fn key_id() -> String {
    "the-key".into()
}

/// The script of the library.
pub(super) const SCRIPT: &str = "collect.sh";

/// The files of the library that are put on machines.
pub(super) const FILES: [&str; 2] = ["rules.yar", "tool.bin"];

const CONTENTS: [(&str, &[u8]); 3] =
    [(SCRIPT, b"#!/bin/sh\necho found\n"), (FILES[0], b"rule nothing { condition: false }\n"), (FILES[1], b"\x7fELF")];

/// Their digests, which are asked for often.
static DIGESTS: LazyLock<Vec<Digest>> =
    LazyLock::new(|| CONTENTS.iter().map(|(_, content)| Digest::of(content)).collect());

/// The files with their content.
pub(super) fn files(now: Timestamp) -> Vec<(LibraryFile, &'static [u8])> {
    let file = |(index, (name, content)): (usize, &(&str, &'static [u8]))| {
        let file = LibraryFile {
            name: (*name).into(),
            sha256: DIGESTS[index],
            size_bytes: content.len() as u64,
            description: None,
            parameters_description: None,
            has_parameters: false,
            created_by: "simulator".into(),
            created_at: now,
            updated_at: now,
        };
        (file, *content)
    };
    CONTENTS.iter().enumerate().map(file).collect()
}

/// The content with this digest.
pub(super) fn content(sha256: &Digest) -> Option<&'static [u8]> {
    let index = DIGESTS.iter().position(|known| known == sha256)?;
    Some(CONTENTS[index].1)
}

/// The digest of `content`.
pub(super) fn digest(content: &[u8]) -> Digest {
    match CONTENTS.iter().position(|(_, known)| *known == content) {
        Some(index) => DIGESTS[index],
        None => Digest::of(content),
    }
}
