//! Tokens of other issuers, which are asked for their keys over real TLS.

use crate::fake_issuer::{AUDIENCE, DISCOVERY, FakeIssuer, KEYS, Says, TENANT, ec, make_ec, rsa, with};
use crate::rig::{Answer, Rig, START};
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use server::config::IssuerConfig;
use std::time::{Duration, Instant};

async fn rig_with(issuers: Vec<IssuerConfig>) -> Rig {
    Rig::with(|config| {
        config.limits.enabled = false;
        config.tokens.issuers = issuers;
    })
    .await
}

/// A rig that takes the tokens of one issuer.
async fn rig() -> (Rig, FakeIssuer) {
    let issuer = FakeIssuer::new().await;
    (rig_with(vec![issuer.config()]).await, issuer)
}

async fn list(rig: &Rig, token: &str) -> Answer {
    rig.call_as(token, Method::GET, "/api/machines", "").await
}

async fn takes(rig: &Rig, token: &str) -> bool {
    match list(rig, token).await.status.as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn applications_and_people_by_every_algorithm() {
    let (rig, issuer) = rig().await;
    let claims = issuer.claims();
    for token in [
        rsa().sign("rsa", &claims),
        rsa().sign_as(Algorithm::PS256, "rsa", &claims),
        rsa().sign_as(Algorithm::PS256, "pss", &claims),
        ec().sign("ec", &claims),
    ] {
        list(&rig, &token).await.ok(200);
        rig.call_as(&token, Method::GET, "/api/libraryfiles", "").await.refused(403, "Forbidden");
    }
    assert_eq!((issuer.asked(DISCOVERY), issuer.asked(KEYS)), (1, 1), "asked once for all of them");

    let mut claims = with(with(claims, "scp", "openid Machine.Isolate Machine.Read"), "upn", "ada@example.org");
    claims.as_object_mut().unwrap().remove("nbf");
    let person = rsa().sign("rsa", &with(claims, "aud", AUDIENCE));
    let isolate = format!("/api/machines/{}/isolate", rig.machine);
    let made = rig.call_as(&person, Method::POST, &isolate, r#"{"Comment":"why"}"#).await.ok(201);
    assert_eq!(made["requestor"], "ada@example.org");
    let application = ec().sign("ec", &issuer.claims());
    let cancel = format!("/api/machineactions/{}/cancel", made["id"].as_str().unwrap());
    assert_eq!(rig.call_as(&application, Method::POST, &cancel, "").await.ok(200)["cancellationRequestor"], "soar");
    // Our own tokens are taken beside them.
    list(&rig, &rig.all()).await.ok(200);
}

/// Entra ID leaves the claim out: the application is known, and may do nothing.
#[tokio::test]
async fn an_application_that_was_granted_nothing() {
    let (rig, issuer) = rig().await;
    let mut claims = issuer.claims();
    claims.as_object_mut().unwrap().remove("roles");
    let token = ec().sign("ec", &claims);
    list(&rig, &token).await.refused(403, "Forbidden");
    rig.call_as(&token, Method::GET, "/api/alerts", "").await.ok(200);
}

#[tokio::test]
async fn claims_by_other_names_and_keys_at_a_given_url() {
    let issuer = FakeIssuer::new().await;
    let config = IssuerConfig {
        jwks_url: Some(issuer.at(KEYS)),
        tenants: vec![],
        roles_claim: "/resource_access/countermand/roles".into(),
        scopes_claim: "scope".into(),
        ..issuer.config()
    };
    let rig = rig_with(vec![config]).await;
    let mut claims =
        with(issuer.claims(), "resource_access", json!({ "countermand": { "roles": ["Machine.Read.All"] } }));
    claims.as_object_mut().unwrap().remove("roles");
    claims.as_object_mut().unwrap().remove("tid");
    assert!(takes(&rig, &ec().sign("ec", &claims)).await);
    let person = with(with(claims, "scope", "email Machine.Read"), "preferred_username", "ada");
    assert!(takes(&rig, &ec().sign("ec", &person)).await);
    assert_eq!((issuer.asked(DISCOVERY), issuer.asked(KEYS)), (0, 1));
}

fn bad_claims(issuer: &FakeIssuer) -> Vec<Value> {
    let good = issuer.claims();
    let set = |name: &str, value: Value| with(good.clone(), name, value);
    let mut bad = vec![
        set("iss", json!(format!("{}/", issuer.url))),
        set("iss", json!("https://evil.example/realm")),
        set("iss", json!([issuer.url])),
        set("aud", json!("account")),
        set("aud", json!(["account"])),
        set("aud", json!([])),
        set("aud", json!([AUDIENCE, 1])),
        set("aud", json!({ AUDIENCE: true })),
        set("aud", json!(AUDIENCE.to_uppercase())),
        set("aud", json!(format!("{AUDIENCE}/"))),
        set("tid", json!("00000000-0000-4000-8000-000000000000")),
        set("tid", json!(TENANT.to_uppercase())),
        set("tid", json!([TENANT])),
        set("exp", json!(START - 60)),
        set("exp", json!((START + 60).to_string())),
        set("exp", json!(START as f64 + 60.5)),
        set("exp", json!(u64::MAX)),
        set("nbf", json!(START + 61)),
        set("nbf", json!("0")),
        set("nbf", json!(null)),
        set("typ", json!("ID")),
        set("typ", json!("Refresh")),
        set("typ", json!(1)),
        set("at_hash", json!("x")),
        set("c_hash", json!("x")),
        set("roles", json!("Machine.Read.All")),
        set("roles", json!([1])),
        set("azp", json!("")),
        set("azp", json!(7)),
        set("azp", json!("a\u{202e}b")),
        set("preferred_username", json!("ada")),
        set("upn", json!("ada@example.org")),
        set("scp", json!("Machine.Read")),
        set("scp", json!(1)),
    ];
    for claim in ["iss", "aud", "tid", "exp", "azp"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        bad.push(claims);
    }
    bad
}

#[tokio::test]
async fn claims_that_are_not_as_configured() {
    let (rig, issuer) = rig().await;
    for claims in bad_claims(&issuer) {
        list(&rig, &ec().sign("ec", &claims)).await.refused(401, "Unauthorized");
    }
    // A clock may be off by a minute.
    for claims in [with(issuer.claims(), "exp", START - 59), with(issuer.claims(), "nbf", START + 60)] {
        assert!(takes(&rig, &ec().sign("ec", &claims)).await, "{claims}");
    }
    // One of our own tokens under another issuer's key, and another's claims under ours.
    assert!(!takes(&rig, &ec().sign("ec", &rig.claims(&["Machine.Read.All"]))).await);
    assert!(!takes(&rig, &rig.sign(&rig.header(), &issuer.claims())).await);
}

/// A token with this header, with the signature of a good one behind it.
fn raw(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn keys_verify_what_they_are_for_and_tokens_have_no_say_in_it() {
    let (rig, issuer) = rig().await;
    let claims = issuer.claims();
    let elsewhere = FakeIssuer::new().await;
    let other = make_ec();
    let good = ec().sign("ec", &claims);
    let signature = good.rsplit('.').next().unwrap();
    let mut leading = Header::new(Algorithm::ES256);
    leading.kid = Some("theirs".into());
    leading.jku = Some(elsewhere.at(KEYS));
    leading.x5u = Some(elsewhere.at("/cert"));
    leading.jwk = serde_json::from_value(other.jwk("theirs")).unwrap();
    elsewhere.publishes(&[other.jwk("theirs")]);
    let mut leading_to_ec = leading.clone();
    leading_to_ec.kid = Some("ec".into());
    let secret = |bytes: &[u8], key_id: &str| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key_id.into());
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(bytes)).unwrap()
    };
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&rsa().der));
    let twice = format!("{}.{}.{signature}", good.split('.').next().unwrap(), {
        let text = claims.to_string();
        URL_SAFE_NO_PAD.encode(format!("{},\"tid\":\"{TENANT}\"}}", text.strip_suffix('}').unwrap()))
    });
    for (what, token) in [
        ("none", raw(&json!({ "alg": "none", "kid": "ec" }), &claims, "")),
        ("none with a signature", raw(&json!({ "alg": "none", "kid": "ec" }), &claims, signature)),
        ("HS256 with the key's DER", secret(&rsa().der, "rsa")),
        ("HS256 with the key's PEM", secret(pem.as_bytes(), "rsa")),
        ("HS256 with the point", secret(&ec().der, "ec")),
        ("HS256 with nothing", secret(b"", "ec")),
        ("RSA under the name of the point", rsa().sign("ec", &claims)),
        ("the point under the name of RSA", ec().sign("rsa", &claims)),
        ("RS256 by a key for PS256", rsa().sign("pss", &claims)),
        ("RS512", rsa().sign_as(Algorithm::RS512, "rsa", &claims)),
        ("PS384", rsa().sign_as(Algorithm::PS384, "rsa", &claims)),
        ("another key under a known name", other.sign("ec", &claims)),
        ("a key that it brings along", other.sign_under(&leading, &claims)),
        ("a key that it brings along, under a known name", other.sign_under(&leading_to_ec, &claims)),
        ("a claim twice", twice),
        ("no key named", raw(&json!({ "alg": "ES256" }), &claims, signature)),
        ("a path for a key", ec().sign("../../ec", &claims)),
        ("a key id with a space", ec().sign("e c", &claims)),
    ] {
        assert!(!takes(&rig, &token).await, "{what}");
    }
    assert!(takes(&rig, &good).await);
    assert_eq!((elsewhere.asked(KEYS), elsewhere.asked("/cert")), (0, 0), "nobody is asked but who is configured");
}

