use crate::rig::Rig;
use axum::http::Method;

#[tokio::test]
async fn there_is_no_package_of_what_collected_none() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    for word in ["getPackageUri", "GetPackageUri", "getpackageuri/"] {
        let message = rig.get(&format!("/api/machineactions/{id}/{word}")).await.refused(404, "ResourceNotFound");
        assert!(message.contains(&id.to_string()), "{message}");
    }
    rig.post(&format!("/api/machineactions/{id}/cancel"), "").await.ok(200);
    rig.get(&format!("/api/machineactions/{id}/getPackageUri")).await.refused(404, "ResourceNotFound");
    rig.get("/api/machineactions/none/getPackageUri").await.refused(404, "ResourceNotFound");
    rig.post(&format!("/api/machineactions/{id}/getPackageUri"), "").await.refused(404, "NotFound");
    let other = rig.token(&["Machine.CollectForensics"]);
    let path = format!("/api/machineactions/{id}/getPackageUri");
    rig.call_as(&other, Method::GET, &path, "").await.refused(403, "Forbidden");
}
