//! The connections that read, apart from the writer. Each query begins its own snapshot, so it sees everything that
//! was acknowledged before it began.

use super::{SqliteConfig, open};
use crate::StoreError;
use rusqlite::Connection;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// A few connections that read.
pub(super) struct Readers {
    room: Arc<Semaphore>,
    pool: Arc<Pool>,
}

struct Pool {
    config: SqliteConfig,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Opens the first of them; the others are opened when they are needed.
    pub(super) fn start(config: &SqliteConfig) -> Result<Self, StoreError> {
        let first = open::reader(config)?;
        let pool = Pool { config: config.clone(), idle: Mutex::new(vec![first]) };
        Ok(Self { room: Arc::new(Semaphore::new(config.readers.max(1))), pool: Arc::new(pool) })
    }

    /// Does `query`, which finds a few rows by a key, here and now: that takes some microseconds, and handing it to
    /// another thread and back would take longer. A page that is not in memory costs one read of the disk.
    pub(super) fn look_up<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.pool.with_connection(query)
    }

    /// Does `query`, which may take long, on one of the connections, on a thread that may block.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let ended = |why: String| StoreError::Unavailable(format!("the read did not end: {why}"));
        let turn = Arc::clone(&self.room).acquire_owned().await.map_err(|error| ended(error.to_string()))?;
        let pool = Arc::clone(&self.pool);
        let reading = tokio::task::spawn_blocking(move || {
            let outcome = pool.with_connection(query);
            drop(turn);
            outcome
        });
        reading.await.map_err(|error| ended(error.to_string()))?
    }
}

impl Pool {
    fn with_connection<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::reader(&self.config)?,
        };
        let outcome = query(&connection);
        // A connection that failed is not trusted with the next query.
        if !matches!(outcome, Err(StoreError::Unavailable(_) | StoreError::Damaged(_))) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        outcome
    }
}