#[tokio::test]
async fn a_new_key_is_found_and_a_key_that_is_gone_ends_its_tokens() {
    let (rig, issuer) = rig().await;
    let old = ec().sign("ec", &issuer.claims());
    assert!(takes(&rig, &old).await);
    let new = make_ec();
    issuer.publishes(&[new.jwk("new")]);
    let fresh = new.sign("new", &issuer.claims());
    assert!(!takes(&rig, &fresh).await, "asked less than a minute ago");
    rig.clock.advance(59);
    assert!(!takes(&rig, &fresh).await);
    rig.clock.advance(1);
    assert!(takes(&rig, &fresh).await);
    assert!(!takes(&rig, &old).await, "also what was verified before");
    assert_eq!(issuer.asked(KEYS), 2);
}

#[tokio::test]
async fn keys_that_have_become_old_are_asked_for_without_need() {
    let (rig, issuer) = rig().await;
    let old = ec().sign("ec", &issuer.claims());
    assert!(takes(&rig, &old).await);
    issuer.publishes(&[rsa().jwk("rsa")]);
    rig.clock.advance(3599);
    // Remembered and not: neither has them asked for.
    assert!(takes(&rig, &old).await && takes(&rig, &ec().sign("ec", &with(issuer.claims(), "jti", "1"))).await);
    assert_eq!(issuer.asked(KEYS), 1);
    rig.clock.advance(1);
    // Nobody waits for it, so it takes a moment.
    let deadline = Instant::now() + Duration::from_secs(10);
    while takes(&rig, &ec().sign("ec", &with(issuer.claims(), "jti", "2"))).await {
        assert!(Instant::now() < deadline, "the key that is gone is still taken");
        tokio::task::yield_now().await;
    }
    assert_eq!(issuer.asked(KEYS), 2);
}

