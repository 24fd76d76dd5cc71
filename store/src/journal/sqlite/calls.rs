//! Calls: begun, ended, lost, taken back.

use chrono::{DateTime, Utc};
use polpo_policy::price::Nanodollars;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::failure::{Failure, names_unknown};
use super::job::{Job, Write, batches};
use crate::journal::{
    CallEnd, CallId, CallStart, JournalError, LostCall, RunId, billed, stored_time,
};

impl Write for CallStart {
    type Answer = CallId;

    async fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> Result<(), Failure> {
        // Nobody else can take the next ids: this transaction holds the right to write.
        let last = sqlx::query_scalar::<_, i64>("SELECT COALESCE(MAX(id), 0) FROM calls");
        let mut last = last.fetch_one(&mut *connection).await?;
        for job in &mut *jobs {
            last += 1;
            job.answer = Some(CallId(last));
        }
        for batch in batches(jobs) {
            insert(connection, batch).await.map_err(|error| {
                if names_unknown(&error) {
                    return Failure::Refused(JournalError::UnknownRun(batch[0].ask.run));
                }
                error.into()
            })?;
        }
        Ok(())
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    jobs: &[Job<CallStart>],
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO calls (id, run, task, attempt, agent, model, profile, reserved, started_at) ",
    );
    query.push_values(jobs, |mut row, job| {
        let call = &job.ask;
        row.push_bind(job.answer.map(|id| id.0))
            .push_bind(call.run.0)
            .push_bind(&*call.task)
            .push_bind(call.attempt)
            .push_bind(call.agent.as_str())
            .push_bind(call.model.as_str())
            .push_bind(call.profile.as_str())
            .push_bind(call.reserved.0)
            .push_bind(call.started_at.timestamp_millis());
    });
    query.build().execute(connection).await?;
    Ok(())
}

impl Write for CallEnd {
    type Answer = ();

    async fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> Result<(), Failure> {
        for batch in batches(jobs) {
            if update(connection, batch).await? != batch.len() as u64 {
                return Err(Failure::Refused(JournalError::UnknownCall(batch[0].ask.call)));
            }
        }
        for job in jobs {
            job.answer = Some(());
        }
        Ok(())
    }
}

async fn update(
    connection: &mut SqliteConnection,
    jobs: &[Job<CallEnd>],
) -> Result<u64, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE calls SET outcome = v.column2, model_served = v.column3, input = v.column4, \
         output = v.column5, cache_read = v.column6, cache_write_5m = v.column7, \
         cache_write_1h = v.column8, web_searches = v.column9, cost = v.column10, \
         priced = v.column11, ended_at = v.column12 FROM (",
    );
    query.push_values(jobs, |mut row, job| {
        let end = &job.ask;
        let usage = billed(end.usage);
        row.push_bind(end.call.0)
            .push_bind(end.outcome)
            .push_bind(end.model_served.as_str())
            .push_bind(usage.input.cast_signed())
            .push_bind(usage.output.cast_signed())
            .push_bind(usage.cache_read.cast_signed())
            .push_bind(usage.cache_write_5m.cast_signed())
            .push_bind(usage.cache_write_1h.cast_signed())
            .push_bind(usage.web_searches.cast_signed())
            .push_bind(end.cost.0)
            .push_bind(end.priced)
            .push_bind(end.ended_at.timestamp_millis());
    });
    query.push(") AS v WHERE calls.id = v.column1 AND calls.outcome IS NULL");
    Ok(query.build().execute(connection).await?.rows_affected())
}

/// Asks to charge what is in flight at its reservation.
#[derive(Debug)]
pub(super) struct SettleLost {
    pub(super) run: RunId,
    pub(super) now: DateTime<Utc>,
}

impl Write for SettleLost {
    type Answer = Vec<LostCall>;

    async fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> Result<(), Failure> {
        for job in jobs {
            let lost = sqlx::query(
                "SELECT id, task, attempt, agent, model, profile, reserved, started_at \
                 FROM calls WHERE run = ? AND outcome IS NULL ORDER BY id",
            );
            let lost = lost.bind(job.ask.run.0).fetch_all(&mut *connection).await?;
            job.answer = Some(lost.iter().map(lost_call).collect::<Result<_, _>>()?);
            let settle = sqlx::query(
                "UPDATE calls SET outcome = 'lost', model_served = model, cost = reserved, \
                 ended_at = ? WHERE run = ? AND outcome IS NULL",
            );
            let now = job.ask.now.timestamp_millis();
            settle.bind(now).bind(job.ask.run.0).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

fn lost_call(row: &SqliteRow) -> Result<LostCall, sqlx::Error> {
    let started_at = DateTime::from_timestamp_millis(row.try_get(7)?).unwrap_or_default();
    Ok(LostCall {
        call: CallId(row.try_get(0)?),
        task: row.try_get(1)?,
        attempt: row.try_get(2)?,
        agent: row.try_get::<&str, _>(3)?.into(),
        model: row.try_get::<&str, _>(4)?.into(),
        profile: row.try_get::<&str, _>(5)?.into(),
        reserved: Nanodollars(row.try_get(6)?),
        started_at: stored_time(started_at),
    })
}

/// Removes calls that were never sent.
pub(super) async fn take_back(
    connection: &mut SqliteConnection,
    unsent: &[CallId],
) -> Result<(), sqlx::Error> {
    for call in unsent {
        let remove = sqlx::query("DELETE FROM calls WHERE id = ? AND outcome IS NULL");
        remove.bind(call.0).execute(&mut *connection).await?;
    }
    Ok(())
}
