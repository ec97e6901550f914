//! One Hello, as bytes of a frame or made of choices, said by whoever has the hostile machine's certificate.

use crate::desk::block_on;
use crate::dice::Dice;
use crate::rows::Rows;
use crate::scenario::assert_kept_in_bounds;
use crate::words::Known;
use crate::world::{HONEST, HOSTILE, World};
use domain::grantee::Verdict;
use domain::ids::{Epoch, JournalId};
use domain::machine::{JournalSeen, Told};
use protocol::agent::{Hello, ListedAction, ToAgent, ToServer, VerdictWord, decode, encode};
use std::sync::Arc;
use store::MemoryStore;
use uuid::Uuid;

/// The first byte chooses between a frame and choices.
pub(crate) fn check(bytes: &[u8]) {
    let world = block_on(World::new(Arc::new(MemoryStore::new())));
    let mut dice = Dice::new(bytes);
    let hello = if dice.flag() {
        let Ok(hello) = decode::<ToServer>(dice.rest()) else { return };
        hello
    } else {
        let newest = block_on(world.newest(HOSTILE));
        let (actions, journals) = (&world.known, &world.journals);
        let known = Known { actions, journals, session: Epoch(1), newest, now: World::start() };
        known.hello(&mut dice)
    };
    block_on(said(&world, hello));
}

async fn said(world: &World, hello: ToServer) {
    let before = Rows::of(&*world.store, HOSTILE).await;
    let listed: Vec<ListedAction> = match &hello {
        ToServer::Hello(hello) => hello.listed.clone(),
        _ => vec![],
    };
    let answer = world.talk(HOSTILE, hello).await;
    let after = Rows::of(&*world.store, HOSTILE).await;
    assert_eq!(Rows::of(&*world.store, HONEST).await, world.honest, "another machine's rows");
    assert_kept_in_bounds(&after);
    match answer {
        Ok((talk, ToAgent::Welcome(welcome))) => {
            assert_eq!(welcome.session, talk.session());
            assert_eq!(after.machine.expect("is on record").session, talk.session());
            encode(&ToAgent::Welcome(welcome.clone())).expect("a Welcome fits into a frame");
            let mine = &world.known[..5];
            for (item, (action, word)) in listed.iter().zip(&welcome.verdicts) {
                assert_eq!(item.action, *action);
                let goes_on = matches!(Verdict::from(*word), Verdict::Continue);
                assert!(!goes_on || mine.contains(action), "another machine's action goes on here");
                assert!(mine.contains(action) || *word == VerdictWord::Forget, "{action}: {word:?}");
            }
            assert_eq!(listed.len(), welcome.verdicts.len());
        }
        Ok((_, other)) => panic!("not a Welcome: {other:?}"),
        Err(_) => assert_eq!(before, after, "a Hello that is refused changes nothing"),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let hello = |listed: Vec<ListedAction>, version_max| {
        let journal = JournalSeen { id: JournalId(Uuid::from_u128(1)), sequence: 4, head: domain::Digest([3; 32]) };
        let hello = Hello {
            version_min: 1,
            version_max,
            incarnation: 1,
            after: Epoch(1),
            told: Told::default(),
            journal,
            listed,
        };
        let frame = encode(&ToServer::Hello(Box::new(hello))).expect("a frame");
        [&[1][..], &frame].concat()
    };
    let item = |action, started| ListedAction { action, epoch: Epoch(1), started };
    let action = |number| domain::ActionId(Uuid::from_u128(number));
    let mut seeds: Vec<Vec<u8>> =
        crate::talk::seeds().into_iter().map(|seed| [&[0][..], seed.get(1..).unwrap_or_default()].concat()).collect();
    seeds.push(hello(vec![], 1));
    seeds.push(hello(vec![item(action(0xdead), true), item(action(1), false)], 9));
    seeds
}
