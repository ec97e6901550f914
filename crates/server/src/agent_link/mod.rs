//! The agents' door: enrolment on the API listener, everything else over mutual TLS on a listener of its own.
//!
//! Who an agent is comes from its certificate and from nothing it says. Knows nothing about SQL, about how things are
//! decided, or about what runs on a machine.

pub(crate) mod content;
mod enrol;
mod peer;
mod stream;
pub mod talk;

use crate::actions::Actions;
use crate::authority::Authority;
use crate::clock::Clock;
use crate::signer::Signer;
use crate::wake::Wake;
use axum::Router;
use axum::routing::{get, post, put};
use protocol::agent::{ARTIFACT_PATH, ENROL_PATH, LIBRARY_PATH, STREAM_PATH};
use std::path::PathBuf;
use std::sync::Arc;
use talk::Desk;

/// What the agents' door works with.
#[derive(Clone)]
pub struct AgentLink {
    /// The use cases.
    pub actions: Actions,
    /// Wakes the streams.
    pub wake: Arc<Wake>,
    /// Certifies machines.
    pub authority: Arc<Authority>,
    /// Signs grants.
    pub signer: Arc<dyn Signer>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where artifacts are kept, by action, step and digest.
    pub artifact_dir: PathBuf,
    /// What machines are told to dial, `host:port`.
    pub agent_address: String,
}

impl AgentLink {
    fn desk(&self) -> Desk {
        Desk { actions: self.actions.clone(), clock: Arc::clone(&self.clock), signer: Arc::clone(&self.signer) }
    }
}

/// What is served on the API listener.
pub fn enrol_router(link: AgentLink) -> Router {
    Router::new().route(ENROL_PATH, post(enrol::enrol).fallback(enrol::only_post)).with_state(link)
}

/// What is served on the agent listener.
pub fn router(link: AgentLink) -> Router {
    Router::new()
        .route(STREAM_PATH, get(stream::open))
        .route(&format!("{LIBRARY_PATH}/{{sha256}}"), get(content::library))
        .route(&format!("{ARTIFACT_PATH}/{{action}}/{{step}}"), put(content::artifact))
        .with_state(link)
}
