//! The exchanges in `conformance/`, replayed over real HTTP. What is not met yet stands in `conformance/not-met.txt`,
//! which may only shrink.

mod exchange;
mod judge;
mod wire;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use world::World;

/// Fewer than this is a folder that was lost, not a contract that shrank.
const EXCHANGES_MIN: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exchange_is_met_or_known_not_to_be() {
    let folder = folder();
    let exchanges = exchange::read(&folder);
    assert!(exchanges.len() >= EXCHANGES_MIN, "only {} exchanges", exchanges.len());
    let names: BTreeSet<&str> = exchanges.iter().map(|exchange| exchange.name.as_str()).collect();
    assert_eq!(names.len(), exchanges.len(), "two exchanges have one name");
    let known = not_met(&folder);
    let strangers: Vec<_> = known.iter().filter(|name| !names.contains(name.as_str())).collect();
    assert!(strangers.is_empty(), "not-met.txt names what is no exchange: {strangers:?}");

    let mut wrong = Vec::new();
    // What changes nothing cannot disturb the next one.
    let mut worlds: BTreeMap<String, World> = BTreeMap::new();
    for exchange in &exchanges {
        let failure = if exchange.changes_nothing() {
            if !worlds.contains_key(&exchange.world) {
                worlds.insert(exchange.world.clone(), World::of(&exchange.world).await);
            }
            worlds[&exchange.world].replay(exchange).await
        } else {
            World::of(&exchange.world).await.replay(exchange).await
        };
        match (failure, known.contains(&exchange.name)) {
            (Some(why), false) => wrong.push(format!("{}: {why}\n  it stands on: {}", exchange.name, exchange.fact)),
            (None, true) => wrong.push(format!("{}: is met by now; take it out of not-met.txt", exchange.name)),
            _ => {}
        }
    }
    println!("{} exchanges, {} of them not met yet", exchanges.len(), known.len());
    assert!(wrong.is_empty(), "{} of {} exchanges:\n{}", wrong.len(), exchanges.len(), wrong.join("\n"));
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance")
}

/// One name a line; what is behind `#` says why.
fn not_met(folder: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(folder.join("not-met.txt")).unwrap();
    let names = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty()).map(str::to_string).collect()
}
