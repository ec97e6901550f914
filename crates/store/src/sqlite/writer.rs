//! The one writer: a thread that owns the one connection that writes, and commits what is waiting in groups.
//!
//! Invariant: nothing is answered before the transaction it is part of is durable. A group is one transaction; each
//! write stands in a savepoint of its own, so that one that is refused takes no other with it.

use super::checkpoint::Wal;
use super::{SqliteConfig, audit, open};
use crate::StoreError;
use crate::sql::statements;
use domain::audit::{Entry, Head};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// The way to the writer's thread. Dropped, it waits until everything that was asked for is done.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

/// What a write works in: a savepoint of the group's transaction.
pub(super) struct Unit<'a> {
    /// The connection.
    pub(super) connection: &'a Connection,
    commit_number: i64,
    /// How far the audit log goes with this group; none until the group adds to it.
    audit_head: Option<Head>,
}

impl Unit<'_> {
    /// Counts this write as a commit of its own, and says its number.
    pub(super) fn count(&mut self) -> u64 {
        self.commit_number += 1;
        self.commit_number.unsigned_abs()
    }

    /// Adds a line to the audit log: what else this write does stands with it, or falls with it.
    pub(super) fn audit(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let before = match self.audit_head {
            Some(head) => head,
            None => audit::head(self.connection)?,
        };
        self.audit_head = Some(audit::append(self.connection, before, entry)?);
        Ok(())
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(config: &SqliteConfig, wal: Arc<Wal>) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let connection = open_hooked(config, &wal)?;
        let desk = Desk { config: config.clone(), wal, connection: Some(connection), waiting };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || desk.run())
            .map_err(|error| StoreError::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Does `work` and returns once its transaction is durable. It is done even if nobody waits for the answer.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Unit<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let ended = || StoreError::Unavailable("the writer has ended; restart the server".into());
        let (reply, answer) = oneshot::channel();
        let job = Asked { work: Some(work), outcome: None, reply };
        self.queue.as_ref().ok_or_else(ended)?.send(Box::new(job)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

/// A write that waits, whatever its result is.
trait Job: Send {
    /// Does it. False: its savepoint is to be rolled back.
    fn run(&mut self, unit: &mut Unit<'_>) -> bool;

    /// Says what became of it, now that its transaction is durable; or why it is not.
    fn answer(self: Box<Self>, committed: Result<(), &str>);
}

struct Asked<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Asked<T, F>
where
    T: Send,
    F: FnOnce(&mut Unit<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, unit: &mut Unit<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(unit)))
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the write panicked, and was rolled back".into())));
        let done = outcome.is_ok();
        self.outcome = Some(outcome);
        done
    }

    fn answer(self: Box<Self>, committed: Result<(), &str>) {
        let outcome = match (committed, self.outcome) {
            // It was rolled back on its own account, which a failed commit does not change.
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(StoreError::Unavailable("the write was not done".into())),
            (Err(why), _) => Err(StoreError::Unavailable(why.to_string())),
        };
        // Whoever asked may have gone away.
        let _ = self.reply.send(outcome);
    }
}

/// The thread's own.
struct Desk {
    config: SqliteConfig,
    wal: Arc<Wal>,
    /// None after a failure that leaves doubt about the connection: the next group opens another.
    connection: Option<Connection>,
    waiting: mpsc::Receiver<Box<dyn Job>>,
}

impl Desk {
    fn run(mut self) {
        while let Some(first) = self.waiting.blocking_recv() {
            let mut taken = vec![first];
            let outcome = self.group(&mut taken);
            if let Err(why) = &outcome {
                tracing::error!(waiting = taken.len(), "a group of writes was not committed: {why}");
            }
            for job in taken {
                job.answer(outcome.as_ref().map(|_| ()).map_err(String::as_str));
            }
            self.wal.ask_for_checkpoint();
        }
    }

    /// Does what is waiting as one transaction, `taken` first. Ok means durable.
    fn group(&mut self, taken: &mut Vec<Box<dyn Job>>) -> Result<(), String> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open_hooked(&self.config, &self.wal).map_err(|error| format!("cannot open it again: {error}"))?,
        };
        if let Err(error) = execute(&connection, "BEGIN IMMEDIATE") {
            // Another process writes, or the file is gone. The first heals by itself, the second with a new connection.
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) {
                self.connection = Some(connection);
            }
            return Err(format!("cannot begin to write: {error}"));
        }
        // From here a connection that fails is not used again: after a failed sync, what the operating system still
        // shows of the log is no proof of what is on the disk.
        self.work_off(&connection, taken).map_err(|error| format!("cannot commit: {error}"))?;
        self.connection = Some(connection);
        Ok(())
    }

    fn work_off(&mut self, connection: &Connection, taken: &mut Vec<Box<dyn Job>>) -> rusqlite::Result<()> {
        let first_number =
            connection.prepare_cached(statements::COMMIT_NUMBER)?.query_row([], |row| row.get::<_, i64>(0))?;
        let mut unit = Unit { connection, commit_number: first_number, audit_head: None };
        let mut next = 0;
        loop {
            run_in_savepoint(&mut unit, taken[next].as_mut())?;
            next += 1;
            if next == self.config.group_max.max(1) {
                break;
            }
            match self.waiting.try_recv() {
                Ok(job) => taken.push(job),
                Err(_) => break,
            }
        }
        if unit.commit_number != first_number {
            connection.prepare_cached(statements::SET_COMMIT_NUMBER)?.execute([unit.commit_number])?;
        }
        if let Some(head) = unit.audit_head {
            audit::set_head(connection, head)?;
        }
        execute(connection, "COMMIT")
    }
}

