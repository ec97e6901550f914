//! A query in SQLite's language. What a caller gave stands nowhere in the text: every value is bound.

mod columns;

use crate::query::{
    ActionField, Comparison, ElementMatch, Filter, Form, Key, Order, Position, Query, TextMatch, Value, ties_descend,
};
use crate::sql::statements;
use crate::sql::words::Word;
use crate::{ActionQuery, MachineQuery};
use columns::Columns;
use rusqlite::types::Value as Bound;
use std::fmt::Write as _;

/// A statement with its values.
#[derive(Debug, Default)]
pub(super) struct Statement {
    /// The text, with a placeholder for each value.
    pub(super) text: String,
    /// The values, in their order.
    pub(super) values: Vec<Bound>,
}

/// The actions that a query asks for.
pub(super) fn actions(query: &ActionQuery) -> Statement {
    let mut statement = Statement::of(statements::LISTED_ACTIONS);
    statement.push("WHERE ");
    statement.condition(&query.filter, false);
    // Says nothing new, but in the words of the index of what is live. The plus keeps the planner from walking all there
    // ever was, newest first, in the hope of meeting enough of what is live.
    let live = asks_for_live(&query.filter);
    if live {
        statement.push(statements::AND_LIVE);
    }
    statement.rest(query, if live { "+" } else { "" });
    statement
}

/// How many actions pass a filter.
pub(super) fn count_actions(filter: &Filter<ActionField>) -> Statement {
    let mut statement = Statement::of("SELECT count(*) FROM actions a ");
    if names_machine(filter) {
        statement.push("CROSS JOIN machines m ON m.number = a.machine ");
    }
    statement.push("WHERE ");
    statement.condition(filter, false);
    if asks_for_live(filter) {
        statement.push(statements::AND_LIVE);
    }
    statement
}

/// The machines that a query asks for.
pub(super) fn machines(query: &MachineQuery) -> Statement {
    let mut statement = Statement::of(statements::LISTED_MACHINES);
    statement.push("WHERE ");
    statement.condition(&query.filter, false);
    statement.rest(query, "");
    statement
}

/// How many machines pass a filter.
pub(super) fn count_machines(filter: &Filter<crate::MachineField>) -> Statement {
    let mut statement = Statement::of("SELECT count(*) FROM machines WHERE ");
    statement.condition(filter, false);
    statement
}

impl Statement {
    fn of(text: &str) -> Self {
        Self { text: text.into(), values: vec![] }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn bind(&mut self, value: Bound) {
        self.values.push(value);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "?{}", self.values.len());
    }

    /// A condition that is true where the filter is true, or, negated, where it is false. Negations are carried inwards,
    /// so that what is unknown stays unknown, and two-valued comparisons stay so.
    fn condition<F: Columns>(&mut self, filter: &Filter<F>, negated: bool) {
        match filter {
            Filter::Known(known) => self.push(if *known == negated { "0" } else { "1" }),
            Filter::Unknown => self.push("NULL"),
            Filter::Not(part) => self.condition(part, !negated),
            Filter::All(parts) => self.joined(parts, negated, if negated { "OR" } else { "AND" }),
            Filter::Any(parts) => self.joined(parts, negated, if negated { "AND" } else { "OR" }),
            Filter::Compare(field, comparison, value) => self.compare(*field, *comparison, value, negated),
            Filter::IsNull(field) => {
                field.column(self);
                self.push(if negated { " IS NOT NULL" } else { " IS NULL" });
            }
            Filter::OneOf(field, values) => self.one_of(*field, values, negated),
            Filter::Text(field, how, text) => self.text(*field, *how, text, negated),
            Filter::Element(field, how, text) => self.element(*field, *how, text, negated),
        }
    }

    /// By bytes too, and nothing else is asked of the one than of the other.
    fn element<F: Columns>(&mut self, field: F, how: ElementMatch, text: &str, negated: bool) {
        self.push(if negated { "NOT EXISTS (SELECT 1 FROM json_each(" } else { "EXISTS (SELECT 1 FROM json_each(" });
        field.column(self);
        match how {
            ElementMatch::Is => self.push(") WHERE value = "),
            ElementMatch::StartsWith if text.is_empty() => return self.push("))"),
            ElementMatch::StartsWith => {
                self.push(") WHERE substr(CAST(value AS BLOB), 1, ");
                self.bind(Bound::Integer(i64::try_from(text.len()).unwrap_or(i64::MAX)));
                self.push(") IS ");
            }
        }
        self.bind(match how {
            ElementMatch::Is => Bound::Text(text.into()),
            ElementMatch::StartsWith => Bound::Blob(text.as_bytes().to_vec()),
        });
        self.push(")");
    }

