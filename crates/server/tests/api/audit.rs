//! What the audit log tells of what was asked over the API.

use crate::faulty::Fault;
use crate::libraryfiles::upload;
use crate::machineactions::finished_with_a_file;
use crate::rig::{APPLICATION, BASE, Rig};
use axum::body::Body;
use axum::http::{Method, Request};
use domain::audit::{CallerKind, Entry, LOG_START, Outcome, Walk};
use domain::ids::Digest;
use server::clock::Clock as _;
use server::config::LimitsConfig;
use server::listen::PeerAddress;

/// The whole log, which holds, without what the rig wrote before.
async fn log(rig: &Rig) -> Vec<Entry> {
    let lines = rig.store.audit_lines(0, u32::MAX).await.unwrap();
    let mut walk = Walk::new(LOG_START, vec![rig.store.audit_head().await.unwrap()]);
    lines.iter().for_each(|line| walk.step(line).unwrap());
    walk.end().unwrap();
    let entries = lines.into_iter().map(|line| line.entry);
    entries.filter(|entry| entry.kind != CallerKind::Administrator).collect()
}

/// Operation and outcome of each line, in short.
async fn told(rig: &Rig) -> Vec<String> {
    let short = |entry: Entry| match entry.outcome {
        Outcome::Refused { status, code } => format!("{} {status} {code} x{}", entry.operation, entry.times),
        done => format!("{} {done:?} x{}", entry.operation, entry.times),
    };
    log(rig).await.into_iter().map(short).collect()
}

const ISOLATE: &str = "POST /api/machines/{id}/isolate";
const CANCEL: &str = "POST /api/machineactions/{id}/cancel";

