//! One request to the API, through the router that ships: paths, queries with their filters, headers, bodies, uploads,
//! signed links. Whatever is asked, the answer is no failure of the server's; without a token nothing is given, with a
//! token for reading nothing changes, and an error is always an error as clients know it.
//!
//! The first line is who asks (`a` with every permission, `r` who may read, `n` nobody, `h` whoever the Authorization
//! header in the second line says), the method, and the target; behind it is the body.

use crate::desk::{block_on, desk};
use crate::rows::Rows;
use crate::world::{HONEST, HOSTILE, World};
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use http_body_util::BodyExt as _;
use std::sync::Arc;
use store::MemoryStore;
use tower::ServiceExt as _;

/// Sends the request to a server of its own.
pub(crate) fn check(bytes: &[u8]) {
    let Some((asked, who)) = request(bytes) else { return };
    block_on(async {
        let world = World::new(Arc::new(MemoryStore::new())).await;
        let before = (Rows::of(&*world.store, HOSTILE).await, Rows::of(&*world.store, HONEST).await);
        let target = asked.uri().to_string();
        let response = world.api().oneshot(asked).await.expect("an answer");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert!(!status.is_server_error(), "{target}: {status}: {}", String::from_utf8_lossy(&body));
        let said = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
        // What token libraries ask before they sign in: nobody needs a token for it, and its errors are OAuth's.
        let is_discovery = ["keys", "jwks_uri", "tenant_discovery_endpoint"].iter().any(|name| !said[name].is_null());
        // The API's own description, and its page.
        let is_description = said["openapi"].is_string() || body.starts_with(b"<!doctype html>");
        if !status.is_success() {
            let is_oauth = said["error"].is_string() && said["error_codes"].is_array();
            assert!(is_oauth || said["error"]["code"].is_string(), "{target}: {said}");
        }
        if !matches!(who, Who::May) {
            let after = (Rows::of(&*world.store, HOSTILE).await, Rows::of(&*world.store, HONEST).await);
            assert_eq!(before, after, "{target}: somebody who may not has changed something");
        }
        assert!(
            is_discovery || is_description || !(matches!(who, Who::Nobody) && status.is_success()),
            "{target}: {status} without a token"
        );
        let broken = world.store.integrity().await.expect("the store answers");
        assert!(broken.is_empty(), "the store: {broken:?}");
    });
}

/// What whoever asks may do.
enum Who {
    May,
    MayRead,
    Nobody,
}

fn request(bytes: &[u8]) -> Option<(Request<Body>, Who)> {
    let (first, mut rest) = split(bytes);
    let (who, first) = first.split_first()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let method = Method::from_bytes(&first[..space]).ok()?;
    let target = &first[space + 1..];
    // Each sign-in costs tens of milliseconds on purpose: it has a target of its own.
    if target.to_ascii_lowercase().windows(6).any(|window| window == b"oauth2") {
        return None;
    }
    let (who, header) = match who {
        b'a' => (Who::May, HeaderValue::try_from(format!("Bearer {}", desk().all)).ok()),
        b'r' => (Who::MayRead, HeaderValue::try_from(format!("Bearer {}", desk().reader)).ok()),
        b'h' => {
            let (header, body) = split(rest);
            rest = body;
            (Who::Nobody, Some(HeaderValue::from_bytes(header).ok()?))
        }
        _ => (Who::Nobody, None),
    };
    let mut request = Request::builder().method(method).uri(target);
    if let Some(header) = header {
        request = request.header("authorization", header);
    }
    // As an upload has it; everything else is read whatever this says.
    request = request.header("content-type", "multipart/form-data; boundary=x");
    Some((request.body(Body::from(rest.to_vec())).ok()?, who))
}

fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let world = block_on(World::new(Arc::new(MemoryStore::new())));
    let (done, granted, waiting) = (world.known[0], world.known[2], world.known[3]);
    let requests = [
        "aGET /api/machineactions?$filter=machineId%20eq%20'x'&$top=5&$count=true\n".to_string(),
        "rGET /api/machineactions?$filter=status+eq+Pending\n".into(),
        "rGET /api/machineactions?%24filter=type eq 'Isolate'&$skip=1\n".into(),
        "rGET /api/machineactions?$filter=not(id+in+('x',null))and+contains(requestorComment,'w')+or+scope+ne+null&\
         $orderby=status+desc,cancellationComment,computerDnsName&$count=true&$select=id,status\n"
            .into(),
        "rGET /api/machineactions?$filter=lastUpdateDateTimeUtc+gt+2026-09-21T14:13:20.0000001Z&$orderby=\
         lastUpdateDateTimeUtc+asc&$skip=0&$top=2\n"
            .into(),
        // After the second action, by when it was requested.
        "rGET /api/machineactions?$skiptoken=eyJrZXlzIjpbeyJUaW1lIjoxNzkwMDAwMDAwMDAwMDAwMH1dLCJpZCI6eyJBY3Rpb24iOi\
         IwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAifX0&$top=3\n"
            .into(),
        "rGET /api/machineactions/$count?$filter=errorHResult+lt+0\n".into(),
        "rGET /api/machines?$filter=startswith(computerDnsName,'h')+and+healthStatus+eq+'Active'&$orderby=healthStatus,\
         lastIpAddress+desc&$select=id\n"
            .into(),
        format!("rGET /api/machineactions/{done}\n"),
        format!("rGET /api/v1.0/machineActions/{done}/GetLiveResponseResultDownloadLink(index=0)\n"),
        format!("aPOST /api/machineactions/{granted}/cancel\n{{\"Comment\":\"why\"}}"),
        format!("aPOST /api/machineactions/{waiting}/cancel\n"),
        format!("rPOST /api/machineactions/{waiting}/cancel\n"),
        "rGET /api/machines\n".into(),
        "rGET /api/machines/honest\n".into(),
        format!("aPOST /api/machines/{HOSTILE}/isolate\n{{\"Comment\":\"why\",\"IsolationType\":\"Full\"}}"),
        format!("aPOST /api/machines/{HONEST}/unisolate\n{{\"Comment\":\"why\"}}"),
        "aPOST /api/machines/hostile/runliveresponse\n{\"Comment\":\"why\",\"Commands\":[{\"type\":\"GetFile\",\
         \"params\":[{\"key\":\"Path\",\"value\":\"/etc/hosts\"}]}]}"
            .into(),
        "aGET /api/libraryfiles\n".into(),
        "aPOST /api/libraryfiles\n--x\r\nContent-Disposition: form-data; name=\"File\"; filename=\"a.sh\"\r\n\r\n#!/bin/sh\r\n\
         --x\r\nContent-Disposition: form-data; name=\"Description\"\r\n\r\nwhat\r\n--x--\r\n"
            .into(),
        "aDELETE /api/libraryfiles/a%2Fb.sh\n".into(),
        "rGET /api/alerts\n".into(),
        format!("rGET /api/countermand/actions/{done}\n"),
        format!("rGET /api/countermand/actions/{granted}/history\n"),
        format!("nGET /api/downloads/{done}/0?sha256={}&expires=1790001800&signature={}\n", "09".repeat(32), "ab".repeat(32)),
        "hGET /api/machines\nBearer x.y.z\n".into(),
        "nGET /docs\n".into(),
        "nGET /openapi.json\n".into(),
        "nOPTIONS *\n".into(),
        "nGET /common/discovery/keys\n".into(),
        format!("nGET /{}/discovery/v2.0/keys\n", desk().tenant.0),
        format!("nGET /{}/v2.0/.well-known/openid-configuration\n", desk().tenant.0),
        "nGET /x/.well-known/openid-configuration\n".into(),
        format!(
            "nGET /common/discovery/instance?authorization_endpoint=https://localhost:8443/{}/oauth2/authorize\n",
            desk().tenant.0
        ),
    ];
    requests.into_iter().map(String::into_bytes).collect()
}
