use crate::rig::{APPLICATION, Answer, BASE, Rig, audited};
use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::permission::Permission;
use domain::time::Timestamp;
use serde_json::{Value, json};
use server::listen::PeerAddress;
use server::tokens::hash_secret;
use store::Application;

const SECRET: &str = "s3cret+with/odd=chars";

async fn rig() -> Rig {
    let rig = Rig::new().await;
    let application = Application {
        client_id: APPLICATION.into(),
        name: "soar".into(),
        secret_hash: hash_secret(SECRET, [5; 16]).unwrap(),
        permissions: vec![Permission::MachineReadAll, Permission::MachineIsolate],
        created_at: Timestamp(0),
    };
    rig.store.put_application(&application, &audited()).await.unwrap();
    rig
}

fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
}

async fn post(rig: &Rig, path: &str, form: String) -> Answer {
    rig.send(Request::post(format!("{BASE}{path}")).body(Body::from(form)).unwrap()).await
}

fn good<'a>() -> Vec<(&'a str, &'a str)> {
    vec![("grant_type", "client_credentials"), ("client_id", APPLICATION), ("client_secret", SECRET)]
}

/// The error as clients need it; returns the description.
fn refused(answer: &Answer, status: u16, error: &str, number: u32) -> String {
    let body = answer.ok(status);
    assert_eq!(body["error"], error);
    assert_eq!(body["error_codes"], json!([number]));
    for key in ["timestamp", "trace_id", "correlation_id", "error_uri"] {
        assert!(body[key].is_string(), "{key}");
    }
    let description = body["error_description"].as_str().unwrap().to_string();
    assert!(description.starts_with(&format!("AADSTS{number}: ")), "{description}");
    assert!(!answer.text().contains(SECRET));
    description
}

#[tokio::test]
async fn a_token_that_works_for_what_the_application_may_do() {
    let rig = rig().await;
    let path = format!("/{}/oauth2/v2.0/token", rig.tenant.0);
    for scope in [
        None,
        Some("https://api.securitycenter.microsoft.com/.default"),
        Some("https://api.securitycenter.windows.com/.default"),
        Some("https://securitycenter.onmicrosoft.com/windowsatpservice/.default"),
        Some("https://api.security.microsoft.com//.default"),
        Some("offline_access https://api.security.microsoft.com/.default"),
        Some("https://control.example:8443/.default"),
    ] {
        let mut fields = good();
        fields.extend(scope.map(|scope| ("scope", scope)));
        fields.extend([("client_info", "1"), ("redirectUri", "x"), ("x-client-SKU", "msal")]);
        let answer = post(&rig, &path, form(&fields)).await;
        let body = answer.ok(200);
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3599)), "{scope:?}");
        assert_eq!(body["ext_expires_in"], 3599);
        assert_eq!(answer.header("cache-control"), "no-store");
        let token = body["access_token"].as_str().unwrap();
        rig.call_as(token, Method::GET, "/api/machines", "").await.ok(200);
        rig.call_as(token, Method::GET, "/api/libraryfiles", "").await.refused(403, "Forbidden");
    }
}

/// Each resource that clients ask for (wire contract, 5.2 and 11.22), of both versions, with a slash and without.
#[tokio::test]
async fn every_resource_of_both_versions() {
    let rig = rig().await;
    for resource in [
        "https://api.securitycenter.microsoft.com",
        "https://api.securitycenter.windows.com",
        "https://api.security.microsoft.com",
        "https://securitycenter.onmicrosoft.com/windowsatpservice",
        "https://api-gcc.securitycenter.microsoft.us",
        "https://api-gov.securitycenter.microsoft.us",
        "fc780465-2017-40d4-a0c5-307022471b92",
        "https://localhost:8443",
        BASE,
    ] {
        for slash in ["", "/"] {
            let resource = format!("{resource}{slash}");
            let scope = format!("{resource}/.default");
            let qradar = format!("offline_access {scope}");
            for (path, name, value) in
                [("token", "resource", &resource), ("v2.0/token", "scope", &scope), ("v2.0/token", "scope", &qradar)]
            {
                // Sent beside it by some, and of no meaning where it is not asked for.
                let beside = if name == "scope" { ("resource", "https://x.example") } else { ("scope", "x y") };
                let fields = [good(), vec![(name, value.as_str()), beside]].concat();
                let answer = post(&rig, &format!("/{}/oauth2/{path}", rig.tenant.0), form(&fields)).await;
                let body = answer.ok(200);
                assert_eq!(body["expires_in"].is_string(), name == "resource");
                assert_eq!(body["resource"].as_str(), (name == "resource").then_some(value.as_str()));
                let token = body["access_token"].as_str().unwrap();
                rig.call_as(token, Method::GET, "/api/machines", "").await.ok(200);
            }
        }
    }
    // None at all is for us, and version 1 says so.
    let body = post(&rig, &format!("/{}/oauth2/token", rig.tenant.0), form(&good())).await.ok(200);
    assert_eq!(body["resource"], "https://localhost:8443");
}

#[tokio::test]
async fn the_path_in_any_case_and_the_credentials_in_a_header() {
    let rig = rig().await;
    let basic = STANDARD.encode(format!("{APPLICATION}:{}", SECRET.replace('+', "%2B").replace('=', "%3D")));
    let path = format!("{BASE}/{}/OAuth2/V2.0/Token/?api-version=1", rig.tenant.0.to_string().to_uppercase());
    let request = Request::post(path).header("authorization", format!("Basic {basic}"));
    let answer = rig.send(request.body(Body::from("grant_type=client_credentials\n")).unwrap()).await;
    answer.ok(200);
}

