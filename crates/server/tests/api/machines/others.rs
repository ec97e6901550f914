//! The kinds that no agent carries out yet: read and checked like every other, then refused by what the machine's agent
//! says. None of them leaves an action behind.

use crate::rig::Rig;
use domain::kind::Kind;
use serde_json::json;

const REQUESTS: [(Kind, &str, &str, &str); 6] = [
    (Kind::Scan, "runAntiVirusScan", r#"{"Comment":"why","ScanType":"Quick"}"#, "Machine.Scan"),
    (Kind::RestrictExecution, "restrictCodeExecution", r#"{"Comment":"why"}"#, "Machine.RestrictExecution"),
    (Kind::UnrestrictExecution, "unrestrictCodeExecution", r#"{"Comment":"why"}"#, "Machine.RestrictExecution"),
    (Kind::CollectPackage, "collectInvestigationPackage", r#"{"Comment":"why"}"#, "Machine.CollectForensics"),
    (
        Kind::QuarantineFile,
        "StopAndQuarantineFile",
        r#"{"Comment":"why","Sha1":"0123456789abcdef0123456789abcdef01234567"}"#,
        "Machine.StopAndQuarantine",
    ),
    (Kind::Offboard, "offboard", r#"{"Comment":"why"}"#, "Machine.Offboard"),
];

#[tokio::test]
async fn what_the_agent_says_decides() {
    let rig = Rig::new().await;
    let path = |word: &str| format!("/api/machines/{}/{word}", rig.machine);
    for (kind, word, body, _) in REQUESTS {
        let message = rig.post(&path(word), body).await.refused(400, "ClientVersionNotSupported");
        assert!(message.starts_with(kind.row().wire) && message.contains("web-03"), "{message}");
    }
    rig.connect(&[Kind::LiveResponse]).await;
    for (kind, word, body, _) in REQUESTS {
        let message = rig.post(&path(word), body).await.refused(400, "OsPlatformNotSupported");
        assert!(message.starts_with(kind.row().wire), "{message}");
    }
    // An agent that is ahead of its server: nothing is accepted that could not be granted.
    rig.connect(&REQUESTS.map(|(kind, ..)| kind)).await;
    for (_, word, body, _) in REQUESTS {
        rig.post(&path(word), body).await.refused(400, "OsPlatformNotSupported");
    }
    assert_eq!(rig.stored().await, []);
}

#[tokio::test]
async fn machine_then_body_then_what_the_agent_says() {
    let rig = Rig::new().await;
    rig.connect(&[Kind::LiveResponse]).await;
    for (_, word, body, permission) in REQUESTS {
        let path = format!("/api/machines/{}/{word}", rig.machine);
        rig.post(&format!("/api/machines/nobody/{word}"), "{").await.refused(404, "ResourceNotFound");
        rig.post(&path, "{").await.refused(400, "InvalidRequestBody");
        let message = rig.post(&path, "{}").await.refused(400, "MissingRequiredParameter");
        assert!(message.contains("'Comment'"), "{message}");
        rig.call_as(&rig.token(&["Machine.Read.All"]), axum::http::Method::POST, &path, body)
            .await
            .refused(403, "Forbidden");
        let may = rig.token(&["Machine.Read.All", permission]);
        rig.call_as(&may, axum::http::Method::POST, &path, body).await.refused(400, "OsPlatformNotSupported");
    }
    let post = async |word: &str, body: &str| rig.post(&format!("/api/machines/web-03/{word}"), body.to_string()).await;
    let scan = post("runAntiVirusScan", r#"{"Comment":"why"}"#).await.refused(400, "MissingRequiredParameter");
    assert!(scan.contains("'ScanType'"), "{scan}");
    post("runAntiVirusScan", r#"{"Comment":"why","ScanType":"quick"}"#).await.refused(400, "InvalidInput");
    let hash = post("StopAndQuarantineFile", r#"{"Comment":"why"}"#).await.refused(400, "MissingRequiredParameter");
    assert!(hash.contains("'Sha1'"), "{hash}");
    post("StopAndQuarantineFile", r#"{"Comment":"why","Sha1":"abc"}"#).await.refused(400, "InvalidHashValue");
}

#[tokio::test]
async fn the_kinds_there_are_follow_the_same_word() {
    let rig = Rig::new().await;
    let commands = json!([{ "type": "RunScript", "params": [{ "key": "ScriptName", "value": "none.sh" }] }]);
    let live = json!({ "Comment": "why", "Commands": commands }).to_string();
    let requests = [("isolate", r#"{"Comment":"why"}"#.to_string()), ("unisolate", r#"{"Comment":"why"}"#.into())];
    rig.connect(&[Kind::LiveResponse]).await;
    for (word, body) in requests {
        let path = format!("/api/machines/{}/{word}", rig.machine);
        rig.post(&path, body).await.refused(400, "OsPlatformNotSupported");
    }
    rig.connect(&[Kind::Isolate, Kind::Release]).await;
    let path = format!("/api/machines/{}/runliveresponse", rig.machine);
    rig.post(&path, live.clone()).await.refused(400, "OsPlatformNotSupported");
    // An agent that names nothing at all.
    rig.connect(&[]).await;
    rig.post(&path, live).await.refused(400, "ClientVersionNotSupported");
    assert_eq!(rig.stored().await, []);
}

#[tokio::test]
async fn an_investigation_is_refused_for_what_it_is() {
    let rig = Rig::new().await;
    let path = format!("/api/machines/{}/startInvestigation", rig.machine);
    let message = rig.post(&path, r#"{"Comment":"why"}"#).await.refused(403, "DisabledFeature");
    assert!(message.contains("not a feature"), "{message}");
    rig.post(&path, "{}").await.refused(400, "MissingRequiredParameter");
    rig.post("/api/machines/nobody/startinvestigation", "{}").await.refused(404, "ResourceNotFound");
    let long = json!({ "Comment": "x".repeat(5000) }).to_string();
    rig.post(&path, long).await.refused(400, "InvalidInput");
}
