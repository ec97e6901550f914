//! What a property of an entity is: where it comes from, and what values it may show.

use crate::actions::Value;
use crate::api::error::ApiError;
use std::cmp::Ordering;

/// A property of an entity.
pub(in crate::api) struct Property<F> {
    /// As it is shown.
    pub(in crate::api) name: &'static str,
    /// As documents call it too.
    pub(in crate::api) alias: Option<&'static str>,
    /// What it is.
    pub(in crate::api) meaning: Meaning<F>,
}

/// What a property is.
pub(in crate::api) enum Meaning<F> {
    /// A field, as it is: a text, an id, or an instant.
    Field(F),
    /// A field with few values, each shown so.
    Shown(F, Vec<(Value, Scalar)>),
    /// The same for every entity; none: null.
    Constant(Option<Scalar>),
    /// Several texts, of which one can be asked for.
    List(F),
    /// Something with parts, or worked out for each entity: it can be shown, and no more.
    Structured,
}

/// A value that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Scalar {
    /// A text.
    Text(&'static str),
    /// A number.
    Number(i64),
    /// true or false.
    Flag(bool),
}

impl<F> Property<F> {
    /// Of this name, with this meaning.
    pub(in crate::api) fn new(name: &'static str, meaning: Meaning<F>) -> Self {
        Self { name, alias: None, meaning }
    }
}

impl Scalar {
    /// The order of two values of one sort.
    pub(super) fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(&b),
            (Self::Flag(a), Self::Flag(b)) => a.cmp(&b),
            _ => Ordering::Equal,
        }
    }
}

/// The property of this name, without regard to case.
///
/// # Errors
/// There is none.
pub(in crate::api) fn find<'a, F>(properties: &'a [Property<F>], name: &str) -> Result<&'a Property<F>, ApiError> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    let found = properties.iter().find(|property| is(property.name) || property.alias.is_some_and(is));
    found.ok_or_else(|| ApiError::query(format!("Could not find a property named '{name}'.")))
}
