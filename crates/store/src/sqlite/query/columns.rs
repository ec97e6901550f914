//! Where fields stand.

use super::{Bound, Statement};
use crate::query::{ActionField, Field, MachineField};

/// The fields of a table, in SQLite's words.
pub(super) trait Columns: Field {
    /// Its value, as it is compared and sorted.
    fn column(self, statement: &mut Statement);

    /// Its value as a text.
    fn text_column(self, statement: &mut Statement) {
        self.column(statement);
    }

    /// Where it stands in another table: the column that names the row there, and what finds such rows, up to the values.
    fn reference(self) -> Option<(&'static str, &'static str)> {
        None
    }
}

impl Columns for ActionField {
    fn column(self, statement: &mut Statement) {
        statement.push(match self {
            Self::Id => "a.id",
            Self::Machine => "m.id",
            Self::MachineName => "m.name_folded",
            Self::Kind => "a.kind",
            Self::Stage => "a.stage",
            Self::Requestor => "a.requestor",
            Self::Comment => "a.comment",
            Self::Source => "a.source",
            Self::Scope => "a.scope",
            Self::ExternalId => "a.external_id",
            Self::CreatedAt => "a.created_at",
            Self::UpdatedAt => "a.updated_at",
            Self::CancelRequestor => "a.cancel_requestor",
            Self::CancelComment => "a.cancel_comment",
            Self::CancelAt => "a.cancel_at",
        });
    }

    fn text_column(self, statement: &mut Statement) {
        match self {
            Self::Id => statement.push(
                "lower(substr(hex(a.id), 1, 8) || '-' || substr(hex(a.id), 9, 4) || '-' || substr(hex(a.id), 13, 4) \
                 || '-' || substr(hex(a.id), 17, 4) || '-' || substr(hex(a.id), 21))",
            ),
            Self::Machine => statement.push("lower(hex(m.id))"),
            _ => self.column(statement),
        }
    }

    fn reference(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Machine => Some(("a.machine", "SELECT number FROM machines WHERE id")),
            Self::MachineName => Some(("a.machine", "SELECT number FROM machines WHERE name_folded")),
            _ => None,
        }
    }
}

impl Columns for MachineField {
    fn column(self, statement: &mut Statement) {
        if let Self::SeenAfter(instant) = self {
            statement.push("(last_seen > ");
            statement.bind(Bound::Integer(instant.0));
            return statement.push(")");
        }
        statement.push(match self {
            Self::Id => "id",
            Self::Name => "name_folded",
            Self::FirstSeen => "first_seen",
            Self::LastSeen | Self::SeenAfter(_) => "last_seen",
            Self::OsPlatform => "json_extract(told, '$.os_platform')",
            Self::OsVersion => "json_extract(told, '$.os_version')",
            Self::AgentVersion => "json_extract(told, '$.agent_version')",
            Self::LastAddress => "json_extract(told, '$.last_address')",
            Self::Tags => "tags",
        });
    }

    fn text_column(self, statement: &mut Statement) {
        match self {
            Self::Id => statement.push("lower(hex(id))"),
            _ => self.column(statement),
        }
    }
}
