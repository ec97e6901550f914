use crate::rig::{Rig, START};
use axum::http::Method;
use domain::ids::MachineId;
use serde_json::json;
use server::config::LimitsConfig;

#[tokio::test]
async fn a_hundred_a_minute_and_then_retry_after() {
    let rig = Rig::limited(LimitsConfig::default()).await;
    for _ in 0..100 {
        rig.get("/api/machineactions").await.ok(200);
    }
    let refused = rig.get("/api/machineactions").await;
    refused.refused(429, "TooManyRequests");
    assert_eq!(refused.header("retry-after"), "60");
    // However the path is written, and without a body being looked at.
    rig.get("/API/v1.0/MachineActions/").await.refused(429, "TooManyRequests");
    // Another endpoint is counted apart.
    rig.get("/api/machines").await.ok(200);
    rig.clock.advance(59);
    assert_eq!(rig.get("/api/machineactions").await.header("retry-after"), "1");
    rig.clock.advance(1);
    rig.get("/api/machineactions").await.ok(200);
}

#[tokio::test]
async fn every_counted_answer_says_what_is_left() {
    let limits = LimitsConfig { per_minute: 3, ..LimitsConfig::default() };
    let rig = Rig::limited(limits).await;
    let left = |answer: &crate::rig::Answer| {
        ["limit", "remaining", "reset"].map(|name| answer.header(&format!("x-ratelimit-{name}")).to_string())
    };
    assert_eq!(left(&rig.get("/api/machines").await), ["3", "2", "60"]);
    rig.clock.advance(20);
    // A refusal of another sort counts, and says so as well.
    assert_eq!(left(&rig.get("/api/machines?$top=x").await), ["3", "1", "40"]);
    assert_eq!(left(&rig.get("/api/machines").await), ["3", "0", "40"]);
    let refused = rig.get("/api/machines").await;
    assert_eq!((left(&refused), refused.header("retry-after")), (["3", "0", "40"].map(Into::into), "40"));
    // Who is not known or not allowed learns nothing of it, and nothing is said where nothing is limited.
    let token = rig.token(&["Machine.Scan"]);
    assert_eq!(left(&rig.call_as(&token, Method::GET, "/api/machines", "").await), ["", "", ""]);
    assert_eq!(left(&Rig::new().await.get("/api/machines").await), ["", "", ""]);
}

#[tokio::test]
async fn so_many_live_responses_at_once_whoever_asked_for_them() {
    let limits = LimitsConfig { live_response_sessions: 2, ..LimitsConfig::default() };
    let rig = Rig::limited(limits).await;
    let get = json!([{ "type": "GetFile", "params": [{ "key": "Path", "value": "/etc/hosts" }] }]);
    let body = json!({ "Comment": "why", "Commands": get }).to_string();
    for number in 1..=3u8 {
        rig.enrol(MachineId([number; 20]), &format!("db-{number}")).await;
    }
    let path = |machine: MachineId| format!("/api/machines/{machine}/runliveresponse");
    let first = rig.live_response(&get).await;
    rig.grant(first).await;
    let second = rig.post(&path(MachineId([1; 20])), body.clone()).await.created();
    let refused = rig.post(&path(MachineId([2; 20])), body.clone()).await;
    assert!(refused.refused(429, "TooManyRequests").contains("2 live response sessions are active"));
    assert_eq!(refused.header("retry-after"), "60");
    // Other kinds are not in the way, and one that has ended makes room.
    rig.post(&format!("/api/machines/{}/isolate", MachineId([2; 20])), r#"{"Comment":"why"}"#).await.created();
    rig.post(&format!("/api/machineactions/{second}/cancel"), "").await.ok(200);
    rig.post(&path(MachineId([2; 20])), body.clone()).await.created();
    rig.post(&path(MachineId([3; 20])), body).await.refused(429, "TooManyRequests");
}

#[tokio::test]
async fn fifteen_hundred_an_hour() {
    let rig = Rig::limited(LimitsConfig { per_hour: 150, ..LimitsConfig::default() }).await;
    let path = "/api/alerts";
    for call in 0..150 {
        if call == 100 {
            rig.clock.advance(60);
        }
        rig.get(path).await.ok(200);
    }
    let refused = rig.get(path).await;
    refused.refused(429, "TooManyRequests");
    assert_eq!(refused.header("retry-after"), "3540");
}

#[tokio::test]
async fn ten_live_responses_a_minute_refused_ones_included() {
    let rig = Rig::limited(LimitsConfig::default()).await;
    for _ in 0..10 {
        rig.post("/api/machines/unknown/runliveresponse", "").await.refused(404, "ResourceNotFound");
    }
    rig.post("/api/machines/unknown/runliveresponse", "").await.refused(429, "TooManyRequests");
    rig.post("/api/machines/unknown/isolate", "").await.refused(404, "ResourceNotFound");
}

#[tokio::test]
async fn who_may_not_call_is_not_counted_and_paths_that_are_not_there_are() {
    let rig = Rig::limited(LimitsConfig { per_minute: 2, ..LimitsConfig::default() }).await;
    let token = rig.token(&["Machine.Scan"]);
    for _ in 0..5 {
        rig.call_as(&token, Method::GET, "/api/machineactions", "").await.refused(403, "Forbidden");
    }
    rig.get("/api/machineactions").await.ok(200);
    for _ in 0..2 {
        rig.get("/api/nothing/here").await.refused(404, "NotFound");
    }
    rig.get("/api/nothing/there").await.refused(429, "TooManyRequests");
}

#[tokio::test]
async fn another_application_is_counted_apart_and_off_is_off() {
    let rig = Rig::limited(LimitsConfig { per_minute: 1, ..LimitsConfig::default() }).await;
    rig.get("/api/machines").await.ok(200);
    rig.get("/api/machines").await.refused(429, "TooManyRequests");
    let mut claims = rig.claims(&["Machine.Read.All"]);
    for claim in ["appid", "azp", "sub"] {
        claims[claim] = "another".into();
    }
    assert_eq!(claims["iat"], START);
    let token = rig.sign(&rig.header(), &claims);
    rig.call_as(&token, Method::GET, "/api/machines", "").await.ok(200);

    let off = Rig::limited(LimitsConfig { enabled: false, per_minute: 1, ..LimitsConfig::default() }).await;
    for _ in 0..5 {
        off.get("/api/machines").await.ok(200);
    }
}
