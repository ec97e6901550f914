//! GET openapi.json: the API's description, made of the same table that requests are answered by.

mod operations;
mod page;
mod schemas;

use super::call::Call;
use super::endpoints::{self, Access, Endpoint};
use super::error::ApiError;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use operations::{Operation, Sort};
pub(super) use page::docs;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Where the description lies.
pub(super) const PATH: &str = "/openapi.json";

/// The description as it is sent. The same for everybody, so that it is made once.
static DOCUMENT: LazyLock<(Value, String)> = LazyLock::new(|| {
    let document = document();
    let text = document.to_string();
    (document, text)
});

/// The description, without a token: it says nothing that the documents do not.
pub(super) async fn openapi(_: &mut Call) -> Result<Response, ApiError> {
    let mut response = Response::new(Body::from(DOCUMENT.1.as_str()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// OpenAPI 3.1 of every endpoint there is.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints::all() {
        let described = operations::of(endpoint.method.as_str(), endpoint.path);
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[method] = operation(endpoint, described);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countermand",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The machine actions API of Microsoft Defender for Endpoint, served by Countermand. \
                Paths are matched without regard to case; /api/v1.0 is the same as /api.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
        },
    })
}

fn operation(endpoint: &Endpoint, described: &Operation) -> Value {
    let mut operation = json!({
        "summary": described.summary,
        "parameters": parameters(endpoint.path, described.query),
        "responses": responses(endpoint, described),
        "security": match endpoint.access {
            Access::Open => json!([]),
            Access::Token | Access::For(_) => json!([{ "token": [] }]),
        },
    });
    if let Some(names) = endpoint.permissions() {
        operation["description"] = format!("Needs the permission {names}.").into();
    }
    if let Some((content_type, schema)) = described.body {
        let content = json!({ content_type: { "schema": schemas::reference(schema) } });
        operation["requestBody"] = json!({ "required": described.body_required, "content": content });
    }
    operation
}

fn parameters(path: &str, query: &[(&str, Sort)]) -> Vec<Value> {
    let in_path = path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| {
        let schema = operations::path_parameter(name).schema();
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = query
        .iter()
        .map(|(name, sort)| json!({ "name": name, "in": "query", "required": false, "schema": sort.schema() }));
    in_path.chain(in_query).collect()
}

fn responses(endpoint: &Endpoint, described: &Operation) -> Value {
    let mut responses = Map::new();
    let (status, said, content) = described.answer;
    let done = match content {
        None => json!({ "description": said }),
        Some((content_type, schema)) => {
            json!({ "description": said, "content": { content_type: { "schema": schemas::reference(schema) } } })
        }
    };
    responses.insert(status.to_string(), done);
    let (schema, mut codes) = match (endpoint.access, endpoint.path) {
        (Access::Open, path) if path.starts_with("/{tenant}") || path.starts_with("/common") => {
            ("TokenError", vec![400, 401, 429, 500, 503])
        }
        (Access::Open, _) => ("Envelope", vec![403, 404, 500, 503]),
        (Access::Token, _) => ("Envelope", vec![400, 401, 429, 500, 503]),
        (Access::For(_), _) => ("Envelope", vec![400, 401, 403, 404, 429, 500, 503]),
    };
    if described.body.is_some() {
        codes.push(413);
        if schema == "Envelope" {
            codes.push(422);
        }
    }
    for code in codes {
        // A body that is too large is refused before anybody looks at what it is for.
        let schema = if code == 413 { "Envelope" } else { schema };
        let mut refused = json!({
            "description": refusal_words(code),
            "content": { "application/json": { "schema": schemas::reference(schema) } },
        });
        if code == 429 || code == 503 {
            let schema = json!({ "type": "integer" });
            refused["headers"] = json!({ "Retry-After": { "description": "In seconds.", "schema": schema } });
        }
        responses.insert(code.to_string(), refused);
    }
    responses.into()
}

fn refusal_words(code: u16) -> &'static str {
    match code {
        400 => "The request is not understood, or cannot be carried out as things stand.",
        401 => "Nobody we know.",
        403 => "Not permitted, or not a feature here.",
        404 => "There is no such thing.",
        413 => "The body is too large.",
        422 => "The key of the request was used for another one.",
        429 => "Too many calls.",
        503 => "Not now; try again.",
        _ => "Something broke.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described_and_nothing_else() {
        let document = document();
        let described: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(described, endpoints::all().len());
        assert_eq!(operations::count(), described, "an operation is described that is not served");
        for endpoint in endpoints::all() {
            let method = endpoint.method.as_str().to_ascii_lowercase();
            let operation = &document["paths"][endpoint.path][method.as_str()];
            let at = format!("{method} {}", endpoint.path);
            assert!(operation["summary"].as_str().is_some_and(|summary| summary.len() > 10), "{at}");
            let params = operation["parameters"].as_array().unwrap();
            let in_path = params.iter().filter(|param| param["in"] == "path").count();
            assert_eq!(in_path, endpoint.path.matches('{').count(), "{at}");
            let secured = !operation["security"].as_array().unwrap().is_empty();
            assert_eq!(secured, !matches!(endpoint.access, Access::Open), "{at}");
            for code in ["401", "429"] {
                assert!(!secured || operation["responses"][code].is_object(), "{at}: {code}");
            }
            let done = operation["responses"].as_object().unwrap().keys().filter(|code| code.starts_with('2')).count();
            assert_eq!(done, 1, "{at}");
            assert_eq!(operation["requestBody"].is_object(), method == "post", "{at}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let names = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for name in names {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
