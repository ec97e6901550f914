//! Tokens that are not good, on every route that asks for one: each is refused in the same words, and nothing is stored.

use crate::matrix;
use crate::rig::{BASE, Rig};
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

/// A token of an application that acts for a person of this name.
fn person(rig: &Rig, name: Value) -> String {
    claims(rig, |claims| {
        claims["scp"] = json!("Machine.Isolate");
        claims["preferred_username"] = name;
    })
}

/// A token whose claims are this text, signed with the server's key.
fn raw_claims(rig: &Rig, change: impl FnOnce(&str) -> String) -> String {
    let header = serde_json::to_value(rig.header()).unwrap();
    signed(rig, &header.to_string(), change(&rig.claims(&["Machine.Isolate"]).to_string()).as_bytes())
}

/// Any header and claims, signed with the server's key.
fn signed(rig: &Rig, header: &str, claims: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), rig.key(), Algorithm::ES256).unwrap();
    format!("{message}.{signature}")
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
        ("version as number", with(rig, "ver", json!(2.0))),
        ("exp beyond all fractions", raw_claims(rig, |text| text.replace("\"exp\":", "\"exp\":1e400,\"was\":"))),
        ("exp twice", raw_claims(rig, |text| text.replacen('{', "{\"exp\":9999999999,", 1))),
        ("roles twice", raw_claims(rig, |text| text.replacen('{', "{\"roles\":[],", 1))),
        ("exp as object", with(rig, "exp", json!({ "$gt": 0 }))),
        ("nbf far ahead", with(rig, "nbf", json!(i64::MAX))),
        ("issuer as list", with(rig, "iss", json!([issuer]))),
        ("tenant as list", with(rig, "tid", json!([rig.tenant.0.to_string()]))),
        ("a person without a name", claims(rig, |claims| claims["scp"] = json!("Machine.Isolate"))),
        ("a person by an application's name", person(rig, json!("3d5a9c1e-0000-4000-8000-2b7c1f0a9e44"))),
        ("a person whose name turns the writing", person(rig, json!("ada\u{202e}gro.elpmaxe"))),
        ("a person whose name breaks the line", person(rig, json!("ada\r\nX: y"))),
        ("a person of great length", person(rig, json!("a".repeat(257)))),
        ("a person who is a number", person(rig, json!(1))),
        ("a person without scopes", with(rig, "upn", json!("ada@example.org"))),
        ("scopes as number", claims(rig, |claims| (claims["scp"], claims["upn"]) = (json!(1), json!("ada")))),
    ];
    for claim in ["aud", "iss", "iat", "exp", "nbf", "tid", "roles", "appid", "azp", "sub", "ver"] {
        bad.push(("missing claim", without(rig, claim)));
    }
    bad
}

fn signed_by(key: &EncodingKey, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::ES256).unwrap();
    format!("{message}.{signature}")
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
    let point = other.public();
    let coordinate = |at: usize| URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
    let other_jwk = json!({ "kty": "EC", "crv": "P-256", "x": coordinate(1), "y": coordinate(33), "kid": kid });
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
        (
            "a jwk that it brings along",
            signed_by(&other_key, &json!({ "alg": "ES256", "kid": kid, "jwk": other_jwk }), &body),
        ),
        ("a jwk under a name of its own", {
            signed_by(&other_key, &json!({ "alg": "ES256", "kid": other.id(), "jwk": other_jwk }), &body)
        }),
        ("alg twice", {
            let header = format!(r#"{{"alg":"none","kid":"{kid}","alg":"ES256"}}"#);
            signed(rig, &header, body.to_string().as_bytes())
        }),
        ("key id twice", {
            let header = format!(r#"{{"alg":"ES256","kid":"x","kid":"{kid}"}}"#);
            signed(rig, &header, body.to_string().as_bytes())
        }),
        ("key id as list", raw_header(rig, &json!({ "alg": "ES256", "kid": [kid] }))),
        ("key id with a line break", header(rig, |header| header.kid = Some(format!("{kid}\r\n")))),
        ("key id with a nought", header(rig, |header| header.kid = Some(format!("{kid}\0")))),
        ("alg in small letters", raw_header(rig, &json!({ "alg": "es256", "kid": kid }))),
        ("alg as list", raw_header(rig, &json!({ "alg": ["ES256"], "kid": kid }))),
        ("EdDSA in name", raw_header(rig, &json!({ "alg": "EdDSA", "kid": kid }))),
        ("an empty header", raw_header(rig, &json!({}))),
        ("compressed in name", raw_header(rig, &json!({ "alg": "ES256", "kid": kid, "zip": "DEF" }))),
        ("encrypted in name", raw_header(rig, &json!({ "alg": "ES256", "kid": kid, "enc": "A256GCM" }))),
    ]
}

