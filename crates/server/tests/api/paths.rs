use crate::rig::{BASE, Rig};
use axum::body::Body;
use axum::http::{Method, Request};

#[tokio::test]
async fn one_endpoint_however_it_is_written() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    for path in [
        "/api/machineactions",
        "/api/machineactions/",
        "/api/v1.0/machineactions",
        "/api/V1.0/machineActions/?$top=1",
        "/API/MACHINEACTIONS",
        "//api//machineactions",
        "/%61pi/machine%41ctions",
    ] {
        assert_eq!(rig.get(path).await.ok(200)["value"][0]["id"], id.to_string(), "{path}");
    }
    rig.post(&format!("/API/v1.0/MachineActions/{id}/CANCEL/"), "").await.ok(200);
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_are_not_found() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    for (method, path) in [
        (Method::GET, "/api/nothing".to_string()),
        (Method::GET, "/api".into()),
        (Method::GET, "/api/v2.0/machineactions".into()),
        (Method::DELETE, "/api/machineactions".into()),
        (Method::GET, format!("/api/machineactions/{id}/cancel")),
        (Method::PUT, format!("/api/machineactions/{id}/cancel")),
        (Method::POST, format!("/api/machineactions/{id}")),
        (Method::OPTIONS, "/api/machineactions".into()),
        (Method::GET, format!("/api/{}", "x".repeat(10_000))),
    ] {
        let message = rig.call(method, &path, "").await.refused(404, "NotFound");
        assert_eq!(message, "No HTTP resource was found that matches the request URI.");
    }
    // Outside of the API there is nothing to hide, inside there is.
    let bare = |path: &str| Request::get(format!("{BASE}{path}")).body(Body::empty()).unwrap();
    rig.send(bare("/")).await.refused(404, "NotFound");
    rig.send(bare("/api/nothing")).await.refused(401, "Unauthorized");
}

#[tokio::test]
async fn the_context_names_the_host_that_was_asked_and_only_a_plain_one() {
    let rig = Rig::new().await;
    let ask = async |host: &str| {
        let request = Request::get("/api/alerts?$top=1&$skip=7")
            .header("host", host)
            .header("x-forwarded-host", "evil.example")
            .header("authorization", format!("Bearer {}", rig.token(&[])));
        let list = rig.send(request.body(Body::empty()).unwrap()).await.ok(200);
        assert_eq!(list["value"].as_array().unwrap().len(), 0);
        list["@odata.context"].as_str().unwrap().to_string()
    };
    assert_eq!(ask("10.0.0.7:9443").await, "https://10.0.0.7:9443/api/$metadata#Alerts");
    for odd in ["a\"b", "a/b", "a b", ""] {
        assert_eq!(ask(odd).await, "https://localhost:8443/api/$metadata#Alerts", "{odd}");
    }
}
