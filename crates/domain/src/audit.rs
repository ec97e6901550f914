//! The audit log: who asked for what, refused or not, over the whole installation. Append-only and hash-chained, so that
//! a line cannot be altered, dropped or moved without it showing.
//!
//! A line never holds a secret, and no free text of a caller's beyond names: of a comment and of a content it has the
//! SHA-256, which says whether what stands elsewhere is still what was asked.

use crate::ids::Digest;
use crate::time::Timestamp;
use std::fmt;

/// The longest text of a line, in bytes; what is longer is cut off.
pub const TEXT_BYTES_MAX: usize = 256;

/// One line, before it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// What sort of caller.
    pub kind: CallerKind,
    /// The application's id, the user's sign-in name, or the machine's name; empty for nobody in particular.
    pub caller: String,
    /// The address that the request came from, where one is known.
    pub address: Option<String>,
    /// What was asked for: a method and a path as the API's table of contents has it, or an administrator's command.
    pub operation: String,
    /// The machine it is about.
    pub machine: Option<String>,
    /// The action it is about.
    pub action: Option<String>,
    /// What else it is about: a library file, a step of an action, an application, a key file.
    pub object: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The id under which the server's own log has it; a refused caller is shown it as `target`.
    pub correlation: Option<String>,
    /// The SHA-256 of the comment that was given.
    pub comment: Option<Digest>,
    /// The SHA-256 of what was handed in or out: an action's body as on record, a library file, a result.
    pub content: Option<Digest>,
    /// How many requests the line stands for: those that were alike within a minute share one.
    pub times: u32,
}

/// What sort of caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallerKind {
    /// Nobody in particular: no token, or none that is good.
    #[default]
    Nobody,
    /// An application, with a token of its own.
    Application,
    /// A user, with a token that an application got for them.
    User,
    /// Whoever shows a signed link.
    Link,
    /// A machine that enrols.
    Machine,
    /// Whoever works on the data directory itself.
    Administrator,
    /// The server, of its own accord.
    Server,
}

/// Every sort of caller, with its word.
pub const CALLER_KINDS: [(CallerKind, &str); 7] = [
    (CallerKind::Nobody, "Nobody"),
    (CallerKind::Application, "Application"),
    (CallerKind::User, "User"),
    (CallerKind::Link, "Link"),
    (CallerKind::Machine, "Machine"),
    (CallerKind::Administrator, "Administrator"),
    (CallerKind::Server, "Server"),
];

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was done; the line is in the same transaction.
    Done,
    /// There was nothing to change: it had been done before.
    Unchanged,
    /// It was refused.
    Refused {
        /// The HTTP status that said so.
        status: u16,
        /// The code beside it.
        code: String,
    },
}

/// One line as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its number, from 1, without gaps.
    pub sequence: u64,
    /// The line.
    pub entry: Entry,
    /// The chain up to and including it.
    pub hash: Digest,
}

/// How far a log goes: the number of its last line, and the chain up to and including it. Whoever keeps one elsewhere
/// can tell later whether what led up to it still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last line; 0: there is none yet.
    pub sequence: u64,
    /// The chain.
    pub hash: Digest,
}

/// Where every log begins.
pub const LOG_START: Head = Head { sequence: 0, hash: Digest([0; 32]) };

impl CallerKind {
    /// Its word.
    pub fn word(self) -> &'static str {
        CALLER_KINDS[self as usize].1
    }

    /// The kind of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        CALLER_KINDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }
}

impl Outcome {
    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::Unchanged => "Unchanged",
            Self::Refused { .. } => "Refused",
        }
    }

    /// The outcome of this word, with the status and code that only a refusal has.
    pub fn from_parts(word: &str, status: Option<u16>, code: Option<String>) -> Option<Self> {
        match (word, status, code) {
            ("Done", None, None) => Some(Self::Done),
            ("Unchanged", None, None) => Some(Self::Unchanged),
            ("Refused", Some(status), Some(code)) => Some(Self::Refused { status, code }),
            _ => None,
        }
    }

    /// The status and the code of a refusal.
    pub fn refusal(&self) -> Option<(u16, &str)> {
        match self {
            Self::Done | Self::Unchanged => None,
            Self::Refused { status, code } => Some((*status, code)),
        }
    }
}

impl Entry {
    /// A line of `operation` done at `at` by a caller of this kind, about nothing yet.
    pub fn new(at: Timestamp, kind: CallerKind, caller: &str, operation: &str) -> Self {
        Self {
            at,
            kind,
            caller: cut(caller),
            address: None,
            operation: cut(operation),
            machine: None,
            action: None,
            object: None,
            outcome: Outcome::Done,
            correlation: None,
            comment: None,
            content: None,
            times: 1,
        }
    }

