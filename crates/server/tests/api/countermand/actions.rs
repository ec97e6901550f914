use crate::rig::Rig;
use domain::history::verify;
use domain::testimony::{Ending, Testimony};
use serde_json::{Value, json};

#[tokio::test]
async fn the_history_of_a_cancel() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    rig.grant(id).await;
    rig.post(&format!("/api/machineactions/{id}/cancel"), r#"{"Comment":"stop"}"#).await.ok(200);
    let history = rig.get(&format!("/api/countermand/actions/{id}/history")).await.ok(200);
    assert_eq!((&history["action"], &history["verified"]), (&json!(id.to_string()), &json!(true)));
    let lines = history["lines"].as_array().unwrap();
    let seen: Vec<_> = lines.iter().map(|line| (&line["sequence"], &line["source"], &line["status"])).collect();
    let expected = json!([[1, "Caller", "Pending"], [2, "Server", "InProgress"], [3, "Caller", "InProgress"]]);
    assert_eq!(json!(seen), expected);
    let stored = rig.lines(id).await;
    assert!(verify(id, &stored).is_ok());
    assert_eq!(lines[2]["hash"], stored[2].hash.to_string());
    rig.get("/api/countermand/actions/nonsense/history").await.refused(404, "ResourceNotFound");
}

async fn explain(rig: &Rig, id: impl std::fmt::Display) -> Value {
    rig.get(&format!("/api/countermand/actions/{id}")).await.ok(200)
}

#[tokio::test]
async fn a_cancel_in_plain_words() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    let pending = explain(&rig, id).await;
    assert_eq!((&pending["stage"], &pending["cancel"]), (&json!("Pending"), &Value::Null));
    assert!(pending["waitingFor"].as_str().unwrap().starts_with("the device to begin it"));
    assert_eq!(pending["machineName"], "web-03");
    assert_eq!(pending["machineLastSeen"], "2026-09-21T14:13:20Z");

    // A release waits for the isolation before it.
    rig.clock.advance(1);
    let release = rig.post("/api/machines/web-03/unisolate", r#"{"Comment":"x"}"#).await.created();
    let waiting = explain(&rig, release).await["waitingFor"].as_str().unwrap().to_string();
    assert!(waiting.starts_with(&format!("Isolate {id}")), "{waiting}");

    let epoch = rig.grant(id).await;
    rig.post(&format!("/api/machineactions/{id}/cancel"), "").await.ok(200);
    let stopping = explain(&rig, id).await;
    assert_eq!((&stopping["status"], &stopping["stage"]), (&json!("InProgress"), &json!("Stopping")));
    let words = stopping["cancel"].as_str().unwrap();
    assert!(words.starts_with("Stopping - waiting for the device since 2026-09-21T14:13:21"), "{words}");

    let testimony = Testimony {
        epoch,
        journal: rig.journal,
        sequence: 9,
        ending: Ending::Stopped { began: true },
        steps: vec![],
        residue: vec!["a script ran".into()],
        facts: vec![],
    };
    rig.report(id, testimony).await;
    let cancelled = explain(&rig, id).await;
    assert_eq!(cancelled["cancel"], "Cancelled - stopped and rolled back; left behind: a script ran");
    assert_eq!((&cancelled["residue"], &cancelled["waitingFor"]), (&json!(["a script ran"]), &Value::Null));

    rig.post(&format!("/api/machineactions/{release}/cancel"), "").await.ok(200);
    assert_eq!(explain(&rig, release).await["cancel"], "Cancelled - never started");
    let third = rig.isolate().await;
    let epoch = rig.grant(third).await;
    rig.post(&format!("/api/machineactions/{third}/cancel"), "").await.ok(200);
    rig.testify(third, epoch, Ending::Finished, vec![]).await;
    assert_eq!(explain(&rig, third).await["cancel"], "Too late - finished first");
}
