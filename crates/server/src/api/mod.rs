//! The HTTP API, wire-compatible with Defender's machine actions API.
//!
//! [`endpoints`] is the table of contents; one file per endpoint. Every request takes the same way through
//! [`dispatch`]: the path is normalised, the caller is known or refused (401), allowed or refused (403), counted (429),
//! and only then is there a route (404), a machine, a body, a conflict. Handlers read, ask [`Actions`], and answer.

mod alerts;
mod answer;
mod body;
mod call;
mod caller;
mod cancel_action;
mod collect_package;
mod create;
mod delete_library_file;
mod discovery;
mod dispatch;
mod download;
mod download_link;
mod encoding;
mod endpoints;
pub mod error;
mod explain;
mod find_by_ip;
mod find_by_tag;
mod get_action;
mod get_machine;
mod history;
mod isolate;
pub mod limits;
mod list_actions;
mod list_library_files;
mod list_machines;
mod logon_users;
mod offboard;
mod openapi;
mod package_link;
mod path;
mod quarantine_file;
mod query;
mod restrict;
mod run_live_response;
mod scan;
mod start_investigation;
mod tag_machine;
mod token;
mod trail;
mod unisolate;
mod unrestrict;
mod upload_library_file;

use crate::actions::Actions;
use crate::clock::Clock;
use crate::config::Config;
use crate::links::Links;
use crate::tokens::{SignIn, Tenant, TokenKeys, Verifier};
use axum::Router;
pub use endpoints::routes;
use limits::Limits;
pub use openapi::document;
use std::sync::Arc;

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    /// The use cases.
    pub actions: Actions,
    /// Knows callers by their tokens.
    pub verifier: Arc<Verifier>,
    /// Gives tokens.
    pub sign_in: Arc<SignIn>,
    /// The keys of our own tokens.
    pub keys: Arc<TokenKeys>,
    /// The installation's tenant.
    pub tenant: Tenant,
    /// Signs download links.
    pub links: Arc<Links>,
    /// Counts calls.
    pub limits: Arc<Limits>,
    /// What can be set.
    pub config: Arc<Config>,
    /// Tells the time and rolls dice.
    pub clock: Arc<dyn Clock>,
}

/// The API. It answers every path there is, so whatever else is served beside it is merged as routes of its own.
pub fn router(state: ApiState) -> Router {
    Router::new().fallback(dispatch::dispatch).with_state(state)
}
