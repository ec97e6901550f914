use crate::rig::{BASE, Rig};
use axum::body::Body;
use axum::http::Request;
use std::collections::BTreeSet;

async fn open(rig: &Rig, path: &str) -> crate::rig::Answer {
    rig.send(Request::get(format!("{BASE}{path}")).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_description_names_every_route_and_no_other() {
    let rig = Rig::new().await;
    let answer = open(&rig, "/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.ok(200);
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let routes: BTreeSet<String> = server::api::routes().map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(described, routes);
    let isolate = &paths["/api/machines/{id}/isolate"]["post"];
    assert_eq!(isolate["description"], "Needs the permission Machine.Isolate.");
    assert_eq!(paths["/api/machines/{id}/offboard"]["post"]["responses"]["201"], serde_json::Value::Null);
}

/// The keys of an answer are those of its shape, in the description.
#[tokio::test]
async fn what_is_answered_has_the_described_keys() {
    let rig = Rig::new().await;
    let document = open(&rig, "/openapi.json").await.ok(200);
    let id = rig.isolate().await;
    for (path, shape) in [
        (format!("/api/machineactions/{id}"), "MachineAction"),
        ("/api/machines/web-03".into(), "MachineEntity"),
        (format!("/api/countermand/actions/{id}"), "Explanation"),
        (format!("/api/countermand/actions/{id}/history"), "History"),
    ] {
        let answer = rig.get(&path).await.ok(200);
        let schema = &document["components"]["schemas"][shape];
        let keys: BTreeSet<&str> =
            answer.as_object().unwrap().keys().map(String::as_str).filter(|key| !key.starts_with('@')).collect();
        let described: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, described, "{shape}");
        assert_eq!(schema["required"].as_array().unwrap().len(), keys.len(), "{shape}");
    }
}

#[tokio::test]
async fn the_page_reads_without_scripts_and_without_anybody_else() {
    let rig = Rig::new().await;
    let answer = open(&rig, "/Docs/").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let page = answer.text();
    for unwanted in ["<script", "http://", "https://", " style=", " onclick", "<link", "<img"] {
        assert!(!page.contains(unwanted), "{unwanted}");
    }
    for (_, path) in server::api::routes() {
        assert!(page.contains(path), "{path}");
    }
}
