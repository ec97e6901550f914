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
        (format!("$filter=id+in+('{first}','{third}')&$count=false"), vec![&third, &first]),
        (format!("/?$filter=machineId+eq+'{machine}'and type+eq+'Isolate'"), vec![&second, &first]),
        ("$filter=(status+eq+'Pending'+AND+type+eq+'Isolate')+or+status+eq+'Cancelled'".into(), vec![&second, &first]),
        ("$filter=not(status+eq+'Pending')".into(), vec![&first]),
        ("$filter=cancellationDateTimeUtc+ne+null".into(), vec![&first]),
        ("$filter=scope+eq+null".into(), vec![&third]),
        ("$filter=scope+ne+'Quick'".into(), vec![&third, &second, &first]),
        ("$filter=errorHResult+lt+0".into(), vec![&first]),
        ("$filter=contains(computerDnsName,'WEB')".into(), vec![&second, &first]),
        ("$filter=startswith(type,'Un')".into(), vec![&third]),
        ("$filter=creationDateTimeUtc+gt+2026-09-21T14:13:21Z".into(), vec![&third]),
        ("$filter=creationDateTimeUtc+ge+2026-09-21T14:13:21Z".into(), vec![&third, &second]),
        (
            "$filter=lastUpdateTimeUtc+gt+2026-09-21Z&$orderby=lastUpdateDateTimeUtc+asc".into(),
            vec![&first, &second, &third],
        ),
        ("$orderby=computerDnsName,id+desc".into(), vec![&third, &second, &first]),
        ("$orderby=status+desc,creationDateTimeUtc".into(), vec![&second, &third, &first]),
        ("$skip=1&$top=1".into(), vec![&second]),
        ("$top=0".into(), vec![]),
        ("$filter=title+eq+null&$orderby=title".into(), vec![&third, &second, &first]),
        ("$filter=status+eq+'cancelled'".into(), vec![]),
        ("$filter=id+eq+'nonsense'".into(), vec![]),
        ("top=1&client-request-id=7&&".into(), vec![&third, &second, &first]),
    ];
    for (query, expected) in cases {
        let query = query.replace(' ', "%20");
        let path = if query.starts_with('/') { "/api/machineactions" } else { "/api/machineactions?" };
        let list = rig.get(&format!("{path}{query}")).await.ok(200);
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
    for (query, why) in [
        ("$skip=-1", "$skip must be a whole number from 0 on."),
        ("$stop=1", "The query option '$stop' is not supported."),
        ("$orderby=kind", "Could not find a property named 'kind'."),
        ("$orderby=commands", "The property 'commands' cannot be used in $orderby."),
        ("$orderby=type+up", "$orderby must be properties, each with asc, desc or neither."),
        ("$select=id,name", "Could not find a property named 'name'."),
        ("$top=10001", "$top must be a whole number from 0 to 10000."),
        ("$top=x", "$top must be a whole number from 0 to 10000."),
        ("$count=maybe", "$count must be true or false."),
        ("$top=1&$TOP=2", "Query option '$top' was specified more than once."),
        ("$filter=", "$filter: a property was expected at position 0."),
        ("$filter=kind+eq+'x'", "Could not find a property named 'kind'."),
        ("$filter=commands+eq+'x'", "The property 'commands' cannot be used in $filter."),
        ("$filter=creationDateTimeUtc+gt+'x'", "The property 'creationDateTimeUtc' is compared with a date and time."),
        ("$filter=errorHResult+eq+'0'", "The property 'errorHResult' is compared with a whole number without quotes."),
        ("$filter=requestor+eq+5", "The property 'requestor' is compared with a text in single quotes."),
        ("$filter=id+gt+'x'", "The property 'id' is compared with an id."),
        ("$filter=contains(creationDateTimeUtc,'2')", "The property 'creationDateTimeUtc' is no text."),
        ("$skiptoken=x", "The $skiptoken is not one that was given out."),
        ("$skiptoken=eyJrZXlzIjpbXSwiaWQiOnsiUmFuayI6MX19", "The $skiptoken does not go with the other options."),
        ("%24expand=x", "The query option '$expand' is not supported."),
    ] {
        let message = rig.get(&format!("/api/machineactions?{query}")).await.refused_query();
        assert_eq!(message, format!("The query specified in the URI is not valid. {why}"), "{query}");
    }
}

#[tokio::test]
async fn only_what_is_selected_in_the_order_of_the_entity() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    let list = rig.get("/api/machineactions?$select=Status,id,lastUpdateTimeUtc").await;
    let text = list.text();
    assert_eq!(
        list.ok(200)["@odata.context"],
        format!("{BASE}/api/$metadata#MachineActions(id,status,lastUpdateDateTimeUtc)")
    );
    assert!(
        text.contains(&format!("{{\"id\":\"{id}\",\"status\":\"Pending\",\"lastUpdateDateTimeUtc\":\"2026-")),
        "{text}"
    );
    let all = rig.get("/api/machineactions?$select=*").await.ok(200);
    assert_eq!(all["value"][0].as_object().unwrap().len(), 20);
}

#[tokio::test]
async fn counted_as_a_bare_number() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    rig.post(&format!("/api/machineactions/{id}/cancel"), "").await.ok(200);
    rig.isolate().await;
    for (path, count) in [
        ("/api/machineactions/$count", "2"),
        ("/api/machineactions/%24count?$filter=status%20eq%20'Pending'&$top=0", "1"),
        ("/api/machines/$count", "1"),
        ("/api/alerts/$count", "0"),
    ] {
        let answer = rig.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str(), answer.header("content-type")),
            (200, count, "text/plain")
        );
    }
    rig.get("/api/machineactions/$count?$filter=x").await.refused_query();
}
