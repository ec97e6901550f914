//! A form that asks for a token, in either version, with credentials in a header or not. Nobody who does not know a
//! secret is given one, and the answer is no failure of the server's.

use crate::desk::{StillClock, block_on, desk};
use crate::dice::Dice;
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use server::actions::Actions;
use std::sync::Arc;
use store::MemoryStore;
use tower::ServiceExt as _;

/// Sends the form.
pub(crate) fn check(bytes: &[u8]) {
    let mut dice = Dice::new(bytes);
    let path = dice.of(&["oauth2/v2.0/token", "oauth2/token"]);
    let tenant = if dice.byte() == 255 { "common".to_string() } else { desk().tenant.0.to_string() };
    let mut request = Request::post(format!("/{tenant}/{path}"));
    if dice.byte() == 255 {
        let Ok(header) = HeaderValue::from_bytes(dice.some()) else { return };
        request = request.header("authorization", header);
    }
    let request = request.body(Body::from(dice.rest().to_vec())).expect("a request");
    block_on(async {
        let actions = Actions::new(Arc::new(MemoryStore::new()), Arc::default());
        let response = desk().api(actions, Arc::new(StillClock::default())).oneshot(request).await.expect("an answer");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert!(status.is_client_error(), "{status}: {}", String::from_utf8_lossy(&body));
        let error: serde_json::Value = serde_json::from_slice(&body).expect("an error is JSON");
        assert!(error["error"].is_string(), "{error}");
    });
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let form = |how: &[u8], form: &str| [how, form.as_bytes()].concat();
    let id = "3d5a9c1e-0000-4000-8000-2b7c1f0a9e44";
    let scope = "https%3A%2F%2Fapi.securitycenter.microsoft.com%2F.default";
    vec![
        vec![],
        form(&[0, 0, 0], "grant_type=password"),
        form(&[0, 0, 0], &format!("grant_type=client_credentials&client_id={id}&client_secret=x&scope={scope}")),
        form(&[1, 0, 0], &format!("grant_type=client_credentials&client_id={id}&client_secret=x&resource=https://x")),
        form(&[0, 0, 255, 10], "Basic eDp4grant_type=client_credentials"),
        form(&[0, 255, 0], &format!("grant_type=client_credentials&client_id={id}&client_secret=x")),
    ]
}
