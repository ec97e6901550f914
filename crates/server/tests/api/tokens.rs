//! Tokens that are not good, on a route that changes something: each is refused, and nothing is stored.

use crate::rig::Rig;
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use server::clock::Clock as _;
use server::tokens::{TOKEN_KEY_FILE, TokenKeys};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token of these claims, changed, signed with the server's key.
fn claims(rig: &Rig, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = rig.claims(&["Machine.Isolate"]);
    change(&mut claims);
    rig.sign(&rig.header(), &claims)
}

fn with(rig: &Rig, claim: &str, value: Value) -> String {
    claims(rig, |claims| claims[claim] = value)
}

fn without(rig: &Rig, claim: &str) -> String {
    claims(rig, |claims| {
        claims.as_object_mut().unwrap().remove(claim);
    })
}

/// A token with this header, with the signature of a good one behind it.
fn raw_header(rig: &Rig, header: &Value) -> String {
    let good = claims(rig, |_| {});
    let parts: Vec<&str> = good.split('.').collect();
    format!("{}.{}.{}", part(header), parts[1], parts[2])
}

/// A token whose header is changed and which is signed with the server's key after that.
fn header(rig: &Rig, change: impl FnOnce(&mut Header)) -> String {
    let mut header = rig.header();
    change(&mut header);
    rig.sign(&header, &rig.claims(&["Machine.Isolate"]))
}

fn bad_claims(rig: &Rig) -> Vec<(&'static str, String)> {
    let now = rig.claims(&[])["iat"].as_i64().unwrap();
    let issuer = rig.claims(&[])["iss"].as_str().unwrap().to_string();
    let mut bad = vec![
        ("other audience", with(rig, "aud", json!("https://graph.microsoft.com"))),
        (
            "audience that only begins like ours",
            with(rig, "aud", json!("https://api.securitycenter.microsoft.com.evil")),
        ),
        ("list of audiences", with(rig, "aud", json!(["https://api.securitycenter.microsoft.com"]))),
        ("no audience but an empty one", with(rig, "aud", json!(""))),
        ("expired", with(rig, "exp", json!(now))),
        ("expired long ago", with(rig, "exp", json!(-1))),
        ("not yet", with(rig, "nbf", json!(now + 1))),
        ("other tenant", with(rig, "tid", json!("00000000-0000-4000-8000-000000000000"))),
        ("tenant in capitals", with(rig, "tid", json!(rig.tenant.0.to_string().to_uppercase()))),
        ("other issuer", with(rig, "iss", json!("https://sts.windows.net/x/"))),
        ("issuer with a slash", with(rig, "iss", json!(format!("{issuer}/")))),
        ("exp as text", with(rig, "exp", json!((now + 60).to_string()))),
        ("exp as fraction", with(rig, "exp", json!(now as f64 + 60.5))),
        ("exp as list", with(rig, "exp", json!([now + 60]))),
        ("exp null", with(rig, "exp", Value::Null)),
        ("exp beyond all numbers", with(rig, "exp", json!(u64::MAX))),
        ("nbf as text", with(rig, "nbf", json!("0"))),
        ("roles as text", with(rig, "roles", json!("Machine.Isolate"))),
        ("roles as numbers", with(rig, "roles", json!([1]))),
        ("application that contradicts itself", with(rig, "appid", json!("other"))),
        (
            "no application but an empty one",
            claims(rig, |claims| (claims["appid"], claims["azp"]) = (json!(""), json!(""))),
        ),
        ("other version", with(rig, "ver", json!("1.0"))),
    ];
    for claim in ["aud", "iss", "exp", "nbf", "tid", "roles", "appid", "azp", "sub", "ver"] {
        bad.push(("missing claim", without(rig, claim)));
    }
    bad
}

