//! The grammar of `$filter`, as tolerant as clients need it: names, operators and words without regard to case, white
//! space wherever it does not change the meaning, and none where it is not needed (`'x'and y`).

use super::{Element, Filter, Function, Literal, ODataError, Operator};
use winnow::Parser as _;
use winnow::error::ParserError;
use winnow::stream::{LocatingSlice, Location as _, Stateful, Stream as _};
use winnow::token::{take_till, take_while};

/// The longest filter, in bytes: about as much as fits into a request.
pub const FILTER_BYTES_MAX: usize = 64 << 10;

/// How deep parentheses and negations may lie in each other.
pub const DEPTH_MAX: usize = 32;

/// The most comparisons, functions and negations.
pub const NODES_MAX: usize = 500;

/// The most values of one list: a page of Kibana's asks for a thousand ids.
pub const LIST_ITEMS_MAX: usize = 1000;

/// Reads a filter.
///
/// # Errors
/// It is not understood, or beyond a limit; the error says which, and where.
pub fn parse_filter(text: &str) -> Result<Filter, ODataError> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(ODataError(format!("$filter is longer than {FILTER_BYTES_MAX} bytes.")));
    }
    let mut input = Stateful { input: LocatingSlice::new(text), state: Spent::default() };
    let read = expression(&mut input).and_then(|filter| {
        if input.input.is_empty() { Ok(filter) } else { Err(wrong(&input, "'and', 'or' or the end was expected")) }
    });
    read.map_err(|wrong| ODataError(format!("$filter: {} at position {}.", wrong.why, wrong.at)))
}

type Input<'a> = Stateful<LocatingSlice<&'a str>, Spent>;

/// What of the limits is used up.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    depth: usize,
    nodes: usize,
}

/// What is wrong, and at which byte.
#[derive(Debug)]
struct Wrong {
    at: usize,
    why: &'static str,
}

impl<'a> ParserError<Input<'a>> for Wrong {
    type Inner = Self;

