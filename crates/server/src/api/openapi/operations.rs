//! What the table of endpoints does not say of each: in words, what is asked and what is answered.

use serde_json::{Value, json};

/// A content type and a schema's name.
type Content = (&'static str, &'static str);

/// What a parameter is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sort {
    Text,
    Number,
    Truth,
    Time,
}

/// An operation.
pub(super) struct Operation {
    method: &'static str,
    path: &'static str,
    /// What it does.
    pub(super) summary: &'static str,
    /// Parameters of the query; none is required.
    pub(super) query: &'static [(&'static str, Sort)],
    /// What is sent.
    pub(super) body: Option<Content>,
    /// Whether it must be.
    pub(super) body_required: bool,
    /// The answer where it is done: its status, in words, and what it is.
    pub(super) answer: (u16, &'static str, Option<Content>),
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const LIST: &[(&str, Sort)] = &[
    ("$filter", Sort::Text),
    ("$orderby", Sort::Text),
    ("$skip", Sort::Number),
    ("$top", Sort::Number),
    ("$count", Sort::Truth),
];
const TAG: &[(&str, Sort)] = &[("tag", Sort::Text), ("useStartsWithFilter", Sort::Truth)];
const LINK: &[(&str, Sort)] = &[("sha256", Sort::Text), ("expires", Sort::Number), ("signature", Sort::Text)];
const NONE: &[(&str, Sort)] = &[];

const fn get(
    path: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, Sort)],
    schema: &'static str,
) -> Operation {
    let answer = (200, "Done.", Some((JSON, schema)));
    Operation { method: "GET", path, summary, query, body: None, body_required: false, answer }
}

const fn post(
    path: &'static str,
    summary: &'static str,
    body: Content,
    status: u16,
    schema: &'static str,
) -> Operation {
    let answer = (status, "Done.", Some((JSON, schema)));
    Operation { method: "POST", path, summary, query: NONE, body: Some(body), body_required: true, answer }
}

const fn create(path: &'static str, summary: &'static str, body: &'static str) -> Operation {
    let answer = (201, "The action, Pending.", Some((JSON, "MachineActionAnswer")));
    Operation { answer, ..post(path, summary, (JSON, body), 201, "MachineActionAnswer") }
}