fn bad_headers(rig: &Rig) -> Vec<(&'static str, String)> {
    let other_dir = tempfile::tempdir().unwrap();
    let other = TokenKeys::open(other_dir.path(), 3599).unwrap().signing(rig.clock.now()).unwrap();
    let other_key = EncodingKey::from_ec_der(&std::fs::read(other_dir.path().join(TOKEN_KEY_FILE)).unwrap());
    let body = rig.claims(&["Machine.Isolate"]);
    let kid = rig.header().kid.unwrap();
    let own = TokenKeys::open(rig.dir.path(), 3599).unwrap().signing(rig.clock.now()).unwrap();
    let public = own.public().to_vec();
    let mut hs256 = Header::new(Algorithm::HS256);
    hs256.kid = Some(kid.clone());
    let mut with_jwk = rig.header();
    with_jwk.jku = Some("https://evil.example/keys".into());
    with_jwk.x5u = Some("https://evil.example/cert".into());
    let mut other_kid = rig.header();
    other_kid.kid = Some(other.id().into());
    let sign = |header: &Header, key: &EncodingKey| jsonwebtoken::encode(header, &body, key).unwrap();
    vec![
        ("alg none", format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT", "kid": kid })), part(&body))),
        ("alg None", format!("{}.{}.", part(&json!({ "alg": "None", "kid": kid })), part(&body))),
        ("alg none with a signature", raw_header(rig, &json!({ "alg": "none", "kid": kid }))),
        ("no alg", raw_header(rig, &json!({ "kid": kid }))),
        ("HS256 with the public key", sign(&hs256, &EncodingKey::from_secret(&public))),
        ("HS256 with an empty key", sign(&hs256, &EncodingKey::from_secret(b""))),
        ("ES384 in name", raw_header(rig, &json!({ "alg": "ES384", "kid": kid }))),
        ("RS256 in name", raw_header(rig, &json!({ "alg": "RS256", "kid": kid }))),
        ("other key under our name", sign(&rig.header(), &other_key)),
        ("other key under its own name", sign(&other_kid, &other_key)),
        ("other key that it brings along", sign(&with_jwk, &other_key)),
        ("key id missing", header(rig, |header| header.kid = None)),
        ("key id empty", header(rig, |header| header.kid = Some(String::new()))),
        ("key id in capitals", header(rig, |header| header.kid = Some(kid.to_uppercase()))),
        ("key id with SQL", header(rig, |header| header.kid = Some(format!("{kid}' OR '1'='1")))),
        ("key id with a path", header(rig, |header| header.kid = Some("../../token-key.pk8".into()))),
        ("key id of great length", header(rig, |header| header.kid = Some("x".repeat(129)))),
        ("key id that is a number", raw_header(rig, &json!({ "alg": "ES256", "kid": 1 }))),
        ("something critical", header(rig, |header| header.crit = Some(vec!["exp".into()]))),
        ("another type", header(rig, |header| header.typ = Some("dpop+jwt".into()))),
        ("encrypted in name", raw_header(rig, &json!({ "alg": "ES256", "kid": kid, "enc": "A256GCM" }))),
    ]
}

fn garbage(rig: &Rig) -> Vec<(&'static str, String)> {
    let good = claims(rig, |_| {});
    let parts: Vec<&str> = good.split('.').collect();
    let mut signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    signature[10] ^= 1;
    let richer = part(&rig.claims(&["Machine.Isolate", "Machine.Offboard"]));
    vec![
        ("nothing", String::new()),
        ("a word", "x".into()),
        ("dots", "...".into()),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("no signature and no dot", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.{}", parts[2])),
        ("five parts", format!("{}.{}.{}.{}.{}", parts[0], parts[0], parts[1], parts[1], parts[2])),
        ("a bit flipped", format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode(signature))),
        ("a signature of zeros", format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64]))),
        ("half a signature", format!("{}.{}.{}", parts[0], parts[1], &parts[2][..40])),
        ("claims changed after signing", format!("{}.{richer}.{}", parts[0], parts[2])),
        ("claims that are no object", format!("{}.{}.{}", parts[0], part(&json!([1])), parts[2])),
        ("padded", format!("{good}==")),
        ("far too long", format!("{}.{}.{}", parts[0], "A".repeat(1 << 16), parts[2])),
    ]
}

