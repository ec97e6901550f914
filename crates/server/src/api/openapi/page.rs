//! GET docs: the description as a page. Plain HTML that the server writes, with no script and nothing from anywhere else,
//! so that it reads the same in a network that is closed.

use super::super::call::Call;
use super::super::error::ApiError;
use super::DOCUMENT;
use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Where the page lies.
pub(crate) const PATH: &str = "/docs";

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
    h2{font:600 1rem monospace;border-top:1px solid #d0d7de;padding-top:1rem;overflow-wrap:anywhere}\
    b{display:inline-block;min-width:4.5rem}table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;\
    vertical-align:top}code,pre{font-family:monospace;overflow-wrap:anywhere;white-space:pre-wrap}";

/// The page and what it may do, made once.
static PAGE: LazyLock<(String, String)> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    (html(&DOCUMENT.0), policy)
});

/// The page.
pub(crate) async fn docs(_: &mut Call) -> Result<Response, ApiError> {
    let mut response = Response::new(Body::from(PAGE.0.as_str()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_str(&PAGE.1).map_err(ApiError::internal)?);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

fn html(document: &Value) -> String {
    let info = &document["info"];
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} API</title><style>{STYLE}</style><h1>{title} {}</h1><p>{}</p>\
         <p>The same for programs: <a href=\"{}\">{}</a></p>",
        shown(&info["version"]),
        shown(&info["description"]),
        super::PATH,
        super::PATH,
        title = shown(&info["title"]),
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            operation_html(&mut page, path, method, operation);
        }
    }
    page.push_str("<h1>Shapes</h1>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let text = serde_json::to_string_pretty(schema).unwrap_or_default();
        let _ = write!(page, "<h2 id=\"{0}\">{0}</h2><pre>{1}</pre>", escaped(name), escaped(&text));
    }
    page.push_str("</html>");
    page
}

fn operation_html(page: &mut String, path: &str, method: &str, operation: &Value) {
    let method = method.to_ascii_uppercase();
    let _ = write!(page, "<h2><b>{method}</b> {}</h2><p>{}", escaped(path), shown(&operation["summary"]));
    let token = if operation["security"].as_array().is_some_and(Vec::is_empty) { "No token is asked for." } else { "" };
    let _ = write!(page, ". {} {token}</p><table>", shown(&operation["description"]));
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let sort = shown(&parameter["schema"]["type"]);
        let _ =
            write!(page, "<tr><td>{}<td><code>{}</code><td>{sort}", shown(&parameter["in"]), shown(&parameter["name"]));
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        let _ = write!(page, "<tr><td>body<td>{}<td>", contents(content));
    }
    for (code, answer) in operation["responses"].as_object().into_iter().flatten() {
        let content = answer["content"].as_object().map(contents).unwrap_or_default();
        let _ = write!(page, "<tr><td>{}<td>{}<td>{content}", escaped(code), shown(&answer["description"]));
    }
    page.push_str("</table>");
}

/// Content types, each with a way to its shape.
fn contents(content: &serde_json::Map<String, Value>) -> String {
    let one = |(content_type, described): (&String, &Value)| {
        let name = described["schema"]["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        format!("{} <a href=\"#{1}\">{1}</a>", escaped(content_type), escaped(name))
    };
    content.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn shown(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
