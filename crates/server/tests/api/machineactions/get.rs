use crate::rig::{BASE, Rig};
use axum::http::Method;

#[tokio::test]
async fn one_action_right_after_it_was_created() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    for given in [id.to_string(), id.to_string().to_uppercase()] {
        let action = rig.get(&format!("/api/machineactions/{given}")).await.ok(200);
        assert_eq!(action["id"], id.to_string());
        assert_eq!(action["@odata.context"], format!("{BASE}/api/$metadata#MachineActions/$entity"));
    }
    for unknown in ["00000000-0000-4000-8000-000000000000", "nonsense", &id.to_string()[..35]] {
        rig.get(&format!("/api/machineactions/{unknown}")).await.refused(404, "ResourceNotFound");
    }
    let token = rig.token(&["Machine.Isolate"]);
    let refused = rig.call_as(&token, Method::GET, &format!("/api/machineactions/{id}"), "").await;
    assert!(refused.refused(403, "Forbidden").contains("(Machine.Read.All, Machine.ReadWrite.All)"));
}
