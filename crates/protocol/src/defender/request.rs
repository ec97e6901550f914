//! Request bodies. PascalCase outside, lower case inside `Commands`, and the case matters, as it does there.
//!
//! A body is read from its bytes whatever the Content-Type says, since shipping clients send several or none. Unknown
//! fields are ignored; null is the same as missing.

use domain::ids::Sha1;
use domain::kind::Scope;
use domain::machine::TagChange;
use serde_json::{Map, Value};

/// The longest value of a live-response parameter, in bytes: twice the longest path, and few enough that a whole live
/// response fits into one frame to its machine.
pub const PARAM_BYTES_MAX: usize = 8 * 1024;

/// The longest external id, in bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 256;

/// The longest tag of a machine, in bytes.
pub const TAG_BYTES_MAX: usize = 200;

/// Why a body is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, not an object, or a field of another type.
    #[error("{0}")]
    Unusable(String),
    /// A field that must be there is not, or is null or empty.
    #[error("The required parameter '{0}' is missing")]
    Missing(&'static str),
    /// A field's value is not one of those it may have.
    #[error("{0}")]
    Invalid(String),
    /// A hash of another form.
    #[error("{0}")]
    InvalidHash(String),
    /// What is asked for does not exist on our platforms.
    #[error("{0}")]
    NotSupported(String),
}

/// What every request for an action says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Why.
    pub comment: String,
    /// The customer's own correlation id.
    pub external_id: Option<String>,
}

/// A command of a live response, with library files by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedCommand {
    /// Put the library file of this name.
    PutFile(String),
    /// Run the library script of this name, with these arguments.
    RunScript(String, Option<String>),
    /// Get the file at this path.
    GetFile(String),
}

/// The body of a request to isolate. Only Full isolation exists on our platforms.
///
/// # Errors
/// Not JSON; no `Comment`; another isolation than Full.
pub fn isolate(bytes: &[u8]) -> Result<Asked, BodyError> {
    let fields = Fields::of(bytes)?;
    let asked = fields.asked()?;
    match fields.text("IsolationType")? {
        None | Some("Full") => Ok(asked),
        Some(other @ ("Selective" | "UnManagedDevice")) => {
            Err(BodyError::NotSupported(format!("{other} isolation is not available on Linux")))
        }
        Some(_) => Err(BodyError::Invalid("IsolationType must be Full, Selective or UnManagedDevice".into())),
    }
}

/// The body of a request to scan.
///
/// # Errors
/// Not JSON; no `Comment` or no `ScanType`; another scan than Quick or Full.
pub fn scan(bytes: &[u8]) -> Result<(Asked, Scope), BodyError> {
    let fields = Fields::of(bytes)?;
    let asked = fields.asked()?;
    match fields.needed("ScanType")? {
        "Quick" => Ok((asked, Scope::Quick)),
        "Full" => Ok((asked, Scope::Full)),
        _ => Err(BodyError::Invalid("ScanType must be Quick or Full".into())),
    }
}

/// The body of a request to stop and quarantine a file.
///
/// # Errors
/// Not JSON; no `Comment` or no `Sha1`; a `Sha1` that is not 40 hex digits.
pub fn quarantine(bytes: &[u8]) -> Result<(Asked, Sha1), BodyError> {
    let fields = Fields::of(bytes)?;
    let asked = fields.asked()?;
    let hash = fields.needed("Sha1")?;
    let hash = Sha1::parse(hash).ok_or_else(|| BodyError::InvalidHash("Sha1 must be 40 hexadecimal digits".into()))?;
    Ok((asked, hash))
}

/// The body of a request to tag a machine.
///
/// # Errors
/// Not JSON; no `Value` or no `Action`; another action than Add or Remove; a tag that is too long or not printable.
pub fn tag(bytes: &[u8]) -> Result<TagChange, BodyError> {
    let fields = Fields::of(bytes)?;
    let tag = fields.needed("Value")?.to_string();
    let action = fields.needed("Action")?;
    if tag.len() > TAG_BYTES_MAX || tag.chars().any(char::is_control) {
        return Err(BodyError::Invalid(format!(
            "Value must be at most {TAG_BYTES_MAX} bytes without control characters"
        )));
    }
    match action {
        "Add" => Ok(TagChange::Add(tag)),
        "Remove" => Ok(TagChange::Remove(tag)),
        _ => Err(BodyError::Invalid("Action must be Add or Remove".into())),
    }
}

