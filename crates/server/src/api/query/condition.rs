//! From what a client wrote to what the store is asked: which property, and whether the value is one that it can have.

use super::{Meaning, Property, Scalar, find};
use crate::actions::{Comparison, ElementMatch, Field, Filter, Form, Key, Order, TextMatch, Value};
use crate::api::error::ApiError;
use domain::ids::{ActionId, MachineId};
use protocol::defender::odata::{self, Element, Function, Instant, Literal, Operator, OrderBy, instant};
use std::cmp::Ordering;

/// The condition, in the words of these properties. As deep as the filter, which is bounded.
///
/// # Errors
/// A property that is unknown, or a value that it cannot have.
pub(super) fn condition<F: Field>(filter: &odata::Filter, properties: &[Property<F>]) -> Result<Filter<F>, ApiError> {
    let each = |parts: &[odata::Filter]| {
        parts.iter().map(|part| condition(part, properties)).collect::<Result<Vec<_>, ApiError>>()
    };
    Ok(match filter {
        odata::Filter::And(parts) => Filter::All(each(parts)?),
        odata::Filter::Or(parts) => Filter::Any(each(parts)?),
        odata::Filter::Not(part) => Filter::Not(Box::new(condition(part, properties)?)),
        odata::Filter::Compare { property, operator, literal } => {
            compared(find(properties, property)?, *operator, literal)?
        }
        odata::Filter::In { property, literals } => {
            let property = find(properties, property)?;
            let mut any = Vec::with_capacity(literals.len());
            for literal in literals {
                any.push(compared(property, Operator::Eq, literal)?);
            }
            one_of(any)
        }
        odata::Filter::Call { function, property, literal } => called(find(properties, property)?, *function, literal)?,
        odata::Filter::Any { property, element } => any(find(properties, property)?, element)?,
    })
}

/// What lists are sorted by. A property that is the same for all sorts nothing, and neither does one named again.
///
/// # Errors
/// A property that is unknown, or that has no order.
pub(super) fn order<F: Field>(keys: &[OrderBy], properties: &[Property<F>]) -> Result<Vec<Order<F>>, ApiError> {
    let mut order: Vec<Order<F>> = Vec::with_capacity(keys.len());
    for OrderBy { property, descending } in keys {
        let property = find(properties, property)?;
        let by = match &property.meaning {
            Meaning::Field(field) => Key::Field(*field),
            Meaning::Shown(field, shown) => Key::Rank(*field, ranks(shown)),
            Meaning::Constant(_) => continue,
            Meaning::List(_) | Meaning::Structured => return Err(unfit(property, "$orderby")),
        };
        if !order.iter().any(|known| known.by == by) {
            order.push(Order { by, descending: *descending });
        }
    }
    Ok(order)
}

/// The places of values in the order of what is shown.
fn ranks(shown: &[(Value, Scalar)]) -> Vec<(Value, i64)> {
    let rank = |scalar: Scalar| shown.iter().filter(|(_, other)| other.order(scalar).is_lt()).count();
    shown.iter().map(|(value, scalar)| (value.clone(), i64::try_from(rank(*scalar)).unwrap_or(i64::MAX))).collect()
}

/// Comparisons of one property with several values, as one list where that is what they are.
fn one_of<F: Field>(any: Vec<Filter<F>>) -> Filter<F> {
    let (mut listed, mut field, mut others) = (Vec::new(), None, Vec::new());
    for filter in any {
        match filter {
            Filter::Compare(of, Comparison::Equal, value) => {
                field = Some(of);
                listed.push(value);
            }
            Filter::Known(false) => {}
            other => others.push(other),
        }
    }
    if let Some(field) = field {
        others.push(Filter::OneOf(field, listed));
    }
    match others.len() {
        1 => others.remove(0),
        _ => Filter::Any(others),
    }
}

fn compared<F: Field>(property: &Property<F>, operator: Operator, literal: &Literal) -> Result<Filter<F>, ApiError> {
    match &property.meaning {
        Meaning::Field(field) => field_compared(property, *field, operator, literal),
        Meaning::Shown(field, shown) => {
            let wanted = Wanted::of(property, shown.first().map(|(_, scalar)| *scalar), literal)?;
            Ok(among(*field, shown, |scalar| Some(wanted.compares(scalar, operator))))
        }
        Meaning::Constant(held) => {
            let wanted = Wanted::of(property, *held, literal)?;
            Ok(Filter::Known(wanted.compares(*held, operator)))
        }
        Meaning::List(_) | Meaning::Structured => Err(unfit(property, "$filter")),
    }
}

