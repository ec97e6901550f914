//! OData's query options as clients of Defender's API write them: `$filter`, `$orderby`, `$select`. What is read here are
//! words and values as they were written; what a property is, and what values it may have, is known elsewhere.

mod filter;
mod literal;
#[cfg(test)]
mod tests;

pub use filter::{DEPTH_MAX, FILTER_BYTES_MAX, LIST_ITEMS_MAX, NODES_MAX, parse_filter};
pub use literal::{Instant, instant};

/// The most keys of `$orderby`.
pub const ORDER_KEYS_MAX: usize = 8;

/// The most properties of `$select`.
pub const SELECTED_MAX: usize = 64;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of these; two or more.
    And(Vec<Filter>),
    /// At least one of these; two or more.
    Or(Vec<Filter>),
    /// The opposite.
    Not(Box<Filter>),
    /// `property eq value`, and the like.
    Compare {
        /// The property, as it was written.
        property: String,
        /// How it compares.
        operator: Operator,
        /// With what.
        literal: Literal,
    },
    /// `property in (value, value)`.
    In {
        /// The property, as it was written.
        property: String,
        /// One or more values.
        literals: Vec<Literal>,
    },
    /// `contains(property, 'text')`, and the like.
    Call {
        /// What is asked of the text.
        function: Function,
        /// The property, as it was written.
        property: String,
        /// The text.
        literal: Literal,
    },
    /// `property/any(x: x eq 'text')`, and the like.
    Any {
        /// The property, as it was written.
        property: String,
        /// What one of its texts is.
        element: Element,
    },
}

/// What is asked of one of several texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// It is this.
    Is(Literal),
    /// It begins with this.
    StartsWith(Literal),
}

/// An operator between a property and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `eq`
    Eq,
    /// `ne`
    Ne,
    /// `gt`
    Gt,
    /// `ge`
    Ge,
    /// `lt`
    Lt,
    /// `le`
    Le,
}

/// A function of a property and a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `contains`
    Contains,
    /// `startswith`
    StartsWith,
    /// `endswith`
    EndsWith,
}

/// A value, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `null`
    Null,
    /// Between quotes; two quotes inside stood for one.
    Quoted(String),
    /// Without quotes: a GUID, a date, a number, a word.
    Bare(String),
}

/// One key of `$orderby`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// The property, as it was written.
    pub property: String,
    /// `desc`
    pub descending: bool,
}

/// Why an option is not understood, for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ODataError(pub String);

/// Reads `$orderby`: properties with commas between them, each with or without a direction.
///
/// # Errors
/// No property, too many, or another direction than `asc` and `desc`.
pub fn parse_order_by(text: &str) -> Result<Vec<OrderBy>, ODataError> {
    let mut keys = Vec::new();
    for part in text.split(',') {
        let words: Vec<&str> = part.split_whitespace().collect();
        let (property, descending) = match words[..] {
            [property] => (property, false),
            [property, direction] if direction.eq_ignore_ascii_case("asc") => (property, false),
            [property, direction] if direction.eq_ignore_ascii_case("desc") => (property, true),
            _ => return Err(ODataError("$orderby must be properties, each with asc, desc or neither.".into())),
        };
        if keys.len() == ORDER_KEYS_MAX {
            return Err(ODataError(format!("$orderby has more than {ORDER_KEYS_MAX} properties.")));
        }
        keys.push(OrderBy { property: property.into(), descending });
    }
    Ok(keys)
}

/// Reads `$select`: properties with commas between them; none for `*`, which is all of them.
///
/// # Errors
/// No property where one belongs, or too many.
pub fn parse_select(text: &str) -> Result<Option<Vec<String>>, ODataError> {
    let parts: Vec<&str> = text.split(',').map(str::trim).take(SELECTED_MAX + 1).collect();
    if parts.len() > SELECTED_MAX {
        return Err(ODataError(format!("$select has more than {SELECTED_MAX} properties.")));
    }
    if parts.iter().any(|part| part.is_empty() || part.contains(char::is_whitespace)) {
        return Err(ODataError("$select must be properties with commas between them.".into()));
    }
    if parts.contains(&"*") {
        return Ok(None);
    }
    Ok(Some(parts.into_iter().map(str::to_string).collect()))
}
