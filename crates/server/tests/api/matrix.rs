//! Who may do what: every route of the table, against every permission, alone and as both types, written down here once
//! more from Defender's pages. A route without a row fails.

use crate::rig::{APPLICATION, BASE, Rig};
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;
use std::collections::BTreeSet;

/// Any one of these permissions is needed, and any one of the next list too.
type Needs = &'static [&'static [&'static str]];

struct Row {
    method: &'static str,
    /// As the router's table has it.
    path: &'static str,
    /// A request that leads there.
    sample: &'static str,
    /// What an application needs; none: nobody is asked for a token.
    application: Option<Needs>,
    delegated: Needs,
    /// The answer to whoever may.
    allowed: u16,
}

const READ_ALL: &[&str] = &["Machine.Read.All", "Machine.ReadWrite.All"];
const READ: &[&str] = &["Machine.Read", "Machine.ReadWrite"];
const CANCEL: &[&str] = &[
    "Machine.CollectForensics",
    "Machine.Isolate",
    "Machine.RestrictExecution",
    "Machine.Scan",
    "Machine.Offboard",
    "Machine.StopAndQuarantine",
    "Machine.LiveResponse",
];
const READS: (Option<Needs>, Needs) = (Some(&[READ_ALL]), &[READ]);
const ISOLATES: (Option<Needs>, Needs) = (Some(&[&["Machine.Isolate"]]), &[&["Machine.Isolate"]]);
const RESPONDS: (Option<Needs>, Needs) = (Some(&[&["Machine.LiveResponse"]]), &[&["Machine.LiveResponse"]]);
const LIBRARY: (Option<Needs>, Needs) = (Some(&[&["Library.Manage"]]), &[&["Library.Manage"]]);
const CANCELS: (Option<Needs>, Needs) = (Some(&[CANCEL]), &[CANCEL]);
const RESULTS: (Option<Needs>, Needs) = (Some(&[READ_ALL]), &[&["Machine.LiveResponse"]]);
const PACKAGES: (Option<Needs>, Needs) = (Some(&[READ_ALL]), &[&["Machine.CollectForensics"]]);
const SCANS: (Option<Needs>, Needs) = (Some(&[&["Machine.Scan"]]), &[&["Machine.Scan"]]);
const RESTRICTS: (Option<Needs>, Needs) = (Some(&[&["Machine.RestrictExecution"]]), &[&["Machine.RestrictExecution"]]);
const COLLECTS: (Option<Needs>, Needs) = (Some(&[&["Machine.CollectForensics"]]), &[&["Machine.CollectForensics"]]);
const QUARANTINES: (Option<Needs>, Needs) =
    (Some(&[&["Machine.StopAndQuarantine"], READ_ALL]), &[&["Machine.StopAndQuarantine"]]);
const OFFBOARDS: (Option<Needs>, Needs) = (Some(&[&["Machine.Offboard"]]), &[&["Machine.Offboard"]]);
const INVESTIGATES: (Option<Needs>, Needs) = (Some(&[&["Alert.ReadWrite.All"]]), &[&["Alert.ReadWrite"]]);
const USERS: (Option<Needs>, Needs) = (Some(&[&["User.Read.All"]]), &[&["User.Read.All"]]);
const TAGS: (Option<Needs>, Needs) = (Some(&[&["Machine.ReadWrite.All"]]), &[&["Machine.ReadWrite"]]);
const ANYONE: (Option<Needs>, Needs) = (Some(&[]), &[]);
const OPEN: (Option<Needs>, Needs) = (None, &[]);

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let row = |method, path, sample, (application, delegated), allowed| Row { method, path, sample, application, delegated, allowed };
    vec![
        row("GET",    "/api/machineactions",                   "/api/machineactions",                 READS,    200),
        row("GET",    "/api/machineactions/$count",            "/api/machineactions/$count",          READS,    200),
        row("GET",    "/api/machines/$count",                  "/api/machines/$count",                READS,    200),
        row("GET",    "/api/alerts/$count",                    "/api/alerts/$count",                  ANYONE,   200),
        row("GET",    "/api/machineactions/{id}",              "/api/machineactions/x",               READS,    404),
        row("POST",   "/api/machineactions/{id}/cancel",       "/api/machineactions/x/cancel",        CANCELS,  404),
        row("GET",    "/api/machineactions/{id}/GetLiveResponseResultDownloadLink(index={n})",
                      "/api/machineactions/x/GetLiveResponseResultDownloadLink(index=0)",             RESULTS,  404),
        row("GET",    "/api/machineactions/{id}/getPackageUri", "/api/machineactions/x/getPackageUri", PACKAGES, 404),
        row("GET",    "/api/machines/findbyip(ip='{ip}',timestamp={timestamp})",
                      "/api/machines/findbyip(ip='192.0.2.7',timestamp=2100-01-01T00:00:00Z)",        READS,    200),
        row("GET",    "/api/machines/findbytag",               "/api/machines/findbytag?tag=x",       READS,    200),
        row("GET",    "/api/machines/findbytag(tag='{tag}')",  "/api/machines/findbytag(tag='x')",    READS,    200),
        row("GET",    "/api/machines/findbytag(tag='{tag}',useStartsWithFilter={useStartsWithFilter})",
                      "/api/machines/findbytag(tag='x',useStartsWithFilter=true)",                    READS,    200),
        row("POST",   "/api/machines/{id}/runAntiVirusScan",   "/api/machines/x/runAntiVirusScan",    SCANS,    404),
        row("POST",   "/api/machines/{id}/restrictCodeExecution",
                      "/api/machines/x/restrictCodeExecution",                                        RESTRICTS, 404),
        row("POST",   "/api/machines/{id}/unrestrictCodeExecution",
                      "/api/machines/x/unrestrictCodeExecution",                                      RESTRICTS, 404),
        row("POST",   "/api/machines/{id}/collectInvestigationPackage",
                      "/api/machines/x/collectInvestigationPackage",                                  COLLECTS, 404),
        row("POST",   "/api/machines/{id}/StopAndQuarantineFile",
                      "/api/machines/x/StopAndQuarantineFile",                                        QUARANTINES, 404),
        row("POST",   "/api/machines/{id}/offboard",           "/api/machines/x/offboard",            OFFBOARDS, 404),
        row("POST",   "/api/machines/{id}/startInvestigation", "/api/machines/x/startInvestigation",  INVESTIGATES, 404),
        row("GET",    "/api/machines/{id}/logonusers",         "/api/machines/x/logonusers",          USERS,    404),
        row("POST",   "/api/machines/{id}/tags",               "/api/machines/x/tags",                TAGS,     404),
        row("GET",    "/api/machines",                         "/api/machines",                       READS,    200),
        row("GET",    "/api/machines/{id}",                    "/api/machines/x",                     READS,    404),
        row("POST",   "/api/machines/{id}/isolate",            "/api/machines/x/isolate",             ISOLATES, 404),
        row("POST",   "/api/machines/{id}/unisolate",          "/api/machines/x/unisolate",           ISOLATES, 404),
        row("POST",   "/api/machines/{id}/runliveresponse",    "/api/machines/x/runliveresponse",     RESPONDS, 404),
        row("GET",    "/api/libraryfiles",                     "/api/libraryfiles",                   LIBRARY,  200),
        row("POST",   "/api/libraryfiles",                     "/api/libraryfiles",                   LIBRARY,  400),
        row("DELETE", "/api/libraryfiles/{name}",              "/api/libraryfiles/x",                 LIBRARY,  404),
        row("GET",    "/api/alerts",                           "/api/alerts",                         ANYONE,   200),
        row("GET",    "/api/countermand/actions/{id}",         "/api/countermand/actions/x",          READS,    404),
        row("GET",    "/api/countermand/actions/{id}/history", "/api/countermand/actions/x/history",  READS,    404),
        row("GET",    "/api/downloads/{action}/{step}",        "/api/downloads/x/0",                  OPEN,     403),
        row("POST",   "/{tenant}/oauth2/v2.0/token",           "/common/oauth2/v2.0/token",           OPEN,     400),
        row("POST",   "/{tenant}/oauth2/token",                "/common/oauth2/token",                OPEN,     400),
        row("GET",    "/{tenant}/v2.0/.well-known/openid-configuration",
                      "/common/v2.0/.well-known/openid-configuration",                                OPEN,     400),
        row("GET",    "/{tenant}/.well-known/openid-configuration",
                      "/common/.well-known/openid-configuration",                                     OPEN,     400),
        row("GET",    "/{tenant}/discovery/v2.0/keys",         "/common/discovery/v2.0/keys",         OPEN,     400),
        row("GET",    "/{tenant}/discovery/keys",              "/common/discovery/keys",              OPEN,     400),
        row("GET",    "/openapi.json",                         "/openapi.json",                       OPEN,     200),
        row("GET",    "/docs",                                 "/docs",                               OPEN,     200),
        row("GET",    "/common/discovery/instance",            "/common/discovery/instance",          OPEN,     400),
    ]
}

