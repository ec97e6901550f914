use crate::rig::{APPLICATION, Rig};
use axum::http::Method;
use domain::ids::ActionId;
use domain::lifecycle::Stage;
use domain::testimony::{Ending, StepReport, StepStatus};
use serde_json::{Value, json};
use std::time::Duration;

const ABORT: i64 = -2_147_467_260;

fn path(id: impl std::fmt::Display) -> String {
    format!("/api/machineactions/{id}/cancel")
}

fn assert_cancel_fields(action: &Value, comment: &str) {
    assert_eq!(action["cancellationRequestor"], APPLICATION);
    assert_eq!(action["cancellationComment"], comment);
    assert!(action["cancellationDateTimeUtc"].is_string());
}

#[tokio::test]
async fn pending_is_cancelled_at_once_and_again_is_the_same() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    let first = rig.post(&path(id), r#"{"Comment":"by mistake"}"#).await.ok(200);
    assert_eq!((&first["id"], &first["status"]), (&json!(id.to_string()), &json!("Cancelled")));
    assert_eq!(first["errorHResult"], ABORT);
    assert_cancel_fields(&first, "by mistake");
    rig.clock.advance(60);
    let again = rig.post(&path(id), r#"{"Comment":"once more"}"#).await.ok(200);
    assert_eq!(again, first, "the first requestor, comment and time are kept");
    assert_eq!(rig.stored().await.len(), 1);
    // The machine is free for the next one.
    rig.isolate().await;
}

#[tokio::test]
async fn granted_and_silent_is_in_progress_with_the_fields_set() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    rig.grant(id).await;
    let answer = rig.post(&path(id), r#"{"Comment":"stop"}"#).await.ok(200);
    assert_eq!((&answer["status"], &answer["errorHResult"]), (&json!("InProgress"), &json!(0)));
    assert_cancel_fields(&answer, "stop");
    assert_eq!(rig.action(id).await.stage(), Stage::Stopping);
    // Asked again it is still that, and the first one's words are kept.
    let again = rig.post(&path(id), r#"{"Comment":"now!"}"#).await.ok(200);
    assert_eq!(again, answer);
}

/// Cancels with a budget that does not run out, and lets the machine say `ending` as soon as the cancel is on record.
async fn cancelled_while(ending: Ending, steps: Vec<StepReport>) -> (Rig, ActionId, Value) {
    let rig = Rig::with(|config| {
        config.limits.enabled = false;
        config.cancel.wait_budget = Duration::from_secs(60);
    })
    .await;
    let id = rig.isolate().await;
    let epoch = rig.grant(id).await;
    let mut changes = rig.wake.changes();
    let machine = async {
        while rig.action(id).await.stage() != Stage::Stopping {
            changes.recv().await.unwrap();
        }
        rig.testify(id, epoch, ending, steps).await;
    };
    let path = path(id);
    let (answer, ()) = tokio::join!(rig.post(&path, r#"{"Comment":"stop"}"#), machine);
    let answer = answer.ok(200);
    (rig, id, answer)
}

#[tokio::test]
async fn confirmed_within_the_budget_is_cancelled() {
    let (rig, id, answer) = cancelled_while(Ending::Stopped { began: true }, vec![]).await;
    assert_eq!((&answer["status"], &answer["errorHResult"]), (&json!("Cancelled"), &json!(ABORT)));
    assert_cancel_fields(&answer, "stop");
    assert_eq!(rig.action(id).await.stage(), Stage::Cancelled);
}

#[tokio::test]
async fn finished_first_is_succeeded_with_the_fields_set() {
    let (rig, id, answer) = cancelled_while(Ending::Finished, vec![]).await;
    assert_eq!(answer["status"], "Succeeded");
    assert_cancel_fields(&answer, "stop");
    // From now on it has ended, and a cancel comes too late.
    rig.post(&path(id), "").await.refused(400, "BadRequest");
}

#[tokio::test]
async fn broke_first_is_failed_and_says_why() {
    let (_rig, _id, answer) = cancelled_while(Ending::Broke { why: "nft is missing".into() }, vec![]).await;
    assert_eq!((&answer["status"], &answer["troubleshootInfo"]), (&json!("Failed"), &json!("nft is missing")));
    assert_cancel_fields(&answer, "stop");
}

#[tokio::test]
async fn what_has_ended_is_refused_by_name_and_unchanged() {
    let rig = Rig::new().await;
    for (ending, status) in [(Ending::Finished, "Succeeded"), (Ending::Broke { why: "x".into() }, "Failed")] {
        let id = rig.isolate().await;
        let epoch = rig.grant(id).await;
        rig.testify(id, epoch, ending, vec![]).await;
        let before = rig.action(id).await;
        let message = rig.post(&path(id), r#"{"Comment":"late"}"#).await.refused(400, "BadRequest");
        assert!(message.contains(status), "{message}");
        assert_eq!(rig.action(id).await, before);
    }
    let id = rig.isolate().await;
    rig.clock.advance(4 * 86_400);
    let now = server::clock::Clock::now(&*rig.clock);
    assert_eq!(rig.actions.expire(now, now, 10).await.unwrap(), 1);
    let before = rig.action(id).await;
    let message = rig.post(&path(id), "").await.refused(400, "BadRequest");
    assert!(message.contains("TimeOut"), "{message}");
    assert_eq!(rig.action(id).await, before);
}

#[tokio::test]
async fn an_open_action_of_a_connected_machine_is_not_out_of_contact() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    let epoch = rig.grant(id).await;
    rig.clock.advance(400 * 86_400);
    let now = server::clock::Clock::now(&*rig.clock);
    let expire = async || rig.actions.expire(now, now, 10).await.unwrap();
    let stream = rig.wake.stream(rig.machine, epoch);
    assert_eq!(expire().await, 0);
    rig.wake.gone(rig.machine, &stream);
    assert_eq!(expire().await, 1);
}

#[tokio::test]
async fn artifacts_and_phases_only_while_an_action_is_open() {
    let rig = Rig::new().await;
    let id = rig.isolate().await;
    let takes = async || rig.actions.takes_artifact(rig.peer(), id, 0).await.unwrap();
    assert!(!takes().await);
    let epoch = rig.grant(id).await;
    let phase = async |number| {
        let at = server::clock::Clock::now(&*rig.clock);
        rig.actions.note_phase(rig.peer(), id, epoch, (rig.journal, number), at, "began".into()).await.unwrap();
        rig.lines(id).await.len()
    };
    let before = rig.lines(id).await.len();
    assert_eq!(phase(2).await, before + 1);
    assert!(takes().await);
    rig.testify(id, epoch, Ending::Finished, vec![]).await;
    let ended = rig.lines(id).await.len();
    assert!(!takes().await);
    assert_eq!(phase(3).await, ended);
}

#[tokio::test]
async fn unknown_and_ill_formed_ids_look_alike() {
    let rig = Rig::new().await;
    for id in ["00000000-0000-4000-8000-000000000000", "x", &"a".repeat(40), "%00", "..%2F.."] {
        let answer = rig.post(&path(id), "not json").await;
        assert!(answer.refused(404, "ResourceNotFound").ends_with("was not found"));
    }
}

#[tokio::test]
async fn the_comment_may_be_missing_but_not_something_else() {
    let rig = Rig::new().await;
    for body in ["", "{}", r#"{"Comment":null}"#, r#"{"comment":"wrong case is no comment"}"#, r#"{"Comment":""}"#] {
        let id = rig.isolate().await;
        let answer = rig.post(&path(id), body).await.ok(200);
        assert_cancel_fields(&answer, "");
    }
    let id = rig.isolate().await;
    rig.post(&path(id), "{").await.refused(400, "InvalidRequestBody");
    rig.post(&path(id), r#"{"Comment":{}}"#).await.refused(400, "InvalidRequestBody");
    rig.post(&path(id), json!({ "Comment": "x".repeat(4097) }).to_string()).await.refused(400, "InvalidInput");
    assert_eq!(rig.action(id).await.stage(), Stage::Pending);
}

#[tokio::test]
async fn any_one_of_seven_permissions_is_enough_and_none_other() {
    let rig = Rig::new().await;
    for role in [
        "Machine.CollectForensics",
        "Machine.Isolate",
        "Machine.RestrictExecution",
        "Machine.Scan",
        "Machine.Offboard",
        "Machine.StopAndQuarantine",
        "Machine.LiveResponse",
    ] {
        let id = rig.isolate().await;
        let answer = rig.call_as(&rig.token(&[role]), Method::POST, &path(id), "").await.ok(200);
        assert_eq!(answer["status"], "Cancelled", "{role}");
    }
    let id = rig.isolate().await;
    let token = rig.token(&["Machine.Read.All", "Machine.ReadWrite.All", "Library.Manage"]);
    for path in [path(id), path("unknown")] {
        // As recorded, one name misspelt.
        let expected = "The application does not have any of the required application permissions (Machine.Isolate, \
            Machine.CollectForensic, Machine.Scan, Machine.RestrictExecution, Machine.StopAndQuarantine, \
            Machine.Offboard, Machine.LiveResponse) to access the resource.";
        assert_eq!(rig.call_as(&token, Method::POST, &path, "").await.refused(403, "Forbidden"), expected);
    }
    assert_eq!(rig.action(id).await.stage(), Stage::Pending);
}

#[tokio::test]
async fn a_live_response_stopped_half_way_says_how_far_each_command_came() {
    let rig = Rig::new().await;
    let command = json!({ "type": "GetFile", "params": [{ "key": "Path", "value": "/x" }] });
    let id = rig.live_response(&json!([command, command])).await;
    let epoch = rig.grant(id).await;
    rig.post(&path(id), r#"{"Comment":"stop"}"#).await.ok(200);
    let now = Some(server::clock::Clock::now(&*rig.clock));
    let done = StepReport { status: StepStatus::Completed, started_at: now, ended_at: now, ..StepReport::created(0) };
    rig.testify(id, epoch, Ending::Stopped { began: true }, vec![done, StepReport::created(1)]).await;
    let action = rig.get(&format!("/api/machineactions/{id}")).await.ok(200);
    assert_eq!(action["status"], "Cancelled");
    assert_eq!(action["commands"][0]["commandStatus"], "Completed");
    assert!(action["commands"][0]["endTime"].is_string());
    assert_eq!(action["commands"][1]["commandStatus"], "Created");
}
