use crate::libraryfiles::upload;
use crate::rig::Rig;
use axum::http::Method;
use serde_json::json;

#[tokio::test]
async fn commands_come_back_as_they_were_submitted() {
    let rig = Rig::new().await;
    upload(&rig, "collect.sh", b"#!/bin/sh\n", &[]).await.ok(200);
    let path = format!("/api/machines/{}/runliveresponse", rig.machine);
    let commands = json!([
        { "type": "PutFile", "params": [{ "key": "FileName", "value": "collect.sh" }] },
        { "type": "RunScript", "params": [
            { "key": "ScriptName", "value": "collect.sh" }, { "key": "Args", "value": "--noargs" }] },
        { "type": "GetFile", "params": [{ "key": "Path", "value": "/etc/hosts" }] },
    ]);
    let body = json!({ "Comment": "why", "Commands": commands }).to_string();
    let action = rig.post(&path, body).await.ok(201);
    assert_eq!(action["type"], "LiveResponse");
    for (index, submitted) in commands.as_array().unwrap().iter().enumerate() {
        let command = &action["commands"][index];
        assert_eq!(command["index"], index);
        assert_eq!(&command["command"], submitted);
        assert_eq!(command["commandStatus"], "Created");
        assert_eq!(command["errors"], json!([]));
        assert!(command["startTime"].is_null() && command["endTime"].is_null());
    }
}

#[tokio::test]
async fn what_is_refused_and_in_which_order() {
    let rig = Rig::new().await;
    let path = format!("/api/machines/{}/runliveresponse", rig.machine);
    let unknown_script =
        r#"{"Comment":"x","Commands":[{"type":"RunScript","params":[{"key":"ScriptName","value":"no.sh"}]}]}"#;
    // The machine comes before the script.
    let message = rig.post("/api/machines/elastic-connector-test/runliveresponse", unknown_script).await;
    assert!(message.refused(404, "ResourceNotFound").contains("elastic-connector-test"));
    assert!(rig.post(&path, unknown_script).await.refused(404, "ResourceNotFound").contains("no.sh"));
    for (body, code) in [
        (r#"{"Comment":"x"}"#, "MissingRequiredParameter"),
        (r#"{"Commands":[]}"#, "MissingRequiredParameter"),
        (r#"{"Comment":"x","Commands":[]}"#, "MissingRequiredParameter"),
        (r#"{"Comment":"x","Commands":[{"type":"Nope"}]}"#, "InvalidInput"),
        (r#"{"Comment":"x","Commands":"GetFile"}"#, "InvalidRequestBody"),
    ] {
        rig.post(&path, body).await.refused(400, code);
    }
    let command = json!({ "type": "GetFile", "params": [{ "key": "Path", "value": "/x" }] });
    let many = json!({ "Comment": "x", "Commands": vec![command; 65] }).to_string();
    rig.post(&path, many).await.refused(400, "InvalidInput");
    let token = rig.token(&["Machine.Isolate"]);
    rig.call_as(&token, Method::POST, &path, "").await.refused(403, "Forbidden");
    assert!(rig.stored().await.is_empty());
}