#[tokio::test]
async fn version_one_says_numbers_as_text() {
    let rig = rig().await;
    let mut fields = good();
    fields.push(("resource", "https://api.securitycenter.windows.com/"));
    let body = post(&rig, &format!("/{}/oauth2/token", rig.tenant.0), form(&fields)).await.ok(200);
    assert_eq!((&body["expires_in"], &body["resource"]), (&json!("3599"), &json!(fields[3].1)));
    let ends = (crate::rig::START + 3599).to_string();
    assert_eq!((&body["expires_on"], &body["not_before"]), (&json!(ends), &json!(crate::rig::START.to_string())));
    let token = body["access_token"].as_str().unwrap();
    rig.call_as(token, Method::GET, "/api/machines", "").await.ok(200);
}

#[tokio::test]
async fn wrong_secrets_and_unknown_applications_look_alike() {
    let rig = rig().await;
    let path = format!("/{}/oauth2/v2.0/token", rig.tenant.0);
    let long = "x".repeat(10_000);
    let mut answers = Vec::new();
    for (id, secret) in [(APPLICATION, "wrong"), ("unknown", SECRET), ("", ""), (APPLICATION, long.as_str())] {
        let fields = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let answer = post(&rig, &path, form(&fields)).await;
        let description = refused(&answer, 401, "invalid_client", 7_000_215);
        assert!(answer.header("www-authenticate").starts_with("Basic realm="));
        answers.push(description.split(" Trace ID").next().unwrap().to_string());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn requests_that_are_not_understood() {
    let rig = rig().await;
    let path = format!("/{}/oauth2/v2.0/token", rig.tenant.0);
    let without = |name: &str| good().into_iter().filter(|(given, _)| *given != name).collect::<Vec<_>>();
    let with = |name, value| [good(), vec![(name, value)]].concat();
    let grant = [("grant_type", "password"), ("client_id", APPLICATION), ("client_secret", SECRET)];
    let cases = [
        (Vec::new(), 400, "invalid_request", 900_144),
        (without("client_id"), 400, "invalid_request", 900_144),
        (without("client_secret"), 401, "invalid_client", 7_000_216),
        (grant.to_vec(), 400, "unsupported_grant_type", 70_003),
        (with("scope", "https://api.security.microsoft.com/Machine.Isolate"), 400, "invalid_scope", 1_002_012),
        (with("scope", "https://graph.microsoft.com/.default"), 400, "invalid_resource", 500_011),
        (with("scope", "https://a/.default https://b/.default"), 400, "invalid_scope", 1_002_012),
    ];
    for (fields, status, error, number) in cases {
        refused(&post(&rig, &path, form(&fields)).await, status, error, number);
    }
    for tenant in ["common", "00000000-0000-4000-8000-000000000000"] {
        let answer = post(&rig, &format!("/{tenant}/oauth2/v2.0/token"), form(&good())).await;
        refused(&answer, 400, "invalid_request", 90_002);
    }
    post(&rig, &path, "x".repeat(100_000)).await.refused(413, "RequestTooLarge");
    let get = Request::get(format!("{BASE}{path}")).body(Body::empty()).unwrap();
    rig.send(get).await.refused(404, "NotFound");
}

#[tokio::test]
async fn a_token_names_the_application_and_the_tenant() {
    let rig = rig().await;
    let path = format!("/{}/oauth2/v2.0/token", rig.tenant.0);
    let body = post(&rig, &path, form(&good())).await.ok(200);
    let claims = body["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    for claim in ["appid", "azp", "sub"] {
        assert_eq!(claims[claim], APPLICATION);
    }
    assert_eq!(claims["tid"], rig.tenant.0.to_string());
    assert_eq!(claims["roles"], json!(["Machine.Read.All", "Machine.Isolate"]));
    assert_eq!((&claims["ver"], &claims["aud"]), (&json!("2.0"), &json!("https://localhost:8443")));
}

#[tokio::test]
async fn an_address_whose_sign_ins_fail_too_often_waits_and_no_other() {
    let rig = rig().await;
    let path = format!("{BASE}/{}/oauth2/v2.0/token", rig.tenant.0);
    let sign_in = async |address: [u8; 4], secret: &str| {
        let fields = [("grant_type", "client_credentials"), ("client_id", APPLICATION), ("client_secret", secret)];
        let request = Request::post(&path).extension(PeerAddress((address, 50_000).into()));
        rig.send(request.body(Body::from(form(&fields))).unwrap()).await
    };
    let (here, elsewhere) = ([127, 0, 0, 1], [192, 0, 2, 7]);
    // Longer than any secret: refused without a hash, which would take the test a while.
    let wrong = "x".repeat(1000);
    for _ in 0..30 {
        refused(&sign_in(here, &wrong).await, 401, "invalid_client", 7_000_215);
    }
    let answer = sign_in(here, SECRET).await;
    refused(&answer, 429, "temporarily_unavailable", 90_055);
    assert_eq!(answer.header("retry-after"), "60");
    sign_in(elsewhere, SECRET).await.ok(200);
    rig.clock.advance(60);
    sign_in(here, SECRET).await.ok(200);
}
