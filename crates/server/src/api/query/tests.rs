use super::*;
use crate::actions::{ActionField, Comparison, Key, Order, Value};
use domain::action::{Action, Body, Request, RequestSource};
use domain::ids::{ActionId, Epoch, MachineId};
use domain::machine::{Machine, Told};
use domain::time::Timestamp;
use protocol::defender::action::MachineAction;
use protocol::defender::machine::MachineEntity;
use uuid::Uuid;

fn read(query: &str) -> Result<Query<ActionField>, ApiError> {
    Options::read(&crate::api::encoding::pairs(query), &[])?.query(&actions::properties(), 7)
}

fn filter(query: &str) -> Filter<ActionField> {
    read(&format!("$filter={query}")).unwrap().filter
}

/// The keys of a JSON object in the order in which they are written.
fn keys(text: &str) -> Vec<String> {
    let parts = text.split('"').skip(1).step_by(2).zip(text.split('"').skip(2).step_by(2));
    parts.filter(|(_, after)| after.starts_with(':')).map(|(key, _)| key.to_string()).collect()
}

#[test]
fn every_property_that_is_shown_is_known_in_that_order() {
    let (now, id) = (Timestamp(0), ActionId(Uuid::nil()));
    let request =
        Request { requestor: "a".into(), comment: "b".into(), source: RequestSource::PublicApi, external_id: None };
    let action = Action::requested(id, MachineId([0; 20]), Body::Release, request, now);
    let shown = serde_json::to_string(&MachineAction::of(&action, None)).unwrap();
    let known: Vec<_> = actions::properties().iter().map(|property| property.name.to_string()).collect();
    assert_eq!(known, keys(&shown));
    let machine = Machine {
        id: MachineId([0; 20]),
        name: "a".into(),
        incarnation: 1,
        session: Epoch(0),
        first_seen: now,
        last_seen: now,
        told: Told::default(),
        tags: vec![],
    };
    let shown = serde_json::to_value(MachineEntity::of(&machine, now)).unwrap();
    let text = serde_json::to_string(&MachineEntity::of(&machine, now)).unwrap();
    let properties = machines::properties(now);
    let known: Vec<_> = properties.iter().map(|property| property.name.to_string()).collect();
    assert_eq!(known, keys(&text));
    // What is said to be always the same is what is shown.
    for property in &properties {
        let Meaning::Constant(held) = &property.meaning else { continue };
        let held = match held {
            None => serde_json::Value::Null,
            Some(Scalar::Text(text)) => (*text).into(),
            Some(Scalar::Number(number)) => (*number).into(),
            Some(Scalar::Flag(flag)) => (*flag).into(),
        };
        assert_eq!(shown[property.name], held, "{}", property.name);
    }
}

#[test]
fn options_however_they_are_written() {
    let by_update = vec![Order { by: Key::Field(ActionField::UpdatedAt), descending: false }];
    let query = read("%24filter=lastUpdateDateTimeUtc+gt+1970-01-01T00:00:00.0000007Z&%24orderby=lastUpdateDateTimeUtc+asc&%24skip=3&%24top=2").unwrap();
    let filter = Filter::Compare(ActionField::UpdatedAt, Comparison::Greater, Value::Time(Timestamp(7)));
    assert_eq!(query, Query { filter, order: by_update, after: None, skip: 3, limit: 7 });
    for nothing in ["", "top=1&api-version=1&&", "$Count=TRUE", "$orderby=title", "$select=*"] {
        assert_eq!(read(nothing).unwrap(), Query::all(7), "{nothing}");
    }
    // A property that is named again sorts nothing any more.
    assert_eq!(read("$orderby=type,Status,type desc").unwrap().order.len(), 2);
}

#[test]
fn an_instant_between_two_ticks_is_neither() {
    let tick = Value::Time(Timestamp(12));
    let compared = |comparison| Filter::Compare(ActionField::CreatedAt, comparison, tick.clone());
    let written = "1970-01-01T00:00:00.00000123Z";
    for (operator, expected) in [
        ("eq", Filter::Known(false)),
        ("ne", Filter::Known(true)),
        ("gt", compared(Comparison::Greater)),
        ("ge", compared(Comparison::Greater)),
        ("lt", compared(Comparison::LessOrEqual)),
        ("le", compared(Comparison::LessOrEqual)),
    ] {
        assert_eq!(filter(&format!("creationDateTimeUtc {operator} {written}")), expected, "{operator}");
    }
    let exact = filter("creationDateTimeUtc ge '1970-01-01T00:00:00.0000012Z'");
    assert_eq!(exact, compared(Comparison::GreaterOrEqual));
}

#[test]
fn words_become_the_values_that_are_shown_so() {
    use domain::lifecycle::Stage;
    let stages =
        |stages: &[Stage]| Filter::OneOf(ActionField::Stage, stages.iter().copied().map(Value::Stage).collect());
    for (text, expected) in [
        ("status eq 'InProgress'", stages(&[Stage::Granted, Stage::Stopping])),
        ("status eq Pending", stages(&[Stage::Pending])),
        ("status eq 'pending'", stages(&[])),
        ("status in ('Pending','Failed')", Filter::Any(vec![stages(&[Stage::Pending]), stages(&[Stage::Failed])])),
        ("startswith(status,'P')", stages(&[Stage::Pending])),
        ("errorHResult eq -2145844840", stages(&[Stage::TimedOut])),
        ("status gt 'Succeeded'", stages(&[Stage::TimedOut])),
    ] {
        assert_eq!(filter(text), expected, "{text}");
    }
}