/// One for each row of the table of endpoints.
#[rustfmt::skip]
static OPERATIONS: &[Operation] = &[
    get("/api/machineactions", "List actions, newest first", LIST, "MachineActions"),
    Operation {
        answer: (200, "The number.", Some(("text/plain", "File"))),
        ..get("/api/machineactions/$count", "How many there are", &[("$filter", Sort::Text)], "File")
    },
    get("/api/machineactions/{id}", "Get an action", NONE, "MachineActionAnswer"),
    Operation { body_required: false, ..post("/api/machineactions/{id}/cancel", "Cancel an action that has not ended", (JSON, "CancelBody"), 200, "MachineActionAnswer") },
    get("/api/machineactions/{id}/GetLiveResponseResultDownloadLink(index={n})", "Get a link to what a live-response command produced", NONE, "Text"),
    get("/api/machineactions/{id}/getPackageUri", "Get a link to an investigation package", NONE, "Text"),
    get("/api/machines", "List machines, by name", LIST, "Machines"),
    Operation {
        answer: (200, "The number.", Some(("text/plain", "File"))),
        ..get("/api/machines/$count", "How many there are", &[("$filter", Sort::Text)], "File")
    },
    get("/api/machines/findbyip(ip='{ip}',timestamp={timestamp})", "Find machines seen with an address around a time", NONE, "Machines"),
    get("/api/machines/findbytag", "Find machines by tag", TAG, "Machines"),
    get("/api/machines/findbytag(tag='{tag}')", "Find machines by tag", NONE, "Machines"),
    get("/api/machines/findbytag(tag='{tag}',useStartsWithFilter={useStartsWithFilter})", "Find machines by tag or its beginning", NONE, "Machines"),
    get("/api/machines/{id}", "Get a machine by id or name", NONE, "MachineAnswer"),
    create("/api/machines/{id}/isolate", "Isolate a machine", "IsolateBody"),
    create("/api/machines/{id}/unisolate", "Lift an isolation", "CommentBody"),
    create("/api/machines/{id}/runliveresponse", "Run live-response commands", "LiveResponseBody"),
    create("/api/machines/{id}/runAntiVirusScan", "Scan a machine", "ScanBody"),
    create("/api/machines/{id}/restrictCodeExecution", "Let only trusted programs run", "CommentBody"),
    create("/api/machines/{id}/unrestrictCodeExecution", "Lift a restriction", "CommentBody"),
    create("/api/machines/{id}/collectInvestigationPackage", "Collect an investigation package", "CommentBody"),
    create("/api/machines/{id}/StopAndQuarantineFile", "Stop and quarantine a file", "QuarantineBody"),
    post("/api/machines/{id}/offboard", "Take a machine out of management", (JSON, "CommentBody"), 200, "MachineActionAnswer"),
    create("/api/machines/{id}/startInvestigation", "Refused: not a feature of this server", "CommentBody"),
    get("/api/machines/{id}/logonusers", "List who signed in: none are kept", NONE, "LogonUsers"),
    post("/api/machines/{id}/tags", "Add or remove a tag", (JSON, "TagBody"), 200, "MachineAnswer"),
    get("/api/libraryfiles", "List library files", NONE, "LibraryFiles"),
    post("/api/libraryfiles", "Upload a library file", ("multipart/form-data", "UploadBody"), 200, "LibraryFileAnswer"),
    Operation {
        method: "DELETE", path: "/api/libraryfiles/{name}", summary: "Delete a library file", query: NONE, body: None,
        body_required: false, answer: (204, "Deleted.", None),
    },
    get("/api/alerts", "List alerts: there are none", NONE, "Alerts"),
    Operation {
        answer: (200, "The number.", Some(("text/plain", "File"))),
        ..get("/api/alerts/$count", "How many there are", NONE, "File")
    },
    get("/api/countermand/actions/{id}", "What became of an action, in plain words", NONE, "Explanation"),
    get("/api/countermand/actions/{id}/history", "The history of an action", NONE, "History"),
    Operation {
        answer: (200, "The file.", Some(("application/octet-stream", "File"))),
        ..get("/api/downloads/{action}/{step}", "Download by a signed link", LINK, "File")
    },
    post("/{tenant}/oauth2/v2.0/token", "Get a token, version 2", (FORM, "TokenForm"), 200, "Token"),
    post("/{tenant}/oauth2/token", "Get a token, version 1", (FORM, "TokenForm"), 200, "TokenOfVersion1"),
    get("/{tenant}/v2.0/.well-known/openid-configuration", "The issuer's description, version 2", NONE, "Issuer"),
    get("/{tenant}/.well-known/openid-configuration", "The issuer's description, version 1", NONE, "Issuer"),
    get("/{tenant}/discovery/v2.0/keys", "The issuer's keys, version 2", NONE, "Keys"),
    get("/{tenant}/discovery/keys", "The issuer's keys, version 1", NONE, "Keys"),
    get("/common/discovery/instance", "Where the issuer of an authority is described", &[("api-version", Sort::Text), ("authorization_endpoint", Sort::Text)], "Object"),
    get(super::PATH, "This description", NONE, "Object"),
    Operation {
        answer: (200, "The page.", Some(("text/html", "File"))),
        ..get(super::page::PATH, "This description, to read", NONE, "File")
    },
];

/// What is said where the table has a row and this has none; a test sees to it that nobody reads it.
static UNDESCRIBED: Operation = get("", "", NONE, "Object");

/// How many operations are described.
#[cfg(test)]
pub(super) fn count() -> usize {
    OPERATIONS.len()
}

/// The description of an endpoint.
pub(super) fn of(method: &str, path: &str) -> &'static Operation {
    let mut found = OPERATIONS.iter().filter(|operation| operation.method == method);
    found.find(|operation| operation.path == path).unwrap_or(&UNDESCRIBED)
}

/// What a parameter of a path is.
pub(super) fn path_parameter(name: &str) -> Sort {
    match name {
        "n" | "step" => Sort::Number,
        "timestamp" => Sort::Time,
        "useStartsWithFilter" => Sort::Truth,
        _ => Sort::Text,
    }
}

impl Sort {
    /// Its schema.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Number => json!({ "type": "integer" }),
            Self::Truth => json!({ "type": "boolean" }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
        }
    }
}
