//! What a caller may do: Defender's permissions, and which of them each operation asks for.

use crate::kind::Kind;
use serde::{Deserialize, Serialize};

/// A permission, as granted to an application (`roles` in its token).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Permission {
    /// Read machines and actions.
    MachineReadAll,
    /// Read machines and actions, change machines.
    MachineReadWriteAll,
    /// Isolate and release.
    MachineIsolate,
    /// Scan.
    MachineScan,
    /// Restrict and unrestrict execution.
    MachineRestrictExecution,
    /// Collect investigation packages.
    MachineCollectForensics,
    /// Stop and quarantine files.
    MachineStopAndQuarantine,
    /// Live response.
    MachineLiveResponse,
    /// Offboard.
    MachineOffboard,
    /// Upload, list and delete library files.
    LibraryManage,
}

/// Every permission with its wire name.
pub const PERMISSIONS: [(Permission, &str); 10] = {
    use Permission as P;
    [
        (P::MachineReadAll, "Machine.Read.All"),
        (P::MachineReadWriteAll, "Machine.ReadWrite.All"),
        (P::MachineIsolate, "Machine.Isolate"),
        (P::MachineScan, "Machine.Scan"),
        (P::MachineRestrictExecution, "Machine.RestrictExecution"),
        (P::MachineCollectForensics, "Machine.CollectForensics"),
        (P::MachineStopAndQuarantine, "Machine.StopAndQuarantine"),
        (P::MachineLiveResponse, "Machine.LiveResponse"),
        (P::MachineOffboard, "Machine.Offboard"),
        (P::LibraryManage, "Library.Manage"),
    ]
};

impl Permission {
    /// Its word on the wire.
    pub fn wire(self) -> &'static str {
        PERMISSIONS[self as usize].1
    }

    /// The permission with this wire word, exactly spelled.
    pub fn from_wire(word: &str) -> Option<Self> {
        PERMISSIONS.iter().find(|(_, wire)| *wire == word).map(|(permission, _)| *permission)
    }
}

/// What a caller asks to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read machines, actions, their history and their results.
    Read,
    /// Request an action of a kind.
    Request(Kind),
    /// Cancel an action, of whatever kind.
    Cancel,
    /// Work with the library.
    Library,
}

/// The seven that allow a cancel, in the order in which the reference product's refusal names them.
const CANCEL: [Permission; 7] = {
    use Permission as P;
    [
        P::MachineIsolate,
        P::MachineCollectForensics,
        P::MachineScan,
        P::MachineRestrictExecution,
        P::MachineStopAndQuarantine,
        P::MachineOffboard,
        P::MachineLiveResponse,
    ]
};

/// The permissions of which a caller needs any one for `operation`.
pub fn any_of(operation: Operation) -> &'static [Permission] {
    use Permission as P;
    match operation {
        Operation::Read => &[P::MachineReadAll, P::MachineReadWriteAll],
        Operation::Cancel => &CANCEL,
        Operation::Library => &[P::LibraryManage],
        Operation::Request(kind) => std::slice::from_ref(&kind.row().permission),
    }
}

/// Whether a caller who holds `held` may do `operation`.
pub fn allowed(held: &[Permission], operation: Operation) -> bool {
    any_of(operation).iter().any(|wanted| held.contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KINDS;

    fn operations() -> Vec<Operation> {
        let mut all = vec![Operation::Read, Operation::Cancel, Operation::Library];
        all.extend(KINDS.iter().map(|row| Operation::Request(row.kind)));
        all
    }

    #[test]
    fn names_stand_at_their_permission_and_read_back() {
        for (index, (permission, wire)) in PERMISSIONS.iter().enumerate() {
            assert_eq!(*permission as usize, index);
            assert_eq!(Permission::from_wire(wire), Some(*permission));
        }
        assert_eq!(Permission::from_wire("machine.isolate"), None);
    }

    #[test]
    fn every_cell_of_permission_and_operation() {
        for operation in operations() {
            assert!(!allowed(&[], operation), "{operation:?} without any permission");
            for (held, _) in PERMISSIONS {
                let expected = match operation {
                    Operation::Read => matches!(held, Permission::MachineReadAll | Permission::MachineReadWriteAll),
                    Operation::Library => held == Permission::LibraryManage,
                    Operation::Request(kind) => held == kind.row().permission,
                    Operation::Cancel => KINDS.iter().any(|row| row.permission == held),
                };
                assert_eq!(allowed(&[held], operation), expected, "{held:?} for {operation:?}");
            }
        }
    }
}
