//! Cost reports: one pass over the calls, one statement, so one moment of the journal.

use futures_util::TryStreamExt;
use polpo_policy::price::Nanodollars;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use super::reads::{SUMS, usage};
use crate::journal::cost::{DAY, Tally};
use crate::journal::{CostQuery, CostReport, CostRow, Group};

pub(super) async fn report(pool: &SqlitePool, query: CostQuery) -> Result<CostReport, sqlx::Error> {
    let mut sql = QueryBuilder::<Sqlite>::new("SELECT ");
    sql.push(SUMS).push(
        ", COUNT(*), \
         CAST(SUM(CASE WHEN c.outcome IS NULL THEN c.reserved ELSE c.cost END) AS BIGINT), \
         COUNT(CASE WHEN c.priced = 0 THEN 1 END), \
         COUNT(CASE WHEN c.outcome = 'lost' THEN 1 END), \
         COUNT(DISTINCT c.run || ' ' || c.task || ' ' || c.attempt), \
         CASE WHEN c.outcome IS NOT NULL AND c.id <= results.last_call THEN ",
    );
    push_key(&mut sql, &query.group);
    sql.push(
        " END AS stored_key FROM calls c JOIN runs ON runs.id = c.run \
         LEFT JOIN results ON results.run = c.run AND results.custom_id = c.task \
         WHERE runs.simulated = ",
    );
    sql.push_bind(query.simulated);
    if let Some(run) = query.run {
        sql.push(" AND c.run = ").push_bind(run.0);
    }
    if let Some(since) = query.since {
        sql.push(" AND c.started_at >= ").push_bind(since.timestamp_millis());
    }
    sql.push(" GROUP BY stored_key");
    let mut tally = Tally::new(query.group);
    // As a stream: each task may have metadata of its own.
    let mut rows = sql.build().fetch(pool);
    while let Some(row) = rows.try_next().await? {
        let calls = CostRow {
            key: String::new(),
            usage: usage(&row)?,
            attempts: row.try_get::<i64, _>(10)?.cast_unsigned(),
            calls: row.try_get::<i64, _>(6)?.cast_unsigned(),
            cost: Nanodollars(row.try_get(7)?),
            unpriced_calls: row.try_get::<i64, _>(8)?.cast_unsigned(),
            lost_calls: row.try_get::<i64, _>(9)?.cast_unsigned(),
        };
        match row.try_get::<Option<&str>, _>(11)? {
            Some(stored) => tally.ended(stored, &calls),
            None => tally.unended(&calls),
        }
    }
    Ok(tally.report())
}

/// The value of the group as it is stored; never null, as that marks what has not ended.
fn push_key(sql: &mut QueryBuilder<Sqlite>, group: &Group) {
    match group {
        Group::Agent => sql.push("c.agent"),
        Group::Model => sql.push("c.model_served"),
        Group::Profile => sql.push("c.profile"),
        Group::Day => sql.push("CAST(c.started_at / ").push(DAY).push(" AS TEXT)"),
        Group::Run => sql.push("runs.results_path"),
        // The values are taken out later, as the databases disagree on how.
        Group::Metadata(_) => sql.push("COALESCE(results.metadata, '')"),
    };
}
