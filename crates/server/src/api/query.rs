//! The query options of lists: `$filter` with one comparison, `$top`, `$count`. What else begins with `$` is refused
//! rather than ignored: a list that silently is not what was asked for would mislead. Plain parameters mean nothing.

use super::error::ApiError;
use protocol::defender::error::Code;

/// The most items of one answer, as documented.
pub(super) const TOP_MAX: u32 = 10_000;

/// The longest filter, in bytes.
const FILTER_BYTES_MAX: usize = 4096;

/// What a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Only items with this property, in lower case, of this value.
    pub(super) filter: Option<(String, String)>,
    /// At most so many.
    pub(super) top: u32,
    /// Whether to say how many match.
    pub(super) count: bool,
}

/// Reads the options of a query.
///
/// # Errors
/// An option that is unknown, given twice, or not understood.
pub(super) fn options(query: &[(String, String)]) -> Result<Options, ApiError> {
    let mut seen: Vec<String> = Vec::new();
    let mut options = Options { filter: None, top: TOP_MAX, count: false };
    for (name, value) in query.iter().filter(|(name, _)| name.starts_with('$')) {
        let name = name.to_ascii_lowercase();
        if seen.contains(&name) {
            return Err(refused(&format!("Query option '{name}' was specified more than once.")));
        }
        match name.as_str() {
            "$filter" => options.filter = Some(comparison(value)?),
            "$top" => options.top = top(value)?,
            "$count" => options.count = count(value)?,
            _ => return Err(refused(&format!("The query option '{name}' is not supported."))),
        }
        seen.push(name);
    }
    Ok(options)
}

/// A filter on a property that cannot be filtered on.
pub(super) fn unknown_property(property: &str) -> ApiError {
    refused(&format!("Could not find a property named '{property}' to filter on."))
}

fn refused(why: &str) -> ApiError {
    ApiError::new(Code::ODataError, format!("The query specified in the URI is not valid. {why}"))
}

fn top(value: &str) -> Result<u32, ApiError> {
    let top = value.trim().parse::<u32>().ok().filter(|top| (1..=TOP_MAX).contains(top));
    top.ok_or_else(|| refused(&format!("$top must be a whole number from 1 to {TOP_MAX}.")))
}

fn count(value: &str) -> Result<bool, ApiError> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(refused("$count must be true or false.")),
    }
}

/// Reads `property eq 'value'`, the quotes optional.
fn comparison(text: &str) -> Result<(String, String), ApiError> {
    let not_understood = || refused("Only filters of the form property eq 'value' are supported.");
    if text.len() > FILTER_BYTES_MAX {
        return Err(refused(&format!("$filter is longer than {FILTER_BYTES_MAX} bytes.")));
    }
    let (property, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(not_understood)?;
    let (operator, value) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(not_understood)?;
    if !operator.eq_ignore_ascii_case("eq") || !property.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(not_understood());
    }
    let value = value.trim();
    let value = match value.strip_prefix('\'') {
        Some(quoted) => unquote(quoted),
        None => Some(value).filter(|value| value.chars().all(is_bare)).map(str::to_string),
    };
    let value = value.filter(|value| !value.is_empty()).ok_or_else(not_understood)?;
    Ok((property.to_ascii_lowercase(), value))
}

/// The text up to the closing quote, which must end the filter; two quotes in it stand for one.
fn unquote(text: &str) -> Option<String> {
    let inside = text.strip_suffix('\'')?;
    let parts: Vec<&str> = inside.split("''").collect();
    (!parts.iter().any(|part| part.contains('\''))).then(|| parts.join("'"))
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.:".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Options, ApiError> {
        options(&super::super::encoding::pairs(query))
    }

    #[test]
    fn options_as_clients_write_them() {
        let filter = |query: &str| read(query).unwrap().filter.unwrap();
        let id = |value: &str| ("id".to_string(), value.to_string());
        for query in
            ["$filter=id+eq+'x'", "%24filter=ID%20eq%20%27x%27", "$Filter=  Id   EQ  x ", "a&$filter=id eq 'x'"]
        {
            assert_eq!(filter(query), id("x"), "{query}");
        }
        assert_eq!(filter("$filter=id eq 'o''brien and sons'"), id("o'brien and sons"));
        assert_eq!(filter("$filter=machineId eq 'x'").0, "machineid");
        let read = read("top=1&api-version=1&$top=5&$count=true&&").unwrap();
        assert_eq!(read, Options { filter: None, top: 5, count: true });
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let long = format!("$filter=id eq '{}'", "x".repeat(FILTER_BYTES_MAX));
        for query in [
            "$skip=1",
            "$stop=1",
            "$top=0",
            "$top=10001",
            "$top=-1",
            "$top=x",
            "$count=maybe",
            "$top=1&$TOP=2",
            "$filter=",
            "$filter=id",
            "$filter=id eq",
            "$filter=id eq ''",
            "$filter=id eq 'x",
            "$filter=id eq x'",
            "$filter=id eq 'x' and status eq 'y'",
            "$filter=id eq 'x'and status eq 'y'",
            "$filter=id ne 'x'",
            "$filter=id in ('x')",
            "$filter=id eq (x)",
            "$filter=i'd eq x",
            long.as_str(),
        ] {
            assert!(read(query).is_err(), "{query}");
        }
    }
}
