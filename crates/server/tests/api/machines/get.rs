use crate::rig::{BASE, Rig};
use domain::ids::MachineId;
use serde_json::Value;

#[tokio::test]
async fn a_name_that_two_machines_have_is_not_guessed() {
    let rig = Rig::new().await;
    let other = MachineId([0x01; 20]);
    rig.enrol(other, "WEB-03").await;
    let message = rig.get("/api/machines/web-03").await.refused(400, "InvalidInput");
    assert!(message.contains("ambiguous"), "{message}");
    rig.post("/api/machines/web-03/isolate", r#"{"Comment":"why"}"#).await.refused(400, "InvalidInput");
    for id in [other, rig.machine] {
        rig.get(&format!("/api/machines/{id}")).await.ok(200);
    }
}

#[tokio::test]
async fn every_key_is_there_in_the_order_of_the_service() {
    let rig = Rig::new().await;
    let text = rig.get("/api/machines/web-03").await.text();
    let keys = "@odata.context id computerDnsName firstSeen lastSeen osPlatform osVersion osProcessor version \
                lastIpAddress lastExternalIpAddress agentVersion osBuild healthStatus deviceValue rbacGroupId \
                rbacGroupName riskScore exposureLevel isAadJoined aadDeviceId machineTags defenderAvStatus \
                onboardingStatus osArchitecture managedBy ipAddresses vmMetadata";
    let keys: Vec<&str> = keys.split(' ').collect();
    let places: Vec<usize> = keys.iter().map(|key| text.find(&format!("\"{key}\":")).expect(key)).collect();
    assert!(places.is_sorted(), "{text}");
    let machine: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(machine.as_object().unwrap().len(), keys.len());
    assert_eq!(machine["aadDeviceId"], Value::Null, "were it given, it would have to work as an id");
}

#[tokio::test]
async fn by_id_and_by_name() {
    let rig = Rig::new().await;
    let id = rig.machine.to_string();
    for given in [&id, &id.to_uppercase(), "web-03", "WEB-03", "web%2D03"] {
        let machine = rig.get(&format!("/api/machines/{given}")).await.ok(200);
        assert_eq!(machine["@odata.context"], format!("{BASE}/api/$metadata#Machines/$entity"));
        assert_eq!((&machine["id"], &machine["computerDnsName"]), (&Value::from(&*id), &Value::from("web-03")));
        assert!(machine.as_object().unwrap().contains_key("aadDeviceId"));
        assert_eq!(machine["healthStatus"], "Active");
    }
    for unknown in ["elastic-connector-test", &"f".repeat(40)] {
        let message = rig.get(&format!("/api/machines/{unknown}")).await.refused(404, "ResourceNotFound");
        assert!(message.contains(unknown), "{message}");
    }
}
