//! Opening the file: its place, its rights, its schema.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlSafeStr, SqliteConnection, SqlitePool};
use tokio::time::{Instant, sleep};

use super::failure::Place;
use super::{JournalOptions, Synchronous};
use crate::journal::JournalError;

/// Every version of the schema, in order.
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "journal", include_str!("../../../migrations/0001_journal.sql")),
    (2, "gateway", include_str!("../../../migrations/0002_gateway.sql")),
];

/// The version of the schema that this program writes.
const KNOWN: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What the header of a journal says it is: "polp".
const APPLICATION: i64 = 0x706f_6c70;

/// How long another process may hold the file: a group takes milliseconds, its slowest
/// checkpoint on a bad disk seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads are short and few: the look-ups of a resumed run, and a report beside it.
const READERS: u32 = 4;

/// Pages in the write-ahead log before a commit copies them into the file: 16 MB. Four times
/// SQLite's own number, as each copy waits for the disk, and pages written often are copied once.
const CHECKPOINT: &str = "4000";

/// The log shrinks to this after a long read made it grow: a few checkpoints' worth.
const LOG_BYTES: &str = "67108864";

/// How the file is opened, first and again.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) place: Place,
    create: bool,
    base: SqliteConnectOptions,
}

impl Settings {
    pub(super) fn new(options: JournalOptions, place: Place) -> Self {
        let synchronous = match options.synchronous {
            Synchronous::Normal => SqliteSynchronous::Normal,
            Synchronous::Full => SqliteSynchronous::Full,
        };
        let base = SqliteConnectOptions::new()
            .filename(place.path())
            .busy_timeout(PATIENCE)
            .synchronous(synchronous)
            // Statement texts are long and say nothing a caller's own error does not.
            .disable_statement_logging();
        Self { place, create: options.create, base }
    }

    /// The connection that writes, for the first time.
    pub(super) async fn first(&self) -> Result<SqliteConnection, JournalError> {
        let path = self.place.path();
        match path.try_exists().map_err(|error| self.place.io(error))? {
            true => {}
            false if self.create => create(path).map_err(|error| self.place.io(error))?,
            false => return Err(JournalError::Missing { path: path.to_owned() }),
        }
        self.again().await
    }

    /// The connection that writes; a file that has gone is not created again.
    pub(super) async fn again(&self) -> Result<SqliteConnection, JournalError> {
        let mut connection = self.connect().await?;
        match self.found(&mut connection).await? {
            KNOWN => {}
            found if found > KNOWN => {
                let path = self.place.path().to_owned();
                return Err(JournalError::Newer { path, found, known: KNOWN });
            }
            _older => self.migrate(&mut connection).await?,
        }
        Ok(connection)
    }

    /// Connections that read.
    pub(super) fn reads(&self) -> SqlitePool {
        let options = self.base.clone().pragma("query_only", "ON");
        SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options)
    }

    async fn connect(&self) -> Result<SqliteConnection, JournalError> {
        let options = self
            .base
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("journal_size_limit", LOG_BYTES)
            .pragma("wal_autocheckpoint", CHECKPOINT);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.place.check(options.connect().await) {
                // The switch to a write-ahead log does not wait for others by itself.
                Err(JournalError::Busy { .. }) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(20)).await;
                }
                result => return result,
            }
        }
    }

    /// The version of the schema in the file; 0 if it is empty.
    async fn found(&self, connection: &mut SqliteConnection) -> Result<i64, JournalError> {
        let tables = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM sqlite_master");
        if self.place.check(tables.fetch_one(&mut *connection).await)? == 0 {
            return Ok(0);
        }
        let application = sqlx::query_scalar::<_, i64>("PRAGMA application_id");
        if self.place.check(application.fetch_one(&mut *connection).await)? != APPLICATION {
            return Err(JournalError::Foreign { path: self.place.path().to_owned() });
        }
        let version = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
        let version = sqlx::query_scalar::<_, i64>(version);
        self.place.check(version.fetch_one(&mut *connection).await)
    }

    /// Brings the schema up to date, in one transaction: others see all of it or nothing.
    async fn migrate(&self, connection: &mut SqliteConnection) -> Result<(), JournalError> {
        let migrations = MIGRATIONS.map(|(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        });
        let migrator = Migrator::with_migrations(migrations.into());
        let mut transaction = self.place.check(connection.begin_with("BEGIN IMMEDIATE").await)?;
        let migrated = migrator.run_direct(None, &mut *transaction, false).await;
        migrated.map_err(|error| self.migration(error))?;
        self.place.check(transaction.commit().await)
    }

    fn migration(&self, error: MigrateError) -> JournalError {
        if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) = error {
            return self.place.database(error);
        }
        self.place.database(sqlx::Error::Migrate(Box::new(error)))
    }
}

/// Creates an empty file that only its owner can read, and the directories it is in.
///
/// Only where there is none: closing a file that is open elsewhere in this process would drop
/// SQLite's locks on it.
fn create(path: &Path) -> io::Result<()> {
    let (mut directories, mut file) = (DirBuilder::new(), OpenOptions::new());
    directories.recursive(true);
    file.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        directories.mode(0o700);
        file.mode(0o600);
    }
    if let Some(parent) = path.parent() {
        directories.create(parent)?;
    }
    match file.open(path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map(drop),
    }
}
