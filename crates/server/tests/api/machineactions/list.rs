use crate::rig::{BASE, Rig};
use domain::ids::MachineId;
use serde_json::{Value, json};

fn ids(list: &Value) -> Vec<String> {
    list["value"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_string()).collect()
}

#[tokio::test]
async fn newest_first_filtered_counted_and_cut() {
    let rig = Rig::new().await;
    rig.enrol(MachineId([0xcd; 20]), "db-01").await;
    let first = rig.isolate().await.to_string();
    rig.post(&format!("/api/machineactions/{first}/cancel"), "").await.ok(200);
    rig.clock.advance(1);
    let second = rig.isolate().await.to_string();
    rig.clock.advance(1);
    let third = rig.post("/api/machines/db-01/unisolate", r#"{"Comment":"x"}"#).await.created().to_string();

    let machine = rig.machine;
    let cases = [
        (String::new(), vec![&third, &second, &first]),
        ("$top=2".into(), vec![&third, &second]),
        (format!("$filter=id+eq+'{first}'"), vec![&first]),
        (format!("%24filter=Id%20eq%20{second}"), vec![&second]),
        (format!("$filter=machineId+eq+'{machine}'&$top=5"), vec![&second, &first]),
        ("$filter=status+eq+'Pending'".into(), vec![&third, &second]),
        ("$filter=Status+eq+'Cancelled'".into(), vec![&first]),
        ("$filter=status+eq+'InProgress'".into(), vec![]),
        ("$filter=type+eq+'Unisolate'".into(), vec![&third]),
        ("$filter=type+eq+'RequestSample'".into(), vec![]),
        ("$filter=status+eq+'cancelled'".into(), vec![]),
        ("$filter=id+eq+'nonsense'".into(), vec![]),
        ("top=1&client-request-id=7&&".into(), vec![&third, &second, &first]),
    ];
    for (query, expected) in cases {
        let list = rig.get(&format!("/api/machineactions?{query}")).await.ok(200);
        assert_eq!(json!(ids(&list)), json!(expected), "{query}");
        assert_eq!(list["@odata.context"], format!("{BASE}/api/$metadata#MachineActions"));
        assert!(list.get("@odata.count").is_none(), "{query}");
    }
    let counted = rig.get("/api/machineactions?$count=true&$top=1&$filter=status%20eq%20'Pending'").await.ok(200);
    assert_eq!((&counted["@odata.count"], ids(&counted)), (&json!(2), vec![third.clone()]));
    let names: Vec<_> = rig.get("/api/machineactions").await.ok(200)["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["computerDnsName"].clone())
        .collect();
    assert_eq!(json!(names), json!(["db-01", "web-03", "web-03"]));
}

#[tokio::test]
async fn options_that_are_not_understood_are_refused_rather_than_ignored() {
    let rig = Rig::new().await;
    for query in [
        "$skip=1",
        "$stop=1",
        "$orderby=type",
        "$select=id",
        "$top=10001",
        "$top=0",
        "$filter=requestor+eq+'x'",
        "$filter=id+in+('x')",
        "%24expand=x",
    ] {
        let message = rig.get(&format!("/api/machineactions?{query}")).await.refused(400, "ODataError");
        assert!(message.starts_with("The query specified in the URI is not valid."), "{message}");
    }
}