/// A request for every route that asks for a token.
pub(crate) fn routes_with_tokens() -> impl Iterator<Item = (Method, &'static str)> {
    let asks = rows().into_iter().filter(|row| row.application.is_some());
    asks.map(|row| (row.method.parse().unwrap(), row.sample))
}

/// Every permission there is, as the pages have them: an application's, and those that a person delegates.
const OF_APPLICATIONS: [&str; 12] = [
    "Machine.Read.All",
    "Machine.ReadWrite.All",
    "Machine.Isolate",
    "Machine.Scan",
    "Machine.RestrictExecution",
    "Machine.CollectForensics",
    "Machine.StopAndQuarantine",
    "Machine.LiveResponse",
    "Machine.Offboard",
    "Library.Manage",
    "User.Read.All",
    "Alert.ReadWrite.All",
];
const OF_PEOPLE: [&str; 12] = [
    "Machine.Read",
    "Machine.ReadWrite",
    "Machine.Isolate",
    "Machine.Scan",
    "Machine.RestrictExecution",
    "Machine.CollectForensics",
    "Machine.StopAndQuarantine",
    "Machine.LiveResponse",
    "Machine.Offboard",
    "Library.Manage",
    "User.Read.All",
    "Alert.ReadWrite",
];

fn meets(held: &[&str], needs: Needs) -> bool {
    needs.iter().all(|group| group.iter().any(|wanted| held.contains(wanted)))
}

