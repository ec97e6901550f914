//! Pages of a list that changes meanwhile.

use crate::rig::Rig;
use axum::body::Body;
use axum::http::Request;
use domain::action::{Action, Body as Wanted, Request as Asked, RequestSource};
use domain::decide::{Decision, Event, decide};
use domain::history::{Line, Source};
use domain::ids::{ActionId, MachineId};
use domain::kind::Scope;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use store::{Committed, Inserted, Terms};
use uuid::Uuid;

/// How many actions there are, and how many machines they are on.
const ACTIONS: u64 = 5_000;
const MACHINES: u64 = 5_000;

/// Puts an action on record without the API, which would take long.
async fn insert(rig: &Rig, number: u64) -> Action {
    let mut machine = [0; 20];
    machine[12..].copy_from_slice(&(number % MACHINES + 1).to_be_bytes());
    let asked =
        Asked { requestor: "a".into(), comment: "b".into(), source: RequestSource::PublicApi, external_id: None };
    let id = ActionId(Uuid::from_u128(u128::from(number) + 1));
    let body = Wanted::Isolate { scope: Scope::Full };
    let action = Action::requested(id, MachineId(machine), body, asked, rig.now());
    let line =
        Line { at: action.created_at, source: Source::Caller, what: "x".into(), stage: action.stage(), fact: None };
    let terms = Terms { audit: crate::rig::audited(), once: None, live_responses_max: None };
    assert!(matches!(rig.store.insert(&action, &[line], &terms).await.unwrap(), Inserted::Stored(_)));
    action
}

async fn cancel(rig: &Rig, id: ActionId) {
    let action = rig.action(id).await;
    let event = Event::CancelRequested { requestor: "c".into(), comment: "d".into() };
    let Ok(Decision::Change(change, _)) = decide(&action, event, rig.now()) else { panic!("no change") };
    assert!(matches!(rig.store.commit(&change, None).await.unwrap(), Committed::Stored(_)));
}

async fn filled(rig: &Rig, actions: u64) -> Vec<ActionId> {
    let names: Vec<String> = (0..actions.min(MACHINES)).map(|number| format!("m{number}")).collect();
    let enrolled = names.iter().zip(0u64..).map(|(name, number)| {
        let mut machine = [0; 20];
        machine[12..].copy_from_slice(&(number + 1).to_be_bytes());
        rig.enrol(MachineId(machine), name)
    });
    futures_util::future::join_all(enrolled).await;
    let inserted = futures_util::future::join_all((0..actions).map(|number| insert(rig, number))).await;
    inserted.iter().map(|action| action.id).collect()
}

/// As Elastic's collector does it: it asks for what was updated after the last thing it saw. The clock stands still, and
/// hundreds of changes come between any two pages; whatever the last change of an action is, the collector sees it.
#[tokio::test(flavor = "multi_thread")]
async fn who_pages_by_the_last_update_seen_misses_no_change() {
    let rig = Rig::new().await;
    let mut waiting = filled(&rig, ACTIONS).await;
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let (mut cursor, mut pages) = (String::from("1970-01-01T00:00:00Z"), 0);
    loop {
        let query = format!(
            "/api/machineactions?%24filter=lastUpdateDateTimeUtc+gt+{cursor}&%24orderby=lastUpdateDateTimeUtc+asc&%24skip=0&%24top=500"
        );
        let (list, ()) = tokio::join!(rig.get(&query), async {
            let next = waiting.split_off(waiting.len().saturating_sub(300));
            futures_util::future::join_all(next.into_iter().map(|id| cancel(&rig, id))).await;
        });
        let list = list.ok(200);
        let items = list["value"].as_array().unwrap();
        for item in items {
            seen.insert(text(&item["id"]), text(&item["status"]));
        }
        pages += 1;
        match items.last() {
            Some(last) => cursor = text(&last["lastUpdateDateTimeUtc"]),
            None if waiting.is_empty() => break,
            None => {}
        }
    }
    assert!(pages > 10, "{pages}");
    assert_eq!(seen.len() as u64, ACTIONS);
    assert!(seen.values().all(|status| status == "Cancelled"), "a change was missed");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_string()
}

async fn follow(rig: &Rig, url: &str, size: u32) -> crate::rig::Answer {
    let request = Request::builder().uri(url).header("authorization", format!("Bearer {}", rig.all()));
    rig.send(request.header("prefer", format!("odata.maxpagesize={size}")).body(Body::empty()).unwrap()).await
}

