//! The fields of actions and machines, and how they are read from one.

use super::{Field, Form, Key, Order, Value, folded};
use domain::action::Action;
use domain::machine::Machine;
use domain::time::Timestamp;

/// A field of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionField {
    /// Its id.
    Id,
    /// The id of its machine.
    Machine,
    /// The name of its machine.
    MachineName,
    /// Its kind.
    Kind,
    /// Its stage.
    Stage,
    /// Who asked.
    Requestor,
    /// Why.
    Comment,
    /// By which door.
    Source,
    /// How far it goes.
    Scope,
    /// The customer's own correlation id.
    ExternalId,
    /// When it was requested.
    CreatedAt,
    /// When it last changed.
    UpdatedAt,
    /// Who cancelled.
    CancelRequestor,
    /// Why.
    CancelComment,
    /// When the cancel was accepted.
    CancelAt,
}

/// A field of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineField {
    /// Its id.
    Id,
    /// Its name.
    Name,
    /// When it was enrolled.
    FirstSeen,
    /// The last word from it.
    LastSeen,
    /// Whether the last word from it came after this instant.
    SeenAfter(Timestamp),
    /// The operating system's family.
    OsPlatform,
    /// The distribution and its version.
    OsVersion,
    /// The agent's version.
    AgentVersion,
    /// The address it last connected from.
    LastAddress,
    /// What people call it.
    Tags,
}

/// An action as its fields are read.
#[derive(Clone, Copy, Debug)]
pub struct ActionRow<'a> {
    /// The action.
    pub action: &'a Action,
    /// The name of its machine.
    pub machine_name: &'a str,
}

impl Field for ActionField {
    type Row<'a> = ActionRow<'a>;

    const ID: Self = Self::Id;

    fn default_order() -> Order<Self> {
        Order { by: Key::Field(Self::CreatedAt), descending: true }
    }

    fn form(self) -> Form {
        match self {
            Self::Id => Form::Action,
            Self::Machine => Form::Machine,
            Self::MachineName => Form::Name,
            Self::Kind | Self::Stage | Self::Source | Self::Scope => Form::Word,
            Self::CreatedAt | Self::UpdatedAt | Self::CancelAt => Form::Time,
            Self::Requestor | Self::Comment | Self::ExternalId | Self::CancelRequestor | Self::CancelComment => {
                Form::Text
            }
        }
    }

    fn is_nullable(self) -> bool {
        match self {
            Self::Scope | Self::ExternalId | Self::CancelRequestor | Self::CancelComment | Self::CancelAt => true,
            Self::Id
            | Self::Machine
            | Self::MachineName
            | Self::Kind
            | Self::Stage
            | Self::Requestor
            | Self::Comment
            | Self::Source
            | Self::CreatedAt
            | Self::UpdatedAt => false,
        }
    }

    fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Kind, Value::Kind(_))
            | (Self::Stage, Value::Stage(_))
            | (Self::Source, Value::Source(_))
            | (Self::Scope, Value::Scope(_)) => true,
            _ => is_of(self.form(), value),
        }
    }

    fn value(self, row: ActionRow<'_>) -> Option<Value> {
        let ActionRow { action, machine_name } = row;
        let cancel = action.state.cancel();
        Some(match self {
            Self::Id => Value::Action(action.id),
            Self::Machine => Value::Machine(action.machine),
            Self::MachineName => Value::Text(folded(machine_name)),
            Self::Kind => Value::Kind(action.kind()),
            Self::Stage => Value::Stage(action.stage()),
            Self::Requestor => Value::Text(action.request.requestor.clone()),
            Self::Comment => Value::Text(action.request.comment.clone()),
            Self::Source => Value::Source(action.request.source),
            Self::Scope => Value::Scope(action.body.scope()?),
            Self::ExternalId => Value::Text(action.request.external_id.clone()?),
            Self::CreatedAt => Value::Time(action.created_at),
            Self::UpdatedAt => Value::Time(action.updated_at),
            Self::CancelRequestor => Value::Text(cancel?.requestor.clone()),
            Self::CancelComment => Value::Text(cancel?.comment.clone()),
            Self::CancelAt => Value::Time(cancel?.at),
        })
    }

    fn elements(self, _: ActionRow<'_>) -> Vec<String> {
        vec![]
    }
}

impl Field for MachineField {
    type Row<'a> = &'a Machine;

    const ID: Self = Self::Id;

    fn default_order() -> Order<Self> {
        Order { by: Key::Field(Self::Name), descending: false }
    }

    fn form(self) -> Form {
        match self {
            Self::Id => Form::Machine,
            Self::Name => Form::Name,
            Self::FirstSeen | Self::LastSeen => Form::Time,
            Self::SeenAfter(_) => Form::Flag,
            Self::OsPlatform | Self::OsVersion | Self::AgentVersion | Self::LastAddress => Form::Text,
            Self::Tags => Form::List,
        }
    }

    fn is_nullable(self) -> bool {
        matches!(self, Self::LastAddress)
    }

    fn takes(self, value: &Value) -> bool {
        is_of(self.form(), value)
    }

    fn value(self, row: &Machine) -> Option<Value> {
        Some(match self {
            Self::Id => Value::Machine(row.id),
            Self::Name => Value::Text(folded(&row.name)),
            Self::FirstSeen => Value::Time(row.first_seen),
            Self::LastSeen => Value::Time(row.last_seen),
            Self::SeenAfter(instant) => Value::Flag(row.last_seen > instant),
            Self::OsPlatform => Value::Text(row.told.os_platform.clone()),
            Self::OsVersion => Value::Text(row.told.os_version.clone()),
            Self::AgentVersion => Value::Text(row.told.agent_version.clone()),
            Self::LastAddress => Value::Text(row.told.last_address.clone()?),
            Self::Tags => return None,
        })
    }

    fn elements(self, row: &Machine) -> Vec<String> {
        if self == Self::Tags { row.tags.clone() } else { vec![] }
    }
}

fn is_of(form: Form, value: &Value) -> bool {
    matches!(
        (form, value),
        (Form::Action, Value::Action(_))
            | (Form::Machine, Value::Machine(_))
            | (Form::Text | Form::Name, Value::Text(_))
            | (Form::Time, Value::Time(_))
            | (Form::Flag, Value::Flag(_))
    )
}
