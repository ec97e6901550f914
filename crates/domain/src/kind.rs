//! The kinds of action: one row each. What a kind is allowed, what it excludes, and what a cancel can do to it.

use crate::permission::Permission;
use serde::{Deserialize, Serialize};

/// Which sort of action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Cut the machine from the network.
    Isolate,
    /// Lift an isolation.
    Release,
    /// Look for malware.
    Scan,
    /// Let only trusted programs run.
    RestrictExecution,
    /// Lift that restriction.
    UnrestrictExecution,
    /// Gather evidence into a package.
    CollectPackage,
    /// Stop a file's processes and put it out of reach.
    QuarantineFile,
    /// Put files, run scripts, get files.
    LiveResponse,
    /// Take the machine out of management.
    Offboard,
}

/// What two actions would fight over. At most one open action per machine and class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ResourceClass {
    /// The machine's firewall.
    Network,
    /// The execution policy.
    Execution,
    /// The scanner.
    Scanner,
    /// The evidence collector.
    Collector,
    /// The vault.
    Vault,
    /// The live-response session.
    Shell,
    /// The agent's own enrolment.
    Enrolment,
}

/// What a cancel can do once the action runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// Everything it did is put back.
    Reverse,
    /// It is halted; what happened stays, and is listed.
    StopOnly,
    /// Past its point of no return it finishes, and shows its real end.
    FinishAfterCommit,
}

/// How far an action goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Everything.
    Full,
    /// Isolation with the configured exceptions.
    Selective,
    /// A scan of the usual places.
    Quick,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct KindRow {
    /// The kind.
    pub kind: Kind,
    /// Its word on the wire (`type`), as Defender spells it.
    pub wire: &'static str,
    /// The scopes a request may name; empty: none.
    pub scopes: &'static [Scope],
    /// The permission to request one.
    pub permission: Permission,
    /// The kind that lifts it, or that it lifts.
    pub opposite: Option<Kind>,
    /// What it needs to itself.
    pub class: ResourceClass,
    /// How long it may wait for its machine, in seconds, before it is TimedOut without having started.
    pub pending_seconds: i64,
    /// What a cancel can do once it runs.
    pub on_cancel: OnCancel,
}

/// Three days and fourteen minutes: what both recorded TimeOut actions of the reference product took.
const THREE_DAYS: i64 = 3 * 86_400 + 14 * 60;

/// The table.
#[rustfmt::skip]
pub const KINDS: [KindRow; 9] = {
    use {Kind as K, OnCancel::*, Permission as P, ResourceClass as C, Scope as S};
    [
        row(K::Isolate,             "Isolate",                     &[S::Full, S::Selective], P::MachineIsolate,           Some(K::Release),             C::Network,   Reverse),
        row(K::Release,             "Unisolate",                   &[],                      P::MachineIsolate,           Some(K::Isolate),             C::Network,   Reverse),
        row(K::Scan,                "RunAntiVirusScan",            &[S::Quick, S::Full],     P::MachineScan,              None,                         C::Scanner,   StopOnly),
        row(K::RestrictExecution,   "RestrictCodeExecution",       &[],                      P::MachineRestrictExecution, Some(K::UnrestrictExecution), C::Execution, Reverse),
        row(K::UnrestrictExecution, "UnrestrictCodeExecution",     &[],                      P::MachineRestrictExecution, Some(K::RestrictExecution),   C::Execution, Reverse),
        row(K::CollectPackage,      "CollectInvestigationPackage", &[],                      P::MachineCollectForensics,  None,                         C::Collector, Reverse),
        row(K::QuarantineFile,      "StopAndQuarantineFile",       &[],                      P::MachineStopAndQuarantine, None,                         C::Vault,     FinishAfterCommit),
        row(K::LiveResponse,        "LiveResponse",                &[],                      P::MachineLiveResponse,      None,                         C::Shell,     StopOnly),
        row(K::Offboard,            "Offboard",                    &[],                      P::MachineOffboard,          None,                         C::Enrolment, FinishAfterCommit),
    ]
};

const fn row(
    kind: Kind,
    wire: &'static str,
    scopes: &'static [Scope],
    permission: Permission,
    opposite: Option<Kind>,
    class: ResourceClass,
    on_cancel: OnCancel,
) -> KindRow {
    KindRow { kind, wire, scopes, permission, opposite, class, pending_seconds: THREE_DAYS, on_cancel }
}

impl Kind {
    /// This kind's row.
    pub fn row(self) -> &'static KindRow {
        &KINDS[self as usize]
    }

    /// The resource class of this kind.
    pub fn class(self) -> ResourceClass {
        self.row().class
    }

    /// The kind with this wire word, exactly spelled.
    pub fn from_wire(word: &str) -> Option<Self> {
        KINDS.iter().find(|row| row.wire == word).map(|row| row.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_at_its_kind() {
        for (index, row) in KINDS.iter().enumerate() {
            assert_eq!(row.kind as usize, index, "{:?}", row.kind);
            assert_eq!(Kind::from_wire(row.wire), Some(row.kind));
            assert!(row.pending_seconds > 0);
        }
    }

    #[test]
    fn opposites_are_mutual_and_share_a_class() {
        for row in &KINDS {
            if let Some(opposite) = row.opposite {
                assert_eq!(opposite.row().opposite, Some(row.kind));
                assert_eq!(opposite.class(), row.class, "{:?} and {opposite:?} must exclude each other", row.kind);
            }
        }
    }
}
