use crate::rig::{BASE, Rig};
use domain::ids::MachineId;
use serde_json::json;

#[tokio::test]
async fn machines_all_some_and_none() {
    let rig = Rig::new().await;
    rig.enrol(MachineId([0xcd; 20]), "db-01").await;
    let all = rig.get("/api/machines").await.ok(200);
    assert_eq!(all["@odata.context"], format!("{BASE}/api/$metadata#Machines"));
    assert_eq!(all["value"].as_array().unwrap().len(), 2);
    assert!(all.get("@odata.count").is_none());
    let name = |query: &str| format!("/api/machines?{query}");
    for (query, names) in [
        ("$top=1", vec!["db-01"]),
        ("top=1", vec!["db-01", "web-03"]),
        ("$filter=computerDnsName+eq+'web-03'", vec!["web-03"]),
        ("$filter=ComputerDNSName%20eq%20'WEB-03'", vec!["web-03"]),
        ("%24filter=id+eq+'abababababababababababababababababababab'", vec!["web-03"]),
        ("$filter=id+eq+'elastic-connector-test'", vec![]),
        ("$filter=computerDnsName eq 'nobody'", vec![]),
    ] {
        let answer = rig.get(&name(&query.replace(' ', "%20"))).await.ok(200);
        let found: Vec<_> = answer["value"].as_array().unwrap().iter().map(|item| &item["computerDnsName"]).collect();
        assert_eq!(json!(found), json!(names), "{query}");
    }
    let counted = rig.get(&name("$count=true&$top=1")).await.ok(200);
    assert_eq!((&counted["@odata.count"], counted["value"].as_array().unwrap().len()), (&json!(2), 1));
    for query in ["$skip=1", "$filter=riskScore+eq+'High'", "$filter=id", "$top=0"] {
        rig.get(&name(query)).await.refused(400, "ODataError");
    }
}
