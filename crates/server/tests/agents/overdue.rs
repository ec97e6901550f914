//! What is overdue is looked for first and ended later; what moved on in between is left alone.

use crate::faulty::Fault;
use crate::ground::{Agent, Ground};
use domain::action::{State, TimedOutWhy};
use domain::ids::ActionId;
use domain::kind::Scope;
use domain::lifecycle::Stage;
use domain::time::Timestamp;
use protocol::agent::{ListedAction, ToAgent};
use server::actions::{Actions, Wanted};
use server::agent_link::talk::Talk;
use server::clock::Clock as _;
use std::sync::Arc;
use store::Store;

/// How long a machine may be silent, in seconds.
const HORIZON: i64 = 3_600;

/// Longer than any action may wait, in seconds.
const LONG: i64 = 30 * 86_400;

async fn expire(ground: &Ground) -> u32 {
    let now = ground.clock.now();
    ground.actions.expire(now, now.plus_seconds(-HORIZON), 100).await.unwrap()
}

async fn waiting() -> (Ground, Agent, ActionId) {
    let ground = Ground::in_memory();
    let agent = ground.machine("web-03").await;
    let action = ground.request(&agent, Wanted::Isolate(Scope::Full)).await;
    (ground, agent, action)
}

async fn granted() -> (Ground, Agent, ActionId, Talk) {
    let (ground, mut agent, action) = waiting().await;
    let talk = agent.granted(&ground, action).await;
    (ground, agent, action, talk)
}

#[tokio::test]
async fn what_is_granted_between_the_look_and_the_end_is_not_ended() {
    // Its list, the look at the action, the action as it is decided on, the commit.
    for (call, nth) in [("action", 1), ("action", 2), ("commit", 1)] {
        let (ground, agent, action) = waiting().await;
        ground.clock.advance(LONG);
        let talk = agent.hello(&ground).await.unwrap();
        let claim = agent.claim(talk.session(), action);
        let claims = Box::pin(async move { assert!(crate::ground::is_grant(&talk.heard(claim).await.unwrap())) });
        ground.store.at(call, nth, Fault::Meanwhile(claims));
        assert_eq!(expire(&ground).await, 0, "{call} {nth}");
        assert!(ground.store.is_over());
        assert_eq!(ground.action(action).await.stage(), Stage::Granted, "{call} {nth}");
    }
}

#[tokio::test]
async fn a_machine_that_comes_back_between_the_look_and_the_end_was_not_out_of_contact() {
    for (call, nth) in [("action", 1), ("machine", 1), ("action", 2), ("commit", 1)] {
        let (ground, agent, action, _) = granted().await;
        ground.clock.advance(HORIZON + 1);
        let store = Arc::clone(&ground.store);
        let (peer, now) = (agent.peer, ground.clock.now());
        // As its Hello leaves it on record.
        let comes_back = Box::pin(async move {
            let machine = store.machine(peer.machine).await.unwrap().unwrap();
            let opened = store.open_session(peer.machine, peer.incarnation, machine.session, &machine.told, now).await;
            opened.unwrap().expect("its session");
        });
        ground.store.at(call, nth, Fault::Meanwhile(comes_back));
        assert_eq!(expire(&ground).await, 0, "{call} {nth}");
        assert!(ground.store.is_over());
        assert_eq!(ground.action(action).await.stage(), Stage::Granted, "{call} {nth}");
    }
}

#[tokio::test]
async fn a_machine_that_has_a_stream_is_not_out_of_contact() {
    let (ground, agent, action, talk) = granted().await;
    let _stream = ground.link.wake.stream(agent.peer.machine, talk.session());
    ground.clock.advance(HORIZON + 1);
    assert_eq!(expire(&ground).await, 0);
    assert_eq!(ground.action(action).await.stage(), Stage::Granted);
}

#[tokio::test]
async fn what_truly_waits_or_is_silent_too_long_is_ended_and_says_which() {
    let (ground, agent, silent, _) = granted().await;
    let waits = ground.request(&agent, Wanted::Release).await;
    ground.clock.advance(LONG);
    assert_eq!(expire(&ground).await, 2);
    let why = async |id| match ground.action(id).await.state {
        State::TimedOut { why, .. } => why,
        other => panic!("{other:?}"),
    };
    assert_eq!((why(silent).await, why(waits).await), (TimedOutWhy::NoContact, TimedOutWhy::NotStarted));
    assert_eq!(expire(&ground).await, 0);
    assert!(ground.clock.now() > Timestamp(0));
}

/// Another server over the same store, with a clock that is ahead, to which the machine is not connected.
#[tokio::test]
async fn an_agent_is_told_at_once_that_what_it_holds_was_ended_without_it() {
    for listed in [false, true] {
        let (ground, mut agent, action, mut talk) = granted().await;
        let epoch = talk.session();
        if listed {
            agent.listed = vec![ListedAction { action, epoch, started: true }];
            talk = agent.hello(&ground).await.unwrap();
        }
        assert!(aborts(&talk).await.is_empty());
        let ahead = ground.clock.now().plus_seconds(10 * HORIZON);
        let elsewhere = Actions::new(Arc::clone(&ground.store) as Arc<dyn Store>, Arc::default());
        assert_eq!(elsewhere.expire(ahead, ahead.plus_seconds(-HORIZON), 100).await.unwrap(), 1);
        let ended = ground.action(action).await;
        assert_eq!(ended.stage(), Stage::TimedOut);
        for _ in 0..2 {
            assert_eq!(aborts(&talk).await, [ToAgent::Abort { action, epoch }], "until it has answered");
        }
        let said = talk.heard(agent.finished(action, epoch)).await.unwrap();
        assert_eq!(said.messages, [ToAgent::FinalAck { action, epoch }]);
        assert!(aborts(&talk).await.is_empty());
        assert_eq!(ground.action(action).await, ended, "what it says is late evidence");
    }
}

async fn aborts(talk: &Talk) -> Vec<ToAgent> {
    let said = talk.look().await.unwrap().messages;
    said.into_iter().filter(|message| matches!(message, ToAgent::Abort { .. })).collect()
}