#[tokio::test]
async fn a_request_and_its_cancel_are_told_with_who_whence_and_what() {
    let rig = Rig::new().await;
    let request = Request::post(format!("{BASE}/api/machines/{}/isolate", rig.machine))
        .header("authorization", format!("Bearer {}", rig.all()))
        .extension(PeerAddress("192.0.2.9:4711".parse().unwrap()));
    let id = rig.send(request.body(Body::from(r#"{"Comment":"case 812"}"#)).unwrap()).await.created();
    rig.post(&format!("/api/machineactions/{id}/cancel"), r#"{"Comment":"mistake"}"#).await.ok(200);
    let lines = log(&rig).await;
    let asked = &lines[0];
    assert_eq!((asked.kind, asked.caller.as_str()), (CallerKind::Application, APPLICATION));
    assert_eq!((asked.operation.as_str(), asked.address.as_deref()), (ISOLATE, Some("192.0.2.9")));
    assert_eq!(asked.machine, Some(rig.machine.to_string()));
    assert_eq!(asked.action, Some(id.to_string()));
    assert_eq!(asked.comment, Some(Digest::of(b"case 812")));
    assert_eq!(asked.content, Some(Digest::of(br#"{"Isolate":{"scope":"Full"}}"#)), "as the store has the body");
    assert_eq!((asked.outcome.clone(), asked.times), (Outcome::Done, 1));
    assert!(asked.correlation.is_some());
    let cancelled = &lines[1];
    assert_eq!((cancelled.operation.as_str(), cancelled.action.clone()), (CANCEL, Some(id.to_string())));
    assert_eq!((cancelled.comment, lines.len()), (Some(Digest::of(b"mistake")), 2));
    // Again changes nothing, and is told; reading is not.
    rig.post(&format!("/api/machineactions/{id}/cancel"), "").await.ok(200);
    rig.get("/api/machineactions").await.ok(200);
    let lines = log(&rig).await;
    assert_eq!((&lines[2].outcome, lines.len()), (&Outcome::Unchanged, 3));
}

#[tokio::test]
async fn refusals_are_told_with_the_id_that_the_caller_was_shown() {
    let rig = Rig::new().await;
    let machine = rig.machine;
    let isolate = format!("/api/machines/{machine}/isolate");
    let none = rig.send(Request::post(format!("{BASE}{isolate}")).body(Body::empty()).unwrap()).await;
    none.refused(401, "Unauthorized");
    rig.call_as(&rig.token(&["Machine.Scan"]), Method::POST, &isolate, "").await.refused(403, "Forbidden");
    rig.post("/api/machines/nowhere/isolate", "").await.refused(404, "ResourceNotFound");
    rig.post(&isolate, "{").await.refused(400, "InvalidRequestBody");
    rig.isolate().await;
    rig.post(&isolate, r#"{"Comment":"why"}"#).await.refused(400, "ActiveRequestAlreadyExists");
    rig.post("/api/nothing", "").await.refused(404, "NotFound");
    rig.call(Method::DELETE, "/api/libraryfiles/x.sh", "").await.refused(404, "ResourceNotFound");
    // What is only read is told where somebody was not known or not allowed, and not where it was not there.
    rig.get("/api/machines/nowhere").await.refused(404, "ResourceNotFound");
    rig.call_as(&rig.token(&["Machine.Scan"]), Method::GET, "/api/machines", "").await.refused(403, "Forbidden");
    let expected = [
        format!("{ISOLATE} 401 Unauthorized x1"),
        format!("{ISOLATE} 403 Forbidden x1"),
        format!("{ISOLATE} 404 ResourceNotFound x1"),
        format!("{ISOLATE} 400 InvalidRequestBody x1"),
        format!("{ISOLATE} Done x1"),
        format!("{ISOLATE} 400 ActiveRequestAlreadyExists x1"),
        "POST no such path 404 NotFound x1".into(),
        "DELETE /api/libraryfiles/{name} 404 ResourceNotFound x1".into(),
        "GET /api/machines 403 Forbidden x1".into(),
    ];
    assert_eq!(told(&rig).await, expected);
    let lines = log(&rig).await;
    assert_eq!(lines[0].correlation.as_deref(), none.json()["error"]["target"].as_str());
    assert_eq!((lines[0].kind, lines[0].caller.as_str()), (CallerKind::Nobody, ""));
    assert_eq!((lines[1].kind, lines[1].caller.as_str()), (CallerKind::Application, APPLICATION));
    assert_eq!((lines[2].machine.as_deref(), lines[7].object.as_deref()), (Some("nowhere"), Some("x.sh")));
}

#[tokio::test]
async fn a_thousand_refusals_of_a_sort_are_two_lines() {
    let rig = Rig::limited(LimitsConfig { per_minute: 1, ..LimitsConfig::default() }).await;
    rig.get("/api/machines").await.ok(200);
    for _ in 0..1000 {
        rig.get("/api/machines").await.refused(429, "TooManyRequests");
    }
    assert_eq!(told(&rig).await, ["GET /api/machines 429 TooManyRequests x1"]);
    rig.clock.advance(60);
    rig.actions.write_counted(rig.clock.now(), false).await.unwrap();
    let expected = ["GET /api/machines 429 TooManyRequests x1", "GET /api/machines 429 TooManyRequests x999"];
    assert_eq!(told(&rig).await, expected);
}

#[tokio::test]
async fn a_sign_in_that_fails_is_told_and_its_secret_is_not() {
    let rig = Rig::new().await;
    let path = format!("/{}/oauth2/v2.0/token", rig.tenant.0);
    let form = "grant_type=client_credentials&client_id=x&client_secret=hunter2&scope=https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default";
    let request = Request::post(format!("{BASE}{path}")).body(Body::from(form)).unwrap();
    assert_eq!(rig.send(request).await.status, 401);
    assert_eq!(told(&rig).await, ["POST /{tenant}/oauth2/v2.0/token 401 AADSTS7000215 x1"]);
    assert!(!format!("{:?}", log(&rig).await).contains("hunter2"));
}

#[tokio::test]
async fn library_files_are_told_with_their_content() {
    let rig = Rig::new().await;
    upload(&rig, "a.sh", b"#!/bin/sh\n", &[]).await.ok(200);
    rig.call(Method::DELETE, "/api/libraryfiles/a.sh", "").await;
    let lines = log(&rig).await;
    assert_eq!((lines[0].object.as_deref(), lines[0].content), (Some("a.sh"), Some(Digest::of(b"#!/bin/sh\n"))));
    assert_eq!(
        (lines[1].object.as_deref(), lines[1].operation.as_str()),
        (Some("a.sh"), "DELETE /api/libraryfiles/{name}")
    );
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn evidence_is_handed_out_only_once_that_is_written_down() {
    let rig = Rig::new().await;
    let (id, sha256) = finished_with_a_file(&rig).await;
    let path = format!("/api/machineactions/{id}/GetLiveResponseResultDownloadLink(index=1)");
    let url = rig.get(&path).await.ok(200)["value"].as_str().unwrap().to_string();
    let fetch = || rig.send(Request::get(&url).body(Body::empty()).unwrap());
    assert_eq!(fetch().await.status, 200);
    assert_eq!(fetch().await.status, 200);
    let lines = log(&rig).await;
    let about = |entry: &Entry| (entry.kind, entry.action.clone(), entry.object.clone(), entry.content);
    let (action, step) = (Some(id.to_string()), Some("1".to_string()));
    assert_eq!(about(&lines[1]), (CallerKind::Application, action.clone(), step.clone(), Some(sha256)));
    assert_eq!(about(&lines[2]), (CallerKind::Link, action, step, Some(sha256)));
    assert_eq!(lines.len(), 3, "the second time is counted");
    // A log that cannot be added to.
    rig.actions.write_counted(rig.clock.now(), true).await.unwrap();
    for _ in 0..2 {
        rig.faulty.at("audit", 1, Fault::DiesBefore);
        let refused = fetch().await;
        refused.refused(503, "ServiceUnavailable");
        assert!(!refused.bytes.windows(4).any(|bytes| bytes == b"gzip"));
        rig.faulty.at("audit", 1, Fault::DiesBefore);
        rig.get(&path).await.refused(503, "ServiceUnavailable");
    }
    assert_eq!(fetch().await.status, 200);
    assert!(rig.faulty.is_over());
}