/// The links are absolute, and go on after the last row and not after so many: rows that come and change meanwhile move
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn links_lead_past_every_row_once_while_rows_change() {
    let rig = Rig::new().await;
    let before = filled(&rig, 300).await;
    for query in [
        "$filter=type+eq+'Isolate'",
        "$orderby=creationDateTimeUtc+asc",
        "$orderby=computerDnsName+desc,type&$skip=0",
        "$orderby=cancellationComment,scope+desc&$filter=requestor+eq+'a'",
    ] {
        let (mut url, mut ids, mut pages) =
            (format!("{}/api/machineactions?{query}&$count=true", crate::rig::BASE), vec![], 0);
        loop {
            let answer = follow(&rig, &url, 37).await;
            assert_eq!(answer.header("preference-applied"), "odata.maxpagesize=37");
            let list = answer.ok(200);
            assert!(list["@odata.count"].as_u64().unwrap() >= 300);
            ids.extend(list["value"].as_array().unwrap().iter().map(|item| text(&item["id"])));
            pages += 1;
            let Some(next) = list["@odata.nextLink"].as_str() else { break };
            assert!(next.starts_with(&format!("{}/api/machineactions?", crate::rig::BASE)), "{next}");
            url = next.to_string();
            // Something older is gone from where it was, and something new stands before everything.
            rig.clock.advance(1);
            if !query.contains("cancellation") {
                cancel_one(&rig, &before).await;
            }
        }
        let distinct: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "{query}: a row came twice");
        assert!(before.iter().all(|id| distinct.contains(&id.to_string())), "{query}: a row is missing");
        assert_eq!(pages, ids.len().div_ceil(37), "{query}");
    }
}

async fn cancel_one(rig: &Rig, ids: &[ActionId]) {
    for id in ids {
        let action = rig.action(*id).await;
        if !action.stage().is_final() {
            cancel(rig, *id).await;
            let number = 10_000 + id.0.as_u128() as u64;
            let again = insert(rig, number / MACHINES * MACHINES + (id.0.as_u128() as u64 - 1)).await;
            assert_eq!(again.machine, action.machine);
            return;
        }
    }
}

#[tokio::test]
async fn who_asks_for_so_many_gets_so_many_and_no_link() {
    let rig = Rig::new().await;
    filled(&rig, 9).await;
    let url = |query: &str| format!("{}/api/machineactions?{query}", crate::rig::BASE);
    for (query, size, items, link) in [
        ("$top=4", 5, 4, None),
        ("$top=5", 5, 5, None),
        ("$top=7&$skip=1", 5, 5, Some("$top=2&$skiptoken=")),
        ("$skip=4", 5, 5, None),
        ("$skip=3", 5, 5, Some("$skiptoken=")),
        ("$top=10000", 10_000, 9, None),
        ("", 9, 9, None),
        ("", 8, 8, Some("$skiptoken=")),
        ("", 0, 9, None),
    ] {
        let list = follow(&rig, &url(query), size).await.ok(200);
        assert_eq!(list["value"].as_array().unwrap().len(), items, "{query} {size}");
        let next = list.get("@odata.nextLink").map(text);
        assert_eq!(next.is_some(), link.is_some(), "{query} {size}: {next:?}");
        let begins = link.map(&url);
        assert!(next.iter().zip(&begins).all(|(next, begins)| next.starts_with(begins.as_str())), "{next:?}");
    }
    let list = follow(&rig, &url("$top=7"), 5).await.ok(200);
    let rest = follow(&rig, list["@odata.nextLink"].as_str().unwrap(), 5).await.ok(200);
    assert_eq!(rest["value"].as_array().unwrap().len(), 2);
    assert!(rest.get("@odata.nextLink").is_none());
    // A filter with everything in it that a link has to encode.
    let odd = "$filter=requestorComment%20ne%20'%2B%20%26%23%25''%C3%A9%22'%20and%20type%20eq%20Isolate";
    let list = follow(&rig, &url(odd), 5).await.ok(200);
    let rest = follow(&rig, list["@odata.nextLink"].as_str().unwrap(), 5).await.ok(200);
    assert_eq!(rest["value"].as_array().unwrap().len(), 4);
}
