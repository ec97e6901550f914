//! Exchanges as they stand in the files.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// The grades of evidence; `conformance/README.md` says what they mean.
const GRADES: [&str; 6] = ["D", "S", "R", "C", "I", "N"];

/// One request and what must come back.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Exchange {
    /// What it shows; unique over all files once the file's name stands before it.
    pub(crate) name: String,
    /// The fact it stands on.
    pub(crate) fact: String,
    /// How well that is evidenced.
    pub(crate) grade: String,
    /// The world it is played in.
    #[serde(default = "a_machine")]
    pub(crate) world: String,
    /// Who calls.
    #[serde(default = "everything", rename = "as")]
    pub(crate) caller: Value,
    /// METHOD and target.
    pub(crate) request: String,
    #[serde(default)]
    pub(crate) headers: Map<String, Value>,
    /// The body: text as it is, anything else as JSON.
    #[serde(default)]
    pub(crate) body: Value,
    pub(crate) expect: Expect,
}

/// What must come back.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Expect {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: Map<String, Value>,
    /// What the JSON must hold.
    #[serde(default)]
    pub(crate) json: Value,
    /// The keys of the JSON object, in order and no others.
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    /// What the text must hold.
    #[serde(default)]
    pub(crate) text: Vec<String>,
    /// What the text must not hold.
    #[serde(default)]
    pub(crate) no_text: Vec<String>,
    /// Whether there is no body at all.
    #[serde(default)]
    pub(crate) empty: bool,
}

impl Exchange {
    /// Whether the world stands as before once it is met; counted calls are not as before.
    pub(crate) fn changes_nothing(&self) -> bool {
        (self.request.starts_with("GET ") || self.expect.status >= 400) && self.world != "few calls left"
    }
}

fn a_machine() -> String {
    "a machine".into()
}

fn everything() -> Value {
    "everything".into()
}

/// All exchanges of a folder. One with `each` is played once for each of these objects, with `{word}` replaced everywhere.
pub(crate) fn read(folder: &Path) -> Vec<Exchange> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let values: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        all.extend(values.into_iter().flat_map(|value| expanded(&stem, value)));
    }
    all
}

fn expanded(file: &str, value: Value) -> Vec<Exchange> {
    let parsed = |value: Value| -> Exchange {
        let name = value["name"].to_string();
        let mut exchange: Exchange = serde_json::from_value(value).unwrap_or_else(|e| panic!("{file}: {name}: {e}"));
        assert!(GRADES.contains(&exchange.grade.as_str()), "{file}: {name}: no such grade");
        assert!(exchange.fact.len() > 10, "{file}: {name}: says no fact");
        exchange.name = format!("{file}/{}", exchange.name);
        exchange
    };
    let Some(Value::Array(each)) = value.get("each").cloned() else { return vec![parsed(value)] };
    let one = |(index, words): (usize, &Value)| {
        let mut words: Vec<(String, Value)> =
            words.as_object().unwrap().iter().map(|(name, value)| (format!("{{{name}}}"), value.clone())).collect();
        // Longer ones first: one may be the beginning of another.
        words.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let mut value = replaced(&value, &words);
        value["name"] = format!("{} {}", value["name"].as_str().unwrap(), index + 1).into();
        parsed(value)
    };
    each.iter().enumerate().map(one).collect()
}

/// The value with each `{word}` in its texts replaced; a text that is nothing else becomes the value itself.
pub(crate) fn replaced(value: &Value, words: &[(String, Value)]) -> Value {
    match value {
        Value::String(text) => {
            if let Some((_, whole)) = words.iter().find(|(name, _)| name == text) {
                return whole.clone();
            }
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
            words.iter().fold(text.clone(), |text, (name, word)| text.replace(name, &plain(word))).into()
        }
        Value::Array(items) => items.iter().map(|item| replaced(item, words)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| *name != "each");
            fields.map(|(name, field)| (name.clone(), replaced(field, words))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}
