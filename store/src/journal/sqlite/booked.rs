//! Calls of the gateway, and what each client key has spent on them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use polpo_policy::id::KeyName;
use polpo_policy::price::Nanodollars;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool};

use super::failure::Failure;
use super::job::{Job, Write, batches};
use crate::journal::{BookedCall, KeySpent, billed, day_of};

impl Write for Vec<BookedCall> {
    type Answer = ();

    async fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> Result<(), Failure> {
        let calls: Vec<_> = jobs.iter().flat_map(|job| &job.ask).collect();
        book(connection, &calls).await?;
        for job in jobs {
            job.answer = Some(());
        }
        Ok(())
    }
}

/// Records calls, and adds them to what their keys have spent.
pub(super) async fn book(
    connection: &mut SqliteConnection,
    calls: &[&BookedCall],
) -> Result<(), sqlx::Error> {
    for batch in batches(calls) {
        insert(connection, batch).await?;
    }
    let mut spent = BTreeMap::<_, Nanodollars>::new();
    for call in calls {
        let day = (call.simulated, &call.key, day_of(call.ended_at));
        *spent.entry(day).or_default() += call.cost;
    }
    for batch in batches(&Vec::from_iter(spent)) {
        add(connection, batch).await?;
    }
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    calls: &[&BookedCall],
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO gateway_calls (key, request, model, model_served, profile, outcome, input, \
         output, cache_read, cache_write_5m, cache_write_1h, web_searches, cost, priced, lost, \
         simulated, started_at, ended_at) ",
    );
    query.push_values(calls, |mut row, call| {
        let usage = billed(call.usage);
        row.push_bind(call.key.as_str())
            .push_bind(&*call.request)
            .push_bind(call.model.as_str())
            .push_bind(call.model_served.as_str())
            .push_bind(call.profile.as_str())
            .push_bind(call.outcome)
            .push_bind(usage.input.cast_signed())
            .push_bind(usage.output.cast_signed())
            .push_bind(usage.cache_read.cast_signed())
            .push_bind(usage.cache_write_5m.cast_signed())
            .push_bind(usage.cache_write_1h.cast_signed())
            .push_bind(usage.web_searches.cast_signed())
            .push_bind(call.cost.0)
            .push_bind(call.priced)
            .push_bind(call.is_lost)
            .push_bind(call.simulated)
            .push_bind(call.started_at.timestamp_millis())
            .push_bind(call.ended_at.timestamp_millis());
    });
    query.build().execute(connection).await?;
    Ok(())
}

/// A client key's day, and what was spent on it.
type Spent<'a> = ((bool, &'a KeyName, i64), Nanodollars);

async fn add(connection: &mut SqliteConnection, spent: &[Spent<'_>]) -> Result<(), sqlx::Error> {
    let mut query =
        QueryBuilder::<Sqlite>::new("INSERT INTO gateway_spent (simulated, key, day, cost) ");
    query.push_values(spent, |mut row, ((simulated, key, day), cost)| {
        row.push_bind(*simulated).push_bind(key.as_str()).push_bind(*day).push_bind(cost.0);
    });
    query.push(" ON CONFLICT DO UPDATE SET cost = cost + excluded.cost");
    query.build().execute(connection).await?;
    Ok(())
}

/// What each client key has spent.
pub(super) async fn spent(
    pool: &SqlitePool,
    simulated: bool,
    day_start: DateTime<Utc>,
) -> Result<Vec<KeySpent>, sqlx::Error> {
    let query = sqlx::query(
        "SELECT key, CAST(SUM(today) AS BIGINT), CAST(SUM(cost) AS BIGINT), \
         CAST(SUM(reserved) AS BIGINT) FROM ( \
           SELECT key, CASE WHEN day >= ? THEN cost ELSE 0 END AS today, cost, 0 AS reserved \
           FROM gateway_spent WHERE simulated = ? \
           UNION ALL SELECT key, 0, 0, reserved \
           FROM gateway_batches WHERE simulated = ? AND settled = 0 \
         ) GROUP BY key ORDER BY key",
    );
    let query = query.bind(day_of(day_start)).bind(simulated).bind(simulated);
    let rows = query.fetch_all(pool).await?;
    let spent = rows.iter().map(|row| {
        Ok(KeySpent {
            key: row.try_get::<&str, _>(0)?.into(),
            today: Nanodollars(row.try_get(1)?),
            total: Nanodollars(row.try_get(2)?),
            reserved: Nanodollars(row.try_get(3)?),
        })
    });
    spent.collect()
}
