use crate::rig::{Answer, BASE, Rig};
use axum::body::Body;
use axum::http::Request;
use domain::ids::{ActionId, Digest};
use domain::testimony::{Artifact, Ending, StepReport, StepStatus};
use serde_json::json;

const CONTENT: &[u8] = b"\x1f\x8bnot really gzip";

/// A live response of two commands, the second of which got a file.
async fn finished(rig: &Rig) -> ActionId {
    let get = json!({ "type": "GetFile", "params": [{ "key": "Path", "value": "/etc/hosts" }] });
    let id = rig.live_response(&json!([get, get])).await;
    let epoch = rig.grant(id).await;
    let sha256 = Digest::of(CONTENT);
    let artifact = Artifact { sha256, size_bytes: CONTENT.len() as u64, file_name: "hosts.gz".into() };
    let completed =
        |index, artifact| StepReport { status: StepStatus::Completed, artifact, ..StepReport::created(index) };
    rig.testify(id, epoch, Ending::Finished, vec![completed(0, None), completed(1, Some(artifact))]).await;
    let dir = rig.config.data.artifact_dir();
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(server::actions::artifact_file_name(id, 1, &sha256)), CONTENT).unwrap();
    id
}

/// The same, with the digest of the file.
pub(crate) async fn finished_with_a_file(rig: &Rig) -> (ActionId, Digest) {
    (finished(rig).await, Digest::of(CONTENT))
}

fn path(id: ActionId, index: &str) -> String {
    format!("/api/machineactions/{id}/GetLiveResponseResultDownloadLink(index={index})")
}

async fn link(rig: &Rig, id: ActionId) -> String {
    let answer = rig.get(&path(id, "1")).await.ok(200);
    assert_eq!(answer["@odata.context"], format!("{BASE}/api/$metadata#Edm.String"));
    answer["value"].as_str().unwrap().to_string()
}

/// A plain GET, as every client does it: without Authorization.
async fn fetch(rig: &Rig, url: &str) -> Answer {
    rig.send(Request::get(url).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_link_works_without_a_token_for_half_an_hour() {
    let rig = Rig::new().await;
    let id = finished(&rig).await;
    let url = link(&rig, id).await;
    assert!(url.starts_with(&format!("{BASE}/")), "{url}");
    let answer = fetch(&rig, &url).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.as_slice()), (200, CONTENT));
    assert_eq!(answer.header("content-disposition"), "attachment; filename=hosts.gz");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("content-length"), CONTENT.len().to_string());
    rig.clock.advance(30 * 60 - 1);
    assert_eq!(fetch(&rig, &url).await.status, 200);
    rig.clock.advance(1);
    fetch(&rig, &url).await.refused(403, "Forbidden");
    // A new one is to be had by asking again.
    let again = link(&rig, id).await;
    assert_eq!(fetch(&rig, &again).await.status, 200);
}

#[tokio::test]
async fn a_link_that_was_touched_is_worth_nothing() {
    let rig = Rig::new().await;
    let id = finished(&rig).await;
    let url = link(&rig, id).await;
    let sha256 = Digest::of(CONTENT).to_string();
    let expires = url.split("expires=").nth(1).unwrap().split('&').next().unwrap();
    let signature = url.split("signature=").nth(1).unwrap();
    for (part, other) in [
        (sha256.as_str(), Digest::of(b"").to_string()),
        (sha256.as_str(), "../../store.db".into()),
        (expires, "99999999999".into()),
        (expires, "-1".into()),
        (signature, "0".repeat(64)),
        (signature, String::new()),
        (&id.to_string(), "00000000-0000-4000-8000-000000000000".into()),
        ("/1?", "/0?".into()),
        ("/1?", "/x?".into()),
        ("sha256=", "sha=".into()),
    ] {
        let tampered = url.replacen(part, &other, 1);
        assert_ne!(tampered, url);
        fetch(&rig, &tampered).await.refused(403, "Forbidden");
    }
    fetch(&rig, url.split('?').next().unwrap()).await.refused(403, "Forbidden");
}

#[tokio::test]
async fn where_there_is_no_result() {
    let rig = Rig::new().await;
    let id = finished(&rig).await;
    for index in ["0", "2", "65536", "-1", "x"] {
        rig.get(&path(id, index)).await.refused(404, "ResourceNotFound");
    }
    // Any casing, encoded or not.
    let encoded = format!("/api/machineactions/{id}/getliveresponseresultdownloadlink%28index%3D1%29");
    rig.get(&encoded).await.ok(200);
    std::fs::remove_dir_all(rig.config.data.artifact_dir()).unwrap();
    rig.get(&path(id, "1")).await.refused(404, "ResourceNotFound");

    let pending = rig.isolate().await;
    rig.get(&path(pending, "0")).await.refused(400, "BadRequest");
    rig.get(&path(ActionId::parse("00000000-0000-4000-8000-000000000000").unwrap(), "0"))
        .await
        .refused(404, "ResourceNotFound");
}
