//! What an administrator does on the server's own machine, with its data directory: there is no set-up over HTTP that
//! somebody else could use first.

use crate::actions::token_name;
use crate::authority::AUTHORITY_KEY_FILE;
use crate::clock::Clock;
use crate::config::{Config, DataConfig};
use crate::links::LINK_KEY_FILE;
use crate::signer::GRANT_KEY_FILE;
use crate::tokens::{TOKEN_KEY_FILE, Tenant, hash_secret, rotation};
use anyhow::Context as _;
use domain::audit::{CallerKind, Entry};
use domain::ids::{Digest, MachineId};
use domain::machine::Machine;
pub use domain::permission::{PERMISSIONS, Permission};
use domain::time::Timestamp;
use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use store::query::Value;
use store::{Application, EnrolToken, Filter, MachineField, MachineQuery, SqliteConfig, SqliteStore, Store};

/// The data file's name in the data directory.
const STORE_FILE: &str = "countermand.db";

/// The longest life of an enrolment token, in seconds: a week.
pub const ENROL_TOKEN_SECONDS_MAX: i64 = 7 * 86_400;

/// The most machines one enrolment token admits.
pub const ENROL_TOKEN_USES_MAX: u32 = 100_000;

/// Opens the store of a data directory; makes both if there is neither.
///
/// # Errors
/// It cannot be made or read, belongs to a newer version, or would not keep what it acknowledges.
pub fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let dir = &config.data.dir;
    make_private(dir)?;
    make_private(&config.data.artifact_dir())?;
    let store = SqliteStore::open(SqliteConfig::at(dir.join(STORE_FILE)))
        .with_context(|| format!("the store in {}", dir.display()))?;
    Ok(Arc::new(store))
}

/// Opens the store of a data directory that a server has used.
///
/// # Errors
/// There is none, where [`open_store`] would make one; as there.
pub fn open_store_that_is(dir: &Path) -> anyhow::Result<Arc<dyn Store>> {
    let is_there = dir.join(STORE_FILE).try_exists().with_context(|| format!("cannot look into {}", dir.display()))?;
    anyhow::ensure!(is_there, "{} is not a server's data directory: there is no {STORE_FILE}", dir.display());
    open_store(&Config { data: DataConfig { dir: dir.into() }, ..Config::default() })
}