#[tokio::test]
async fn a_storm_of_unknown_keys_asks_once_a_minute() {
    let (rig, issuer) = rig().await;
    let storm = async |round: i64| {
        let names: Vec<String> = (0..50).map(|number| format!("storm-{round}-{number}")).collect();
        let calls = names.iter().map(async |name| takes(&rig, &ec().sign(name, &issuer.claims())).await);
        assert!(futures_util::future::join_all(calls).await.iter().all(|taken| !taken));
    };
    for minute in 1..=3 {
        storm(0).await;
        assert_eq!((issuer.asked(KEYS), issuer.asked(DISCOVERY)), (minute, minute));
        rig.clock.advance(59);
        storm(1).await;
        assert_eq!(issuer.asked(KEYS), minute);
        rig.clock.advance(1);
    }
    // A good one is taken all along.
    assert!(takes(&rig, &ec().sign("ec", &issuer.claims())).await);
}

/// Whoever has the keys asked for and hangs up must not keep them from others for a minute.
#[tokio::test]
async fn a_caller_that_hangs_up_ends_no_fetch() {
    let (rig, issuer) = rig().await;
    let token = ec().sign("ec", &issuer.claims());
    let first = tokio::time::timeout(Duration::ZERO, takes(&rig, &token)).await;
    assert!(first.is_err(), "it was to hang up before the answer");
    assert!(takes(&rig, &token).await);
    assert_eq!(issuer.asked(KEYS), 1);
}

