use crate::rig::{APPLICATION, Answer, BASE, Rig};
use axum::body::Body;
use axum::http::{Method, Request};
use domain::ids::Digest;
use serde_json::json;

/// Uploads a file in a part called `part`, with further fields.
async fn upload_as(rig: &Rig, part: &str, name: &str, content: &[u8], fields: &[(&str, &str)]) -> Answer {
    let mut form = Vec::new();
    for (field, value) in fields {
        let head = format!("--border\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n");
        form.extend_from_slice(head.as_bytes());
    }
    let head = format!("--border\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{name}\"\r\n\r\n");
    form.extend_from_slice(head.as_bytes());
    form.extend_from_slice(content);
    form.extend_from_slice(b"\r\n--border--\r\n");
    let request = Request::post(format!("{BASE}/api/libraryfiles"))
        .header("authorization", format!("Bearer {}", rig.token(&["Library.Manage"])))
        .header("content-type", "multipart/form-data; boundary=border");
    rig.send(request.body(Body::from(form)).unwrap()).await
}

pub(crate) async fn upload(rig: &Rig, name: &str, content: &[u8], fields: &[(&str, &str)]) -> Answer {
    upload_as(rig, "file", name, content, fields).await
}

#[tokio::test]
async fn upload_list_and_delete() {
    let rig = Rig::new().await;
    let fields = [
        ("Description", "collects"),
        ("ParametersDescription", "none"),
        ("HasParameters", "true"),
        ("OverrideIfExists", "false"),
        ("Unknown", "x"),
    ];
    let file = upload(&rig, "collect.sh", b"#!/bin/sh\n", &fields).await.ok(200);
    let expected = json!({
        "@odata.context": format!("{BASE}/api/$metadata#LibraryFiles/$entity"),
        "fileName": "collect.sh",
        "sha256": Digest::of(b"#!/bin/sh\n").to_string(),
        "description": "collects",
        "creationTime": "2026-09-21T14:13:20Z",
        "lastUpdatedTime": "2026-09-21T14:13:20Z",
        "createdBy": APPLICATION,
        "hasParameters": true,
        "parametersDescription": "none",
    });
    assert_eq!(file, expected);
    upload_as(&rig, "File", "a b.sh", b"2", &[]).await.ok(200);
    let list = rig.get("/api/libraryfiles").await.ok(200);
    assert_eq!(list["@odata.context"], format!("{BASE}/api/$metadata#LibraryFiles"));
    let names: Vec<_> = list["value"].as_array().unwrap().iter().map(|file| &file["fileName"]).collect();
    assert_eq!(json!(names), json!(["a b.sh", "collect.sh"]));

    let deleted = rig.call(Method::DELETE, "/api/libraryfiles/a%20b.sh", "").await;
    assert_eq!((deleted.status.as_u16(), deleted.bytes.len()), (204, 0));
    rig.call(Method::DELETE, "/api/libraryfiles/a%20b.sh", "").await.refused(404, "ResourceNotFound");
    assert_eq!(rig.get("/api/libraryfiles").await.ok(200)["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_is_replaced_only_if_that_was_asked_for() {
    let rig = Rig::new().await;
    upload(&rig, "s.sh", b"1", &[]).await.ok(200);
    upload(&rig, "s.sh", b"2", &[("OverrideIfExists", "false")]).await.refused(400, "InvalidInput");
    rig.clock.advance(5);
    let file = upload(&rig, "s.sh", b"2", &[("OverrideIfExists", "True")]).await.ok(200);
    assert_eq!(file["sha256"], Digest::of(b"2").to_string());
    assert_eq!(file["creationTime"], "2026-09-21T14:13:20Z");
    assert_eq!(file["lastUpdatedTime"], "2026-09-21T14:13:25Z");
    let list = rig.get("/api/libraryfiles").await.ok(200);
    assert_eq!(list["value"].as_array().unwrap().len(), 1);
    assert_eq!(list["value"][0]["sha256"], Digest::of(b"2").to_string());
}

#[tokio::test]
async fn what_is_refused() {
    let rig = Rig::new().await;
    let path = "/api/libraryfiles";
    rig.post(path, "{}").await.refused(400, "InvalidRequestBody");
    for name in ["", "..", "../x", "a/b", "a\\b"] {
        upload(&rig, name, b"x", &[]).await.refused(400, "InvalidInput");
    }
    let missing = upload_as(&rig, "script", "s.sh", b"x", &[]).await.refused(400, "MissingRequiredParameter");
    assert!(missing.contains("File"));
    upload(&rig, "s.sh", b"x", &[("HasParameters", "perhaps")]).await.refused(400, "InvalidInput");
    upload(&rig, "s.sh", &vec![0; 20_000_001], &[]).await.refused(413, "RequestTooLarge");
    upload(&rig, "s.sh", &vec![0; 21_000_000], &[]).await.refused(413, "RequestTooLarge");
    assert!(rig.store.library_files().await.unwrap().is_empty());
    upload(&rig, "s.sh", &vec![0; 20_000_000], &[]).await.ok(200);

    let token = rig.token(&["Machine.LiveResponse", "Machine.ReadWrite.All"]);
    for (method, path) in [(Method::GET, path), (Method::POST, path), (Method::DELETE, "/api/libraryfiles/s.sh")] {
        let message = rig.call_as(&token, method, path, "").await.refused(403, "Forbidden");
        assert!(message.contains("(Library.Manage)"), "{message}");
    }
}