fn garbage(rig: &Rig) -> Vec<(&'static str, String)> {
    let good = claims(rig, |_| {});
    let parts: Vec<&str> = good.split('.').collect();
    let mut signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    signature[10] ^= 1;
    let header_text = serde_json::to_string(&rig.header()).unwrap();
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
        ("something behind it", format!("{good} x")),
        ("a dot behind it", format!("{good}.")),
        ("a comma and another", format!("{good},Bearer {good}")),
        ("in quotes", format!("\"{good}\"")),
        ("cut by one character", good[..good.len() - 1].into()),
        ("a character more", format!("{good}A")),
        ("standard base64", {
            // Most have a character in which the two alphabets differ; each signature is another.
            let mut differing =
                std::iter::repeat_with(|| claims(rig, |_| {})).filter(|token| token.contains(['-', '_']));
            differing.next().unwrap_or_default().replace(['-', '_'], "+")
        }),
        ("claims that are no UTF-8", signed(rig, &header_text, b"{\"iss\":\"\xff\"}")),
        ("claims that are no JSON", signed(rig, &header_text, b"iss")),
        ("claims that are empty", signed(rig, &header_text, b"{}")),
        ("claims that are a text", signed(rig, &header_text, b"\"x\"")),
        ("claims that are deep", signed(rig, &header_text, "[".repeat(3000).as_bytes())),
        ("claims with something behind", raw_claims(rig, |text| format!("{text}{{}}"))),
        ("no claims", signed(rig, &header_text, b"")),
        ("a signature as DER has it", {
            let der = URL_SAFE_NO_PAD.encode([&[0x30, 0x44, 2, 32][..], &[1; 32], &[2, 32], &[1; 32]].concat());
            format!("{}.{}.{der}", parts[0], parts[1])
        }),
        ("far too long", format!("{}.{}.{}", parts[0], "A".repeat(1 << 16), parts[2])),
    ]
}

/// What stands in the Authorization header, or headers.
type Shown = Vec<Vec<u8>>;

fn bad(rig: &Rig) -> Vec<(&'static str, Shown)> {
    let tokens = [bad_claims(rig), bad_headers(rig), garbage(rig)].concat();
    let mut bad: Vec<_> =
        tokens.into_iter().map(|(what, token)| (what, vec![format!("Bearer {token}").into_bytes()])).collect();
    let good = rig.all();
    let bearer = format!("Bearer {good}").into_bytes();
    bad.extend([
        ("no header", vec![]),
        ("an empty header", vec![vec![]]),
        ("a token without a scheme", vec![good.clone().into_bytes()]),
        ("another scheme", vec![format!("Basic {good}").into_bytes()]),
        ("a scheme that only begins like ours", vec![format!("BearerX {good}").into_bytes()]),
        ("no space", vec![format!("Bearer{good}").into_bytes()]),
        ("a tab", vec![format!("Bearer\t{good}").into_bytes()]),
        ("a name before it", vec![format!("Bearer token={good}").into_bytes()]),
        ("two headers", vec![bearer.clone(), bearer.clone()]),
        ("a good one and an empty one", vec![bearer.clone(), vec![]]),
        ("a good one and a basic one", vec![bearer, b"Basic eDp5".to_vec()]),
        ("no UTF-8", vec![b"Bearer \xff\xfe".to_vec()]),
    ]);
    bad
}

#[tokio::test]
async fn every_bad_token_is_refused_on_every_route_and_nothing_is_stored() {
    let rig = Rig::new().await;
    let bad = bad(&rig);
    assert!(bad.len() >= 100, "{}", bad.len());
    let mut messages = Vec::new();
    let mut calls = 0;
    for (method, path) in matrix::routes_with_tokens() {
        // The machine that there is, so that a token that is taken would do something.
        let path = path.replace("/machines/x", &format!("/machines/{}", rig.machine));
        for (what, headers) in &bad {
            let mut request = Request::builder().method(&method).uri(format!("{BASE}{path}"));
            for header in headers {
                request = request.header("authorization", header.as_slice());
            }
            let answer = rig.send(request.body(Body::from(r#"{"Comment":"why"}"#)).unwrap()).await;
            assert_eq!(answer.status, 401, "{what}, {method} {path}: {}", answer.text());
            messages.push(answer.refused(401, "Unauthorized"));
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
            calls += 1;
        }
    }
    assert!(calls >= 100 * 25, "{calls}");
    messages.dedup();
    assert_eq!(messages.len(), 1, "what is wrong with a token is not told");
    assert!(rig.stored().await.is_empty());
    // The same with good tokens, so that it was the token each time.
    let path = format!("/api/machines/{}/isolate", rig.machine);
    let token = claims(&rig, |_| {});
    rig.call_as(&token, axum::http::Method::POST, &path, r#"{"Comment":"why"}"#).await.created();
    let path = format!("/api/machines/{}/unisolate", rig.machine);
    let token = person(&rig, json!("ada@example.org"));
    rig.call_as(&token, axum::http::Method::POST, &path, r#"{"Comment":"why"}"#).await.created();
    let token = raw_claims(&rig, str::to_string);
    rig.call_as(&token, axum::http::Method::GET, "/api/alerts", "").await.ok(200);
}

/// The scheme is matched without regard to case, as RFC 9110 has it; a token in the query is none.
#[tokio::test]
async fn a_bearer_token_in_the_header_and_nowhere_else() {
    let rig = Rig::new().await;
    let good = rig.all();
    let get = || Request::get("/api/machineactions");
    let query = Request::get(format!("/api/machineactions?access_token={good}")).body(Body::empty()).unwrap();
    rig.send(query).await.refused(401, "Unauthorized");
    for word in ["Bearer", "bearer", "BEARER"] {
        let request = get().header("authorization", format!("{word} {good}")).body(Body::empty()).unwrap();
        rig.send(request).await.ok(200);
    }
}

#[tokio::test]
async fn a_path_that_is_not_there_is_not_shown_without_a_token() {
    let rig = Rig::new().await;
    for token in [with(&rig, "aud", json!("x")), "x".into()] {
        rig.call_as(&token, axum::http::Method::GET, "/api/nothing", "").await.refused(401, "Unauthorized");
    }
    rig.call_as(&rig.token(&[]), axum::http::Method::GET, "/api/nothing", "").await.refused(404, "NotFound");
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
