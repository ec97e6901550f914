//! Applications and settings.

use crate::engines::contract;
use crate::world::{START, World, audited};
use domain::permission::{PERMISSIONS, Permission};
use store::Application;

contract!(
    an_application_reads_back_as_it_was_put,
    an_application_put_again_is_replaced,
    an_unknown_application_is_not_there,
    a_setting_is_kept_the_first_time_and_stands_from_then_on,
    settings_do_not_know_each_other,
);

fn application(client_id: &str) -> Application {
    Application {
        client_id: client_id.into(),
        name: "SOAR \"prod\"".into(),
        secret_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into(),
        permissions: PERMISSIONS.iter().map(|(permission, _)| *permission).collect(),
        created_at: START,
    }
}

async fn an_application_reads_back_as_it_was_put(world: World) {
    let application = application("0b8a3c2e-0000-4000-8000-000000000001");
    world.store.put_application(&application, &audited()).await.unwrap();
    assert_eq!(world.store.application(&application.client_id).await.unwrap(), Some(application));
}

async fn an_application_put_again_is_replaced(world: World) {
    let first = application("a");
    world.store.put_application(&first, &audited()).await.unwrap();
    let second = Application { secret_hash: "new".into(), permissions: vec![Permission::MachineReadAll], ..first };
    world.store.put_application(&second, &audited()).await.unwrap();
    assert_eq!(world.store.application("a").await.unwrap(), Some(second));
}

async fn an_unknown_application_is_not_there(world: World) {
    world.store.put_application(&application("a"), &audited()).await.unwrap();
    for unknown in ["", "A", "b", "a%"] {
        assert_eq!(world.store.application(unknown).await.unwrap(), None, "{unknown}");
    }
}

async fn a_setting_is_kept_the_first_time_and_stands_from_then_on(world: World) {
    assert_eq!(world.store.setting("installation", "first").await.unwrap(), "first");
    assert_eq!(world.store.setting("installation", "second").await.unwrap(), "first");
}

async fn settings_do_not_know_each_other(world: World) {
    world.store.setting("one", "1").await.unwrap();
    assert_eq!(world.store.setting("other", "2").await.unwrap(), "2");
    assert_eq!(world.store.setting("one", "3").await.unwrap(), "1");
}