    fn from_input(input: &Input<'a>) -> Self {
        wrong(input, "something else was expected")
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

fn wrong(input: &Input<'_>, why: &'static str) -> Wrong {
    Wrong { at: input.input.current_token_start(), why }
}

/// Conditions with `or` between them; what has `and` between them belongs together first.
fn expression(input: &mut Input<'_>) -> Result<Filter, Wrong> {
    separated(input, "or", |input| separated(input, "and", condition, Filter::And), Filter::Or)
}

fn separated(
    input: &mut Input<'_>,
    by: &str,
    part: impl Fn(&mut Input<'_>) -> Result<Filter, Wrong>,
    together: impl Fn(Vec<Filter>) -> Filter,
) -> Result<Filter, Wrong> {
    let first = part(input)?;
    let mut parts = vec![first];
    while keyword(input, by)? {
        parts.push(part(input)?);
    }
    Ok(match parts.len() {
        1 => parts.remove(0),
        _ => together(parts),
    })
}

fn condition(input: &mut Input<'_>) -> Result<Filter, Wrong> {
    space(input)?;
    if symbol(input, '(')? {
        let inside = deeper(input, expression)?;
        expect(input, ')', "')' was expected")?;
        return Ok(inside);
    }
    spend_node(input)?;
    let before = *input;
    let name = word(input)?;
    if name.is_empty() {
        return Err(wrong(input, "a property was expected"));
    }
    if name.eq_ignore_ascii_case("not") {
        return Ok(Filter::Not(Box::new(deeper(input, condition)?)));
    }
    if let Some(function) = function(name) {
        return call(input, function);
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong(&before, "a property was expected"));
    }
    if let Some((property, "any")) = name.rsplit_once('/') {
        return any(input, property.to_string());
    }
    compared(input, name.to_string())
}

/// What follows `property/any`, as documents have it for tags: a name for each text, and what one of them is.
fn any(input: &mut Input<'_>, property: String) -> Result<Filter, Wrong> {
    expect(input, '(', "'(' was expected")?;
    space(input)?;
    let each = word(input)?;
    expect(input, ':', "':' was expected")?;
    space(input)?;
    let before = *input;
    let first = word(input)?;
    let element = if first == each && !each.is_empty() && keyword(input, "eq")? {
        Element::Is(literal(input)?)
    } else if function(first) == Some(Function::StartsWith) {
        expect(input, '(', "'(' was expected")?;
        if !keyword(input, each)? {
            return Err(wrong(input, "the name before the colon was expected"));
        }
        expect(input, ',', "',' was expected")?;
        let text = literal(input)?;
        expect(input, ')', "')' was expected")?;
        Element::StartsWith(text)
    } else {
        return Err(wrong(&before, "a comparison by eq, or startswith, of the name before the colon was expected"));
    };
    expect(input, ')', "')' was expected")?;
    Ok(Filter::Any { property, element })
}

/// What follows a property.
fn compared(input: &mut Input<'_>, property: String) -> Result<Filter, Wrong> {
    space(input)?;
    let before = *input;
    let operator = word(input)?;
    if operator.eq_ignore_ascii_case("in") {
        return Ok(Filter::In { property, literals: list(input)? });
    }
    match self::operator(operator) {
        Some(operator) => Ok(Filter::Compare { property, operator, literal: literal(input)? }),
        None => Err(wrong(&before, "an operator (eq, ne, gt, ge, lt, le, in) was expected")),
    }
}

fn list(input: &mut Input<'_>) -> Result<Vec<Literal>, Wrong> {
    expect(input, '(', "'(' was expected")?;
    let mut literals = Vec::new();
    loop {
        if literals.len() == LIST_ITEMS_MAX {
            return Err(wrong(input, "there are more than 1000 values in a list,"));
        }
        literals.push(literal(input)?);
        if !symbol(input, ',')? {
            expect(input, ')', "',' or ')' was expected")?;
            return Ok(literals);
        }
    }
}

/// What follows a function's name. Some write what the grammar allows: `contains(a,'b') eq true`.
fn call(input: &mut Input<'_>, function: Function) -> Result<Filter, Wrong> {
    expect(input, '(', "'(' was expected")?;
    space(input)?;
    let property = word(input)?.to_string();
    if property.is_empty() {
        return Err(wrong(input, "a property was expected"));
    }
    expect(input, ',', "',' was expected")?;
    let literal = literal(input)?;
    expect(input, ')', "')' was expected")?;
    let called = Filter::Call { function, property, literal };
    let (wanted, against) = (keyword(input, "eq")?, keyword(input, "ne")?);
    if !wanted && !against {
        return Ok(called);
    }
    space(input)?;
    let before = *input;
    let word = word(input)?;
    let truth = match word {
        _ if word.eq_ignore_ascii_case("true") => true,
        _ if word.eq_ignore_ascii_case("false") => false,
        _ => return Err(wrong(&before, "true or false was expected")),
    };
    Ok(if truth == wanted { called } else { Filter::Not(Box::new(called)) })
}

fn literal(input: &mut Input<'_>) -> Result<Literal, Wrong> {
    space(input)?;
    if input.input.starts_with('\'') {
        return quoted(input).map(Literal::Quoted);
    }
    let bare: &str = take_while(0.., is_bare).parse_next(input)?;
    match bare {
        "" => Err(wrong(input, "a value was expected")),
        _ if bare.eq_ignore_ascii_case("null") => Ok(Literal::Null),
        _ => Ok(Literal::Bare(bare.into())),
    }
}

fn quoted(input: &mut Input<'_>) -> Result<String, Wrong> {
    let begin = *input;
    let mut text = String::new();
    expect(input, '\'', "a quote was expected")?;
    loop {
        let part: &str = take_till(0.., '\'').parse_next(input)?;
        text.push_str(part);
        if input.input.is_empty() {
            return Err(wrong(&begin, "a quote is not closed that begins"));
        }
        input.next_token();
        if !input.input.starts_with('\'') {
            return Ok(text);
        }
        input.next_token();
        text.push('\'');
    }
}

fn deeper(
    input: &mut Input<'_>,
    inside: impl FnOnce(&mut Input<'_>) -> Result<Filter, Wrong>,
) -> Result<Filter, Wrong> {
    if input.state.depth == DEPTH_MAX {
        return Err(wrong(input, "parentheses and negations are more than 32 deep"));
    }
    input.state.depth += 1;
    let filter = inside(input)?;
    input.state.depth -= 1;
    Ok(filter)
}

fn spend_node(input: &mut Input<'_>) -> Result<(), Wrong> {
    if input.state.nodes == NODES_MAX {
        return Err(wrong(input, "there are more than 500 conditions,"));
    }
    input.state.nodes += 1;
    Ok(())
}

/// Takes this word if it comes next.
fn keyword(input: &mut Input<'_>, wanted: &str) -> Result<bool, Wrong> {
    space(input)?;
    let before = input.checkpoint();
    if word(input)?.eq_ignore_ascii_case(wanted) {
        return Ok(true);
    }
    input.reset(&before);
    Ok(false)
}

/// Takes this symbol if it comes next.
fn symbol(input: &mut Input<'_>, wanted: char) -> Result<bool, Wrong> {
    space(input)?;
    let there = input.input.starts_with(wanted);
    if there {
        input.next_token();
    }
    Ok(there)
}

fn expect(input: &mut Input<'_>, wanted: char, why: &'static str) -> Result<(), Wrong> {
    if symbol(input, wanted)? { Ok(()) } else { Err(wrong(input, why)) }
}

fn space(input: &mut Input<'_>) -> Result<(), Wrong> {
    take_while(0.., char::is_whitespace).void().parse_next(input)
}

/// A name or an operator; empty if there is none.
fn word<'a>(input: &mut Input<'a>) -> Result<&'a str, Wrong> {
    take_while(0.., |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/').parse_next(input)
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.:+".contains(c)
}

fn operator(word: &str) -> Option<Operator> {
    Some(match word.to_ascii_lowercase().as_str() {
        "eq" => Operator::Eq,
        "ne" => Operator::Ne,
        "gt" => Operator::Gt,
        "ge" => Operator::Ge,
        "lt" => Operator::Lt,
        "le" => Operator::Le,
        _ => return None,
    })
}

fn function(word: &str) -> Option<Function> {
    Some(match word.to_ascii_lowercase().as_str() {
        "contains" => Function::Contains,
        "startswith" => Function::StartsWith,
        "endswith" => Function::EndsWith,
        _ => return None,
    })
}