    /// The conditions as a tree that is no deeper than it must be: an engine's expressions may not be deep.
    fn joined<F: Columns>(&mut self, parts: &[Filter<F>], negated: bool, by: &str) {
        match parts {
            [] => self.push(if by == "AND" { "1" } else { "0" }),
            [one] => self.condition(one, negated),
            _ => {
                let (left, right) = parts.split_at(parts.len() / 2);
                self.push("(");
                self.joined(left, negated, by);
                let _ = write!(self.text, " {by} ");
                self.joined(right, negated, by);
                self.push(")");
            }
        }
    }

    fn compare<F: Columns>(&mut self, field: F, comparison: Comparison, value: &Value, negated: bool) {
        let wanted = if negated { comparison.opposite() } else { comparison };
        if wanted == Comparison::Equal && self.looked_up(field, std::slice::from_ref(value)) {
            return;
        }
        // A comparison with nothing is false, but for "is not".
        let nothing_too = field.is_nullable() && ((comparison == Comparison::NotEqual) != negated);
        self.or_nothing(field, nothing_too, |statement| {
            field.column(statement);
            statement.push(match wanted {
                Comparison::Equal => " = ",
                Comparison::NotEqual => " <> ",
                Comparison::Greater => " > ",
                Comparison::GreaterOrEqual => " >= ",
                Comparison::Less => " < ",
                Comparison::LessOrEqual => " <= ",
            });
            statement.bind(bound(&field.form().folded(value)));
        });
    }

    fn one_of<F: Columns>(&mut self, field: F, values: &[Value], negated: bool) {
        if values.is_empty() {
            return self.push(if negated { "1" } else { "0" });
        }
        if !negated && self.looked_up(field, values) {
            return;
        }
        self.or_nothing(field, negated && field.is_nullable(), |statement| {
            field.column(statement);
            statement.push(if negated { " NOT IN " } else { " IN " });
            statement.list(field.form(), values);
        });
    }

    fn list(&mut self, form: Form, values: &[Value]) {
        for (index, value) in values.iter().enumerate() {
            self.push(if index == 0 { "(" } else { ", " });
            self.bind(bound(&form.folded(value)));
        }
        self.push(")");
    }

    /// A column of another table, by way of the row it belongs to: then the index on that way is used.
    fn looked_up<F: Columns>(&mut self, field: F, values: &[Value]) -> bool {
        let Some((column, rows)) = field.reference() else { return false };
        // One of them, and the order in which the index has the rest is kept.
        let by_id = field.form() == Form::Machine && values.len() == 1;
        let _ = write!(self.text, "{column} {} ({rows} IN ", if by_id { "=" } else { "IN" });
        self.list(field.form(), values);
        self.push(")");
        true
    }

    fn or_nothing<F: Columns>(&mut self, field: F, nothing_too: bool, condition: impl FnOnce(&mut Self)) {
        if !nothing_too {
            return condition(self);
        }
        self.push("(");
        field.column(self);
        self.push(" IS NULL OR ");
        condition(self);
        self.push(")");
    }

    /// By bytes: SQLite's own functions on texts stop at a NUL, or know no end. Of the empty text its `substr` makes
    /// nothing, which must not be taken for nothing in the field.
    fn text<F: Columns>(&mut self, field: F, how: TextMatch, text: &str, negated: bool) {
        if text.is_empty() {
            if negated {
                return self.push("0");
            }
            field.column(self);
            return self.push(" IS NOT NULL");
        }
        let text = field.form().folded_text(text).into_owned().into_bytes();
        let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
        let there_too = negated && field.is_nullable();
        if there_too {
            self.push("(");
            field.column(self);
            self.push(" IS NOT NULL AND ");
        }
        self.push(if how == TextMatch::Contains { "instr(CAST(" } else { "substr(CAST(" });
        field.text_column(self);
        self.push(" AS BLOB), ");
        match how {
            TextMatch::Contains => {}
            TextMatch::StartsWith => {
                self.push("1, ");
                self.bind(Bound::Integer(length));
            }
            TextMatch::EndsWith => self.bind(Bound::Integer(-length)),
        }
        self.push(match (how, negated) {
            (TextMatch::Contains, _) => "",
            (_, false) => ") IS ",
            (_, true) => ") IS NOT ",
        });
        self.bind(Bound::Blob(text));
        if how == TextMatch::Contains {
            self.push(if negated { ") = 0" } else { ") > 0" });
        }
        if there_too {
            self.push(")");
        }
    }