/// A new application, with its secret, which is shown once and kept nowhere; without Debug, so that no log shows it.
#[derive(Clone)]
pub struct NewApplication {
    /// The installation's tenant.
    pub tenant: String,
    /// The application's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// Adds an application that may call the API.
///
/// # Errors
/// The store.
pub async fn add_application(
    store: &dyn Store,
    clock: &dyn Clock,
    name: &str,
    permissions: Vec<Permission>,
) -> anyhow::Result<NewApplication> {
    let tenant = Tenant::load(store, clock.random()).await?;
    let client_id = crate::clock::guid(clock).to_string();
    let client_secret = secret(clock);
    let application = Application {
        client_id: client_id.clone(),
        name: name.to_string(),
        secret_hash: hash_secret(&client_secret, clock.random())?,
        permissions,
        created_at: clock.now(),
    };
    let entry = by_administrator(application.created_at, "app add").object(format_args!("application {client_id}"));
    store.put_application(&application, &entry).await?;
    Ok(NewApplication { tenant: tenant.0.to_string(), client_id, client_secret })
}

/// Adds an enrolment token and returns it; it is shown once, and only its digest is kept.
///
/// # Errors
/// A life or a number of uses out of bounds; the store.
pub async fn add_enrol_token(
    store: &dyn Store,
    clock: &dyn Clock,
    uses_max: u32,
    life_seconds: i64,
) -> anyhow::Result<String> {
    anyhow::ensure!((1..=ENROL_TOKEN_USES_MAX).contains(&uses_max), "1 to {ENROL_TOKEN_USES_MAX} uses");
    ensure_life(life_seconds)?;
    let token = secret(clock);
    let (now, digest) = (clock.now(), Digest::of(token.as_bytes()));
    let expires_at = now.plus_seconds(life_seconds);
    let entry = by_administrator(now, "enrol-token").object(token_name(&digest));
    store.add_enrol_token(&EnrolToken { digest, uses_max, expires_at, machine: None }, &entry).await?;
    Ok(token)
}

/// Adds a token with which one machine on record, named by its id or by a name that no other has, enrols again, once.
/// Returns the machine with it; the token is shown once, and only its digest is kept.
///
/// # Errors
/// A life out of bounds; no such machine, or several of that name; the store.
pub async fn add_reenrol_token(
    store: &dyn Store,
    clock: &dyn Clock,
    id_or_name: &str,
    life_seconds: i64,
) -> anyhow::Result<(Machine, String)> {
    ensure_life(life_seconds)?;
    let machine = find_machine(store, id_or_name).await?;
    let token = secret(clock);
    let (now, digest) = (clock.now(), Digest::of(token.as_bytes()));
    let expires_at = now.plus_seconds(life_seconds);
    let entry = by_administrator(now, "enrol-token --machine").object(token_name(&digest)).machine(machine.id);
    store.add_enrol_token(&EnrolToken { digest, uses_max: 1, expires_at, machine: Some(machine.id) }, &entry).await?;
    Ok((machine, token))
}

/// Tells the audit log of the keys that a server is about to make in a data directory: first the line, then the key.
///
/// # Errors
/// The line cannot be written: then no key is made.
pub async fn announce_keys(store: &dyn Store, dir: &Path, now: Timestamp) -> anyhow::Result<()> {
    for name in [AUTHORITY_KEY_FILE, GRANT_KEY_FILE, TOKEN_KEY_FILE, LINK_KEY_FILE] {
        if !dir.join(name).try_exists().with_context(|| format!("cannot look for {name}"))? {
            store.audit(&Entry::new(now, CallerKind::Server, "", "make key").object(name)).await?;
        }
    }
    Ok(())
}

/// Adds a key that signs tokens, after so many seconds: first the line in the audit log, then the key. Returns its id.
///
/// # Errors
/// It is no server's data directory; the line cannot be written; too many keys; the files.
pub async fn rotate_token_key(
    dir: &Path,
    lifetime_seconds: u32,
    after_seconds: u32,
    now: Timestamp,
) -> anyhow::Result<String> {
    let store = open_store_that_is(dir)?;
    store.audit(&by_administrator(now, "token-key rotate")).await?;
    Ok(rotation::rotate(dir, lifetime_seconds, after_seconds, now)?)
}

/// Takes a key that signs tokens away: first the line in the audit log, then the key.
///
/// # Errors
/// It is no server's data directory; the line cannot be written; no such key, or the only one; the files.
pub async fn remove_token_key(dir: &Path, id: &str, now: Timestamp) -> anyhow::Result<()> {
    let store = open_store_that_is(dir)?;
    store.audit(&by_administrator(now, "token-key remove").object(id)).await?;
    Ok(rotation::remove(dir, id, now)?)
}

/// A line of what is done on the server's own machine.
fn by_administrator(now: Timestamp, command: &str) -> Entry {
    Entry::new(now, CallerKind::Administrator, "", &format!("countermand {command}"))
}

fn ensure_life(life_seconds: i64) -> anyhow::Result<()> {
    anyhow::ensure!((1..=ENROL_TOKEN_SECONDS_MAX).contains(&life_seconds), "a life of 1 s to 7 days");
    Ok(())
}

async fn find_machine(store: &dyn Store, id_or_name: &str) -> anyhow::Result<Machine> {
    let query = match MachineId::parse(id_or_name) {
        Some(id) => MachineQuery::of(Filter::is(MachineField::Id, Value::Machine(id)), 2),
        None => MachineQuery::named(id_or_name, 2),
    };
    let mut found = store.machines(&query).await?;
    // Which one is meant is not ours to guess.
    anyhow::ensure!(found.len() < 2, "several machines are called {id_or_name}: give the machine's id");
    found.pop().with_context(|| format!("there is no machine {id_or_name}"))
}

/// 256 random bits in hex: nothing that needs quoting anywhere.
fn secret(clock: &dyn Clock) -> String {
    let random: [u8; 32] = clock.random();
    random.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn make_private(dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make {}", dir.display()))
}
