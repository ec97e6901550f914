//! The keys of our own tokens are replaced while the server runs, as a library sees it: over a connection.

use crate::rig::{APPLICATION, Rig};
use domain::permission::Permission;
use domain::time::Timestamp;
use serde_json::Value;
use server::clock::Clock as _;
use server::config::ListenConfig;
use server::listen;
use server::tokens::rotation::{self, RotationError, TokenKeyState};
use server::tokens::{LOOK_AGAIN_SECONDS, TOKEN_KEYS_MAX, hash_secret};
use store::Application;
use tokio::net::TcpListener;

const LIFETIME: u32 = 3599;

/// A running server.
struct Served {
    rig: Rig,
    url: String,
    client: reqwest::Client,
}

impl Served {
    async fn new() -> Self {
        let rig = Rig::new().await;
        let application = Application {
            client_id: APPLICATION.into(),
            name: "soar".into(),
            secret_hash: hash_secret("secret", [5; 16]).unwrap(),
            permissions: vec![Permission::MachineReadAll],
            created_at: Timestamp(0),
        };
        rig.store.put_application(&application, &crate::rig::audited()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = ListenConfig { plain_http: true, ..ListenConfig::for_testing() };
        let router = rig.router.clone();
        tokio::spawn(async move { listen::serve(listener, None, router, &config, std::future::pending()).await });
        // Somebody else in this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self { rig, url, client: reqwest::Client::new() }
    }

    async fn token(&self) -> String {
        let form = format!("grant_type=client_credentials&client_id={APPLICATION}&client_secret=secret");
        let url = format!("{}/{}/oauth2/v2.0/token", self.url, self.rig.tenant.0);
        let answer: Value = self.client.post(url).body(form).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_string()
    }

    async fn takes(&self, token: &str) -> bool {
        let request = self.client.get(format!("{}/api/machines", self.url)).bearer_auth(token);
        match request.send().await.unwrap().status().as_u16() {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    async fn published(&self) -> Vec<String> {
        let url = format!("{}/{}/discovery/v2.0/keys", self.url, self.rig.tenant.0);
        let set: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_string()).collect()
    }

    /// Adds a key that signs after so many seconds, and returns its id.
    fn rotate(&self, after_seconds: u32) -> String {
        let now = self.rig.clock.now();
        rotation::rotate(self.rig.dir.path(), LIFETIME, after_seconds, now).unwrap()
    }
}

fn key_id(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[tokio::test]
async fn published_first_then_signing_and_the_old_one_verifies_until_its_last_token_has_expired() {
    let served = Served::new().await;
    let before = served.token().await;
    let old = key_id(&before);
    assert_eq!(served.published().await, std::slice::from_ref(&old));

    let new = served.rotate(600);
    served.rig.clock.advance(LOOK_AGAIN_SECONDS);
    assert_eq!(served.published().await, [old.clone(), new.clone()], "published before it signs");
    served.rig.clock.advance(594 - LOOK_AGAIN_SECONDS);
    let last = served.token().await;
    assert_eq!(key_id(&last), old, "its time has not come");

    served.rig.clock.advance(6);
    let first = served.token().await;
    assert_eq!(key_id(&first), new);
    assert!(served.takes(&before).await && served.takes(&last).await && served.takes(&first).await);

    // A second before the last token by the old key expires, and when it has.
    served.rig.clock.advance(3592);
    assert!(served.takes(&last).await, "until its very end");
    assert_eq!(served.published().await, [old.clone(), new.clone()]);
    served.rig.clock.advance(1);
    assert!(!served.takes(&last).await && served.takes(&first).await);
    served.rig.clock.advance(66);
    assert_eq!(served.published().await, std::slice::from_ref(&new), "retired");
    let states = rotation::list(served.rig.dir.path(), LIFETIME, served.rig.clock.now()).unwrap();
    assert_eq!(states.iter().map(|row| row.state).collect::<Vec<_>>(), [TokenKeyState::Retired, TokenKeyState::Signs]);

    // The next rotation takes its file away; nothing makes it again.
    let third = served.rotate(0);
    served.rig.clock.advance(LOOK_AGAIN_SECONDS);
    assert_eq!(served.published().await, [new, third.clone()]);
    assert_eq!(key_id(&served.token().await), third);
}

#[tokio::test]
async fn a_key_that_is_taken_away_ends_its_tokens_at_once() {
    let served = Served::new().await;
    let stolen = served.token().await;
    assert!(served.takes(&stolen).await, "and is remembered");
    let (dir, now) = (served.rig.dir.path(), served.rig.clock.now());
    let only = key_id(&stolen);
    assert!(matches!(rotation::remove(dir, &only, now), Err(RotationError::Last(_))));
    assert!(matches!(rotation::remove(dir, "another", now), Err(RotationError::Unknown(_))));
    served.rotate(600);
    assert!(
        matches!(rotation::remove(dir, &only, now), Err(RotationError::Last(_))),
        "the other one does not sign yet"
    );
    let new = served.rotate(0);
    rotation::remove(dir, &only, now).unwrap();
    served.rig.clock.advance(LOOK_AGAIN_SECONDS);
    assert!(!served.takes(&stolen).await);
    let fresh = served.token().await;
    assert_eq!(key_id(&fresh), new);
    assert!(served.takes(&fresh).await);
}

#[tokio::test]
async fn what_cannot_be_read_changes_nothing() {
    let served = Served::new().await;
    let token = served.token().await;
    let old = key_id(&token);
    let broken = served.rig.dir.path().join(format!("token-key-{}.pk8", served.rig.clock.now().as_seconds()));
    std::fs::write(&broken, "not a key").unwrap();
    served.rig.clock.advance(LOOK_AGAIN_SECONDS);
    assert!(served.takes(&token).await);
    assert_eq!(served.published().await, std::slice::from_ref(&old));
    std::fs::remove_file(&broken).unwrap();
    // Files that only look like keys are none.
    for name in [
        "token-key-.pk8",
        "token-key-x.pk8",
        "token-key-+1.pk8",
        "token-key-1.pk8.new",
        "token-key-99999999999999999999.pk8",
    ] {
        std::fs::write(served.rig.dir.path().join(name), "not a key").unwrap();
    }
    let new = served.rotate(0);
    served.rig.clock.advance(LOOK_AGAIN_SECONDS);
    assert_eq!(served.published().await, [old, new]);
}

#[tokio::test]
async fn there_is_an_end_to_keys() {
    let rig = Rig::new().await;
    let (dir, now) = (rig.dir.path(), rig.clock.now());
    for _ in 1..TOKEN_KEYS_MAX {
        rotation::rotate(dir, LIFETIME, 60, now).unwrap();
    }
    assert!(matches!(rotation::rotate(dir, LIFETIME, 60, now), Err(RotationError::TooMany)));
    let rows = rotation::list(dir, LIFETIME, now).unwrap();
    assert_eq!(rows.iter().filter(|row| row.state == TokenKeyState::Signs).count(), 1);
    assert_eq!(rows.iter().filter(|row| row.state == TokenKeyState::Waits).count(), TOKEN_KEYS_MAX - 1);
}
