//! What a query means: for the engine that has no language of its own, and to hold the others to.

use super::{Comparison, ElementMatch, Field, Filter, Key, Order, Position, Query, TextMatch, Value, ties_descend};
use std::cmp::Ordering;

impl<F: Field> Filter<F> {
    /// Whether it is true of a row; none: neither true nor false.
    pub(crate) fn holds(&self, row: F::Row<'_>) -> Option<bool> {
        match self {
            Self::Known(known) => Some(*known),
            Self::Unknown => None,
            Self::All(parts) => all(parts.iter().map(|part| part.holds(row))),
            Self::Any(parts) => all(parts.iter().map(|part| part.holds(row).map(|held| !held))).map(|none| !none),
            Self::Not(part) => part.holds(row).map(|held| !held),
            Self::Compare(field, comparison, value) => {
                Some(compares(field.value(row), *comparison, &field.form().folded(value)))
            }
            Self::IsNull(field) => Some(field.value(row).is_none()),
            Self::OneOf(field, values) => {
                let held = field.value(row);
                Some(held.is_some_and(|held| values.iter().any(|value| *field.form().folded(value) == held)))
            }
            Self::Element(field, how, text) => Some(field.elements(row).iter().any(|element| match how {
                ElementMatch::Is => element == text,
                ElementMatch::StartsWith => element.starts_with(text.as_str()),
            })),
            Self::Text(field, how, text) => {
                let held = text_of(field.value(row)?);
                let text = &*field.form().folded_text(text);
                Some(match how {
                    TextMatch::Contains => held.contains(text),
                    TextMatch::StartsWith => held.starts_with(text),
                    TextMatch::EndsWith => held.ends_with(text),
                })
            }
        }
    }
}

/// False if any is false, true if all are true, otherwise unknown.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = true;
    for part in parts {
        match part {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = false,
        }
    }
    known.then_some(true)
}

fn compares(held: Option<Value>, comparison: Comparison, value: &Value) -> bool {
    let Some(held) = held else { return comparison == Comparison::NotEqual };
    let order = order_of(&held, value);
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::Action(id) => id.to_string(),
        Value::Machine(id) => id.to_string(),
        Value::Text(text) => text,
        // Refused before any row is looked at.
        _ => String::new(),
    }
}

/// The order of two values of one sort. Words have none, and are equal or not.
fn order_of(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Action(a), Value::Action(b)) => a.cmp(b),
        (Value::Machine(a), Value::Machine(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (Value::Flag(a), Value::Flag(b)) => a.cmp(b),
        (Value::Rank(a), Value::Rank(b)) => a.cmp(b),
        _ if a == b => Ordering::Equal,
        _ => Ordering::Greater,
    }
}

impl<F: Field> Key<F> {
    fn value(&self, row: F::Row<'_>) -> Option<Value> {
        match self {
            Self::Field(field) => field.value(row),
            Self::Rank(field, ranks) => {
                let held = field.value(row)?;
                ranks.iter().find(|(value, _)| *value == held).map(|(_, rank)| Value::Rank(*rank))
            }
        }
    }
}

impl<F: Field> Query<F> {
    /// The place right after a row.
    pub fn position(&self, row: F::Row<'_>) -> Position {
        let keys = self.order().iter().map(|order| order.by.value(row)).collect();
        // Ids are never nothing; the other arm cannot be reached.
        Position { keys, id: F::ID.value(row).unwrap_or(Value::Rank(0)) }
    }

    /// What of these rows is asked for, in its order.
    pub(crate) fn of_rows<'a>(&self, rows: impl Iterator<Item = F::Row<'a>>) -> Vec<F::Row<'a>> {
        let order = self.order();
        let mut found: Vec<(Position, F::Row<'a>)> = rows
            .filter(|row| self.filter.holds(*row) == Some(true))
            .map(|row| (self.position(row), row))
            .filter(|(place, _)| self.after.as_ref().is_none_or(|after| place_order(&order, place, after).is_gt()))
            .collect();
        found.sort_by(|(a, _), (b, _)| place_order(&order, a, b));
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        found.into_iter().skip(skip).take(limit).map(|(_, row)| row).collect()
    }
}

fn place_order<F>(order: &[Order<F>], a: &Position, b: &Position) -> Ordering {
    let directed = |ordering: Ordering, descending: bool| if descending { ordering.reverse() } else { ordering };
    for ((key, a), b) in order.iter().zip(&a.keys).zip(&b.keys) {
        let ordering = match (a, b) {
            (Some(a), Some(b)) => order_of(a, b),
            // Nothing is less than anything.
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        if ordering.is_ne() {
            return directed(ordering, key.descending);
        }
    }
    directed(order_of(&a.id, &b.id), ties_descend(order))
}
