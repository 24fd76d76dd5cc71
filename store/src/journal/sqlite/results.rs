//! Results, and how far their file is known to hold them.

use std::collections::{BTreeSet, HashSet};

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::failure::{Failure, names_unknown};
use super::job::{Job, Write, batches};
use crate::journal::{Appended, FinishedLine, JournalError, RunId};

impl Write for Vec<FinishedLine> {
    type Answer = Vec<i64>;

    async fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> Result<(), Failure> {
        // Asked before anything is replaced: a place is never given twice.
        let last = sqlx::query_scalar::<_, i64>("SELECT COALESCE(MAX(seq), 0) FROM results");
        let mut last = last.fetch_one(&mut *connection).await?;
        let mut rows = Vec::new();
        for job in &mut *jobs {
            let first = last + 1;
            last += job.ask.len() as i64;
            job.answer = Some((first..=last).collect());
            rows.extend((first..).zip(&job.ask));
        }
        for distinct in distinct(&rows) {
            for batch in batches(distinct) {
                replace(connection, batch).await.map_err(|error| {
                    if names_unknown(&error) {
                        return Failure::Refused(JournalError::UnknownRun(batch[0].1.run));
                    }
                    error.into()
                })?;
            }
        }
        Ok(())
    }
}

type Row<'a> = (i64, &'a FinishedLine);

/// Cuts rows where a task comes up again, so that the later result finds the earlier one.
fn distinct<'r, 'a>(mut rows: &'r [Row<'a>]) -> impl Iterator<Item = &'r [Row<'a>]> {
    std::iter::from_fn(move || {
        let mut seen = HashSet::new();
        let again = rows.iter().position(|(_, line)| !seen.insert((line.run, &line.custom_id)));
        let (before, rest) = rows.split_at(again.unwrap_or(rows.len()));
        rows = rest;
        (!before.is_empty()).then_some(before)
    })
}

async fn replace(connection: &mut SqliteConnection, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
    // By way of a join, as no index is used for `(run, custom_id) IN (VALUES …)`.
    let mut old =
        QueryBuilder::<Sqlite>::new("DELETE FROM results WHERE seq IN (SELECT old.seq FROM (");
    old.push_values(rows, |mut row, (_, line)| {
        row.push_bind(line.run.0).push_bind(&*line.custom_id);
    });
    old.push(
        ") AS v JOIN results AS old ON old.run = v.column1 AND old.custom_id = v.column2) \
         RETURNING run",
    );
    let replaced = old.build_query_scalar::<i64>().fetch_all(&mut *connection).await?;
    for run in BTreeSet::from_iter(replaced) {
        let pending = sqlx::query("UPDATE runs SET rewrite_pending = 1 WHERE id = ?");
        pending.bind(run).execute(&mut *connection).await?;
    }
    insert(connection, rows).await
}

async fn insert(connection: &mut SqliteConnection, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO results (seq, run, custom_id, request_sha256, kind, agent, model, profile, \
         metadata, ended_at, line, last_call) ",
    );
    query.push_values(rows, |mut row, (seq, line)| {
        row.push_bind(*seq)
            .push_bind(line.run.0)
            .push_bind(&*line.custom_id)
            .push_bind(&*line.request_sha256)
            .push_bind(line.kind.label())
            .push_bind(line.agent.as_str())
            .push_bind(line.model.as_str())
            .push_bind(line.profile.as_str())
            .push_bind(line.metadata.as_deref())
            .push_bind(line.ended_at.timestamp_millis())
            .push_bind(&*line.line)
            .push("(SELECT COALESCE(MAX(id), 0) FROM calls WHERE run = ")
            .push_bind_unseparated(line.run.0)
            .push_unseparated(" AND task = ")
            .push_bind_unseparated(&*line.custom_id)
            .push_unseparated(")");
    });
    query.build().execute(connection).await?;
    Ok(())
}

/// Asks to record how far the results file is known to hold the lines.
#[derive(Debug)]
pub(super) struct RecordAppended {
    pub(super) run: RunId,
    pub(super) appended: Appended,
}

impl Write for RecordAppended {
    type Answer = ();

    async fn write(
        connection: &mut SqliteConnection,
        jobs: &mut [Job<Self>],
    ) -> Result<(), Failure> {
        for job in jobs {
            let (run, appended) = (job.ask.run, job.ask.appended);
            let update =
                sqlx::query("UPDATE runs SET appended_seq = ?, appended_bytes = ? WHERE id = ?");
            let update = update.bind(appended.seq).bind(appended.bytes).bind(run.0);
            if update.execute(&mut *connection).await?.rows_affected() == 0 {
                return Err(Failure::Refused(JournalError::UnknownRun(run)));
            }
            job.answer = Some(());
        }
        Ok(())
    }
}