    /// From where, in which order, and how many.
    fn rest<F: Columns>(&mut self, query: &Query<F>, before_keys: &str) {
        let order = query.order();
        if let Some(after) = &query.after {
            self.push(" AND ");
            self.after(&order, after, 0);
        }
        self.push(" ORDER BY ");
        for key in order.iter() {
            self.push(before_keys);
            self.key(&key.by);
            self.push(if key.descending { " DESC, " } else { ", " });
        }
        F::ID.column(self);
        self.push(if ties_descend(&order) { " DESC LIMIT " } else { " LIMIT " });
        self.bind(Bound::Integer(i64::from(query.limit)));
        self.push(" OFFSET ");
        self.bind(Bound::Integer(i64::try_from(query.skip).unwrap_or(i64::MAX)));
    }

    fn key<F: Columns>(&mut self, key: &Key<F>) {
        match key {
            Key::Field(field) => field.column(self),
            Key::Rank(_, ranks) if ranks.is_empty() => self.push("NULL"),
            Key::Rank(field, ranks) => {
                self.push("CASE ");
                field.column(self);
                for (value, rank) in ranks {
                    self.push(" WHEN ");
                    self.bind(bound(value));
                    self.push(" THEN ");
                    self.bind(Bound::Integer(*rank));
                }
                self.push(" END");
            }
        }
    }

    /// What comes after a place, by its keys from `from` on: by the first of them, or equal in it and by the rest.
    fn after<F: Columns>(&mut self, order: &[Order<F>], place: &Position, from: usize) {
        let (Some(key), Some(value)) = (order.get(from), place.keys.get(from)) else {
            F::ID.column(self);
            self.push(if ties_descend(order) { " < " } else { " > " });
            return self.bind(bound(&place.id));
        };
        let never_null = matches!(key.by, Key::Field(field) if !field.is_nullable());
        self.push("(");
        if let (Some(value), true) = (value, never_null) {
            // Says nothing new, but in a form for which an index is entered at the right place.
            self.key(&key.by);
            self.push(if key.descending { " <= " } else { " >= " });
            self.bind(bound(value));
            self.push(" AND (");
        }
        self.strictly_after(key, value.as_ref());
        self.push(" OR (");
        self.key(&key.by);
        match value {
            Some(value) => {
                self.push(" = ");
                self.bind(bound(value));
            }
            None => self.push(" IS NULL"),
        }
        self.push(" AND ");
        self.after(order, place, from + 1);
        self.push(if value.is_some() && never_null { ")))" } else { "))" });
    }

    /// Nothing is less than anything.
    fn strictly_after<F: Columns>(&mut self, key: &Order<F>, value: Option<&Value>) {
        let Some(value) = value else {
            if key.descending {
                return self.push("0");
            }
            self.key(&key.by);
            return self.push(" IS NOT NULL");
        };
        if !key.descending {
            self.key(&key.by);
            self.push(" > ");
            return self.bind(bound(value));
        }
        self.push("(");
        self.key(&key.by);
        self.push(" < ");
        self.bind(bound(value));
        self.push(" OR ");
        self.key(&key.by);
        self.push(" IS NULL)");
    }
}

/// A value as it stands in a column.
fn bound(value: &Value) -> Bound {
    let word = |word: &'static str| Bound::Text(word.into());
    match value {
        Value::Action(id) => Bound::Blob(id.0.as_bytes().to_vec()),
        Value::Machine(id) => Bound::Blob(id.0.to_vec()),
        Value::Kind(kind) => word(kind.word()),
        Value::Stage(stage) => word(stage.word()),
        Value::Source(source) => word(source.word()),
        Value::Scope(scope) => word(scope.word()),
        Value::Text(text) => Bound::Text(text.clone()),
        Value::Time(at) => Bound::Integer(at.0),
        Value::Flag(flag) => Bound::Integer(i64::from(*flag)),
        Value::Rank(rank) => Bound::Integer(*rank),
    }
}

/// Whether only actions that are not final can pass.
fn asks_for_live(filter: &Filter<ActionField>) -> bool {
    let live = |value: &Value| matches!(value, Value::Stage(stage) if !stage.is_final());
    match filter {
        Filter::All(parts) => parts.iter().any(asks_for_live),
        Filter::Compare(ActionField::Stage, Comparison::Equal, value) => live(value),
        Filter::OneOf(ActionField::Stage, values) => values.iter().all(live),
        _ => false,
    }
}

/// Whether a column of the machine is named.
fn names_machine(filter: &Filter<ActionField>) -> bool {
    let of_machine = |field: &ActionField| matches!(field, ActionField::Machine | ActionField::MachineName);
    match filter {
        Filter::Known(_) | Filter::Unknown => false,
        Filter::All(parts) | Filter::Any(parts) => parts.iter().any(names_machine),
        Filter::Not(part) => names_machine(part),
        Filter::Compare(field, ..)
        | Filter::IsNull(field)
        | Filter::OneOf(field, _)
        | Filter::Text(field, ..)
        | Filter::Element(field, ..) => of_machine(field),
    }
}
