//! The query options of lists: `$filter`, `$orderby`, `$top`, `$skip`, `$count`, `$select`, and the `$skiptoken` of our own
//! links. What else begins with `$` is refused rather than ignored: a list that silently is not what was asked for would
//! mislead. Plain parameters mean nothing.

pub(super) mod actions;
mod condition;
pub(super) mod machines;
mod page;
mod place;
mod properties;
#[cfg(test)]
mod tests;

use super::error::ApiError;
use crate::actions::{Field, Filter, Position, Query};
pub(super) use page::{Page, TOP_MAX};
pub(super) use properties::{Meaning, Property, Scalar, find};
use protocol::defender::odata::{self, OrderBy, parse_filter, parse_order_by, parse_select};

/// What a list is asked for, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Only what passes.
    filter: Option<odata::Filter>,
    /// By what it is sorted.
    order_by: Vec<OrderBy>,
    /// Only these properties of it.
    select: Option<Vec<String>>,
    /// At most so many.
    top: Option<u32>,
    /// So many are left out first.
    skip: u64,
    /// Whether to say how many match.
    pub(super) count: bool,
    /// Where an earlier page ended.
    place: Option<Position>,
}

impl Options {
    /// Reads the options of a query; those named in `ignored` are known, and mean nothing here.
    ///
    /// # Errors
    /// An option that is unknown, given twice, or not understood.
    pub(super) fn read(query: &[(String, String)], ignored: &[&str]) -> Result<Self, ApiError> {
        let mut seen: Vec<String> = Vec::new();
        let mut options = Self::default();
        for (name, value) in query.iter().filter(|(name, _)| name.starts_with('$')) {
            let name = name.to_ascii_lowercase();
            if seen.contains(&name) {
                return Err(ApiError::query(format!("Query option '{name}' was specified more than once.")));
            }
            options.take(&name, value, ignored)?;
            seen.push(name);
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, value: &str, ignored: &[&str]) -> Result<(), ApiError> {
        let not_understood = |error: odata::ODataError| ApiError::query(error.0);
        match name {
            "$filter" => self.filter = Some(parse_filter(value).map_err(not_understood)?),
            "$orderby" => self.order_by = parse_order_by(value).map_err(not_understood)?,
            "$select" => self.select = parse_select(value).map_err(not_understood)?,
            "$top" => self.top = Some(top(value)?),
            "$skip" => self.skip = skip(value)?,
            "$count" => self.count = count(value)?,
            "$skiptoken" => self.place = Some(place::read(value)?),
            _ if ignored.contains(&name) => {}
            _ => return Err(ApiError::query(format!("The query option '{name}' is not supported."))),
        }
        Ok(())
    }

    /// The filter, in the words of these properties.
    ///
    /// # Errors
    /// A property that is unknown, or a value that it cannot have.
    pub(super) fn condition<F: Field>(&self, properties: &[Property<F>]) -> Result<Filter<F>, ApiError> {
        match &self.filter {
            Some(filter) => condition::condition(filter, properties),
            None => Ok(Filter::Known(true)),
        }
    }

    /// What to list, up to a limit.
    ///
    /// # Errors
    /// A property that is unknown, a value that it cannot have, a link that is not ours.
    pub(super) fn query<F: Field>(&self, properties: &[Property<F>], limit: u32) -> Result<Query<F>, ApiError> {
        let filter = self.condition(properties)?;
        let order = condition::order(&self.order_by, properties)?;
        let query = Query { filter, order, after: self.place.clone(), skip: self.skip, limit };
        let no_sense = |why| ApiError::query("The $skiptoken does not go with the other options.").because(why);
        query.check().map_err(no_sense)?;
        Ok(query)
    }

    /// The names of the properties that are asked for, in the order in which they are shown; none: all of them.
    ///
    /// # Errors
    /// A property that is unknown.
    pub(super) fn selected<F>(&self, properties: &[Property<F>]) -> Result<Option<Vec<&'static str>>, ApiError> {
        let Some(asked) = &self.select else { return Ok(None) };
        let mut names = Vec::with_capacity(asked.len());
        for name in asked {
            names.push(find(properties, name)?.name);
        }
        let shown = properties.iter().map(|property| property.name).filter(|name| names.contains(name));
        Ok(Some(shown.collect()))
    }
}

fn top(value: &str) -> Result<u32, ApiError> {
    let top = value.trim().parse::<u32>().ok().filter(|top| *top <= TOP_MAX);
    top.ok_or_else(|| ApiError::query(format!("$top must be a whole number from 0 to {TOP_MAX}.")))
}

fn skip(value: &str) -> Result<u64, ApiError> {
    value.trim().parse::<u64>().map_err(|_| ApiError::query("$skip must be a whole number from 0 on."))
}

fn count(value: &str) -> Result<bool, ApiError> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(ApiError::query("$count must be true or false.")),
    }
}
