//! Whether what came back is what must.

use super::exchange::Expect;
use super::wire::Reply;
use domain::ids::ActionId;
use protocol::defender::time;
use serde_json::Value;

/// Why it is not; none: it is.
pub(crate) fn judge(expect: &Expect, reply: &Reply) -> Option<String> {
    let shown = || format!("{} {:?} {}", reply.status, reply.headers, reply.text());
    if reply.status != expect.status {
        return Some(format!("status is not {}: {}", expect.status, shown()));
    }
    for (name, wanted) in &expect.headers {
        let given = reply.header(name).map_or(Value::Null, Value::from);
        if let Some(why) = differs(wanted, Some(&given).filter(|given| !given.is_null()), name) {
            return Some(format!("header {why}: {}", shown()));
        }
    }
    let text = reply.text();
    if expect.empty && !reply.body.is_empty() {
        return Some(format!("has a body: {}", shown()));
    }
    if let Some(missing) = expect.text.iter().find(|wanted| !text.contains(wanted.as_str())) {
        return Some(format!("{missing:?} is not there: {}", shown()));
    }
    if let Some(there) = expect.no_text.iter().find(|unwanted| text.contains(unwanted.as_str())) {
        return Some(format!("{there:?} is there: {}", shown()));
    }
    if expect.json.is_null() && expect.keys.is_empty() {
        return None;
    }
    let Ok(json) = serde_json::from_str::<Value>(&text) else { return Some(format!("is no JSON: {}", shown())) };
    let why = differs(&expect.json, Some(&json), "").or_else(|| keys_differ(&expect.keys, &json, &text));
    why.map(|why| format!("{why}: {}", shown()))
}

/// Where `given` is not as `wanted` says. A text that begins with `$` is a pattern; an object may have further keys.
fn differs(wanted: &Value, given: Option<&Value>, at: &str) -> Option<String> {
    let wrong = || Some(format!("{at} is {} and not {wanted}", given.map_or("not there".into(), Value::to_string)));
    match (wanted, given) {
        (Value::Null, _) if at.is_empty() => None,
        (Value::String(pattern), given) if pattern.starts_with('$') => {
            if fits(pattern, given) {
                None
            } else {
                wrong()
            }
        }
        (Value::Object(fields), Some(Value::Object(given))) => {
            fields.iter().find_map(|(name, wanted)| differs(wanted, given.get(name), &format!("{at}/{name}")))
        }
        (Value::Array(items), Some(Value::Array(given))) if items.len() == given.len() => {
            let pairs = items.iter().zip(given).enumerate();
            pairs
                .into_iter()
                .find_map(|(index, (wanted, given))| differs(wanted, Some(given), &format!("{at}/{index}")))
        }
        (wanted, Some(given)) if wanted == given => None,
        _ => wrong(),
    }
}

fn fits(pattern: &str, given: Option<&Value>) -> bool {
    let (word, rest) = pattern.split_once(':').unwrap_or((pattern, ""));
    if word == "$absent" {
        return given.is_none();
    }
    let Some(given) = given else { return false };
    let text = given.as_str();
    match word {
        "$any" => true,
        "$text" => text.is_some_and(|text| !text.is_empty()),
        "$number" => given.is_number(),
        "$digits" => text.is_some_and(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())),
        "$guid" => text.is_some_and(|text| ActionId::parse(text).is_some() && text == text.to_ascii_lowercase()),
        "$time" => {
            text.is_some_and(|text| text.ends_with('Z') && time::parse(text).map(time::show).as_deref() == Some(text))
        }
        "$hex40" => text.is_some_and(|text| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "$contains" => text.is_some_and(|text| text.contains(rest)),
        "$starts" => text.is_some_and(|text| text.starts_with(rest)),
        "$length" => given.as_array().is_some_and(|items| items.len().to_string() == rest),
        _ => panic!("there is no pattern {pattern:?}"),
    }
}

/// Positions in the text itself: a parsed object has forgotten the order.
fn keys_differ(keys: &[String], json: &Value, text: &str) -> Option<String> {
    if keys.is_empty() {
        return None;
    }
    let places: Option<Vec<usize>> = keys.iter().map(|key| text.find(&format!("\"{key}\":"))).collect();
    let in_order = places.is_some_and(|places| places.is_sorted());
    let as_many = json.as_object().is_some_and(|fields| fields.len() == keys.len());
    (!in_order || !as_many).then(|| "the keys are others, or in another order".into())
}
