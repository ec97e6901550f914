//! The audit of everything on record. That it finds what is wrong is tested where an engine can be damaged.

use crate::engines::contract;
use crate::world::{STOPPED, World, cancel, isolate, report, run, time_up};
use domain::action::Body;
use domain::decide::Event;
use domain::testimony::Ending;

contract!(an_empty_store_is_sound, a_store_with_actions_in_every_stage_is_sound);

async fn an_empty_store_is_sound(world: World) {
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}

async fn a_store_with_actions_in_every_stage_is_sound(world: World) {
    let ends: [fn(&domain::Action) -> Event; 4] = [
        |action| report(action, Ending::Finished),
        |action| report(action, Ending::Broke { why: "no space".into() }),
        |action| report(action, STOPPED),
        |action| time_up(action, action.state.grant().unwrap().epoch),
    ];
    for end in ends {
        let machine = world.machine().await;
        let action = world.granted(&machine, isolate()).await;
        world.drive(action.id, cancel()).await;
        let event = end(&world.load(action.id).await);
        world.drive(action.id, event).await;
        assert!(world.load(action.id).await.stage().is_final());
        world.granted(&machine, run(&[b"true"])).await;
        world.action(machine.id, Body::Release).await;
    }
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}