/// A field whose values are shown as they are.
fn field_compared<F: Field>(
    property: &Property<F>,
    field: F,
    operator: Operator,
    literal: &Literal,
) -> Result<Filter<F>, ApiError> {
    let text = match literal {
        Literal::Null => return Ok(null_compared(field, operator)),
        Literal::Quoted(text) | Literal::Bare(text) => text,
    };
    let comparison = comparison(operator);
    let value = match field.form() {
        Form::Time => {
            let Instant { at, exact } = instant(text).ok_or_else(|| mistyped(property, "a date and time"))?;
            return Ok(if exact {
                Filter::Compare(field, comparison, Value::Time(at))
            } else {
                between_ticks(field, operator, Value::Time(at))
            });
        }
        Form::Action => ActionId::parse(text).map(Value::Action),
        Form::Machine => MachineId::parse(text).map(Value::Machine),
        _ => Some(Value::Text(plain_text(property, literal)?.into())),
    };
    match (value, operator) {
        (Some(value), _) => Ok(Filter::Compare(field, comparison, value)),
        // What is no id is no row's id.
        (None, Operator::Eq) => Ok(Filter::Known(false)),
        (None, Operator::Ne) => Ok(Filter::Known(true)),
        (None, _) => Err(mistyped(property, "an id")),
    }
}

/// A comparison with an instant that lies after `tick` and before the next.
fn between_ticks<F: Field>(field: F, operator: Operator, tick: Value) -> Filter<F> {
    match operator {
        Operator::Eq => Filter::Known(false),
        Operator::Ne => Filter::Known(true),
        Operator::Gt | Operator::Ge => Filter::Compare(field, Comparison::Greater, tick),
        Operator::Lt | Operator::Le => Filter::Compare(field, Comparison::LessOrEqual, tick),
    }
}

fn null_compared<F: Field>(field: F, operator: Operator) -> Filter<F> {
    match operator {
        Operator::Eq => Filter::IsNull(field),
        Operator::Ne => Filter::Not(Box::new(Filter::IsNull(field))),
        Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le => Filter::Known(false),
    }
}

fn called<F: Field>(property: &Property<F>, function: Function, literal: &Literal) -> Result<Filter<F>, ApiError> {
    let is_text = match &property.meaning {
        Meaning::Field(field) => field.form() != Form::Time,
        Meaning::Shown(_, shown) => shown.iter().all(|(_, scalar)| matches!(scalar, Scalar::Text(_))),
        Meaning::Constant(held) => matches!(held, Some(Scalar::Text(_)) | None),
        Meaning::List(_) | Meaning::Structured => return Err(unfit(property, "$filter")),
    };
    if !is_text {
        return Err(ApiError::query(format!("The property '{}' is no text.", property.name)));
    }
    if *literal == Literal::Null {
        return Ok(Filter::Unknown);
    }
    let text = plain_text(property, literal)?;
    let holds = |scalar: Option<Scalar>| match scalar {
        Some(Scalar::Text(held)) => Some(match function {
            Function::Contains => held.contains(text),
            Function::StartsWith => held.starts_with(text),
            Function::EndsWith => held.ends_with(text),
        }),
        _ => None,
    };
    let how = match function {
        Function::Contains => TextMatch::Contains,
        Function::StartsWith => TextMatch::StartsWith,
        Function::EndsWith => TextMatch::EndsWith,
    };
    Ok(match &property.meaning {
        Meaning::Field(field) => Filter::Text(*field, how, text.into()),
        Meaning::Shown(field, shown) => among(*field, shown, holds),
        Meaning::Constant(held) => holds(*held).map_or(Filter::Unknown, Filter::Known),
        Meaning::List(_) | Meaning::Structured => return Err(unfit(property, "$filter")),
    })
}

/// A property of several texts, of which one is such.
fn any<F: Field>(property: &Property<F>, element: &Element) -> Result<Filter<F>, ApiError> {
    let Meaning::List(field) = property.meaning else { return Err(unfit(property, "any()")) };
    let (how, literal) = match element {
        Element::Is(literal) => (ElementMatch::Is, literal),
        Element::StartsWith(literal) => (ElementMatch::StartsWith, literal),
    };
    match literal {
        // No text is nothing.
        Literal::Null => Ok(Filter::Known(false)),
        Literal::Quoted(_) | Literal::Bare(_) => Ok(Filter::Element(field, how, plain_text(property, literal)?.into())),
    }
}

