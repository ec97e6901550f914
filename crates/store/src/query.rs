//! What a list is asked for, in the domain's words: which rows, in which order, from where, how many. Engines turn it
//! into their own language, or evaluate it as it stands here; both must come to the same.
//!
//! Nothing (null) follows OData's rules: a comparison with it is false, but for "is" and "is not"; what is asked of a text
//! that is not there is neither true nor false, and stays so under a negation.

mod check;
mod evaluate;
mod fields;

use domain::action::RequestSource;
use domain::ids::{ActionId, MachineId};
use domain::kind::{Kind, Scope};
use domain::lifecycle::Stage;
use domain::time::Timestamp;
pub use fields::{ActionField, ActionRow, MachineField};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Debug;

/// Which actions to list.
pub type ActionQuery = Query<ActionField>;

/// Which machines to list.
pub type MachineQuery = Query<MachineField>;

/// Which rows to list. The default is none of them: it has a limit of none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<F> {
    /// Only rows for which this is true.
    pub filter: Filter<F>,
    /// By what they are sorted, first things first; none: as [`Field::default_order`] says. What is equal is sorted by
    /// id, in the direction of the last of these.
    pub order: Vec<Order<F>>,
    /// Only what comes after this place in that order.
    pub after: Option<Position>,
    /// So many of them are left out first.
    pub skip: u64,
    /// At most so many.
    pub limit: u32,
}

/// A condition on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter<F> {
    /// True or false, whatever the row.
    Known(bool),
    /// Neither true nor false, whatever the row.
    Unknown,
    /// All of these.
    All(Vec<Filter<F>>),
    /// At least one of these.
    Any(Vec<Filter<F>>),
    /// The opposite.
    Not(Box<Filter<F>>),
    /// A field compares so with a value. Words are only ever equal or not.
    Compare(F, Comparison, Value),
    /// A field is nothing.
    IsNull(F),
    /// A field is one of these values.
    OneOf(F, Vec<Value>),
    /// A text field holds this text so.
    Text(F, TextMatch, String),
    /// At least one text of a field of several is such a one.
    Element(F, ElementMatch, String),
}

/// How a field compares with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is the value.
    Equal,
    /// It is another value, or nothing.
    NotEqual,
    /// It comes after the value.
    Greater,
    /// It is the value, or comes after it.
    GreaterOrEqual,
    /// It comes before the value.
    Less,
    /// It is the value, or comes before it.
    LessOrEqual,
}

/// How a text holds another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// Anywhere.
    Contains,
    /// At its beginning.
    StartsWith,
    /// At its end.
    EndsWith,
}

/// How one of several texts is the one that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementMatch {
    /// It is this text.
    Is,
    /// It begins with this text.
    StartsWith,
}

/// A value that a field may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// An action's id.
    Action(ActionId),
    /// A machine's id.
    Machine(MachineId),
    /// A kind.
    Kind(Kind),
    /// A stage.
    Stage(Stage),
    /// A door.
    Source(RequestSource),
    /// A scope.
    Scope(Scope),
    /// A text.
    Text(String),
    /// An instant.
    Time(Timestamp),
    /// Yes or no.
    Flag(bool),
    /// A place in an order that the query gives.
    Rank(i64),
}

/// One thing that rows are sorted by. Nothing comes first where it rises, and last where it falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order<F> {
    /// By what.
    pub by: Key<F>,
    /// The greatest first.
    pub descending: bool,
}

/// What rows are sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key<F> {
    /// A field that has an order of its own.
    Field(F),
    /// A field of words, in the order of these ranks. A word without one is sorted as nothing.
    Rank(F, Vec<(Value, i64)>),
}

/// A place in an order, right after a row: what the row is sorted by, and its id. It stays where it is, whatever becomes
/// of the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// What the row had for each key of the order.
    pub keys: Vec<Option<Value>>,
    /// Its id.
    pub id: Value,
}

/// What sort of values a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An action's id; as a text, in its usual form.
    Action,
    /// A machine's id; as a text, in its usual form.
    Machine,
    /// A text, compared byte by byte.
    Text,
    /// A name, compared without regard to case.
    Name,
    /// An instant.
    Time,
    /// Yes or no.
    Flag,
    /// One of a few words, that have no order of their own.
    Word,
    /// Several texts, or none.
    List,
}

/// A field of the rows of one table.
pub trait Field: Copy + Debug + PartialEq + Send + Sync + 'static {
    /// What its value is read from.
    type Row<'a>: Copy;

    /// The field that tells rows apart.
    const ID: Self;

    /// What rows are sorted by if nothing else is said.
    fn default_order() -> Order<Self>;

    /// What sort of values it has.
    fn form(self) -> Form;

    /// Whether it may be nothing.
    fn is_nullable(self) -> bool;

    /// Whether a value is of its sort.
    fn takes(self, value: &Value) -> bool;

    /// Its value in a row. Of a name, as it is compared.
    fn value(self, row: Self::Row<'_>) -> Option<Value>;

    /// The texts that it has, if it is one that has several.
    fn elements(self, row: Self::Row<'_>) -> Vec<String>;
}

impl<F> Query<F> {
    /// Everything.
    pub fn all(limit: u32) -> Self {
        Self::of(Filter::Known(true), limit)
    }

    /// What passes a filter.
    pub fn of(filter: Filter<F>, limit: u32) -> Self {
        Self { filter, order: vec![], after: None, skip: 0, limit }
    }
}

impl<F> Default for Query<F> {
    fn default() -> Self {
        Self::all(0)
    }
}

impl MachineQuery {
    /// The machines of this name, without regard to case.
    pub fn named(name: &str, limit: u32) -> Self {
        Self::of(Filter::is(MachineField::Name, Value::Text(name.into())), limit)
    }
}

impl<F> Filter<F> {
    /// A field has this value.
    pub fn is(field: F, value: Value) -> Self {
        Self::Compare(field, Comparison::Equal, value)
    }
}

impl Comparison {
    /// What is true where this is false, for two values that are there.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
        }
    }
}

impl Form {
    /// A value as it is compared with this field's.
    pub(crate) fn folded(self, value: &Value) -> Cow<'_, Value> {
        match (self, value) {
            (Self::Name, Value::Text(name)) => Cow::Owned(Value::Text(folded(name))),
            _ => Cow::Borrowed(value),
        }
    }

    /// A text as it is looked for in this field's.
    pub(crate) fn folded_text(self, text: &str) -> Cow<'_, str> {
        // Ids are shown in lower case.
        if matches!(self, Self::Name) { Cow::Owned(folded(text)) } else { Cow::Borrowed(text) }
    }
}

impl<F: Field> Query<F> {
    /// What the rows are sorted by.
    pub(crate) fn order(&self) -> Cow<'_, [Order<F>]> {
        if self.order.is_empty() { Cow::Owned(vec![F::default_order()]) } else { Cow::Borrowed(&self.order) }
    }
}

/// The direction in which what is otherwise equal is sorted.
pub(crate) fn ties_descend<F>(order: &[Order<F>]) -> bool {
    order.last().is_some_and(|last| last.descending)
}

/// How a name is compared: folded here and not by an engine, since engines fold differently beyond ASCII.
pub(crate) fn folded(name: &str) -> String {
    name.to_lowercase()
}
