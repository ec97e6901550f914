//! The same request under the same Idempotency-Key is done once.

use crate::rig::{Answer, BASE, Rig};
use axum::body::Body;
use axum::http::Request;
use server::clock::Clock as _;
use server::config::LimitsConfig;
use std::time::Duration;

const BODY: &str = r#"{"Comment":"case 812"}"#;

async fn ask(rig: &Rig, token: &str, operation: &str, key: &str, body: &str) -> Answer {
    let request = Request::post(format!("{BASE}/api/machines/{}/{operation}", rig.machine))
        .header("authorization", format!("Bearer {token}"))
        .header("idempotency-key", key);
    rig.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn isolate(rig: &Rig, key: &str, body: &str) -> Answer {
    ask(rig, &rig.all(), "isolate", key, body).await
}

#[tokio::test]
async fn the_same_again_is_the_same_action_as_it_now_stands() {
    let rig = Rig::new().await;
    let first = isolate(&rig, "7", BODY).await;
    let id = first.created();
    assert_eq!(first.header("idempotent-replayed"), "false");
    let again = isolate(&rig, "7", BODY).await;
    assert_eq!((again.created(), again.header("idempotent-replayed")), (id, "true"));
    assert_eq!(again.json(), first.json());
    rig.post(&format!("/api/machineactions/{id}/cancel"), "").await.ok(200);
    let later = isolate(&rig, "7", BODY).await;
    assert_eq!((later.created(), later.json()["status"].as_str()), (id, Some("Cancelled")));
    assert_eq!(rig.stored().await.len(), 1);
    // Without the key it is another request, and so it is a day later.
    let anew = rig.isolate().await;
    assert_ne!(anew, id);
    rig.post(&format!("/api/machineactions/{anew}/cancel"), "").await.ok(200);
    rig.clock.advance(24 * 3600);
    assert_ne!(isolate(&rig, "7", BODY).await.created(), id);
    assert_eq!(rig.actions.forget_keys(rig.clock.now(), 10).await.unwrap(), 0, "taken anew");
}

#[tokio::test]
async fn another_request_under_the_key_is_refused() {
    let rig = Rig::new().await;
    isolate(&rig, "7", BODY).await.created();
    for (operation, body) in [("isolate", r#"{"Comment":"case 813"}"#), ("unisolate", BODY)] {
        ask(&rig, &rig.all(), operation, "7", body).await.refused(422, "IdempotencyKeyReused");
    }
    assert_eq!(rig.stored().await.len(), 1);
    // Keys are told apart to the letter, and each caller has its own.
    ask(&rig, &rig.all(), "unisolate", "07", BODY).await.created();
    let mut claims = rig.claims(&["Machine.Isolate"]);
    for claim in ["appid", "azp", "sub"] {
        claims[claim] = "another".into();
    }
    let token = rig.sign(&rig.header(), &claims);
    ask(&rig, &token, "isolate", "7", BODY).await.refused(400, "ActiveRequestAlreadyExists");
}

#[tokio::test]
async fn a_key_is_plain_and_bounded_and_given_once() {
    let rig = Rig::new().await;
    isolate(&rig, &"k".repeat(256), BODY).await.refused(400, "InvalidInput");
    isolate(&rig, "", BODY).await.refused(400, "InvalidInput");
    let request = Request::post(format!("{BASE}/api/machines/{}/isolate", rig.machine))
        .header("authorization", format!("Bearer {}", rig.all()))
        .header("idempotency-key", "one")
        .header("idempotency-key", "two");
    rig.send(request.body(Body::from(BODY)).unwrap()).await.refused(400, "InvalidInput");
    let request = Request::post(format!("{BASE}/api/machines/{}/isolate", rig.machine))
        .header("authorization", format!("Bearer {}", rig.all()))
        .header("idempotency-key", [0xff_u8, 0xfe].as_slice());
    rig.send(request.body(Body::from(BODY)).unwrap()).await.refused(400, "InvalidInput");
    assert_eq!(rig.stored().await.len(), 0);
    isolate(&rig, &"k".repeat(255), BODY).await.created();
}

#[tokio::test]
async fn what_is_refused_uses_up_no_key() {
    let rig = Rig::new().await;
    isolate(&rig, "7", "{}").await.refused(400, "MissingRequiredParameter");
    let active = rig.isolate().await;
    isolate(&rig, "7", BODY).await.refused(400, "ActiveRequestAlreadyExists");
    rig.post(&format!("/api/machineactions/{active}/cancel"), "").await.ok(200);
    isolate(&rig, "7", BODY).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_one() {
    let rig = Rig::new().await;
    let (one, two, three) = tokio::join!(isolate(&rig, "7", BODY), isolate(&rig, "7", BODY), isolate(&rig, "7", BODY));
    assert_eq!(one.created(), two.created());
    assert_eq!(two.created(), three.created());
    assert_eq!(rig.stored().await.len(), 1);
    let replayed = [one, two, three].iter().filter(|answer| answer.header("idempotent-replayed") == "true").count();
    assert_eq!(replayed, 2);
}

#[tokio::test]
async fn it_is_the_same_action_though_the_limit_is_reached_and_the_script_is_gone() {
    let limits = LimitsConfig { live_response_sessions: 1, ..LimitsConfig::default() };
    let rig = Rig::with(|config| {
        config.limits = limits;
        config.cancel.wait_budget = Duration::from_millis(20);
    })
    .await;
    crate::libraryfiles::upload(&rig, "a.sh", b"true", &[]).await.ok(200);
    let body = r#"{"Comment":"why","Commands":[{"type":"RunScript","params":[{"key":"ScriptName","value":"a.sh"}]}]}"#;
    let id = ask(&rig, &rig.all(), "runliveresponse", "7", body).await.created();
    rig.call(axum::http::Method::DELETE, "/api/libraryfiles/a.sh", "").await;
    assert_eq!(ask(&rig, &rig.all(), "runliveresponse", "7", body).await.created(), id);
}
