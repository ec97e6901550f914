use super::*;
use crate::kind::KINDS;

const TYPES: [PermissionType; 2] = [PermissionType::Application, PermissionType::Delegated];

#[test]
fn names_read_back_and_no_two_are_alike() {
    for by in TYPES {
        let all = by.permissions();
        for (index, (permission, wire)) in all.iter().enumerate() {
            assert_eq!(by.permission(wire), Some(*permission));
            assert_eq!(permission.wire(), *wire);
            assert!(!all[..index].iter().any(|(other, word)| other == permission || word == wire), "{wire} twice");
        }
    }
    assert_eq!(Permission::from_wire("machine.isolate"), None);
    assert_eq!(Permission::from_wire("Machine.Read"), None, "a person's");
    assert_eq!(PermissionType::Delegated.permission("Machine.Read.All"), None, "an application's");
}

#[test]
fn every_operation_has_one_row() {
    let rows = |operation| OPERATIONS.iter().filter(|row| row.operation == operation).count();
    for row in &OPERATIONS {
        assert_eq!(rows(row.operation), 1, "{:?}", row.operation);
        for needs in [row.application, row.delegated] {
            assert!(!needs.is_empty() && needs.iter().all(|group| !group.is_empty()), "{:?}", row.operation);
        }
    }
    for kind in &KINDS {
        assert_eq!((rows(Operation::Request(kind.kind)), rows(Operation::CancelOwn(kind.kind))), (1, 1));
    }
}

/// A person needs no permission that only applications have, and the other way round.
#[test]
fn needs_are_of_the_type_that_is_asked_for() {
    for row in &OPERATIONS {
        for by in TYPES {
            for permission in needs(row.operation, by).iter().copied().flatten() {
                assert!(by.permissions().iter().any(|(own, _)| own == permission), "{:?} {by:?}", row.operation);
            }
        }
    }
}

#[test]
fn every_cell_of_permission_and_operation() {
    for row in &OPERATIONS {
        for by in TYPES {
            assert!(!allowed(&[], by, row.operation), "{:?} without any permission", row.operation);
            for &(held, _) in by.permissions() {
                let application = by == PermissionType::Application;
                let reads = matches!(held, Permission::MachineReadAll | Permission::MachineReadWriteAll)
                    || matches!(held, Permission::MachineRead | Permission::MachineReadWrite);
                let expected = match row.operation {
                    Operation::Read => reads,
                    Operation::Request(Kind::QuarantineFile) if application => false,
                    Operation::Request(kind) | Operation::CancelOwn(kind) => held == kind.row().permission,
                    Operation::Cancel => KINDS.iter().any(|row| row.permission == held),
                    Operation::PackageLink if application => reads,
                    Operation::PackageLink => held == Permission::MachineCollectForensics,
                    Operation::ResultLink if application => reads,
                    Operation::ResultLink => held == Permission::MachineLiveResponse,
                    Operation::Library => held == Permission::LibraryManage,
                    Operation::Tag => matches!(held, Permission::MachineReadWriteAll | Permission::MachineReadWrite),
                    Operation::LogonUsers => held == Permission::UserReadAll,
                    Operation::Investigate => {
                        matches!(held, Permission::AlertReadWriteAll | Permission::AlertReadWrite)
                    }
                };
                assert_eq!(allowed(&[held], by, row.operation), expected, "{held:?} {by:?} {:?}", row.operation);
            }
        }
    }
}

#[test]
fn to_quarantine_takes_an_application_two() {
    use Permission as P;
    let quarantine = Operation::Request(Kind::QuarantineFile);
    let missing = |held: &[Permission]| unmet(held, PermissionType::Application, quarantine);
    assert_eq!(missing(&[P::MachineStopAndQuarantine]), Some(READ_ALL));
    assert_eq!(missing(&[P::MachineReadAll]), Some(&[P::MachineStopAndQuarantine][..]));
    assert_eq!(missing(&[P::MachineReadAll, P::MachineStopAndQuarantine]), None);
    assert_eq!(missing(&[P::MachineStopAndQuarantine, P::MachineReadWriteAll]), None);
}
