//! Message batches: kept, updated, settled, dropped; found and listed.

use chrono::DateTime;
use polpo_policy::price::Nanodollars;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool};

use super::booked::book;
use super::failure::{Failure, Place};
use super::job::{Job, Write};
use crate::journal::{BatchPage, BatchQuery, BatchRecord, BookedCall, Cursor, JournalError};

/// Asks to change what is known of a batch.
#[derive(Debug)]
pub(super) enum ChangeBatch {
    Keep(BatchRecord),
    Update { id: String, object: String },
    Settle { id: String, calls: Vec<BookedCall> },
    Drop { id: String },
}

impl Write for ChangeBatch {
    /// Whether anything changed.
    type Answer = bool;

    async fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> Result<(), Failure> {
        for job in jobs {
            job.answer = Some(match &job.ask {
                Self::Keep(batch) => keep(connection, batch).await?,
                Self::Update { id, object } => update(connection, id, object).await?,
                Self::Settle { id, calls } => settle(connection, id, calls).await?,
                Self::Drop { id } => remove(connection, id).await?,
            });
        }
        Ok(())
    }
}

async fn keep(connection: &mut SqliteConnection, batch: &BatchRecord) -> Result<bool, Failure> {
    let insert = sqlx::query(
        "INSERT INTO gateway_batches (id, key, profile, simulated, created_at, requests, \
         reserved, settled, object) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    let insert = insert.bind(&*batch.id).bind(batch.key.as_str()).bind(batch.profile.as_str());
    let insert = insert.bind(batch.simulated).bind(batch.created_at.timestamp_millis());
    let insert = insert.bind(batch.requests).bind(batch.reserved.0).bind(batch.settled);
    if insert.bind(&*batch.object).execute(connection).await?.rows_affected() == 0 {
        return Err(Failure::Refused(JournalError::KnownBatch(batch.id.clone())));
    }
    Ok(true)
}

async fn update(
    connection: &mut SqliteConnection,
    id: &str,
    object: &str,
) -> Result<bool, Failure> {
    let update = sqlx::query("UPDATE gateway_batches SET object = ? WHERE id = ?");
    if update.bind(object).bind(id).execute(connection).await?.rows_affected() == 0 {
        return Err(unknown(id));
    }
    Ok(true)
}

async fn settle(
    connection: &mut SqliteConnection,
    id: &str,
    calls: &[BookedCall],
) -> Result<bool, Failure> {
    let settle = sqlx::query("UPDATE gateway_batches SET settled = 1 WHERE id = ? AND settled = 0");
    if settle.bind(id).execute(&mut *connection).await?.rows_affected() == 0 {
        return find(connection, id).await?.map(|_settled| false).ok_or_else(|| unknown(id));
    }
    book(connection, &Vec::from_iter(calls)).await?;
    Ok(true)
}

async fn remove(connection: &mut SqliteConnection, id: &str) -> Result<bool, Failure> {
    let remove = sqlx::query("DELETE FROM gateway_batches WHERE id = ? AND settled = 1");
    if remove.bind(id).execute(&mut *connection).await?.rows_affected() == 0 {
        return Err(match find(connection, id).await? {
            Some(_) => Failure::Refused(JournalError::UnsettledBatch(id.to_owned())),
            None => unknown(id),
        });
    }
    Ok(true)
}

fn unknown(id: &str) -> Failure {
    Failure::Refused(JournalError::UnknownBatch(id.to_owned()))
}

/// The columns that [`record`] reads.
const SELECT: &str = "SELECT id, key, profile, simulated, created_at, requests, reserved, \
    settled, object FROM gateway_batches";

/// A batch by its id.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<Option<BatchRecord>, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(SELECT);
    query.push(" WHERE id = ").push_bind(id);
    let row = query.build().fetch_optional(connection).await?;
    row.as_ref().map(record).transpose()
}

/// A page of a key's batches.
pub(super) async fn list(
    journal: &Place,
    pool: &SqlitePool,
    query: &BatchQuery,
) -> Result<BatchPage, JournalError> {
    let mut sql = QueryBuilder::<Sqlite>::new(SELECT);
    sql.push(" WHERE key = ").push_bind(query.key.as_str());
    sql.push(" AND simulated = ").push_bind(query.simulated);
    if let Some(cursor) = &query.cursor {
        let seq = journal.check(seq(pool, query, cursor.id()).await)?;
        let seq = seq.ok_or_else(|| JournalError::UnknownBatch(cursor.id().to_owned()))?;
        sql.push(if is_newer(query) { " AND seq > " } else { " AND seq < " }).push_bind(seq);
    }
    sql.push(if is_newer(query) { " ORDER BY seq" } else { " ORDER BY seq DESC" });
    sql.push(" LIMIT ").push_bind(i64::from(query.limit) + 1);
    let rows = journal.check(sql.build().fetch_all(pool).await)?;
    let mut batches = journal.check(rows.iter().map(record).collect::<Result<Vec<_>, _>>())?;
    let has_more = batches.len() > query.limit as usize;
    batches.truncate(query.limit as usize);
    if is_newer(query) {
        batches.reverse();
    }
    Ok(BatchPage { batches, has_more })
}

/// Whether a page goes from its cursor to newer ones.
fn is_newer(query: &BatchQuery) -> bool {
    matches!(query.cursor, Some(Cursor::Before(_)))
}

async fn seq(pool: &SqlitePool, query: &BatchQuery, id: &str) -> Result<Option<i64>, sqlx::Error> {
    let seq = "SELECT seq FROM gateway_batches WHERE id = ? AND key = ? AND simulated = ?";
    let seq = sqlx::query_scalar(seq).bind(id).bind(query.key.as_str()).bind(query.simulated);
    seq.fetch_optional(pool).await
}

/// Batches that money is held for, the oldest first.
pub(super) async fn unsettled(
    pool: &SqlitePool,
    simulated: bool,
) -> Result<Vec<BatchRecord>, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(SELECT);
    query.push(" WHERE settled = 0 AND simulated = ").push_bind(simulated).push(" ORDER BY seq");
    query.build().fetch_all(pool).await?.iter().map(record).collect()
}

fn record(row: &SqliteRow) -> Result<BatchRecord, sqlx::Error> {
    Ok(BatchRecord {
        id: row.try_get(0)?,
        key: row.try_get::<&str, _>(1)?.into(),
        profile: row.try_get::<&str, _>(2)?.into(),
        simulated: row.try_get(3)?,
        created_at: DateTime::from_timestamp_millis(row.try_get(4)?).unwrap_or_default(),
        requests: row.try_get(5)?,
        reserved: Nanodollars(row.try_get(6)?),
        settled: row.try_get(7)?,
        object: row.try_get(8)?,
    })
}
