//! What a session begins with, and a server that dies in the middle of it.

use crate::faulty::Fault;
use crate::ground::{Ground, is_grant};
use domain::action::{State, TimedOutWhy};
use domain::ids::{Digest, Epoch};
use domain::kind::Scope;
use domain::lifecycle::Stage;
use domain::machine::JournalSeen;
use domain::time::Timestamp;
use protocol::agent::{ToAgent, ToServer};
use server::actions::{Wanted, WantedCommand};
use server::agent_link::talk::TalkError;
use store::Store;

/// A restored snapshot: the journal forgot that it was given the grant. Whenever the server dies in the Hello that shows
/// it, the next Hello still finds the action ended, and it is never granted a second time.
#[tokio::test]
async fn a_journal_that_went_back_is_noticed_whenever_the_server_dies() {
    for (call, nth, fault) in [
        ("open_session", 1, Fault::DiesBefore),
        ("open_session", 1, Fault::DiesAfter),
        ("live_actions", 1, Fault::DiesBefore),
        ("commit", 1, Fault::DiesBefore),
        ("commit", 1, Fault::DiesAfter),
        ("live_actions", 2, Fault::DiesBefore),
    ] {
        let ground = Ground::in_memory();
        let mut agent = ground.machine("web-03").await;
        let action = ground.request(&agent, Wanted::Isolate(Scope::Full)).await;
        agent.granted(&ground, action).await;
        agent.journal.sequence = 9;
        agent.hello(&ground).await.unwrap();
        agent.journal = JournalSeen { sequence: 1, head: Digest([7; 32]), ..agent.journal };
        ground.store.at(call, nth, fault);
        let died = agent.hello(&ground).await;
        assert!(matches!(died, Err(TalkError::Action(_))) && ground.store.is_over(), "{call} {nth}");
        let talk = agent.hello(&ground).await.unwrap();
        let ended = ground.action(action).await;
        let lost = matches!(ended.state, State::TimedOut { why: TimedOutWhy::JournalLost, .. });
        assert!(lost, "{call} {nth}: {ended:?}");
        let claimed = talk.heard(agent.claim(talk.session(), action)).await.unwrap();
        assert!(!is_grant(&claimed), "{call} {nth}: granted again");
        assert_eq!(ground.action(action).await, ended);
        assert_eq!(ground.store.integrity().await.unwrap(), Vec::<String>::new());
    }
}

/// A Hello that lay in a socket while its agent died and another run of it came: answered late, it says less than is
/// known, and neither opens a session nor takes away what the living one holds.
#[tokio::test]
async fn a_hello_that_was_slow_opens_nothing_and_takes_nothing_away() {
    let ground = Ground::in_memory();
    let mut agent = ground.machine("web-03").await;
    let action = ground.request(&agent, Wanted::Isolate(Scope::Full)).await;
    let (slow, after) = (agent.clone(), agent.dial(&ground).await.unwrap());
    let talk = agent.granted(&ground, action).await;
    agent.journal = JournalSeen { sequence: 9, head: Digest([9; 32]), ..agent.journal };
    let living = agent.hello(&ground).await.unwrap();
    let refused = slow.hello_after(&ground, after).await;
    assert!(matches!(refused, Err(TalkError::Refused(_))));
    assert_eq!(ground.action(action).await.stage(), Stage::Granted);
    assert!(talk.session() < living.session());
    assert_eq!(living.look().await.unwrap().ends, None, "it is still the newest");
}

/// Two of them are answered at the same time, by two servers: whichever is stored second opens nothing.
#[tokio::test]
async fn of_two_hellos_that_are_answered_at_once_one_opens_a_session() {
    for (call, nth) in [("machine", 2), ("open_session", 1)] {
        let ground = Ground::in_memory();
        let mut agent = ground.machine("web-03").await;
        let action = ground.request(&agent, Wanted::Isolate(Scope::Full)).await;
        let slow = agent.clone();
        agent.granted(&ground, action).await;
        agent.journal = JournalSeen { sequence: 9, head: Digest([9; 32]), ..agent.journal };
        let (other, desk) = (agent.clone(), ground.desk());
        let after = agent.dial(&ground).await.unwrap();
        let comes_first = Box::pin(async move { drop(other.hello_at(desk, after).await.unwrap()) });
        ground.store.at(call, nth, Fault::Meanwhile(comes_first));
        // One call of `machine` is the first word.
        let refused = slow.hello(&ground).await;
        assert!(matches!(refused, Err(TalkError::Refused(_))) && ground.store.is_over(), "{call} {nth}");
        assert_eq!(ground.action(action).await.stage(), Stage::Granted, "{call} {nth}");
        assert_eq!(ground.store.integrity().await.unwrap(), Vec::<String>::new());
    }
}

