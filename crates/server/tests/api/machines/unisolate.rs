use crate::rig::Rig;
use serde_json::Value;

#[tokio::test]
async fn a_release_beside_an_isolation() {
    let rig = Rig::new().await;
    rig.isolate().await;
    let path = format!("/api/machines/{}/unisolate", rig.machine);
    let action = rig.post(&path, r#"{"Comment":"over"}"#).await.ok(201);
    assert_eq!((&action["type"], &action["scope"]), (&Value::from("Unisolate"), &Value::Null));
    rig.post(&path, r#"{"Comment":"over"}"#).await.refused(400, "ActiveRequestAlreadyExists");
    rig.post(&path, "{}").await.refused(400, "MissingRequiredParameter");
    rig.post("/api/machines/nobody/unisolate", "{}").await.refused(404, "ResourceNotFound");
}
