//! Cost reports: one pass over the calls, one statement, so one moment of the journal.

use futures_util::TryStreamExt;
use polpo_policy::price::Nanodollars;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use super::reads::{SUMS, usage};
use crate::journal::booked::{GATEWAY, KEY};
use crate::journal::cost::Tally;
use crate::journal::{CostQuery, CostReport, CostRow, DAY, Group};

pub(super) async fn report(pool: &SqlitePool, query: CostQuery) -> Result<CostReport, sqlx::Error> {
    let mut sql = QueryBuilder::<Sqlite>::new("");
    push_calls(&mut sql, &query);
    if query.run.is_none() {
        push_booked(sql.push(" UNION ALL "), &query);
        push_batches(sql.push(" UNION ALL "), &query);
    }
    let mut tally = Tally::new(query.group);
    // As a stream: each task may have metadata of its own.
    let mut rows = sql.build().fetch(pool);
    while let Some(row) = rows.try_next().await? {
        let calls = calls(&row)?;
        match (row.try_get::<Option<&str>, _>(11)?, row.try_get(12)?) {
            (Some(stored), false) => tally.ended(stored, &calls),
            (Some(stored), true) => tally.booked(stored, &calls),
            (None, _) => tally.unended(&calls),
        }
    }
    Ok(tally.report())
}

/// What a row says but for its key.
fn calls(row: &SqliteRow) -> Result<CostRow, sqlx::Error> {
    Ok(CostRow {
        key: String::new(),
        usage: usage(row)?,
        attempts: row.try_get::<i64, _>(10)?.cast_unsigned(),
        calls: row.try_get::<i64, _>(6)?.cast_unsigned(),
        cost: Nanodollars(row.try_get(7)?),
        unpriced_calls: row.try_get::<i64, _>(8)?.cast_unsigned(),
        lost_calls: row.try_get::<i64, _>(9)?.cast_unsigned(),
    })
}

/// Calls of runs by their stored key, which is null for what has not ended.
fn push_calls(sql: &mut QueryBuilder<Sqlite>, query: &CostQuery) {
    sql.push("SELECT ").push(SUMS).push(
        ", COUNT(*), \
         CAST(SUM(CASE WHEN c.outcome IS NULL THEN c.reserved ELSE c.cost END) AS BIGINT), \
         COUNT(CASE WHEN c.priced = 0 THEN 1 END), \
         COUNT(CASE WHEN c.outcome = 'lost' THEN 1 END), \
         COUNT(DISTINCT c.run || ' ' || c.task || ' ' || c.attempt), \
         CASE WHEN c.outcome IS NOT NULL AND c.id <= results.last_call THEN ",
    );
    match query.group {
        Group::Agent => sql.push("c.agent"),
        Group::Model => sql.push("c.model_served"),
        Group::Profile => sql.push("c.profile"),
        Group::Day => push_day(sql),
        Group::Run => sql.push("runs.results_path"),
        // The values are taken out later, as the databases disagree on how.
        Group::Metadata(_) => sql.push("COALESCE(results.metadata, '')"),
    };
    sql.push(
        " END AS stored_key, 0 FROM calls c JOIN runs ON runs.id = c.run \
         LEFT JOIN results ON results.run = c.run AND results.custom_id = c.task \
         WHERE runs.simulated = ",
    );
    sql.push_bind(query.simulated);
    if let Some(run) = query.run {
        sql.push(" AND c.run = ").push_bind(run.0);
    }
    push_since(sql, query, "c.started_at");
    sql.push(" GROUP BY stored_key");
}

/// Calls of the gateway by their key, which is never null.
fn push_booked(sql: &mut QueryBuilder<Sqlite>, query: &CostQuery) {
    sql.push("SELECT ").push(SUMS).push(
        ", COUNT(*), CAST(SUM(c.cost) AS BIGINT), COUNT(CASE WHEN c.priced = 0 THEN 1 END), \
         COUNT(CASE WHEN c.lost = 1 THEN 1 END), COUNT(DISTINCT c.request), ",
    );
    match &query.group {
        Group::Agent | Group::Run => sql.push_bind(GATEWAY),
        Group::Model => sql.push("c.model_served"),
        Group::Profile => sql.push("c.profile"),
        Group::Day => push_day(sql),
        Group::Metadata(key) if key == KEY => sql.push("c.key"),
        Group::Metadata(_) => sql.push("''"),
    };
    sql.push(" AS stored_key, 1 FROM gateway_calls c WHERE c.simulated = ");
    sql.push_bind(query.simulated);
    push_since(sql, query, "c.started_at");
    sql.push(" GROUP BY stored_key");
}

/// Message batches that are not settled: calls that have not ended.
fn push_batches(sql: &mut QueryBuilder<Sqlite>, query: &CostQuery) {
    sql.push(
        "SELECT 0, 0, 0, 0, 0, 0, requests, reserved, 0, 0, requests, NULL, 1 \
         FROM gateway_batches WHERE settled = 0 AND simulated = ",
    );
    sql.push_bind(query.simulated);
    push_since(sql, query, "created_at");
}

fn push_day(sql: &mut QueryBuilder<Sqlite>) -> &mut QueryBuilder<Sqlite> {
    sql.push("CAST(c.started_at / ").push(DAY).push(" AS TEXT)")
}

fn push_since(sql: &mut QueryBuilder<Sqlite>, query: &CostQuery, column: &str) {
    if let Some(since) = query.since {
        sql.push(" AND ").push(column).push(" >= ").push_bind(since.timestamp_millis());
    }
}
