//! The library: files by name, contents by digest, and no content taken from under an action.

use crate::engines::contract;
use crate::world::{START, World, audited, cancel, run};
use domain::action::Action;
use domain::ids::Digest;
use store::{LibraryFile, LibraryPut, StoreError};

contract!(
    a_file_and_its_content_read_back,
    files_are_listed_by_name,
    a_name_is_not_taken_over_unless_asked,
    a_replaced_file_keeps_the_time_of_its_first_upload,
    a_replaced_or_deleted_content_is_gone,
    deleting_says_whether_there_was_one,
    one_content_may_stand_under_two_names,
    a_content_stays_while_an_action_that_is_not_final_names_it,
    a_content_stays_until_the_last_such_action_has_ended,
    a_content_that_is_not_what_its_digest_says_is_refused,
    an_action_may_name_a_content_that_is_not_there,
    an_empty_file_is_a_file,
);

fn file(name: &str, content: &[u8]) -> LibraryFile {
    LibraryFile {
        name: name.into(),
        sha256: Digest::of(content),
        size_bytes: content.len() as u64,
        description: Some("collects logs".into()),
        parameters_description: None,
        has_parameters: true,
        created_by: "analyst@example.test".into(),
        created_at: START,
        updated_at: START,
    }
}

async fn put(world: &World, name: &str, content: &[u8], replace: bool) -> LibraryPut {
    world.store.put_library_file(&file(name, content), content, replace, &audited()).await.unwrap()
}

async fn has(world: &World, content: &[u8]) -> bool {
    match world.store.library_content(&Digest::of(content)).await.unwrap() {
        Some(stored) => {
            assert_eq!(stored, content);
            true
        }
        None => false,
    }
}

/// A live response on a machine of its own.
async fn running(world: &World, contents: &[&[u8]]) -> Action {
    let machine = world.machine().await;
    world.action(machine.id, run(contents)).await
}

async fn a_file_and_its_content_read_back(world: World) {
    assert_eq!(put(&world, "a.sh", b"one", false).await, LibraryPut::Stored);
    assert_eq!(world.store.library_files().await.unwrap(), [file("a.sh", b"one")]);
    assert!(has(&world, b"one").await);
    assert!(!has(&world, b"two").await);
}

async fn files_are_listed_by_name(world: World) {
    for name in ["c.sh", "a.sh", "b.sh"] {
        put(&world, name, name.as_bytes(), false).await;
    }
    let names: Vec<String> = world.store.library_files().await.unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["a.sh", "b.sh", "c.sh"]);
}

async fn a_name_is_not_taken_over_unless_asked(world: World) {
    put(&world, "a.sh", b"one", false).await;
    assert_eq!(put(&world, "a.sh", b"two", false).await, LibraryPut::Exists);
    assert_eq!(world.store.library_files().await.unwrap(), [file("a.sh", b"one")]);
    assert!(!has(&world, b"two").await);
    assert_eq!(put(&world, "a.sh", b"two", true).await, LibraryPut::Stored);
    assert_eq!(world.store.library_files().await.unwrap(), [file("a.sh", b"two")]);
}

async fn a_replaced_file_keeps_the_time_of_its_first_upload(world: World) {
    put(&world, "a.sh", b"one", true).await;
    let at = START.plus_seconds(60);
    let newer = LibraryFile { created_at: at, updated_at: at, created_by: "b".into(), ..file("a.sh", b"two") };
    world.store.put_library_file(&newer, b"two", true, &audited()).await.unwrap();
    let expected = LibraryFile { created_at: START, ..newer };
    assert_eq!(world.store.library_files().await.unwrap(), [expected]);
}

async fn a_replaced_or_deleted_content_is_gone(world: World) {
    put(&world, "a.sh", b"one", false).await;
    put(&world, "a.sh", b"two", true).await;
    assert!(!has(&world, b"one").await);
    put(&world, "a.sh", b"two", true).await;
    assert!(has(&world, b"two").await, "replaced by itself");
    world.store.delete_library_file("a.sh", &audited()).await.unwrap();
    assert!(!has(&world, b"two").await);
}

async fn deleting_says_whether_there_was_one(world: World) {
    put(&world, "a.sh", b"one", false).await;
    assert!(!world.store.delete_library_file("A.sh", &audited()).await.unwrap());
    assert!(world.store.delete_library_file("a.sh", &audited()).await.unwrap());
    assert!(!world.store.delete_library_file("a.sh", &audited()).await.unwrap());
    assert!(world.store.library_files().await.unwrap().is_empty());
}

async fn one_content_may_stand_under_two_names(world: World) {
    put(&world, "a.sh", b"one", false).await;
    put(&world, "b.sh", b"one", false).await;
    world.store.delete_library_file("a.sh", &audited()).await.unwrap();
    assert!(has(&world, b"one").await);
    world.store.delete_library_file("b.sh", &audited()).await.unwrap();
    assert!(!has(&world, b"one").await);
}

async fn a_content_stays_while_an_action_that_is_not_final_names_it(world: World) {
    put(&world, "a.sh", b"one", false).await;
    put(&world, "b.sh", b"two", false).await;
    let action = running(&world, &[b"one", b"two", b"one"]).await;
    world.store.delete_library_file("a.sh", &audited()).await.unwrap();
    put(&world, "b.sh", b"three", true).await;
    assert!(has(&world, b"one").await && has(&world, b"two").await);
    world.drive(action.id, cancel()).await;
    assert!(!has(&world, b"one").await && !has(&world, b"two").await);
    assert!(has(&world, b"three").await);
}

async fn a_content_stays_until_the_last_such_action_has_ended(world: World) {
    put(&world, "a.sh", b"one", false).await;
    let (first, second) = (running(&world, &[b"one"]).await, running(&world, &[b"one"]).await);
    world.drive(first.id, cancel()).await;
    assert!(has(&world, b"one").await, "the file is still there");
    world.store.delete_library_file("a.sh", &audited()).await.unwrap();
    assert!(has(&world, b"one").await, "the second action is not final");
    world.drive(second.id, cancel()).await;
    assert!(!has(&world, b"one").await);
}

async fn a_content_that_is_not_what_its_digest_says_is_refused(world: World) {
    let wrong_digest = file("a.sh", b"one");
    let wrong_length = LibraryFile { size_bytes: 4, ..file("a.sh", b"two") };
    for wrong in [wrong_digest, wrong_length] {
        assert!(matches!(
            world.store.put_library_file(&wrong, b"two", true, &audited()).await,
            Err(StoreError::Refused(_))
        ));
    }
    assert!(world.store.library_files().await.unwrap().is_empty());
}

async fn an_action_may_name_a_content_that_is_not_there(world: World) {
    let action = running(&world, &[b"never uploaded"]).await;
    assert!(!has(&world, b"never uploaded").await);
    put(&world, "a.sh", b"never uploaded", false).await;
    world.store.delete_library_file("a.sh", &audited()).await.unwrap();
    assert!(has(&world, b"never uploaded").await, "an action that is not final names it");
    world.drive(action.id, cancel()).await;
    assert!(!has(&world, b"never uploaded").await);
}

async fn an_empty_file_is_a_file(world: World) {
    put(&world, "empty", b"", false).await;
    assert!(has(&world, b"").await);
}