    /// The same, about this machine.
    pub fn machine(mut self, machine: impl fmt::Display) -> Self {
        self.machine = Some(cut(&machine.to_string()));
        self
    }

    /// The same, about this action.
    pub fn action(mut self, action: impl fmt::Display) -> Self {
        self.action = Some(cut(&action.to_string()));
        self
    }

    /// The same, about this.
    pub fn object(mut self, object: impl fmt::Display) -> Self {
        self.object = Some(cut(&object.to_string()));
        self
    }

    /// The same, with the SHA-256 of a comment; of none, if it is empty.
    pub fn comment(mut self, comment: &str) -> Self {
        self.comment = (!comment.is_empty()).then(|| Digest::of(comment.as_bytes()));
        self
    }

    /// The same, with the SHA-256 of what was handed in or out.
    pub fn content(mut self, sha256: Digest) -> Self {
        self.content = Some(sha256);
        self
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

impl Head {
    /// Reads what [`Head`] shows itself as.
    pub fn parse(text: &str) -> Option<Self> {
        let (sequence, hash) = text.split_once(':')?;
        let plain = !sequence.is_empty() && sequence.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self { sequence: sequence.parse().ok().filter(|_| plain)?, hash: Digest::parse(hash)? })
    }

    /// The head after one more line.
    pub fn after(self, entry: &Entry) -> Self {
        let sequence = self.sequence.saturating_add(1);
        Self { sequence, hash: chain(self.hash, sequence, entry) }
    }
}

/// The text up to [`TEXT_BYTES_MAX`].
pub fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_string()
}

/// The chain after `entry`, which is line number `sequence`.
fn chain(previous: Digest, sequence: u64, entry: &Entry) -> Digest {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(b"countermand audit 1\0");
    bytes.extend_from_slice(&previous.0);
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&entry.at.0.to_be_bytes());
    bytes.extend_from_slice(&entry.times.to_be_bytes());
    let refusal = entry.outcome.refusal();
    let status = refusal.map(|(status, _)| status.to_be_bytes());
    // Each with its length before it, and none apart from empty, so that nothing can move across a field border.
    let fields: [Option<&[u8]>; 13] = [
        Some(entry.kind.word().as_bytes()),
        Some(entry.caller.as_bytes()),
        entry.address.as_deref().map(str::as_bytes),
        Some(entry.operation.as_bytes()),
        entry.machine.as_deref().map(str::as_bytes),
        entry.action.as_deref().map(str::as_bytes),
        entry.object.as_deref().map(str::as_bytes),
        Some(entry.outcome.word().as_bytes()),
        status.as_ref().map(<[u8; 2]>::as_slice),
        refusal.map(|(_, code)| code.as_bytes()),
        entry.correlation.as_deref().map(str::as_bytes),
        entry.comment.as_ref().map(|digest| digest.0.as_slice()),
        entry.content.as_ref().map(|digest| digest.0.as_slice()),
    ];
    for field in fields {
        match field {
            None => bytes.push(0),
            Some(field) => {
                bytes.push(1);
                bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
                bytes.extend_from_slice(field);
            }
        }
    }
    Digest::of(&bytes)
}

/// Goes along a log, line by line, and sees whether it holds.
#[derive(Clone, Debug)]
pub struct Walk {
    head: Head,
    known: Vec<Head>,
}

/// Where a log does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The first line that does not hold.
    pub sequence: u64,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.sequence, self.why)
    }
}

impl Walk {
    /// From after `start`, past every one of the heads that were kept elsewhere.
    pub fn new(start: Head, known: Vec<Head>) -> Self {
        Self { head: start, known }
    }

    /// How far it has come.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The next line.
    ///
    /// # Errors
    /// It is not the next, does not follow from the one before, or is not the one that was known.
    pub fn step(&mut self, stored: &StoredEntry) -> Result<(), Broken> {
        let expected = self.head.after(&stored.entry);
        let broken = |sequence: u64, why: String| Err(Broken { sequence, why });
        if stored.sequence > expected.sequence {
            return broken(expected.sequence, format!("is missing; line {} comes instead", stored.sequence));
        }
        if stored.sequence < expected.sequence {
            return broken(stored.sequence, format!("is out of its order: it comes after line {}", self.head.sequence));
        }
        if stored.hash != expected.hash {
            let why = "does not follow from the lines before it: it was altered, or moved, or the one before it was";
            return broken(stored.sequence, why.into());
        }
        if self.known.iter().any(|known| known.sequence == expected.sequence && known.hash != expected.hash) {
            return broken(stored.sequence, "is not the one whose hash was kept: the log was written anew".into());
        }
        self.head = expected;
        Ok(())
    }

