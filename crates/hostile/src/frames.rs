//! Bytes as a frame, in either direction. What is a message is the same message again when it is said on; what is too
//! long, of another version, or goes on behind the message is refused.

use domain::ids::{ActionId, Epoch, JournalId, MachineId, Nonce};
use domain::kind::{Kind, Scope};
use domain::machine::{JournalSeen, Told};
use domain::{Body, Digest};
use protocol::agent::{
    DenyWhy, FRAME_BYTES_MAX, GrantCore, Hello, ListedAction, SignedGrant, ToAgent, ToServer, VERSION, VerdictWord,
    Welcome, body_bytes, decode, encode,
};
use uuid::Uuid;

/// Both ends read it.
pub(crate) fn check(bytes: &[u8]) {
    let server = decode::<ToServer>(bytes);
    let agent = decode::<ToAgent>(bytes);
    if bytes.first() != Some(&VERSION) || bytes.len() > FRAME_BYTES_MAX {
        assert!(server.is_err() && agent.is_err());
        return;
    }
    if let Ok(message) = server {
        let again = encode(&message).expect("what came in a frame fits into a frame");
        assert_eq!(decode::<ToServer>(&again), Ok(message));
    }
    if let Ok(message) = agent {
        let again = encode(&message).expect("what came in a frame fits into a frame");
        assert_eq!(decode::<ToAgent>(&again).as_ref(), Ok(&message));
        if let ToAgent::Grant(grant) = &message
            && let Ok(body) = grant.checked_body()
        {
            assert_eq!(Digest::of(&grant.body), grant.core.body_sha256);
            // Postcard has more than one spelling of some values; what we sign is always the shortest.
            assert!(body_bytes(&body).len() <= grant.body.len());
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let to_server = to_server().into_iter().map(|message| encode(&message));
    let to_agent = to_agent().into_iter().map(|message| encode(&message));
    let mut seeds: Vec<Vec<u8>> = to_server.chain(to_agent).map(|frame| frame.expect("a frame")).collect();
    seeds.push(vec![]);
    seeds.push(vec![VERSION + 1, 0]);
    seeds
}

fn action() -> ActionId {
    ActionId(Uuid::from_u128(1))
}

fn to_server() -> Vec<ToServer> {
    let journal = JournalId(Uuid::from_u128(1));
    let seen = JournalSeen { id: journal, sequence: 4, head: Digest([3; 32]) };
    let told = Told { os_platform: "Linux".into(), kinds: vec![Kind::Isolate], ..Told::default() };
    let listed = vec![ListedAction { action: action(), epoch: Epoch(1), started: true }];
    let hello = Hello { version_min: 1, version_max: 1, incarnation: 1, after: Epoch(0), told, journal: seen, listed };
    let what = "started".to_string();
    let at = domain::Timestamp(5);
    vec![
        ToServer::Hello(Box::new(hello)),
        ToServer::Claim { session: Epoch(1), action: action(), nonce: Nonce([1; 16]), journal },
        ToServer::Phase { action: action(), epoch: Epoch(1), journal, sequence: 3, at, what },
    ]
}

fn to_agent() -> Vec<ToAgent> {
    let machine = MachineId([0xaa; 20]);
    let verdicts = vec![(action(), VerdictWord::Abort(Epoch(1)))];
    let body = body_bytes(&Body::Isolate { scope: Scope::Full });
    let core = GrantCore {
        machine,
        incarnation: 1,
        action: action(),
        epoch: Epoch(1),
        nonce: Nonce([1; 16]),
        body_sha256: Digest::of(&body),
        key_id: "fixed".into(),
    };
    vec![
        ToAgent::Welcome(Box::new(Welcome { version: 1, session: Epoch(1), verdicts, machine })),
        ToAgent::Offer { action: action(), kind: Kind::LiveResponse },
        ToAgent::Grant(Box::new(SignedGrant { core, body, signature: vec![0; 64] })),
        ToAgent::Deny { action: action(), why: DenyWhy::Busy },
        ToAgent::Abort { action: action(), epoch: Epoch(1) },
        ToAgent::FinalAck { action: action(), epoch: Epoch(1) },
    ]
}
