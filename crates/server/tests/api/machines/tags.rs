use crate::rig::{BASE, Rig};
use axum::http::Method;
use domain::machine::TAGS_MAX;
use serde_json::{Value, json};

async fn tag(rig: &Rig, action: &str, value: &str) -> Value {
    let body = json!({ "Value": value, "Action": action }).to_string();
    rig.post(&format!("/api/machines/{}/tags", rig.machine), body).await.ok(200)
}

#[tokio::test]
async fn tags_are_added_removed_and_found() {
    let rig = Rig::new().await;
    let machine = tag(&rig, "Add", "test Tag 2").await;
    assert_eq!(machine["@odata.context"], format!("{BASE}/api/$metadata#Machines/$entity"));
    assert_eq!(machine["machineTags"], json!(["test Tag 2"]));
    assert_eq!(tag(&rig, "Add", "o'brien").await["machineTags"], json!(["test Tag 2", "o'brien"]));
    assert_eq!(tag(&rig, "Add", "o'brien").await["machineTags"], json!(["test Tag 2", "o'brien"]));
    for (query, found) in [
        ("?tag=test+Tag+2", 1),
        ("?tag=test%20Tag", 0),
        ("?tag=test&useStartsWithFilter=true", 1),
        ("?Tag=test&usestartswithfilter=False", 0),
        ("(tag='test%20Tag%202')", 1),
        ("(tag='test',useStartsWithFilter=true)", 1),
        ("%28tag%3D%27test%27%2CuseStartsWithFilter%3Dfalse%29", 0),
        ("(tag='o''brien')", 1),
    ] {
        let list = rig.get(&format!("/api/v1.0/Machines/FindByTag{query}")).await.ok(200);
        assert_eq!(list["@odata.context"], format!("{BASE}/api/$metadata#Machines"));
        assert_eq!(list["value"].as_array().unwrap().len(), found, "{query}");
    }
    rig.get("/api/machines/findbytag(tag='o'brien')").await.refused(400, "InvalidInput");
    rig.get("/api/machines/findbytag").await.refused(400, "MissingRequiredParameter");
    rig.get("/api/machines/findbytag?tag=x&useStartsWithFilter=7").await.refused(400, "InvalidInput");
    assert_eq!(tag(&rig, "Remove", "test Tag 2").await["machineTags"], json!(["o'brien"]));
    assert_eq!(tag(&rig, "Remove", "never there").await["machineTags"], json!(["o'brien"]));
    let listed = rig.get("/api/machines/web-03").await.ok(200);
    assert_eq!(listed["machineTags"], json!(["o'brien"]));
}

#[tokio::test]
async fn what_is_no_change_of_tags_changes_nothing() {
    let rig = Rig::new().await;
    let path = format!("/api/machines/{}/tags", rig.machine);
    let body = r#"{"Value":"x","Action":"Add"}"#;
    let reader = rig.token(&["Machine.Read.All", "Machine.Isolate"]);
    rig.call_as(&reader, Method::POST, &path, body).await.refused(403, "Forbidden");
    rig.post("/api/machines/nobody/tags", "{").await.refused(404, "ResourceNotFound");
    for (body, code) in [
        ("{", "InvalidRequestBody"),
        (r#"{"Value":"x"}"#, "MissingRequiredParameter"),
        (r#"{"Action":"Add"}"#, "MissingRequiredParameter"),
        (r#"{"Value":"x","Action":"Replace"}"#, "InvalidInput"),
        (r#"{"Value":"a\nb","Action":"Add"}"#, "InvalidInput"),
    ] {
        rig.post(&path, body).await.refused(400, code);
    }
    for number in 0..TAGS_MAX {
        tag(&rig, "Add", &number.to_string()).await;
    }
    rig.post(&path, body).await.refused(400, "InvalidInput");
    let machine = rig.get("/api/machines/web-03").await.ok(200);
    assert_eq!(machine["machineTags"].as_array().unwrap().len(), TAGS_MAX);
}
