use crate::rig::{BASE, Rig};
use axum::http::Method;
use serde_json::json;

#[tokio::test]
async fn nobody_is_known_to_have_signed_in() {
    let rig = Rig::new().await;
    let path = format!("/api/machines/{}/logonusers", rig.machine);
    let list = rig.get(&path).await.ok(200);
    assert_eq!(list, json!({ "@odata.context": format!("{BASE}/api/$metadata#Users"), "value": [] }));
    rig.get("/api/machines/nobody/logonusers").await.refused(404, "ResourceNotFound");
    let reader = rig.token(&["Machine.Read.All"]);
    rig.call_as(&reader, Method::GET, &path, "").await.refused(403, "Forbidden");
    let may = rig.token(&["User.Read.All"]);
    rig.call_as(&may, Method::GET, &path, "").await.ok(200);
}
