//! What a file can be that is no journal, and how it is created.

use std::fs;
use std::path::PathBuf;

use polpo_store::journal::{Journal, JournalError, JournalOptions, SqliteJournal, Synchronous};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::world::{at, booked, line, open, options, run};

async fn refused(options: JournalOptions) -> JournalError {
    let path = options.path.display().to_string();
    let error = SqliteJournal::open(options).await.unwrap_err();
    assert!(error.to_string().contains(&path), "{error} does not name {path}");
    error
}

async fn raw(path: PathBuf) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.connect().await.unwrap()
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let text = "these are somebody's notes\n".repeat(1000);
    fs::write(&options.path, &text).unwrap();
    let error = refused(options.clone()).await;
    assert!(matches!(error, JournalError::Corrupt { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(options.path).unwrap(), text);
}

#[tokio::test]
async fn a_database_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let mut other = raw(options.path.clone()).await;
    sqlx::query("CREATE TABLE notes (text TEXT)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let error = refused(options.clone()).await;
    assert!(matches!(error, JournalError::Foreign { .. }), "{error:?}");
    let tables = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM sqlite_master");
    assert_eq!(tables.fetch_one(&mut raw(options.path).await).await.unwrap(), 1);
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    open(directory.path()).await.close().await.unwrap();
    let mut newer = raw(options.path.clone()).await;
    let version = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                   execution_time) VALUES (99, 'from the future', 1, x'00', 0)";
    sqlx::query(version).execute(&mut newer).await.unwrap();
    newer.close().await.unwrap();
    let error = refused(options).await;
    assert!(matches!(error, JournalError::Newer { found: 99, known: 2, .. }), "{error:?}");
}

#[tokio::test]
async fn a_journal_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path()).await;
    let id = run(&journal, "/a").await;
    journal.finish(vec![line(id, "t1")]).await.unwrap();
    journal.close().await.unwrap();
    let mut first = raw(options(directory.path()).path).await;
    let undo = "DROP TABLE gateway_calls; DROP TABLE gateway_spent; \
                DROP TABLE gateway_batches; \
                DELETE FROM _sqlx_migrations WHERE version > 1";
    sqlx::raw_sql(undo).execute(&mut first).await.unwrap();
    first.close().await.unwrap();

    let journal = open(directory.path()).await;
    assert_eq!(journal.find_run("/a").await.unwrap().unwrap().results, 1);
    journal.book(vec![booked("alice", 7)]).await.unwrap();
    assert_eq!(journal.spent(false, at(0)).await.unwrap()[0].total.0, 7);
}

#[tokio::test]
async fn a_path_that_cannot_be_a_file_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let here = JournalOptions { path: directory.path().into(), ..options(directory.path()) };
    let error = refused(here).await;
    assert!(matches!(error, JournalError::Io { .. }), "{error:?}");
    fs::write(directory.path().join("file"), "").unwrap();
    let below = directory.path().join("file").join("journal.db");
    let error = refused(JournalOptions { path: below, ..options(directory.path()) }).await;
    assert!(matches!(error, JournalError::Io { .. }), "{error:?}");
}

#[tokio::test]
async fn a_missing_journal_is_created_only_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let options = JournalOptions { create: false, ..options(directory.path()) };
    let error = refused(options.clone()).await;
    assert!(matches!(error, JournalError::Missing { .. }), "{error:?}");
    assert!(!options.path.exists());
    open(directory.path()).await.close().await.unwrap();
    SqliteJournal::open(options).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_it_and_its_directories() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state").join("deep?%").join("journal #1.db");
    let synchronous = Synchronous::Full;
    let journal = SqliteJournal::open(JournalOptions { path, synchronous, create: true });
    let journal = journal.await.unwrap();
    run(&journal, "/a").await;
    let mode = |path: &str| {
        let metadata = fs::metadata(directory.path().join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode("state"), mode("state/deep?%")), (0o700, 0o700));
    for file in ["journal #1.db", "journal #1.db-wal", "journal #1.db-shm"] {
        assert_eq!(mode(&format!("state/deep?%/{file}")), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_closed_journal_leaves_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path()).await;
    run(&journal, "/a").await;
    assert!(journal.find_run("/a").await.unwrap().is_some());
    journal.close().await.unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}
