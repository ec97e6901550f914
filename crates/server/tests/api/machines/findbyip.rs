use crate::rig::{BASE, Rig, START};
use domain::kind::Kind;
use domain::time::Timestamp;
use protocol::defender::time;

fn at(seconds: i64) -> String {
    time::show(Timestamp::from_seconds(START + seconds))
}

#[tokio::test]
async fn a_machine_is_found_by_its_last_address_around_the_time_it_was_heard_of() {
    let rig = Rig::new().await;
    rig.clock.advance(3600);
    rig.connect(&[Kind::LiveResponse]).await;
    let ask = async |path: String| rig.get(&path).await.ok(200)["value"].as_array().unwrap().len();
    for (seconds, found) in [(3600, 1), (3600 + 900, 1), (3600 + 901, 0), (-900, 1), (-901, 0), (1800, 1)] {
        let path = format!("/api/machines/findbyip(ip='192.0.2.7',timestamp={})", at(seconds));
        assert_eq!(ask(path).await, found, "{seconds}");
    }
    let now = at(3600).replace(':', "%3A");
    for path in [
        format!("/api/v1.0/Machines/FindByIP(IP='192.0.2.7',Timestamp={now})/"),
        format!("/api/machines/findbyip%28ip%3D%27192.0.2.7%27%2Ctimestamp%3D{now}%29"),
        format!("/api/machines/findbyip(ip='::ffff:192.0.2.7',timestamp='{now}')"),
    ] {
        assert_eq!(ask(path).await, 1);
    }
    assert_eq!(ask(format!("/api/machines/findbyip(ip='192.0.2.70',timestamp={now})")).await, 0);
    let list = rig.get(&format!("/api/machines/findbyip(ip='192.0.2.7',timestamp={now})")).await.ok(200);
    assert_eq!(list["@odata.context"], format!("{BASE}/api/$metadata#Machines"));
    assert_eq!(list["value"][0]["lastIpAddress"], "192.0.2.7");
    assert_eq!(list["value"][0]["ipAddresses"][0]["ipAddress"], "192.0.2.7");
}

#[tokio::test]
async fn what_is_no_address_or_no_time() {
    let rig = Rig::new().await;
    let ask = async |ip: &str, at: &str| rig.get(&format!("/api/machines/findbyip(ip='{ip}',timestamp={at})")).await;
    ask("192.0.2.256", &at(0)).await.refused(400, "InvalidIpAddress");
    ask("web-03", &at(0)).await.refused(400, "InvalidIpAddress");
    ask("192.0.2.7", "yesterday").await.refused(400, "InvalidInput");
    ask("192.0.2.7", &at(-30 * 86_400 - 1)).await.refused(400, "InvalidInput");
    ask("192.0.2.7", &at(-30 * 86_400)).await.ok(200);
}
