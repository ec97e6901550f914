//! Names of things. Each is a type of its own, so that no id can stand where another belongs.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// An action: a GUID, lower case with hyphens when shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActionId(pub Uuid);

impl ActionId {
    /// A new id from the time and ten random bytes. Time-ordered (UUID version 7), because ordered keys make grouped
    /// inserts about half as dear; the 74 random bits make it unguessable.
    pub fn from_parts(unix_millis: i64, random: [u8; 10]) -> Self {
        let millis = u64::try_from(unix_millis).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Reads the hyphenated form, in any case; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The file on a machine's disk that a journal lives in: random, made with the file, so that a lost journal is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JournalId(pub Uuid);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A session number: bumped by every stream a machine opens. A grant's epoch is the number of the session it was given in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Random bytes that tie one grant to the claim it answers; a recorded grant is worthless without any clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nonce(pub [u8; 16]);

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Reads exactly twice as many hex digits, in any case; anything else is `None`.
            pub fn parse(text: &str) -> Option<Self> {
                parse_hex::<$bytes>(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

hex_bytes!(
    /// A machine: 40 lower-case hex digits when shown, as Defender does.
    MachineId, 20
);
hex_bytes!(
    /// A SHA-1, by which Defender names a file.
    Sha1, 20
);
hex_bytes!(
    /// A SHA-256.
    Digest, 32
);

impl Digest {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_they_are_shown_and_refuse_the_rest() {
        let id = ActionId::from_parts(1_700_000_000_000, [7; 10]);
        assert_eq!(ActionId::parse(&id.to_string()), Some(id));
        assert_eq!(ActionId::parse(&id.to_string().to_uppercase()), Some(id));
        for bad in ["", "x", "elastic-connector-test", &id.0.simple().to_string(), &format!("{{{id}}}")] {
            assert_eq!(ActionId::parse(bad), None, "{bad}");
        }
        let machine = MachineId([0xab; 20]);
        assert_eq!(MachineId::parse(&machine.to_string()), Some(machine));
        for bad in ["", "abcd", &"g".repeat(40), &"a".repeat(41), "é"] {
            assert_eq!(MachineId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn later_ids_sort_later() {
        assert!(ActionId::from_parts(1, [255; 10]) < ActionId::from_parts(2, [0; 10]));
    }
}