#[tokio::test]
async fn every_bad_token_is_refused_and_nothing_is_stored() {
    let rig = Rig::new().await;
    let path = format!("/api/machines/{}/isolate", rig.machine);
    let mut bad = bad_claims(&rig);
    bad.extend(bad_headers(&rig));
    bad.extend(garbage(&rig));
    assert!(bad.len() >= 60, "{}", bad.len());
    let mut messages = Vec::new();
    for (what, token) in bad {
        let request = Request::post(&path).header("authorization", format!("Bearer {token}"));
        let answer = rig.send(request.body(Body::from(r#"{"Comment":"why"}"#)).unwrap()).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        messages.push(answer.refused(401, "Unauthorized"));
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "what is wrong with a token is not told");
    assert!(rig.stored().await.is_empty());
    // The same request with a good token, so that it was the token each time.
    rig.call_as(&claims(&rig, |_| {}), axum::http::Method::POST, &path, r#"{"Comment":"why"}"#).await.created();
}

#[tokio::test]
async fn exactly_one_bearer_token_in_the_header() {
    let rig = Rig::new().await;
    let good = rig.all();
    let get = || Request::get("/api/machineactions");
    let bearer = format!("Bearer {good}");
    for request in [
        get(),
        get().header("authorization", &good),
        get().header("authorization", format!("Basic {good}")),
        get().header("authorization", &bearer).header("authorization", &bearer),
        Request::get(format!("/api/machineactions?access_token={good}")),
        get().header("authorization", b"Bearer \xff".as_slice()),
    ] {
        rig.send(request.body(Body::empty()).unwrap()).await.refused(401, "Unauthorized");
    }
    for word in ["Bearer", "bearer", "BEARER"] {
        let request = get().header("authorization", format!("{word} {good}")).body(Body::empty()).unwrap();
        rig.send(request).await.ok(200);
    }
}

/// Every route that asks for a token, and whether one without any role may call it.
const ROUTES: [(&str, &str, bool); 16] = [
    ("GET", "/api/machineactions", false),
    ("GET", "/api/machineactions/x", false),
    ("POST", "/api/machineactions/x/cancel", false),
    ("GET", "/api/machineactions/x/GetLiveResponseResultDownloadLink(index=0)", false),
    ("GET", "/api/machines", false),
    ("GET", "/api/machines/x", false),
    ("POST", "/api/machines/x/isolate", false),
    ("POST", "/api/machines/x/unisolate", false),
    ("POST", "/api/machines/x/runliveresponse", false),
    ("GET", "/api/libraryfiles", false),
    ("POST", "/api/libraryfiles", false),
    ("DELETE", "/api/libraryfiles/x", false),
    ("GET", "/api/countermand/actions/x", false),
    ("GET", "/api/countermand/actions/x/history", false),
    ("GET", "/api/alerts", true),
    ("GET", "/api/nothing", true),
];

#[tokio::test]
async fn every_route_asks_for_a_token_and_then_for_a_role() {
    let rig = Rig::new().await;
    let bad = [with(&rig, "aud", json!("x")), raw_header(&rig, &json!({ "alg": "none" })), "x".into()];
    for (method, path, open) in ROUTES {
        let method: axum::http::Method = method.parse().unwrap();
        for token in &bad {
            rig.call_as(token, method.clone(), path, "").await.refused(401, "Unauthorized");
        }
        let answer = rig.call_as(&rig.token(&[]), method, path, "").await;
        assert_eq!(answer.status == 403, !open, "{path}");
    }
}

#[tokio::test]
async fn a_token_ends_although_it_was_seen_before() {
    let rig = Rig::new().await;
    let token = rig.all();
    let get = || rig.call_as(&token, axum::http::Method::GET, "/api/machines", "");
    get().await.ok(200);
    rig.clock.advance(3598);
    get().await.ok(200);
    rig.clock.advance(1);
    get().await.refused(401, "Unauthorized");
}
