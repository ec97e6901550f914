use crate::rig::{APPLICATION, BASE, Rig};
use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use domain::kind::Kind;
use serde_json::{Value, json};

/// The keys of a MachineAction in the order in which the service sends them.
const KEYS: [&str; 20] = [
    "id",
    "type",
    "title",
    "requestor",
    "requestorComment",
    "status",
    "machineId",
    "computerDnsName",
    "creationDateTimeUtc",
    "lastUpdateDateTimeUtc",
    "cancellationRequestor",
    "cancellationComment",
    "cancellationDateTimeUtc",
    "errorHResult",
    "scope",
    "externalId",
    "requestSource",
    "relatedFileInfo",
    "commands",
    "troubleshootInfo",
];

fn path(rig: &Rig) -> String {
    format!("/api/machines/{}/isolate", rig.machine)
}

#[tokio::test]
async fn the_answer_has_twenty_keys_in_order_and_a_pending_action() {
    let rig = Rig::new().await;
    let answer = rig.post(&path(&rig), r#"{"Comment":"case 812","IsolationType":"Full","ExternalId":"x-1"}"#).await;
    let action = answer.ok(201);
    assert_eq!(
        answer.header("content-type"),
        "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8"
    );
    assert_eq!(answer.header("odata-version"), "4.0");
    // Positions in the text itself: a parsed map has forgotten the order.
    let text = answer.text();
    let context = format!("{{\"@odata.context\":\"{BASE}/api/$metadata#MachineActions/$entity\",\"id\":");
    assert!(text.starts_with(&context), "{text}");
    let places: Vec<usize> = KEYS.iter().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
    assert_eq!(action.as_object().unwrap().len(), KEYS.len() + 1);
    assert!(!text.contains(": ") && !text.contains(", "), "compact: {text}");

    let id = action["id"].as_str().unwrap();
    assert_eq!(id.len(), 36);
    assert_eq!(id, id.to_ascii_lowercase());
    for (key, expected) in [
        ("type", json!("Isolate")),
        ("title", Value::Null),
        ("requestor", json!(APPLICATION)),
        ("requestorComment", json!("case 812")),
        ("status", json!("Pending")),
        ("machineId", json!(rig.machine.to_string())),
        ("computerDnsName", json!("web-03")),
        ("creationDateTimeUtc", json!("2026-09-21T14:13:20Z")),
        ("lastUpdateDateTimeUtc", json!("2026-09-21T14:13:20Z")),
        ("cancellationRequestor", Value::Null),
        ("cancellationComment", Value::Null),
        ("cancellationDateTimeUtc", Value::Null),
        ("errorHResult", json!(0)),
        ("scope", json!("Full")),
        ("externalId", json!("x-1")),
        ("requestSource", json!("PublicApi")),
        ("relatedFileInfo", Value::Null),
        ("commands", json!([])),
        ("troubleshootInfo", Value::Null),
    ] {
        assert_eq!(action[key], expected, "{key}");
    }
    let stored = rig.stored().await;
    assert_eq!((stored.len(), stored[0].kind()), (1, Kind::Isolate));
}

#[tokio::test]
async fn a_body_is_json_whatever_its_content_type_says() {
    for content_type in
        [None, Some("application/x-www-form-urlencoded"), Some("application/json; charset=utf-8"), Some("x")]
    {
        let rig = Rig::new().await;
        let mut request = Request::post(path(&rig)).header("authorization", format!("Bearer {}", rig.all()));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = rig.send(request.body(Body::from("{\r\n  \"Comment\" : \"why\"\r\n}")).unwrap()).await;
        assert_eq!(answer.status, 201, "{content_type:?}");
    }
}

#[tokio::test]
async fn a_second_one_is_already_in_progress() {
    let rig = Rig::new().await;
    rig.isolate().await;
    let answer = rig.post(&path(&rig), r#"{"Comment":"again"}"#).await;
    assert_eq!(answer.refused(400, "ActiveRequestAlreadyExists"), "Action is already in progress");
    assert_eq!(rig.stored().await.len(), 1);
}

#[tokio::test]
async fn an_unknown_machine_of_any_shape_comes_before_the_body() {
    let rig = Rig::new().await;
    for id in ["elastic-connector-test", &"0".repeat(40), &"a".repeat(39), "%00%22%7D", "..", "é", &"x".repeat(2000)] {
        for body in [r#"{"Comment":"why"}"#, "not json", ""] {
            let answer = rig.post(&format!("/api/machines/{}/isolate", id.replace('é', "%C3%A9")), body).await;
            answer.refused(404, "ResourceNotFound");
        }
    }
    assert!(rig.stored().await.is_empty());
}

#[tokio::test]
async fn bodies_that_are_refused() {
    let rig = Rig::new().await;
    for (body, code, named) in [
        (r#"{"comment":"why"}"#, "MissingRequiredParameter", "Comment"),
        (r#"{"Comment":null}"#, "MissingRequiredParameter", "Comment"),
        (r#"{"Comment":""}"#, "MissingRequiredParameter", "Comment"),
        ("", "MissingRequiredParameter", "Comment"),
        ("{", "InvalidRequestBody", ""),
        ("[1]", "InvalidRequestBody", ""),
        (r#"{"Comment":7}"#, "InvalidRequestBody", "Comment"),
        (r#"{"Comment":"why","IsolationType":"Selective"}"#, "OsPlatformNotSupported", "Selective"),
        (r#"{"Comment":"why","IsolationType":"UnManagedDevice"}"#, "OsPlatformNotSupported", "UnManagedDevice"),
        (r#"{"Comment":"why","IsolationType":"Half"}"#, "InvalidInput", "IsolationType"),
    ] {
        let message = rig.post(&path(&rig), body).await.refused(400, code);
        assert!(message.contains(named), "{body}: {message}");
    }
    let long = json!({ "Comment": "x".repeat(4097) }).to_string();
    rig.post(&path(&rig), long).await.refused(400, "InvalidInput");
    assert!(rig.stored().await.is_empty());
    let longest = json!({ "Comment": "x".repeat(4096) }).to_string();
    rig.post(&path(&rig), longest).await.created();
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_too_large_announced_or_not() {
    let rig = Rig::new().await;
    let body = format!(r#"{{"Comment":"{}"}}"#, "x".repeat(1 << 20));
    rig.post(&path(&rig), body.clone()).await.refused(413, "RequestTooLarge");
    let announced = Request::post(path(&rig))
        .header("authorization", format!("Bearer {}", rig.all()))
        .header("content-length", body.len())
        .body(Body::empty());
    rig.send(announced.unwrap()).await.refused(413, "RequestTooLarge");
    assert!(rig.stored().await.is_empty());
}

#[tokio::test]
async fn without_the_permission_nothing_is_looked_at() {
    let rig = Rig::new().await;
    let token = rig.token(&["Machine.Read.All", "Machine.Scan"]);
    let expected = "The application does not have any of the required application permissions (Machine.Isolate) to \
                    access the resource.";
    for path in [path(&rig), "/api/machines/unknown/isolate".into()] {
        let answer = rig.call_as(&token, Method::POST, &path, "not json").await;
        assert_eq!(answer.refused(403, "Forbidden"), expected);
    }
    assert!(rig.stored().await.is_empty());
}

#[tokio::test]
async fn the_permission_to_isolate_is_enough() {
    let rig = Rig::new().await;
    let answer = rig.call_as(&rig.token(&["Machine.Isolate"]), Method::POST, &path(&rig), r#"{"Comment":"why"}"#).await;
    answer.created();
}