/// What is true of what is shown, as a list of the values that are shown so.
fn among<F: Field>(field: F, shown: &[(Value, Scalar)], holds: impl Fn(Option<Scalar>) -> Option<bool>) -> Filter<F> {
    let passes = shown.iter().filter(|(_, scalar)| holds(Some(*scalar)) == Some(true));
    let listed = Filter::OneOf(field, passes.map(|(value, _)| value.clone()).collect());
    if !field.is_nullable() {
        return listed;
    }
    match holds(None) {
        Some(false) => listed,
        Some(true) => Filter::Any(vec![listed, Filter::IsNull(field)]),
        None => Filter::Any(vec![listed, Filter::All(vec![Filter::IsNull(field), Filter::Unknown])]),
    }
}

/// A value to compare with what is shown.
enum Wanted {
    Null,
    Text(String),
    Number(i64),
    Flag(bool),
}

impl Wanted {
    /// The value of a literal, for a property that shows such values as `like`; none: it is always null.
    fn of<F>(property: &Property<F>, like: Option<Scalar>, literal: &Literal) -> Result<Self, ApiError> {
        if *literal == Literal::Null {
            return Ok(Self::Null);
        }
        match (like, literal) {
            (Some(Scalar::Number(_)), Literal::Bare(text)) if text.parse::<i64>().is_ok() => {
                Ok(Self::Number(text.parse().unwrap_or_default()))
            }
            (Some(Scalar::Flag(_)), Literal::Bare(text)) if flag(text).is_some() => {
                Ok(Self::Flag(flag(text).unwrap_or_default()))
            }
            (Some(Scalar::Number(_)), _) => Err(mistyped(property, "a whole number without quotes")),
            (Some(Scalar::Flag(_)), _) => Err(mistyped(property, "true or false")),
            (Some(Scalar::Text(_)), _) => plain_text(property, literal).map(|text| Self::Text(text.into())),
            (None, Literal::Quoted(text) | Literal::Bare(text)) => Ok(Self::Text(text.clone())),
            (None, Literal::Null) => Ok(Self::Null),
        }
    }

    /// Whether what is shown compares so; none: null.
    fn compares(&self, held: Option<Scalar>, operator: Operator) -> bool {
        let order = match (held, self) {
            (None, Self::Null) => return operator == Operator::Eq,
            (Some(Scalar::Text(held)), Self::Text(wanted)) => held.cmp(wanted.as_str()),
            (Some(Scalar::Number(held)), Self::Number(wanted)) => held.cmp(wanted),
            (Some(Scalar::Flag(held)), Self::Flag(wanted)) => held.cmp(wanted),
            // Null beside a value.
            _ => return operator == Operator::Ne,
        };
        match operator {
            Operator::Eq => order == Ordering::Equal,
            Operator::Ne => order != Ordering::Equal,
            Operator::Gt => order == Ordering::Greater,
            Operator::Ge => order != Ordering::Less,
            Operator::Lt => order == Ordering::Less,
            Operator::Le => order != Ordering::Greater,
        }
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A text, with quotes or without; what looks like a value of another sort needs them.
fn plain_text<'a, F>(property: &Property<F>, literal: &'a Literal) -> Result<&'a str, ApiError> {
    match literal {
        Literal::Quoted(text) => Ok(text),
        Literal::Bare(text) if flag(text).is_none() && text.parse::<f64>().is_err() && instant(text).is_none() => {
            Ok(text)
        }
        Literal::Bare(_) | Literal::Null => Err(mistyped(property, "a text in single quotes")),
    }
}

fn comparison(operator: Operator) -> Comparison {
    match operator {
        Operator::Eq => Comparison::Equal,
        Operator::Ne => Comparison::NotEqual,
        Operator::Gt => Comparison::Greater,
        Operator::Ge => Comparison::GreaterOrEqual,
        Operator::Lt => Comparison::Less,
        Operator::Le => Comparison::LessOrEqual,
    }
}

fn mistyped<F>(property: &Property<F>, expected: &str) -> ApiError {
    ApiError::query(format!("The property '{}' is compared with {expected}.", property.name))
}

fn unfit<F>(property: &Property<F>, option: &str) -> ApiError {
    ApiError::query(format!("The property '{}' cannot be used in {option}.", property.name))
}