/// The body of a request that says no more than why.
///
/// # Errors
/// Not JSON; no `Comment`.
pub fn comment_only(bytes: &[u8]) -> Result<Asked, BodyError> {
    Fields::of(bytes)?.asked()
}

/// The body of a request to cancel: a comment, or nothing at all.
///
/// # Errors
/// Not JSON; a `Comment` that is no text.
pub fn cancel(bytes: &[u8]) -> Result<Option<String>, BodyError> {
    Ok(Fields::of(bytes)?.text("Comment")?.map(str::to_string))
}

/// The body of a request for a live response.
///
/// # Errors
/// Not JSON; no `Comment`; no `Commands`, or one that cannot be understood.
pub fn live_response(bytes: &[u8]) -> Result<(Asked, Vec<AskedCommand>), BodyError> {
    let fields = Fields::of(bytes)?;
    let asked = fields.asked()?;
    let commands = match fields.get("Commands") {
        None => return Err(BodyError::Missing("Commands")),
        Some(Value::Array(commands)) if commands.is_empty() => return Err(BodyError::Missing("Commands")),
        Some(Value::Array(commands)) => commands.iter().map(command).collect::<Result<_, _>>()?,
        Some(_) => return Err(BodyError::Unusable("Commands must be a list".into())),
    };
    Ok((asked, commands))
}

fn command(value: &Value) -> Result<AskedCommand, BodyError> {
    let Value::Object(fields) = value else {
        return Err(BodyError::Unusable("a command must be an object".into()));
    };
    let fields = Fields(fields.clone());
    let params = match fields.get("params") {
        None => vec![],
        Some(Value::Array(params)) => params.iter().map(param).collect::<Result<_, _>>()?,
        Some(_) => return Err(BodyError::Unusable("params must be a list".into())),
    };
    let value = |key: &str| params.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    let needed = |key: &'static str| value(key).filter(|value| !value.is_empty()).ok_or(BodyError::Missing(key));
    match fields.text("type")?.ok_or(BodyError::Missing("type"))? {
        "PutFile" => Ok(AskedCommand::PutFile(needed("FileName")?)),
        "RunScript" => Ok(AskedCommand::RunScript(needed("ScriptName")?, value("Args"))),
        "GetFile" => Ok(AskedCommand::GetFile(needed("Path")?)),
        _ => Err(BodyError::Invalid("a command's type must be PutFile, RunScript or GetFile".into())),
    }
}

fn param(value: &Value) -> Result<(String, String), BodyError> {
    let Value::Object(fields) = value else {
        return Err(BodyError::Unusable("a param must be an object with key and value".into()));
    };
    let fields = Fields(fields.clone());
    let key = fields.text("key")?.ok_or(BodyError::Missing("key"))?;
    let value = fields.text("value")?.unwrap_or_default();
    if value.len() > PARAM_BYTES_MAX {
        return Err(BodyError::Invalid(format!("the value of {key} is longer than {PARAM_BYTES_MAX} bytes")));
    }
    if value.contains('\0') {
        // Neither a path nor an argument can hold one.
        return Err(BodyError::Invalid(format!("the value of {key} holds a NUL character")));
    }
    Ok((key.to_string(), value.to_string()))
}

