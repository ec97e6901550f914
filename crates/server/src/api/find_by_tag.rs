//! GET machines/findbytag, with `tag` and `useStartsWithFilter` in the query, as documented, or in brackets behind the
//! name, as other functions of the API have them.

use super::call::Call;
use super::error::ApiError;
use super::list_machines::answer_with;
use super::query::TOP_MAX;
use crate::actions::{ElementMatch, Filter, MachineField, MachineQuery};
use axum::response::Response;
use protocol::defender::error::Code;

/// Machines with this tag, or with one that begins so.
pub(super) async fn find_by_tag(call: &mut Call) -> Result<Response, ApiError> {
    let given = |index: usize, name: &str| {
        let asked = call.query.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        let param = call.params.get(index).map(String::as_str);
        param.or(asked.map(|(_, value)| value.as_str())).filter(|value| !value.is_empty())
    };
    let missing = || ApiError::new(Code::MissingRequiredParameter, "The required parameter 'tag' is missing");
    let tag = given(0, "tag").ok_or_else(missing)?;
    // In brackets it is a literal, in which two quotes stand for one.
    let Some(tag) = (if call.params.is_empty() { Some(tag.to_string()) } else { literal(tag) }) else {
        return Err(ApiError::new(Code::InvalidInput, "The given tag is not a text between single quotes."));
    };
    let how = match given(1, "useStartsWithFilter").map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => ElementMatch::Is,
        Some("true") => ElementMatch::StartsWith,
        Some(_) => return Err(ApiError::new(Code::InvalidInput, "useStartsWithFilter must be true or false.")),
    };
    let query = MachineQuery::of(Filter::Element(MachineField::Tags, how, tag), TOP_MAX);
    let found = call.state.actions.machines(&call.caller, &query).await?;
    Ok(answer_with(call, &found, None))
}

/// The text of a literal's inside; none if a single quote stands in it.
fn literal(inside: &str) -> Option<String> {
    let parts: Vec<&str> = inside.split("''").collect();
    (!parts.iter().any(|part| part.contains('\''))).then(|| parts.join("'"))
}