/// What is held: nothing, each permission alone, each pair with one that reads, and all of them.
fn held(all: &[&'static str]) -> Vec<Vec<&'static str>> {
    let mut held: Vec<Vec<&str>> = vec![vec![], all.to_vec()];
    for permission in all {
        held.push(vec![permission]);
        held.push(vec![permission, all[0]]);
    }
    held
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let routes: BTreeSet<String> = server::api::routes().map(|(method, path)| format!("{method} {path}")).collect();
    let rows: BTreeSet<String> = rows().iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    let missing: Vec<&String> = routes.difference(&rows).collect();
    assert!(missing.is_empty(), "say in this file who may call {missing:?}");
    assert_eq!(routes, rows);
}

#[tokio::test]
async fn every_route_against_every_permission() {
    let rig = Rig::new().await;
    for row in rows() {
        let method: Method = row.method.parse().unwrap();
        let call = async |token: &str| rig.call_as(token, method.clone(), row.sample, "").await;
        let Some(application) = row.application else {
            let request = Request::builder().method(method.clone()).uri(format!("{BASE}{}", row.sample));
            assert_eq!(rig.send(request.body(Body::empty()).unwrap()).await.status, row.allowed, "{}", row.path);
            continue;
        };
        let tokens = [(OF_APPLICATIONS, application, false), (OF_PEOPLE, row.delegated, true)];
        for (all, needs, delegated) in tokens {
            for held in held(&all) {
                let token = if delegated { rig.delegated("ada@example.org", &held) } else { rig.token(&held) };
                let answer = call(&token).await;
                let what = format!("{} {} with {held:?}, delegated: {delegated}", row.method, row.path);
                if meets(&held, needs) {
                    assert_eq!(answer.status, row.allowed, "{what}: {}", answer.text());
                } else {
                    assert_eq!(answer.status, 403, "{what}: {}", answer.text());
                    let type_word = if delegated { "delegated" } else { "application" };
                    let message = answer.refused(403, "Forbidden");
                    let begins = format!("The application does not have any of the required {type_word} permissions (");
                    assert!(message.starts_with(&begins), "{message}");
                    assert!(message.ends_with(") to access the resource."), "{message}");
                }
            }
        }
    }
    assert!(rig.stored().await.is_empty());
}

/// A person's permissions are no application's, and the other way round.
#[tokio::test]
async fn permissions_of_the_other_type_allow_nothing() {
    let rig = Rig::new().await;
    for row in rows().iter().filter(|row| row.application.is_some_and(|needs| !needs.is_empty())) {
        let method: Method = row.method.parse().unwrap();
        for token in [rig.token(&["Machine.Read", "Machine.ReadWrite"]), {
            let mut claims = rig.claims(&OF_APPLICATIONS);
            claims["scp"] = json!("openid");
            claims["upn"] = json!("ada@example.org");
            rig.sign(&rig.header(), &claims)
        }] {
            rig.call_as(&token, method.clone(), row.sample, "").await.refused(403, "Forbidden");
        }
    }
}

#[tokio::test]
async fn no_token_another_tenants_and_an_expired_one() {
    let rig = Rig::new().await;
    let with = |claim: &str, value: serde_json::Value| {
        let mut claims = rig.claims(&OF_APPLICATIONS);
        claims[claim] = value;
        rig.sign(&rig.header(), &claims)
    };
    let other_tenant = with("tid", json!("00000000-0000-4000-8000-000000000000"));
    let now = rig.claims(&[])["iat"].clone();
    let expired = with("exp", now);
    for row in rows().iter().filter(|row| row.application.is_some()) {
        let method: Method = row.method.parse().unwrap();
        let bare = Request::builder().method(method.clone()).uri(format!("{BASE}{}", row.sample));
        rig.send(bare.body(Body::empty()).unwrap()).await.refused(401, "Unauthorized");
        for token in [&other_tenant, &expired] {
            rig.call_as(token, method.clone(), row.sample, "").await.refused(401, "Unauthorized");
        }
    }
}

/// Whoever may not, does not learn what there is; whoever may, is told the same of every machine that is none of theirs.
#[tokio::test]
async fn unknown_machines_and_actions_are_all_alike() {
    let rig = Rig::new().await;
    let action = rig.isolate().await.to_string();
    let machine = rig.machine.to_string();
    let unknown =
        ["elastic-connector-test".to_string(), "ab".repeat(19), "00".repeat(20), uuid::Uuid::nil().to_string()];
    for row in rows().iter().filter(|row| row.allowed == 404 && !row.path.contains("libraryfiles")) {
        let method: Method = row.method.parse().unwrap();
        let path = |id: &str| row.sample.replacen("/x", &format!("/{id}"), 1);
        let known = if row.path.contains("/machines/") { &machine } else { &action };
        for id in unknown.iter().chain([known]) {
            rig.call_as(&rig.token(&["Library.Manage"]), method.clone(), &path(id), "").await.refused(403, "Forbidden");
        }
        for id in &unknown {
            let message = rig.call(method.clone(), &path(id), "{").await.refused(404, "ResourceNotFound");
            assert!(message.contains(id.as_str()), "{message}");
        }
        assert_ne!(rig.call(method.clone(), &path(known), "{").await.status, 403, "{}", row.path);
    }
}

#[tokio::test]
async fn an_application_is_named_by_its_id_and_a_person_by_name() {
    let rig = Rig::new().await;
    let path = format!("/api/machines/{}/isolate", rig.machine);
    let person = rig.delegated("ada@example.org", &["Machine.Isolate"]);
    let made = rig.call_as(&person, Method::POST, &path, r#"{"Comment":"why"}"#).await.ok(201);
    assert_eq!(made["requestor"], "ada@example.org");
    let cancel = format!("/api/machineactions/{}/cancel", made["id"].as_str().unwrap());
    let cancelled = rig.post(&cancel, "").await.ok(200);
    assert_eq!(cancelled["cancellationRequestor"], APPLICATION);
}

#[tokio::test]
async fn a_strict_cancel_asks_for_the_permission_of_the_actions_own_kind() {
    let rig = Rig::with(|config| {
        config.limits.enabled = false;
        config.cancel.strict = true;
    })
    .await;
    let action = rig.isolate().await;
    let path = format!("/api/machineactions/{action}/cancel");
    for permission in CANCEL.iter().filter(|permission| **permission != "Machine.Isolate") {
        for token in [rig.token(&[permission]), rig.delegated("ada@example.org", &[permission])] {
            let message = rig.call_as(&token, Method::POST, &path, "{").await.refused(403, "Forbidden");
            assert!(message.contains("permissions (Machine.Isolate)"), "{message}");
        }
    }
    assert_eq!(rig.action(action).await.stage(), domain::lifecycle::Stage::Pending, "nothing was cancelled");
    rig.call_as(&rig.token(&["Machine.Isolate"]), Method::POST, &path, "").await.ok(200);
}

#[tokio::test]
async fn the_recorded_refusal_of_a_cancel() {
    let rig = Rig::new().await;
    let path = "/api/machineactions/x/cancel";
    let message =
        rig.call_as(&rig.token(&["Machine.Read.All"]), Method::POST, path, "").await.refused(403, "Forbidden");
    assert_eq!(
        message,
        "The application does not have any of the required application permissions (Machine.Isolate, \
         Machine.CollectForensic, Machine.Scan, Machine.RestrictExecution, Machine.StopAndQuarantine, \
         Machine.Offboard, Machine.LiveResponse) to access the resource."
    );
}
