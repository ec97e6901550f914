use crate::rig::{BASE, Rig};
use domain::ids::MachineId;
use serde_json::json;

#[tokio::test]
async fn machines_all_some_and_none() {
    let rig = Rig::new().await;
    rig.enrol(MachineId([0xcd; 20]), "db-01").await;
    rig.post("/api/machines/db-01/tags", r#"{"Value":"blue","Action":"Add"}"#).await.ok(200);
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
        ("$filter=startswith(computerDnsName,'Web')", vec!["web-03"]),
        ("$filter=computerDnsName in ('db-01', 'web-03')&$orderby=computerDnsName desc", vec!["web-03", "db-01"]),
        ("$filter=lastSeen gt 2018-08-01Z and healthStatus eq 'Active'", vec!["db-01", "web-03"]),
        ("$filter=healthStatus ne 'Active'", vec![]),
        ("$filter=riskScore eq 'High'", vec![]),
        ("$filter=riskScore ne 'High' and aadDeviceId eq null and isAadJoined eq false", vec!["db-01", "web-03"]),
        ("$filter=osPlatform eq 'Linux' and lastIpAddress eq null&$skip=1", vec!["web-03"]),
        ("$orderby=healthStatus,osPlatform desc,id&$top=1", vec!["web-03"]),
        ("$filter=machineTags/any(tag: tag eq 'blue')", vec!["db-01"]),
        ("$filter=not machineTags/any(tag:startswith(tag,'bl'))", vec!["web-03"]),
    ] {
        let answer = rig.get(&name(&query.replace(' ', "%20"))).await.ok(200);
        let found: Vec<_> = answer["value"].as_array().unwrap().iter().map(|item| &item["computerDnsName"]).collect();
        assert_eq!(json!(found), json!(names), "{query}");
    }
    let counted = rig.get(&name("$count=true&$top=1")).await.ok(200);
    assert_eq!((&counted["@odata.count"], counted["value"].as_array().unwrap().len()), (&json!(2), 1));
    for query in [
        "$skip=x",
        "$filter=machineTags+eq+'x'",
        "$filter=osPlatform/any(t:t+eq+'x')",
        "$orderby=machineTags",
        "$filter=id",
        "$top=10001",
        "$expand=x",
        "$select=owner",
    ] {
        rig.get(&name(query)).await.refused_query();
    }
    let few = rig.get(&name("$select=computerDnsName,id")).await.ok(200);
    assert_eq!(
        few["value"][0],
        json!({ "id": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd", "computerDnsName": "db-01" })
    );
}
