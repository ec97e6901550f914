//! Other issuers whose tokens are taken: their keys, fetched when they are needed and kept.
//!
//! An issuer is one from the configuration; no token can name another. Its keys are asked for when a token names one
//! that is not known, and when they have become old, in no case more than once a minute. If that fails, those known stay.

use super::fetch::Fetcher;
use super::jwks::{self, JwksError, PublishedKey};
use crate::config::IssuerConfig;
use domain::time::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long to wait before keys are asked for again, in seconds.
const ASK_AGAIN_SECONDS: i64 = 60;

/// How old keys may become before they are asked for without need, in seconds: a key that its issuer has taken back is
/// gone then.
const KEYS_OLD_SECONDS: i64 = 3600;

/// Every other issuer.
#[derive(Default)]
pub struct Issuers(Vec<Arc<Issuer>>);

impl Issuers {
    /// Those of the configuration.
    ///
    /// # Errors
    /// A CA file that cannot be used.
    pub fn new(configs: &[IssuerConfig]) -> Result<Self, String> {
        configs.iter().map(Issuer::new).collect::<Result<_, _>>().map(Self)
    }

    /// Takes this set for what an issuer answered at `now`. Returns how many of its keys can be used.
    ///
    /// # Errors
    /// It is no set of keys, and changes nothing. There is no such issuer: then it says that there are none of use.
    pub fn learn(&self, issuer: &str, set: &[u8], now: Timestamp) -> Result<usize, JwksError> {
        self.find(issuer).ok_or(JwksError::Empty)?.learn(set, now)
    }

    /// The issuer that calls itself so.
    pub(super) fn find(&self, issuer: &str) -> Option<&Arc<Issuer>> {
        self.0.iter().find(|known| known.config.issuer == issuer)
    }
}

/// One other issuer.
pub(super) struct Issuer {
    pub(super) config: IssuerConfig,
    fetcher: Fetcher,
    known: Mutex<Known>,
    /// Held while its keys are asked for.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<PublishedKey>>,
    /// In seconds since 1970, as the next.
    asked_at: Option<i64>,
    answered_at: Option<i64>,
}

impl Issuer {
    fn new(config: &IssuerConfig) -> Result<Arc<Self>, String> {
        let fetcher = Fetcher::new(config)?;
        Ok(Arc::new(Self { config: config.clone(), fetcher, known: Mutex::default(), asking: Default::default() }))
    }

    /// The key of this id, as far as it is known.
    pub(super) fn known_key(&self, id: &str) -> Option<Arc<PublishedKey>> {
        self.known().keys.get(id).cloned()
    }

    /// The key of this id; asks the issuer if it is not known.
    pub(super) async fn key(self: &Arc<Self>, id: &str, now: Timestamp) -> Option<Arc<PublishedKey>> {
        if let Some(key) = self.known_key(id) {
            if !within(self.known().answered_at, KEYS_OLD_SECONDS, now) && self.may_ask(now) {
                // Nobody waits for it: those known are good until they are told to be otherwise.
                drop(self.ask(now));
            }
            return Some(key);
        }
        if self.may_ask(now) || self.asking.try_lock().is_err() {
            // Whoever asked may hang up: others wait for the same answer.
            let _ = self.ask(now).await;
        }
        self.known_key(id)
    }

    fn ask(self: &Arc<Self>, now: Timestamp) -> tokio::task::JoinHandle<()> {
        let issuer = Arc::clone(self);
        tokio::spawn(async move {
            let _turn = issuer.asking.lock().await;
            if issuer.may_ask(now) {
                issuer.known().asked_at = Some(now.as_seconds());
                issuer.refresh(now).await;
            }
        })
    }

    async fn refresh(&self, now: Timestamp) {
        let issuer = &self.config.issuer;
        let fetched = self.fetch().await;
        match fetched.and_then(|set| self.learn(&set, now).map_err(|e| format!("keys: {e}"))) {
            Ok(keys) => tracing::info!(issuer, keys, "an issuer's keys were fetched"),
            Err(error) => {
                let kept = self.known().keys.len();
                tracing::warn!(issuer, kept, error, "an issuer's keys could not be fetched; those known stay");
            }
        }
    }

    fn learn(&self, set: &[u8], now: Timestamp) -> Result<usize, JwksError> {
        let keys: HashMap<_, _> = jwks::read(set)?.into_iter().map(|(id, key)| (id, Arc::new(key))).collect();
        let count = keys.len();
        let mut known = self.known();
        known.keys = keys;
        known.answered_at = Some(now.as_seconds());
        Ok(count)
    }

    /// The set of keys that the issuer publishes.
    async fn fetch(&self) -> Result<Vec<u8>, String> {
        let url = match &self.config.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        self.fetcher.get(&url).await.map_err(|e| format!("keys: {e}"))
    }

    /// Where the issuer says that its keys are (OpenID Connect Discovery 1.0, 4).
    async fn discover(&self) -> Result<String, String> {
        let issuer = &self.config.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let bytes = self.fetcher.get(&url).await.map_err(|e| format!("discovery: {e}"))?;
        let found: Discovered = serde_json::from_slice(&bytes).map_err(|e| format!("discovery: {e}"))?;
        if found.issuer != *issuer {
            return Err("discovery: it is of another issuer".into());
        }
        Ok(found.jwks_uri)
    }

    fn may_ask(&self, now: Timestamp) -> bool {
        !within(self.known().asked_at, ASK_AGAIN_SECONDS, now)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whole after every statement above, so a panic elsewhere leaves nothing half-done in it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something was so few seconds ago; a clock that was set back makes it long ago.
fn within(at: Option<i64>, seconds: i64, now: Timestamp) -> bool {
    at.is_some_and(|at| (at..at.saturating_add(seconds)).contains(&now.as_seconds()))
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}