/// The fields of a body.
struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of a JSON object; none for no bytes at all.
    fn of(bytes: &[u8]) -> Result<Self, BodyError> {
        // PowerShell writes a byte order mark.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(BodyError::Unusable("The request body must be a JSON object".into())),
            Err(e) => Err(BodyError::Unusable(format!("The request body is not valid JSON: {e}"))),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<&str>, BodyError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(BodyError::Unusable(format!("{name} must be a string"))),
        }
    }

    /// A text that must be there, and not blank.
    fn needed(&self, name: &'static str) -> Result<&str, BodyError> {
        self.text(name)?.filter(|text| !text.trim().is_empty()).ok_or(BodyError::Missing(name))
    }

    fn asked(&self) -> Result<Asked, BodyError> {
        let comment = self.needed("Comment")?.to_string();
        let external_id = self.text("ExternalId")?.map(str::to_string);
        if external_id.as_ref().is_some_and(|id| id.len() > EXTERNAL_ID_BYTES_MAX) {
            return Err(BodyError::Invalid(format!("ExternalId is longer than {EXTERNAL_ID_BYTES_MAX} bytes")));
        }
        Ok(Asked { comment, external_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_with_their_case_and_null_is_missing() {
        assert_eq!(comment_only(br#"{"Comment":"why","Extra":{"x":[1]}}"#).unwrap().comment, "why");
        assert_eq!(comment_only(b"\xef\xbb\xbf{\"Comment\" : \"why\"}").unwrap().comment, "why");
        for body in ["", " \r\n", "{}", r#"{"comment":"why"}"#, r#"{"Comment":null}"#, r#"{"Comment":" "}"#] {
            assert_eq!(comment_only(body.as_bytes()), Err(BodyError::Missing("Comment")), "{body}");
        }
        for body in ["{", "[]", "\"Comment\"", "null", r#"{"Comment":1}"#, r#"{"Comment":["why"]}"#, "Comment=why"] {
            assert!(matches!(comment_only(body.as_bytes()), Err(BodyError::Unusable(_))), "{body}");
        }
        let deep = format!("{{\"Comment\":\"x\",\"Extra\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(comment_only(deep.as_bytes()), Err(BodyError::Unusable(_))));
    }

    #[test]
    fn isolation_is_full_or_refused() {
        let body = |extra: &str| isolate(format!(r#"{{"Comment":"why"{extra}}}"#).as_bytes());
        assert!(body("").is_ok());
        assert!(body(r#","IsolationType":"Full""#).is_ok());
        assert!(body(r#","IsolationType":null"#).is_ok());
        assert!(matches!(body(r#","IsolationType":"Selective""#), Err(BodyError::NotSupported(_))));
        assert!(matches!(body(r#","IsolationType":"UnManagedDevice""#), Err(BodyError::NotSupported(_))));
        assert!(matches!(body(r#","IsolationType":"full""#), Err(BodyError::Invalid(_))));
        assert!(matches!(body(r#","IsolationType":7"#), Err(BodyError::Unusable(_))));
    }

    #[test]
    fn a_scan_is_quick_or_full_and_says_which() {
        let body = |extra: &str| scan(format!(r#"{{"Comment":"why"{extra}}}"#).as_bytes()).map(|(_, scope)| scope);
        assert_eq!(body(r#","ScanType":"Quick""#), Ok(Scope::Quick));
        assert_eq!(body(r#","ScanType":"Full""#), Ok(Scope::Full));
        for extra in ["", r#","ScanType":null"#, r#","ScanType":"""#, r#","scanType":"Full""#] {
            assert_eq!(body(extra), Err(BodyError::Missing("ScanType")), "{extra}");
        }
        assert!(matches!(body(r#","ScanType":"full""#), Err(BodyError::Invalid(_))));
        assert!(matches!(body(r#","ScanType":["Full"]"#), Err(BodyError::Unusable(_))));
        assert_eq!(scan(br#"{"ScanType":"Full"}"#).unwrap_err(), BodyError::Missing("Comment"));
    }

    #[test]
    fn a_file_is_named_by_its_sha1() {
        let body = |hash: &str| quarantine(format!(r#"{{"Comment":"why","Sha1":{hash}}}"#).as_bytes());
        let digits = "0123456789abcdefABCDEF0123456789abcdef01";
        let (_, hash) = body(&format!("\"{digits}\"")).unwrap();
        assert_eq!(hash.to_string(), digits.to_lowercase());
        for hash in ["null", "\"\"", "\" \""] {
            assert_eq!(body(hash), Err(BodyError::Missing("Sha1")));
        }
        for hash in ["\"x\"", &format!("\"{}\"", "g".repeat(40)), &format!("\"{}\"", "a".repeat(64))] {
            assert!(matches!(body(hash), Err(BodyError::InvalidHash(_))), "{hash}");
        }
        assert!(matches!(body("7"), Err(BodyError::Unusable(_))));
    }

    #[test]
    fn a_tag_is_added_or_removed() {
        let body = |value: &str, action: &str| tag(format!(r#"{{"Value":{value},"Action":{action}}}"#).as_bytes());
        assert_eq!(body("\"a b\"", "\"Add\""), Ok(TagChange::Add("a b".into())));
        assert_eq!(body("\"a\"", "\"Remove\""), Ok(TagChange::Remove("a".into())));
        assert_eq!(body("null", "\"Add\""), Err(BodyError::Missing("Value")));
        assert_eq!(body("\"a\"", "null"), Err(BodyError::Missing("Action")));
        let long = format!("\"{}\"", "x".repeat(TAG_BYTES_MAX + 1));
        for (value, action) in [("\"a\"", "\"add\""), ("\"a\\n\"", "\"Add\""), (&long, "\"Add\"")] {
            assert!(matches!(body(value, action), Err(BodyError::Invalid(_))), "{value} {action}");
        }
        assert!(matches!(body("1", "\"Add\""), Err(BodyError::Unusable(_))));
    }

    #[test]
    fn a_cancel_needs_no_comment() {
        assert_eq!(cancel(b""), Ok(None));
        assert_eq!(cancel(b"{}"), Ok(None));
        assert_eq!(cancel(br#"{"Comment":"late"}"#), Ok(Some("late".into())));
        assert!(cancel(b"{").is_err());
    }

    #[test]
    fn external_ids_are_kept_up_to_a_length() {
        let body = |id: &str| comment_only(format!(r#"{{"Comment":"why","ExternalId":"{id}"}}"#).as_bytes());
        assert_eq!(body("case 7").unwrap().external_id.as_deref(), Some("case 7"));
        assert!(matches!(body(&"x".repeat(EXTERNAL_ID_BYTES_MAX + 1)), Err(BodyError::Invalid(_))));
    }

    fn commands(list: &str) -> Result<Vec<AskedCommand>, BodyError> {
        let body = format!(r#"{{"Comment":"why","Commands":{list}}}"#);
        live_response(body.as_bytes()).map(|(_, commands)| commands)
    }

    #[test]
    fn commands_as_clients_write_them() {
        let list = r#"[
            {"type":"PutFile","params":[{"key":"FileName","value":"a.bin"}]},
            {"type":"RunScript","params":[{"key":"ScriptName","value":"s.sh"},{"key":"Args","value":"--noargs"}]},
            {"type":"RunScript","params":[{"key":"ScriptName","value":"s.sh"},{"key":"Unknown","value":"x"}]},
            {"type":"GetFile","params":[{"key":"Path","value":"/etc/hosts"}]}]"#;
        let expected = [
            AskedCommand::PutFile("a.bin".into()),
            AskedCommand::RunScript("s.sh".into(), Some("--noargs".into())),
            AskedCommand::RunScript("s.sh".into(), None),
            AskedCommand::GetFile("/etc/hosts".into()),
        ];
        assert_eq!(commands(list).unwrap(), expected);
    }

    #[test]
    fn commands_that_cannot_be_understood() {
        for (list, expected) in [
            ("null", BodyError::Missing("Commands")),
            ("[]", BodyError::Missing("Commands")),
            (r#"[{"params":[]}]"#, BodyError::Missing("type")),
            (r#"[{"Type":"GetFile"}]"#, BodyError::Missing("type")),
            (r#"[{"type":"GetFile"}]"#, BodyError::Missing("Path")),
            (r#"[{"type":"GetFile","params":[{"key":"Path","value":""}]}]"#, BodyError::Missing("Path")),
            (r#"[{"type":"GetFile","params":[{"Key":"Path","Value":"/x"}]}]"#, BodyError::Missing("key")),
            (r#"[{"type":"RunScript","params":[{"key":"scriptname","value":"x"}]}]"#, BodyError::Missing("ScriptName")),
        ] {
            assert_eq!(commands(list), Err(expected), "{list}");
        }
        for list in ["7", "{}", "[7]", r#"[{"type":7}]"#, r#"[{"type":"GetFile","params":"x"}]"#] {
            assert!(matches!(commands(list), Err(BodyError::Unusable(_))), "{list}");
        }
        let nul = r#"[{"type":"GetFile","params":[{"key":"Path","value":"/x\u0000y"}]}]"#;
        let long = format!(
            r#"[{{"type":"GetFile","params":[{{"key":"Path","value":"{}"}}]}}]"#,
            "x".repeat(PARAM_BYTES_MAX + 1)
        );
        for list in [r#"[{"type":"Format","params":[]}]"#, nul, long.as_str()] {
            assert!(matches!(commands(list), Err(BodyError::Invalid(_))), "{list}");
        }
    }
}
