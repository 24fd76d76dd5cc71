//! The task that owns the only connection that writes.

use sqlx::{Connection, SqliteConnection};
use tokio::sync::mpsc;

use super::calls;
use super::failure::Failure;
use super::group::{Command, Group};
use super::job::{Job, Write};
use super::open::Settings;
use crate::journal::{CallId, JournalError};

/// How many requests wait for the writer before their callers wait for room: a group that is
/// being committed and the next one. More would only lengthen the wait of the last.
pub(super) const WAITING: usize = 2 * GROUP;

/// How many requests are committed together at most: a group of this size still takes less than
/// the 20 ms that a commit may be late, and a larger one is hardly cheaper a row.
const GROUP: usize = 512;

/// Asks for an answer after everything before it is committed.
#[derive(Debug)]
pub(super) struct Flush;

impl Write for Flush {
    type Answer = ();

    async fn write(_: &mut SqliteConnection, jobs: &mut [Job<Self>]) -> Result<(), Failure> {
        for job in jobs {
            job.answer = Some(());
        }
        Ok(())
    }
}

/// Commits whenever it is idle, all that is waiting at a time.
#[derive(Debug)]
pub(super) struct Writer {
    settings: Settings,
    /// None after a failure that may have left it unusable.
    connection: Option<SqliteConnection>,
    /// Calls whose callers had gone before they were told: they cannot have sent them.
    unsent: Vec<CallId>,
}

impl Writer {
    pub(super) fn new(settings: Settings, connection: SqliteConnection) -> Self {
        Self { settings, connection: Some(connection), unsent: Vec::new() }
    }

    /// Ends when the journal is closed or dropped, and nothing is waiting any more.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Command>) {
        let mut commands = Vec::with_capacity(GROUP);
        while waiting.recv_many(&mut commands, GROUP).await > 0 {
            let mut group = Group::default();
            for command in commands.drain(..) {
                if let Command::Close = command {
                    waiting.close();
                }
                if command.stands_alone() {
                    self.commit(std::mem::take(&mut group)).await;
                    group.push(command);
                    self.commit(std::mem::take(&mut group)).await;
                } else {
                    group.push(command);
                }
            }
            self.commit(group).await;
        }
        self.end().await;
    }

    async fn commit(&mut self, mut group: Group) {
        let committed = if group.is_empty() { Ok(()) } else { self.transact(&mut group).await };
        if let Err(error) = &committed {
            tracing::warn!(%error, "the journal could not commit a group");
        }
        self.unsent.extend(group.settle(&committed));
    }

    async fn transact(&mut self, group: &mut Group) -> Result<(), JournalError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.settings.again().await?,
        };
        let written = Self::write(&mut connection, &self.unsent, group).await;
        let Err(error) = written else {
            self.unsent.clear();
            self.connection = Some(connection);
            return Ok(());
        };
        let error = self.settings.place.database(error);
        // SQLite has rolled back by itself after some errors, and then refuses to do it again.
        let _ = sqlx::query("ROLLBACK").execute(&mut connection).await;
        if let JournalError::Full { .. } | JournalError::Busy { .. } = error {
            // The connection is as good as before. After anything else it may not be.
            self.connection = Some(connection);
        }
        Err(error)
    }

    async fn write(
        connection: &mut SqliteConnection,
        unsent: &[CallId],
        group: &mut Group,
    ) -> Result<(), sqlx::Error> {
        // At once with the right to write: a transaction that has read cannot wait for it.
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        calls::take_back(connection, unsent).await?;
        group.write(connection).await?;
        sqlx::query("COMMIT").execute(&mut *connection).await?;
        Ok(())
    }

    async fn end(mut self) {
        if !self.unsent.is_empty() {
            // If this fails, they are charged at their reservations like any lost call.
            let _ = self.transact(&mut Group::default()).await;
        }
        let Some(mut connection) = self.connection else { return };
        // Nothing depends on it: without, the next one to open the journal does it.
        let _ = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut connection).await;
        let _ = connection.close().await;
    }
}
