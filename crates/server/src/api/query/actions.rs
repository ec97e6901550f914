//! The properties of a MachineAction, in the order in which they are shown.

use super::{Meaning, Property, Scalar};
use crate::actions::{ActionField, Value};
use domain::action::RequestSource;
use domain::kind::{KINDS, Scope};
use domain::lifecycle::STAGES;
use protocol::defender::action::{hresult, scope_word, source_word, status_word};

/// The properties.
pub(in crate::api) fn properties() -> Vec<Property<ActionField>> {
    use ActionField as F;
    let field = |name, field| Property::new(name, Meaning::Field(field));
    let shown = |name, field, values| Property::new(name, Meaning::Shown(field, values));
    let null = |name| Property::new(name, Meaning::Constant(None));
    let structured = |name| Property::new(name, Meaning::Structured);
    let kinds = KINDS.iter().map(|row| (Value::Kind(row.kind), Scalar::Text(row.wire))).collect();
    let stages = STAGES.map(|stage| (Value::Stage(stage), Scalar::Text(status_word(stage)))).to_vec();
    let results = STAGES.map(|stage| (Value::Stage(stage), Scalar::Number(i64::from(hresult(stage))))).to_vec();
    let scopes = [Scope::Full, Scope::Selective, Scope::Quick];
    let scopes = scopes.map(|scope| (Value::Scope(scope), Scalar::Text(scope_word(scope)))).to_vec();
    let sources = [RequestSource::PublicApi, RequestSource::Portal];
    let sources = sources.map(|source| (Value::Source(source), Scalar::Text(source_word(source)))).to_vec();
    vec![
        field("id", F::Id),
        shown("type", F::Kind, kinds),
        null("title"),
        field("requestor", F::Requestor),
        field("requestorComment", F::Comment),
        shown("status", F::Stage, stages),
        field("machineId", F::Machine),
        field("computerDnsName", F::MachineName),
        field("creationDateTimeUtc", F::CreatedAt),
        // The other name is what the documents' samples say.
        Property { alias: Some("lastUpdateTimeUtc"), ..field("lastUpdateDateTimeUtc", F::UpdatedAt) },
        field("cancellationRequestor", F::CancelRequestor),
        field("cancellationComment", F::CancelComment),
        field("cancellationDateTimeUtc", F::CancelAt),
        shown("errorHResult", F::Stage, results),
        shown("scope", F::Scope, scopes),
        field("externalId", F::ExternalId),
        shown("requestSource", F::Source, sources),
        structured("relatedFileInfo"),
        structured("commands"),
        structured("troubleshootInfo"),
    ]
}