#[tokio::test]
async fn what_is_no_answer_leaves_the_keys_that_are_known() {
    let (rig, issuer) = rig().await;
    let good = ec().sign("ec", &issuer.claims());
    assert!(takes(&rig, &good).await);
    let new = make_ec();
    let set = json!({ "keys": [new.jwk("new")] });
    let elsewhere = FakeIssuer::new().await;
    elsewhere.says(KEYS, Says::Json(set.clone()));
    let mut asked = 1;
    for says in [
        Says::Redirect(elsewhere.at(KEYS)),
        Says::Redirect("/realm/keys2".into()),
        Says::Huge(set.clone()),
        Says::Drips,
        Says::Status(500),
        Says::Status(204),
        Says::Json(json!({ "keys": [] })),
        Says::Json(json!([])),
    ] {
        issuer.says("/realm/keys2", Says::Json(set.clone()));
        issuer.says(KEYS, says);
        rig.clock.advance(60);
        let began = Instant::now();
        assert!(!takes(&rig, &new.sign("new", &issuer.claims())).await);
        assert!(began.elapsed() < Duration::from_secs(6), "three seconds and no more");
        asked += 1;
        assert_eq!(issuer.asked(KEYS), asked);
        assert!(takes(&rig, &good).await);
        assert!(takes(&rig, &ec().sign("ec", &with(issuer.claims(), "jti", asked))).await, "not only remembered");
    }
    assert_eq!((elsewhere.asked(KEYS), issuer.asked("/realm/keys2")), (0, 0), "no redirect is followed");
    issuer.says(KEYS, Says::Json(set));
    rig.clock.advance(60);
    assert!(takes(&rig, &new.sign("new", &issuer.claims())).await);
}

#[tokio::test]
async fn a_discovery_document_is_the_issuers_own_and_leads_to_https() {
    let (rig, issuer) = rig().await;
    let good = ec().sign("ec", &issuer.claims());
    let plain = issuer.at(KEYS).replace("https", "http");
    for (of, keys) in [
        ("https://evil.example", issuer.at(KEYS)),
        (&*issuer.url, plain),
        (&*issuer.url, "file:///etc/passwd".into()),
        (&*issuer.url, issuer.at(KEYS).replace("https://", "https://user:word@")),
        (&*issuer.url, "keys".into()),
    ] {
        issuer.discovers(of, &keys);
        assert!(!takes(&rig, &good).await, "{keys}");
        rig.clock.advance(60);
    }
    assert_eq!(issuer.asked(KEYS), 0);
    issuer.discovers(&issuer.url, &issuer.at(KEYS));
    assert!(takes(&rig, &good).await);
}

#[tokio::test]
async fn private_networks_are_asked_only_if_that_is_configured() {
    let issuer = FakeIssuer::new().await;
    let port = issuer.url.split(':').nth(2).unwrap().strip_suffix("/realm").unwrap().to_string();
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"] {
        let keys = format!("https://{host}:{port}{KEYS}");
        let config = IssuerConfig { private_addresses: false, jwks_url: Some(keys), ..issuer.config() };
        let rig = rig_with(vec![config]).await;
        assert!(!takes(&rig, &ec().sign("ec", &issuer.claims())).await, "{host}");
    }
    assert_eq!(issuer.asked(KEYS), 0);
    for host in ["localhost", "127.0.0.1"] {
        let config = IssuerConfig { jwks_url: Some(format!("https://{host}:{port}{KEYS}")), ..issuer.config() };
        assert!(takes(&rig_with(vec![config]).await, &ec().sign("ec", &issuer.claims())).await, "{host}");
    }
}

#[tokio::test]
async fn an_issuer_is_asked_only_if_its_certificate_is_trusted() {
    let issuer = FakeIssuer::new().await;
    let other = FakeIssuer::new().await;
    for ca_file in [None, Some(other.dir.path().join("ca.pem"))] {
        let rig = rig_with(vec![IssuerConfig { ca_file, ..issuer.config() }]).await;
        assert!(!takes(&rig, &ec().sign("ec", &issuer.claims())).await);
    }
    assert_eq!(issuer.asked(DISCOVERY), 0);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_first() {
    let (rig, issuer) = rig().await;
    issuer.says(DISCOVERY, Says::Status(503));
    let good = ec().sign("ec", &issuer.claims());
    assert!(!takes(&rig, &good).await);
    issuer.discovers(&issuer.url, &issuer.at(KEYS));
    rig.clock.advance(59);
    assert!(!takes(&rig, &good).await);
    rig.clock.advance(1);
    assert!(takes(&rig, &good).await);
    // A clock that was set back keeps nobody from asking.
    rig.clock.advance(-1000);
    issuer.publishes(&[rsa().jwk("later")]);
    let later = rsa().sign("later", &with(issuer.claims(), "nbf", START - 5000));
    assert!(takes(&rig, &later).await);
}
