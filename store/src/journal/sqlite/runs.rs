//! Runs: opened, found, rewritten.

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::failure::Failure;
use super::job::{Job, Write};
use crate::journal::{Appended, Holder, JournalError, NewRun, Run, RunId};

impl Write for NewRun {
    type Answer = Run;

    async fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> Result<(), Failure> {
        for job in jobs {
            let new = &job.ask;
            let created = match find(connection, &new.results_path).await? {
                Some(run) if run.simulated != new.simulated => {
                    let (results_path, simulated) = (run.results_path, run.simulated);
                    let mismatch = JournalError::RunMismatch { results_path, simulated };
                    return Err(Failure::Refused(mismatch));
                }
                Some(_) => false,
                None => true,
            };
            if created {
                insert(connection, new).await?
            } else {
                hold(connection, new).await?
            };
            let run = find(connection, &new.results_path).await?;
            job.answer = Some(Run { created, ..run.ok_or(sqlx::Error::RowNotFound)? });
        }
        Ok(())
    }
}

async fn insert(connection: &mut SqliteConnection, new: &NewRun) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO runs (results_path, tasks_path, simulated, holder_pid, holder_since, \
         created_at) VALUES (?, ?, ?, ?, ?, ?)",
    );
    let now = new.now.timestamp_millis();
    let insert = insert.bind(&*new.results_path).bind(&*new.tasks_path).bind(new.simulated);
    insert.bind(new.holder).bind(now).bind(now).execute(connection).await?;
    Ok(())
}

async fn hold(connection: &mut SqliteConnection, new: &NewRun) -> Result<(), sqlx::Error> {
    let update = sqlx::query(
        "UPDATE runs SET tasks_path = ?, holder_pid = ?, holder_since = ? WHERE results_path = ?",
    );
    let update = update.bind(&*new.tasks_path).bind(new.holder).bind(new.now.timestamp_millis());
    update.bind(&*new.results_path).execute(connection).await?;
    Ok(())
}

/// The run of a results file.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    results_path: &str,
) -> Result<Option<Run>, sqlx::Error> {
    let query = sqlx::query(
        "SELECT id, results_path, tasks_path, simulated, holder_pid, holder_since, created_at, \
         appended_seq, appended_bytes, rewrite_pending, \
         (SELECT COUNT(*) FROM results WHERE results.run = runs.id) \
         FROM runs WHERE results_path = ?",
    );
    let row = query.bind(results_path).fetch_optional(connection).await?;
    row.as_ref().map(run).transpose()
}

fn run(row: &SqliteRow) -> Result<Run, sqlx::Error> {
    let time = |column: usize| -> Result<DateTime<Utc>, sqlx::Error> {
        Ok(DateTime::from_timestamp_millis(row.try_get(column)?).unwrap_or_default())
    };
    Ok(Run {
        id: RunId(row.try_get(0)?),
        created: false,
        results_path: row.try_get(1)?,
        tasks_path: row.try_get(2)?,
        simulated: row.try_get(3)?,
        holder: Holder { pid: row.try_get(4)?, since: time(5)? },
        created_at: time(6)?,
        appended: Appended { seq: row.try_get(7)?, bytes: row.try_get(8)? },
        rewrite_pending: row.try_get(9)?,
        results: row.try_get::<i64, _>(10)?.cast_unsigned(),
    })
}

/// Asks to record that the results file was rewritten.
#[derive(Debug)]
pub(super) struct RecordRewritten {
    pub(super) run: RunId,
    pub(super) appended: Appended,
}

impl Write for RecordRewritten {
    type Answer = ();

    async fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> Result<(), Failure> {
        for job in jobs {
            let (run, appended) = (job.ask.run, job.ask.appended);
            let update = sqlx::query(
                "UPDATE runs SET appended_seq = ?, appended_bytes = ?, rewrite_pending = 0 \
                 WHERE id = ?",
            );
            let update = update.bind(appended.seq).bind(appended.bytes).bind(run.0);
            if update.execute(&mut *connection).await?.rows_affected() == 0 {
                return Err(Failure::Refused(JournalError::UnknownRun(run)));
            }
            job.answer = Some(());
        }
        Ok(())
    }
}
