//! The words that stand in columns: each variant by its own name, so that an operator can read the tables.

use crate::StoreError;
use domain::action::{RequestSource, TimedOutWhy};
use domain::history::Source;
use domain::kind::Scope;
use domain::{Kind, ResourceClass, Stage};

/// A value that stands in a column as one word.
pub(crate) trait Word: Sized {
    /// Its word.
    fn word(self) -> &'static str;

    /// The value of this word. Any other word is damage, or was written by a newer version.
    fn read(word: &str) -> Result<Self, StoreError>;
}

macro_rules! words {
    ($type:ident: $($variant:ident),+) => {
        impl Word for $type {
            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant)),+
                }
            }

            fn read(word: &str) -> Result<Self, StoreError> {
                match word {
                    $(stringify!($variant) => Ok(Self::$variant),)+
                    _ => Err(StoreError::Damaged(format!(concat!("no ", stringify!($type), " is called {:?}"), word))),
                }
            }
        }
    };
}

words!(Stage: Pending, Granted, Stopping, Succeeded, Failed, TimedOut, Cancelled);
words!(Kind: Isolate, Release, Scan, RestrictExecution, UnrestrictExecution, CollectPackage, QuarantineFile, LiveResponse, Offboard);
words!(ResourceClass: Network, Execution, Scanner, Collector, Vault, Shell, Enrolment);
words!(Source: Caller, Server, Machine);
words!(RequestSource: PublicApi, Portal);
words!(Scope: Full, Selective, Quick);
words!(TimedOutWhy: NotStarted, JournalLost, NoContact, Reenrolled);

#[cfg(test)]
mod tests {
    use super::*;
    use domain::kind::KINDS;
    use domain::lifecycle::STAGES;

    #[test]
    fn words_read_back_and_others_are_damage() {
        for stage in STAGES {
            assert_eq!(Stage::read(stage.word()).unwrap(), stage);
        }
        for row in &KINDS {
            assert_eq!(Kind::read(row.kind.word()).unwrap(), row.kind);
            assert_eq!(ResourceClass::read(row.class.word()).unwrap(), row.class);
        }
        assert!(matches!(Stage::read("pending"), Err(StoreError::Damaged(_))));
    }
}
