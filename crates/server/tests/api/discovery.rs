use crate::rig::{Answer, BASE, Rig};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

const PUBLIC: &str = "https://localhost:8443";

async fn get(rig: &Rig, path: &str) -> Answer {
    let request = Request::get(format!("{BASE}{path}")).header("host", "evil.example");
    rig.send(request.body(Body::empty()).unwrap()).await
}

fn refused(answer: &Answer, error: &str, number: u32) {
    let body = answer.ok(400);
    assert_eq!((&body["error"], &body["error_codes"]), (&json!(error), &json!([number])));
}

#[tokio::test]
async fn what_libraries_read_before_they_sign_in() {
    let rig = Rig::new().await;
    let base = format!("{PUBLIC}/{}", rig.tenant.0);
    for (path, oauth2, keys) in [
        ("v2.0/.well-known/openid-configuration", "oauth2/v2.0", "discovery/v2.0/keys"),
        (".well-known/openid-configuration", "oauth2", "discovery/keys"),
        (".Well-Known/OpenID-Configuration/?appid=x", "oauth2", "discovery/keys"),
    ] {
        let document = get(&rig, &format!("/{}/{path}", rig.tenant.0)).await.ok(200);
        assert_eq!(document["issuer"], rig.claims(&[])["iss"], "the issuer that tokens name");
        assert_eq!(document["token_endpoint"], format!("{base}/{oauth2}/token"));
        assert_eq!(document["authorization_endpoint"], format!("{base}/{oauth2}/authorize"));
        assert_eq!(document["jwks_uri"], format!("{base}/{keys}"));
        assert!(!document.to_string().contains("evil"), "the Host header is not believed");
        let keys = get(&rig, document["jwks_uri"].as_str().unwrap().strip_prefix(PUBLIC).unwrap()).await.ok(200);
        assert_eq!(keys["keys"][0]["kid"], rig.header().kid.unwrap());
    }
}

/// A key as it is published, used by somebody who knows nothing else.
#[tokio::test]
async fn a_published_key_verifies_what_was_signed() {
    let rig = Rig::new().await;
    let set = get(&rig, &format!("/{}/discovery/v2.0/keys", rig.tenant.0)).await.ok(200);
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);
    let key = &set["keys"][0];
    assert_eq!([&key["kty"], &key["crv"], &key["use"], &key["alg"]], ["EC", "P-256", "sig", "ES256"]);
    assert!(key["d"].is_null() && key.as_object().unwrap().len() == 7, "nothing private: {key}");
    let word = |name: &str| key[name].as_str().unwrap();
    let verifying = jsonwebtoken::DecodingKey::from_ec_components(word("x"), word("y")).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.validate_exp = false;
    validation.set_audience(&["https://api.securitycenter.microsoft.com"]);
    jsonwebtoken::decode::<Value>(rig.all(), &verifying, &validation).unwrap();
}

#[tokio::test]
async fn another_tenant_has_no_documents_and_common_names_none() {
    let rig = Rig::new().await;
    for tenant in ["common", "organizations", "consumers", "00000000-0000-4000-8000-000000000000", "x"] {
        for path in [
            "v2.0/.well-known/openid-configuration",
            ".well-known/openid-configuration",
            "discovery/v2.0/keys",
            "discovery/keys",
        ] {
            refused(&get(&rig, &format!("/{tenant}/{path}")).await, "invalid_request", 90_002);
        }
    }
}

#[tokio::test]
async fn an_instance_is_this_server_or_none() {
    let rig = Rig::new().await;
    let ask = async |authority: &str| {
        let path = format!("/common/discovery/instance?api-version=1.1&authorization_endpoint={authority}");
        get(&rig, &path).await
    };
    let tenant = rig.tenant.0;
    let known = ask(&format!("{PUBLIC}/{tenant}/oauth2/v2.0/authorize")).await.ok(200);
    let document = format!("{PUBLIC}/{tenant}/v2.0/.well-known/openid-configuration");
    assert_eq!(known["tenant_discovery_endpoint"], document);
    let metadata = json!([{
        "preferred_network": "localhost:8443", "preferred_cache": "localhost:8443", "aliases": ["localhost:8443"],
    }]);
    assert_eq!((&known["metadata"], &known["api-version"]), (&metadata, &json!("1.1")));
    for other in [
        format!("https://localhost:84430/{tenant}/oauth2/v2.0/authorize"),
        format!("https://evil.example/{tenant}/oauth2/v2.0/authorize"),
        format!("{PUBLIC}/common/oauth2/v2.0/authorize"),
        PUBLIC.to_string(),
        String::new(),
    ] {
        refused(&ask(&other).await, "invalid_instance", 50_049);
    }
}