/// The store keeps a grant and cannot say so. Within its session it is not offered again, so the session ends, and the
/// next one offers it.
#[tokio::test]
async fn a_grant_that_the_store_could_not_confirm_is_given_in_the_next_session() {
    for fault in [Fault::DiesBefore, Fault::DiesAfter] {
        let ground = Ground::in_memory();
        let agent = ground.machine("web-03").await;
        let action = ground.request(&agent, Wanted::Isolate(Scope::Full)).await;
        let talk = agent.hello(&ground).await.unwrap();
        ground.store.at("commit", 1, fault);
        let said = talk.heard(agent.claim(talk.session(), action)).await.unwrap();
        assert!(!is_grant(&said) && said.ends.is_some(), "{said:?}");
        let next = agent.hello(&ground).await.unwrap();
        let offered = next.outstanding().await.unwrap().messages;
        assert!(matches!(offered[..], [ToAgent::Offer { action: again, .. }] if again == action), "{offered:?}");
        assert!(is_grant(&next.heard(agent.claim(next.session(), action)).await.unwrap()));
    }
}

/// Of two actions that a journal forgot the server had heard of one only: that is enough to believe it of neither.
#[tokio::test]
async fn a_journal_that_forgot_one_thing_is_not_believed_of_another() {
    let ground = Ground::in_memory();
    let agent = ground.machine("web-03").await;
    let heard_of = ground.request(&agent, Wanted::Isolate(Scope::Full)).await;
    let other =
        ground.request(&agent, Wanted::LiveResponse(vec![WantedCommand::GetFile("/etc/hostname".into())])).await;
    let talk = agent.hello(&ground).await.unwrap();
    for action in [heard_of, other] {
        assert!(is_grant(&talk.heard(agent.claim(talk.session(), action)).await.unwrap()));
    }
    let (epoch, journal) = (talk.session(), agent.journal.id);
    let phase = ToServer::Phase {
        action: heard_of,
        epoch,
        journal,
        sequence: agent.journal.sequence + 3,
        at: Timestamp(1),
        what: "started".into(),
    };
    talk.heard(phase).await.unwrap();
    // Set back to where it stood at that Hello, which by itself shows nothing.
    agent.hello(&ground).await.unwrap();
    for action in [heard_of, other] {
        let ended = ground.action(action).await;
        assert!(matches!(ended.state, State::TimedOut { why: TimedOutWhy::JournalLost, .. }), "{ended:?}");
    }
}

/// A Hello that opened its session is slow to look at what is open; the agent dialled again meanwhile, and told more in a
/// newer session. That is no sign that its journal forgot anything.
#[tokio::test]
async fn what_is_heard_in_a_newer_session_is_not_missed_by_a_hello_that_is_slow() {
    let ground = Ground::in_memory();
    let mut agent = ground.machine("web-03").await;
    let action = ground.request(&agent, Wanted::Isolate(Scope::Full)).await;
    let epoch = agent.granted(&ground, action).await.session();
    let (again, desk, journal) = (agent.clone(), ground.desk(), agent.journal);
    let meanwhile = Box::pin(async move {
        let talk = again.hello_at(desk, Epoch(epoch.0 + 1)).await.unwrap();
        let sequence = journal.sequence + 3;
        let phase =
            ToServer::Phase { action, epoch, journal: journal.id, sequence, at: Timestamp(1), what: "started".into() };
        talk.heard(phase).await.unwrap();
    });
    ground.store.at("live_actions", 1, Fault::Meanwhile(meanwhile));
    let slow = agent.hello(&ground).await.unwrap();
    assert!(ground.store.is_over());
    assert_eq!(ground.action(action).await.stage(), Stage::Granted);
    assert!(slow.look().await.unwrap().ends.is_some(), "it is not the newest");
}
