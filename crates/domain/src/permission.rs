//! What a caller may do: Defender's permissions, and which of them each operation asks for.

use crate::kind::Kind;
use serde::{Deserialize, Serialize};

/// A permission: granted to an application (`roles` in its token), or delegated by a person to one (`scp`).
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
    /// Read who has signed in to a machine.
    UserReadAll,
    /// Read alerts, start investigations.
    AlertReadWriteAll,
    /// Read machines and actions, as a person.
    MachineRead,
    /// Read machines and actions, change machines, as a person.
    MachineReadWrite,
    /// Read alerts, start investigations, as a person.
    AlertReadWrite,
}

/// Every permission that an application can be granted, with its wire name.
pub const PERMISSIONS: [(Permission, &str); 12] = {
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
        (P::UserReadAll, "User.Read.All"),
        (P::AlertReadWriteAll, "Alert.ReadWrite.All"),
    ]
};

/// Every permission that a person can delegate, with its wire name. Reading all machines is called otherwise there.
pub const DELEGATED_PERMISSIONS: [(Permission, &str); 12] = {
    use Permission as P;
    [
        (P::MachineRead, "Machine.Read"),
        (P::MachineReadWrite, "Machine.ReadWrite"),
        (P::MachineIsolate, "Machine.Isolate"),
        (P::MachineScan, "Machine.Scan"),
        (P::MachineRestrictExecution, "Machine.RestrictExecution"),
        (P::MachineCollectForensics, "Machine.CollectForensics"),
        (P::MachineStopAndQuarantine, "Machine.StopAndQuarantine"),
        (P::MachineLiveResponse, "Machine.LiveResponse"),
        (P::MachineOffboard, "Machine.Offboard"),
        (P::LibraryManage, "Library.Manage"),
        (P::UserReadAll, "User.Read.All"),
        (P::AlertReadWrite, "Alert.ReadWrite"),
    ]
};

impl Permission {
    /// Its word on the wire.
    pub fn wire(self) -> &'static str {
        let mut all = PERMISSIONS.iter().chain(&DELEGATED_PERMISSIONS);
        // Each permission stands in one of the tables at least; a test walks them.
        all.find(|(permission, _)| *permission == self).map_or("", |(_, wire)| wire)
    }

    /// The permission of an application with this wire word, exactly spelled.
    pub fn from_wire(word: &str) -> Option<Self> {
        PermissionType::Application.permission(word)
    }
}

/// How a caller came by its permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PermissionType {
    /// Granted to the application that calls.
    Application,
    /// Delegated by the person for whom an application calls.
    Delegated,
}

impl PermissionType {
    /// Every permission of this type, with its wire name.
    pub fn permissions(self) -> &'static [(Permission, &'static str)] {
        match self {
            Self::Application => &PERMISSIONS,
            Self::Delegated => &DELEGATED_PERMISSIONS,
        }
    }

    /// The permission of this type with this wire word, exactly spelled.
    pub fn permission(self, word: &str) -> Option<Permission> {
        self.permissions().iter().find(|(_, wire)| *wire == word).map(|(permission, _)| *permission)
    }
}

/// What a caller asks to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read machines, actions and their history.
    Read,
    /// Request an action of a kind.
    Request(Kind),
    /// Cancel an action, of whatever kind.
    Cancel,
    /// Cancel an action of this kind, where a cancel asks for the permission of the action's own kind.
    CancelOwn(Kind),
    /// Fetch an investigation package.
    PackageLink,
    /// Fetch what a live response produced.
    ResultLink,
    /// Work with the library.
    Library,
    /// Change a machine's tags.
    Tag,
    /// Read who has signed in to a machine.
    LogonUsers,
    /// Start an automated investigation.
    Investigate,
}

/// What an operation asks for: one permission at least of each group.
pub type Needs = &'static [&'static [Permission]];

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct OperationRow {
    /// The operation.
    pub operation: Operation,
    /// What an application needs.
    pub application: Needs,
    /// What a person needs.
    pub delegated: Needs,
}

/// The seven that allow a cancel, in the order in which the reference product's refusal names them.
const CANCEL: &[Permission] = {
    use Permission as P;
    &[
        P::MachineIsolate,
        P::MachineCollectForensics,
        P::MachineScan,
        P::MachineRestrictExecution,
        P::MachineStopAndQuarantine,
        P::MachineOffboard,
        P::MachineLiveResponse,
    ]
};

/// Reading, for an application.
const READ_ALL: &[Permission] = &[Permission::MachineReadAll, Permission::MachineReadWriteAll];

/// Reading, for a person.
const READ: &[Permission] = &[Permission::MachineRead, Permission::MachineReadWrite];

