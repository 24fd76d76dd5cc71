//! What a resumed run looks up.

use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use crate::journal::{Carried, FinishedTask, ResultKind, RunId};

/// Ids in one statement: what a caller asks for at a time, and far below SQLite's 32,766.
const IDS: usize = 500;

/// The quantities of a call and their sums, in this order everywhere.
pub(super) const SUMS: &str = "CAST(SUM(c.input) AS BIGINT), CAST(SUM(c.output) AS BIGINT), \
    CAST(SUM(c.cache_read) AS BIGINT), CAST(SUM(c.cache_write_5m) AS BIGINT), \
    CAST(SUM(c.cache_write_1h) AS BIGINT), CAST(SUM(c.web_searches) AS BIGINT)";

pub(super) async fn finished(
    pool: &SqlitePool,
    run: RunId,
    ids: &[String],
) -> Result<Vec<FinishedTask>, sqlx::Error> {
    let mut tasks = Vec::new();
    for ids in ids.chunks(IDS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT custom_id, request_sha256, kind, EXISTS(SELECT 1 FROM calls \
             WHERE calls.run = results.run AND calls.task = results.custom_id \
             AND calls.id > results.last_call) FROM results WHERE run = ",
        );
        query.push_bind(run.0).push(" AND custom_id IN ");
        push_ids(&mut query, ids);
        for row in query.build().fetch_all(pool).await? {
            tasks.push(FinishedTask {
                custom_id: row.try_get(0)?,
                request_sha256: row.try_get(1)?,
                succeeded: row.try_get::<&str, _>(2)? == ResultKind::Succeeded.label(),
                begun_again: row.try_get(3)?,
            });
        }
    }
    Ok(tasks)
}

pub(super) async fn carried(
    pool: &SqlitePool,
    run: RunId,
    ids: &[String],
) -> Result<Vec<Carried>, sqlx::Error> {
    let mut tasks = Vec::new();
    for ids in ids.chunks(IDS) {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
        query.push(SUMS).push(", c.task, COUNT(*), CAST(SUM(c.cost) AS BIGINT) FROM calls c");
        query.push(" WHERE c.outcome IS NOT NULL AND c.run = ").push_bind(run.0);
        push_ids(query.push(" AND c.task IN "), ids);
        query.push(" GROUP BY c.task");
        for row in query.build().fetch_all(pool).await? {
            tasks.push(Carried {
                usage: usage(&row)?,
                custom_id: row.try_get(6)?,
                calls: row.try_get(7)?,
                cost: Nanodollars(row.try_get(8)?),
            });
        }
    }
    Ok(tasks)
}

pub(super) async fn lines(
    pool: &SqlitePool,
    run: RunId,
    after_seq: i64,
    limit: u32,
) -> Result<Vec<(i64, String)>, sqlx::Error> {
    let query = "SELECT seq, line FROM results WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?";
    sqlx::query_as(query).bind(run.0).bind(after_seq).bind(limit).fetch_all(pool).await
}

/// The usage in a row that begins with [`SUMS`].
pub(super) fn usage(row: &SqliteRow) -> Result<Usage, sqlx::Error> {
    let quantity =
        |column: usize| row.try_get::<i64, _>(column).map(|tokens| tokens.cast_unsigned());
    Ok(Usage {
        input: quantity(0)?,
        output: quantity(1)?,
        cache_read: quantity(2)?,
        cache_write_5m: quantity(3)?,
        cache_write_1h: quantity(4)?,
        web_searches: quantity(5)?,
    })
}

fn push_ids(query: &mut QueryBuilder<Sqlite>, ids: &[String]) {
    query.push("(");
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(&**id);
    }
    query.push(")");
}