fn run_in_savepoint(unit: &mut Unit<'_>, job: &mut dyn Job) -> rusqlite::Result<()> {
    let (number_before, head_before) = (unit.commit_number, unit.audit_head);
    execute(unit.connection, "SAVEPOINT write_of_one")?;
    if !job.run(unit) {
        (unit.commit_number, unit.audit_head) = (number_before, head_before);
        // Fails if SQLite has rolled back the whole transaction, as it may on a full disk: then nobody's write stands.
        execute(unit.connection, "ROLLBACK TO write_of_one")?;
    }
    execute(unit.connection, "RELEASE write_of_one")
}

fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ())
}

fn open_hooked(config: &SqliteConfig, wal: &Arc<Wal>) -> Result<Connection, StoreError> {
    let mut connection = open::writer(config)?;
    let wal = Arc::clone(wal);
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
        wal.grew_to(u32::try_from(pages).unwrap_or(0));
        Ok(())
    }))?;
    Ok(connection)
}

/// How many writes may wait for the writer; whoever comes then waits for room.
const WAITING_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::checkpoint::Checkpointer;
    use super::*;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    struct Ground {
        writer: Writer,
        _checkpointer: Checkpointer,
        config: SqliteConfig,
        _folder: tempfile::TempDir,
    }

    fn ground() -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let config = SqliteConfig::for_testing(folder.path());
        open::prepare(&config).unwrap();
        let checkpointer = Checkpointer::start(&config).unwrap();
        let writer = Writer::start(&config, checkpointer.wal()).unwrap();
        Ground { writer, _checkpointer: checkpointer, config, _folder: folder }
    }

    impl Ground {
        fn settings(&self) -> Vec<String> {
            let connection = open::reader(&self.config).unwrap();
            let mut statement = connection.prepare("SELECT name FROM settings ORDER BY name").unwrap();
            let names = statement.query_map([], |row| row.get(0)).unwrap();
            names.collect::<rusqlite::Result<_>>().unwrap()
        }

        /// The answers to writes that all wait before the first is begun, so that they are one group.
        async fn as_one_group(&self, works: Vec<Work>) -> Vec<Result<(), StoreError>> {
            let lock = Connection::open(&self.config.path).unwrap();
            lock.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut context = Context::from_waker(Waker::noop());
            let ask = |work| {
                let mut answer = Box::pin(self.writer.write(work));
                assert!(matches!(answer.as_mut().poll(&mut context), Poll::Pending));
                answer
            };
            let waiting: Vec<_> = works.into_iter().map(ask).collect();
            lock.execute_batch("ROLLBACK").unwrap();
            let mut answers = Vec::new();
            for answer in waiting {
                answers.push(answer.await);
            }
            answers
        }
    }

    type Work = Box<dyn FnOnce(&mut Unit<'_>) -> Result<(), StoreError> + Send>;

    fn keep(name: &'static str) -> Work {
        Box::new(move |unit| {
            unit.connection.execute("INSERT INTO settings VALUES (?1, '')", [name])?;
            unit.count();
            Ok(())
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_write_that_panics_is_unavailable_and_the_writer_goes_on() {
        let ground = ground();
        let panics: Work = Box::new(|unit| {
            keep("lost")(unit)?;
            panic!("a bug");
        });
        let answers = ground.as_one_group(vec![keep("before"), panics, keep("after")]).await;
        assert!(matches!(&answers[..], [Ok(()), Err(StoreError::Unavailable(_)), Ok(())]), "{answers:?}");
        assert_eq!(ground.settings(), ["after", "before"]);
        let connection = open::reader(&ground.config).unwrap();
        let number: i64 = connection.query_row(statements::COMMIT_NUMBER, [], |row| row.get(0)).unwrap();
        assert_eq!(number, 2, "what was rolled back is not counted");
    }

    /// A foreign key that is checked only at the commit makes the commit itself fail.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_that_fails_acknowledges_nobody_and_the_next_goes_to_a_new_connection() {
        let ground = ground();
        let spoils: Work = Box::new(|unit| {
            unit.connection.execute_batch(
                "PRAGMA defer_foreign_keys = ON; INSERT INTO library_uses VALUES (12345, zeroblob(32))",
            )?;
            unit.connection.execute_batch("CREATE TEMP TABLE only_here (x)")?;
            Ok(())
        });
        let answers = ground.as_one_group(vec![keep("one"), spoils, keep("two")]).await;
        for answer in answers {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        }
        assert_eq!(ground.settings(), Vec::<String>::new());
        let new_connection: Work = Box::new(|unit| {
            let here: i64 =
                unit.connection.query_row("SELECT count(*) FROM sqlite_temp_schema", [], |row| row.get(0))?;
            assert_eq!(here, 0);
            keep("three")(unit)
        });
        ground.writer.write(new_connection).await.unwrap();
        assert_eq!(ground.settings(), ["three"]);
    }

    /// As SQLite itself may do on a full disk.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_transaction_that_is_gone_acknowledges_nobody() {
        let ground = ground();
        let ends_it: Work = Box::new(|unit| {
            unit.connection.execute_batch("ROLLBACK")?;
            Err(StoreError::Unavailable("disk full".into()))
        });
        let answers = ground.as_one_group(vec![keep("one"), ends_it, keep("two")]).await;
        // The third had not been begun; it is in the next group.
        let unavailable = |answer: &Result<(), StoreError>| matches!(answer, Err(StoreError::Unavailable(_)));
        assert!(unavailable(&answers[0]) && unavailable(&answers[1]) && answers[2].is_ok(), "{answers:?}");
        assert_eq!(ground.settings(), ["two"]);
    }
}
