//! The shapes of what is sent and answered. Answers have theirs from the types themselves; bodies, which are read field by
//! field, have theirs here.

use protocol::defender::action::{CommandState, CommandWords, MachineAction, Param, RelatedFileInfo};
use protocol::defender::error::{Envelope, ErrorBody};
use protocol::defender::extension::{Explanation, History, HistoryLine};
use protocol::defender::library::LibraryFileEntity;
use protocol::defender::machine::{LogonUser, MachineAddress, MachineEntity, VmMetadata};
use protocol::defender::request::{EXTERNAL_ID_BYTES_MAX, TAG_BYTES_MAX};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

/// A reference to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// All of them, by name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    let types = [
        typed::<MachineAction>(),
        typed::<CommandState>(),
        typed::<CommandWords>(),
        typed::<Param>(),
        typed::<RelatedFileInfo>(),
        typed::<MachineEntity>(),
        typed::<MachineAddress>(),
        typed::<VmMetadata>(),
        typed::<LogonUser>(),
        typed::<LibraryFileEntity>(),
        typed::<Envelope>(),
        typed::<History>(),
        typed::<HistoryLine>(),
        typed::<Explanation>(),
    ];
    all.extend(types);
    // A query that is not understood is refused without a target, as there.
    let (name, mut error) = typed::<ErrorBody>();
    error["required"] = json!(["code", "message"]);
    all.insert(name, error);
    for (name, item) in [
        ("MachineActions", reference("MachineAction")),
        ("Machines", reference("MachineEntity")),
        ("LibraryFiles", reference("LibraryFileEntity")),
        ("LogonUsers", reference("LogonUser")),
        ("Alerts", json!({})),
    ] {
        all.insert(name.into(), list(&item));
    }
    for (name, item) in [
        ("MachineActionAnswer", "MachineAction"),
        ("MachineAnswer", "MachineEntity"),
        ("LibraryFileAnswer", "LibraryFileEntity"),
    ] {
        all.insert(name.into(), json!({ "allOf": [context(), reference(item)] }));
    }
    all.insert("Text".into(), json!({ "allOf": [context(), object(&[("value", text())], &["value"])] }));
    all.insert("Object".into(), json!({ "type": "object" }));
    all.insert("File".into(), json!({}));
    bodies(&mut all);
    tokens(&mut all);
    all.into()
}

/// The schema of a type. Every key is always there, null for none.
fn typed<T: ToSchema + PartialSchema>() -> (String, Value) {
    // Plain data: this cannot fail. A schema that is missing is seen by the test of the references.
    let mut schema = serde_json::to_value(T::schema()).unwrap_or_default();
    if let Some(properties) = schema["properties"].as_object() {
        let names: Vec<Value> = properties.keys().map(|name| name.as_str().into()).collect();
        schema["required"] = names.into();
    }
    (T::name().into_owned(), schema)
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_string(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn context() -> Value {
    object(&[("@odata.context", text())], &["@odata.context"])
}

fn list(item: &Value) -> Value {
    let properties = [
        ("@odata.context", text()),
        ("@odata.count", json!({ "type": "integer" })),
        ("@odata.nextLink", text()),
        ("value", json!({ "type": "array", "items": item })),
    ];
    object(&properties, &["@odata.context", "value"])
}

fn bodies(all: &mut Map<String, Value>) {
    let comment = ("Comment", json!({ "type": "string", "minLength": 1 }));
    let external = ("ExternalId", json!({ "type": ["string", "null"], "maxLength": EXTERNAL_ID_BYTES_MAX }));
    let one_of = |words: &[&str]| json!({ "type": "string", "enum": words });
    let asked = |more: &[(&str, Value)], required: &[&str]| {
        object(&[&[comment.clone(), external.clone()], more].concat(), &[&["Comment"], required].concat())
    };
    all.insert("CommentBody".into(), asked(&[], &[]));
    let isolation = one_of(&["Full", "Selective", "UnManagedDevice"]);
    all.insert("IsolateBody".into(), asked(&[("IsolationType", isolation)], &[]));
    all.insert("ScanBody".into(), asked(&[("ScanType", one_of(&["Quick", "Full"]))], &["ScanType"]));
    let hash = json!({ "type": "string", "pattern": "^[0-9a-fA-F]{40}$" });
    all.insert("QuarantineBody".into(), asked(&[("Sha1", hash)], &["Sha1"]));
    all.insert("CancelBody".into(), object(&[("Comment", json!({ "type": ["string", "null"] }))], &[]));
    let tag = json!({ "type": "string", "minLength": 1, "maxLength": TAG_BYTES_MAX });
    let tagged = object(&[("Value", tag), ("Action", one_of(&["Add", "Remove"]))], &["Value", "Action"]);
    all.insert("TagBody".into(), tagged);
    let command = object(
        &[
            ("type", one_of(&["PutFile", "RunScript", "GetFile"])),
            ("params", json!({ "type": "array", "items": reference("Param") })),
        ],
        &["type", "params"],
    );
    let commands =
        json!({ "type": "array", "minItems": 1, "maxItems": crate::actions::COMMANDS_MAX, "items": command });
    all.insert("LiveResponseBody".into(), asked(&[("Commands", commands)], &["Commands"]));
    let truth = || one_of(&["true", "false"]);
    let upload = [
        ("file", json!({ "type": "string", "format": "binary" })),
        ("Description", text()),
        ("ParametersDescription", text()),
        ("HasParameters", truth()),
        ("OverrideIfExists", truth()),
    ];
    all.insert("UploadBody".into(), object(&upload, &["file"]));
}

fn tokens(all: &mut Map<String, Value>) {
    let number = || json!({ "type": "integer" });
    let form = [
        ("grant_type", json!({ "type": "string", "enum": ["client_credentials"] })),
        ("client_id", text()),
        ("client_secret", text()),
        ("scope", text()),
        ("resource", text()),
    ];
    all.insert("TokenForm".into(), object(&form, &["grant_type"]));
    let token = [("token_type", text()), ("access_token", text()), ("expires_in", number())];
    all.insert("Token".into(), object(&token, &["token_type", "access_token", "expires_in"]));
    let token = [("token_type", text()), ("access_token", text()), ("expires_in", text()), ("expires_on", text())];
    all.insert("TokenOfVersion1".into(), object(&token, &["token_type", "access_token", "expires_in", "expires_on"]));
    let error = [
        ("error", text()),
        ("error_description", text()),
        ("error_codes", json!({ "type": "array", "items": number() })),
        ("trace_id", text()),
        ("correlation_id", text()),
    ];
    all.insert("TokenError".into(), object(&error, &["error", "error_description", "error_codes"]));
    let issuer = [("issuer", text()), ("token_endpoint", text()), ("jwks_uri", text())];
    all.insert("Issuer".into(), object(&issuer, &["issuer", "token_endpoint", "jwks_uri"]));
    all.insert(
        "Keys".into(),
        object(&[("keys", json!({ "type": "array", "items": { "type": "object" } }))], &["keys"]),
    );
}