/// The table, as Defender's pages have it (wire contract, 1.2 and 1.3); for an application to quarantine a file takes
/// two permissions, as recorded refusals show.
#[rustfmt::skip]
pub const OPERATIONS: [OperationRow; 26] = {
    use {Kind as K, Operation as O, Permission as P};
    [
        row(O::Read,                            &[READ_ALL],                                &[READ]),
        row(O::Request(K::Isolate),             &[&[P::MachineIsolate]],                    &[&[P::MachineIsolate]]),
        row(O::Request(K::Release),             &[&[P::MachineIsolate]],                    &[&[P::MachineIsolate]]),
        row(O::Request(K::Scan),                &[&[P::MachineScan]],                       &[&[P::MachineScan]]),
        row(O::Request(K::RestrictExecution),   &[&[P::MachineRestrictExecution]],          &[&[P::MachineRestrictExecution]]),
        row(O::Request(K::UnrestrictExecution), &[&[P::MachineRestrictExecution]],          &[&[P::MachineRestrictExecution]]),
        row(O::Request(K::CollectPackage),      &[&[P::MachineCollectForensics]],           &[&[P::MachineCollectForensics]]),
        row(O::Request(K::QuarantineFile),      &[&[P::MachineStopAndQuarantine], READ_ALL], &[&[P::MachineStopAndQuarantine]]),
        row(O::Request(K::LiveResponse),        &[&[P::MachineLiveResponse]],               &[&[P::MachineLiveResponse]]),
        row(O::Request(K::Offboard),            &[&[P::MachineOffboard]],                   &[&[P::MachineOffboard]]),
        row(O::Cancel,                          &[CANCEL],                                  &[CANCEL]),
        row(O::CancelOwn(K::Isolate),           &[&[P::MachineIsolate]],                    &[&[P::MachineIsolate]]),
        row(O::CancelOwn(K::Release),           &[&[P::MachineIsolate]],                    &[&[P::MachineIsolate]]),
        row(O::CancelOwn(K::Scan),              &[&[P::MachineScan]],                       &[&[P::MachineScan]]),
        row(O::CancelOwn(K::RestrictExecution), &[&[P::MachineRestrictExecution]],          &[&[P::MachineRestrictExecution]]),
        row(O::CancelOwn(K::UnrestrictExecution), &[&[P::MachineRestrictExecution]],        &[&[P::MachineRestrictExecution]]),
        row(O::CancelOwn(K::CollectPackage),    &[&[P::MachineCollectForensics]],           &[&[P::MachineCollectForensics]]),
        row(O::CancelOwn(K::QuarantineFile),    &[&[P::MachineStopAndQuarantine]],          &[&[P::MachineStopAndQuarantine]]),
        row(O::CancelOwn(K::LiveResponse),      &[&[P::MachineLiveResponse]],               &[&[P::MachineLiveResponse]]),
        row(O::CancelOwn(K::Offboard),          &[&[P::MachineOffboard]],                   &[&[P::MachineOffboard]]),
        row(O::PackageLink,                     &[READ_ALL],                                &[&[P::MachineCollectForensics]]),
        row(O::ResultLink,                      &[READ_ALL],                                &[&[P::MachineLiveResponse]]),
        row(O::Library,                         &[&[P::LibraryManage]],                     &[&[P::LibraryManage]]),
        row(O::Tag,                             &[&[P::MachineReadWriteAll]],               &[&[P::MachineReadWrite]]),
        row(O::LogonUsers,                      &[&[P::UserReadAll]],                       &[&[P::UserReadAll]]),
        row(O::Investigate,                     &[&[P::AlertReadWriteAll]],                 &[&[P::AlertReadWrite]]),
    ]
};

const fn row(operation: Operation, application: Needs, delegated: Needs) -> OperationRow {
    OperationRow { operation, application, delegated }
}

/// What `operation` asks for.
pub fn needs(operation: Operation, by: PermissionType) -> Needs {
    let row = OPERATIONS.iter().find(|row| row.operation == operation);
    match (row, by) {
        (Some(row), PermissionType::Application) => row.application,
        (Some(row), PermissionType::Delegated) => row.delegated,
        // What has no row is allowed to nobody: no permission is one of none.
        (None, _) => &[&[]],
    }
}

/// The first group of which a caller who holds `held` has none; none if the caller may do `operation`.
pub fn unmet(held: &[Permission], by: PermissionType, operation: Operation) -> Option<&'static [Permission]> {
    needs(operation, by).iter().copied().find(|group| !group.iter().any(|wanted| held.contains(wanted)))
}

/// Whether a caller who holds `held` may do `operation`.
pub fn allowed(held: &[Permission], by: PermissionType, operation: Operation) -> bool {
    unmet(held, by, operation).is_none()
}

#[cfg(test)]
mod tests;