    /// There are no more lines.
    ///
    /// # Errors
    /// A head that was kept elsewhere was not reached.
    pub fn end(&self) -> Result<Head, Broken> {
        match self.known.iter().map(|known| known.sequence).max() {
            Some(known) if known > self.head.sequence => Err(Broken {
                sequence: self.head.sequence.saturating_add(1),
                why: format!("is missing: the log ends before it, and once went on to line {known}"),
            }),
            _ => Ok(self.head),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> Entry {
        let entry = Entry::new(Timestamp(number as i64), CallerKind::Application, "app", "POST /x");
        Entry { address: Some("192.0.2.1".into()), ..entry.machine("m").action(number).comment("why") }
    }

    fn log(lines: u64) -> Vec<StoredEntry> {
        let mut head = LOG_START;
        (1..=lines)
            .map(|number| {
                let entry = entry(number);
                head = head.after(&entry);
                StoredEntry { sequence: head.sequence, entry, hash: head.hash }
            })
            .collect()
    }

    fn walk(lines: &[StoredEntry], known: Vec<Head>) -> Result<Head, u64> {
        let mut walk = Walk::new(LOG_START, known);
        lines.iter().try_for_each(|line| walk.step(line)).map_err(|broken| broken.sequence)?;
        walk.end().map_err(|broken| broken.sequence)
    }

    fn head(line: &StoredEntry) -> Head {
        Head { sequence: line.sequence, hash: line.hash }
    }

    #[test]
    fn altering_dropping_or_moving_a_line_shows() {
        let whole = log(5);
        let last = head(&whole[4]);
        assert_eq!(walk(&whole, vec![last, head(&whole[1])]), Ok(last));
        for place in 0..5 {
            let sequence = place as u64 + 1;
            let mut dropped = whole.clone();
            dropped.remove(place);
            assert_eq!(walk(&dropped, vec![last]), Err(sequence), "dropped");
            if place < 4 {
                let mut moved = whole.clone();
                moved.swap(place, place + 1);
                assert_eq!(walk(&moved, vec![]), Err(sequence), "moved");
                // With the numbers put right, too.
                (moved[place].sequence, moved[place + 1].sequence) = (sequence, sequence + 1);
                assert_eq!(walk(&moved, vec![]), Err(sequence), "moved and numbered anew");
            }
        }
    }

    #[test]
    fn every_field_is_in_the_chain() {
        let alterations: [fn(&mut Entry); 15] = [
            |e| e.at.0 += 1,
            |e| e.kind = CallerKind::User,
            |e| e.caller.push('!'),
            |e| e.address = None,
            |e| e.operation.push('!'),
            |e| e.machine = None,
            |e| e.action = None,
            |e| e.object = Some(String::new()),
            |e| e.outcome = Outcome::Unchanged,
            |e| e.outcome = Outcome::Refused { status: 400, code: String::new() },
            |e| e.correlation = Some("x".into()),
            |e| e.comment = None,
            |e| e.content = Some(Digest([0; 32])),
            |e| e.times += 1,
            // From one field into the next.
            |e| (e.machine, e.object) = (None, e.machine.take()),
        ];
        for (number, alter) in alterations.iter().enumerate() {
            let mut altered = log(3);
            alter(&mut altered[1].entry);
            assert_eq!(walk(&altered, vec![]), Err(2), "alteration {number}");
        }
    }

    #[test]
    fn a_log_written_anew_does_not_lead_to_the_head_that_was_kept() {
        let kept = head(&log(5)[2]);
        let mut line = LOG_START;
        let forged: Vec<StoredEntry> = (1..=5)
            .map(|number| {
                let entry = Entry { times: 2, ..entry(number) };
                line = line.after(&entry);
                StoredEntry { sequence: line.sequence, entry, hash: line.hash }
            })
            .collect();
        assert!(walk(&forged, vec![]).is_ok());
        assert_eq!(walk(&forged, vec![kept]), Err(3));
    }

    #[test]
    fn heads_read_back_and_texts_are_cut_between_characters() {
        let head = head(&log(3)[2]);
        assert_eq!(Head::parse(&head.to_string()), Some(head));
        for bad in ["", ":", "3", "3:", "+3:00", &format!("-1:{}", head.hash), &format!(":{}", head.hash)] {
            assert_eq!(Head::parse(bad), None, "{bad}");
        }
        assert_eq!(cut(&"é".repeat(200)).len(), TEXT_BYTES_MAX);
        assert_eq!(cut(&format!("x{}", "é".repeat(200))).len(), TEXT_BYTES_MAX - 1);
        for (kind, word) in CALLER_KINDS {
            assert_eq!((kind.word(), CallerKind::from_word(word)), (word, Some(kind)));
        }
    }
}
