//! The journal in an SQLite file.
//!
//! One task owns the only connection that writes and commits what is waiting a group at a time;
//! a few connections read beside it. Other processes may do the same on the same file.

mod booked;
mod calls;
mod costs;
mod failure;
mod group;
mod job;
mod message_batches;
mod open;
mod reads;
mod results;
mod runs;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use self::calls::SettleLost;
use self::failure::Place;
use self::group::Command;
use self::job::{Job, Write};
use self::message_batches::ChangeBatch;
use self::open::Settings;
use self::results::RecordAppended;
use self::runs::RecordRewritten;
use self::writer::{Flush, Writer};
use super::{
    Answer, Appended, BatchPage, BatchQuery, BatchRecord, BookedCall, CallEnd, CallId, CallStart,
    Carried, CostQuery, CostReport, FinishedLine, FinishedTask, Holder, Journal, JournalError,
    KeySpent, LostCall, NewRun, Run, RunId,
};

/// Where the journal is and how it is written.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The file.
    pub path: PathBuf,
    /// When a commit counts as done.
    pub synchronous: Synchronous,
    /// Whether to create the file, and the directories it is in, where there is none.
    pub create: bool,
}

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// When the operating system has it: it outlives the process, not the power.
    #[default]
    Normal,
    /// When the disk has it.
    Full,
}

/// A journal in an SQLite file.
#[derive(Debug)]
pub struct SqliteJournal {
    place: Place,
    commands: mpsc::Sender<Command>,
    reads: SqlitePool,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteJournal {
    /// Opens a journal, and brings its schema up to date.
    ///
    /// To be called on the runtime that is to carry its writer.
    ///
    /// # Errors
    ///
    /// When the file cannot be used as a journal; each says which file it was and why.
    pub async fn open(options: JournalOptions) -> Result<Self, JournalError> {
        let place = Place::of(&options.path)?;
        let settings = Settings::new(options, place);
        let connection = settings.first().await?;
        Ok(Self::start(settings, connection))
    }

    fn start(settings: Settings, connection: SqliteConnection) -> Self {
        let place = settings.place.clone();
        let reads = settings.reads();
        let (commands, waiting) = mpsc::channel(writer::WAITING);
        let writer = Writer::new(settings, connection);
        #[expect(
            clippy::disallowed_methods,
            reason = "close waits for it; without one it ends when the journal is dropped"
        )]
        let writer = tokio::spawn(writer.run(waiting));
        Self { place, commands, reads, writer: Mutex::new(Some(writer)) }
    }

    fn write<W: Write>(&self, ask: W) -> Answer<'_, W::Answer>
    where
        Command: From<Job<W>>,
    {
        Box::pin(async move {
            let (job, answer) = Job::new(ask);
            let sent = self.commands.send(job.into()).await;
            sent.map_err(|_| JournalError::Closed)?;
            answer.await.map_err(|_| JournalError::Closed)?
        })
    }
}

impl Journal for SqliteJournal {
    fn open_run(&self, new: NewRun) -> Answer<'_, Run> {
        self.write(new)
    }

    fn holder<'a>(&'a self, results_path: &'a str) -> Answer<'a, Option<Holder>> {
        Box::pin(async move { Ok(self.find_run(results_path).await?.map(|run| run.holder)) })
    }

    fn find_run<'a>(&'a self, results_path: &'a str) -> Answer<'a, Option<Run>> {
        Box::pin(async move {
            let mut connection = self.place.check(self.reads.acquire().await)?;
            self.place.check(runs::find(&mut connection, results_path).await)
        })
    }

    fn settle_lost(&self, run: RunId, now: DateTime<Utc>) -> Answer<'_, Vec<LostCall>> {
        self.write(SettleLost { run, now })
    }

    fn finished(&self, run: RunId, ids: Vec<String>) -> Answer<'_, Vec<FinishedTask>> {
        Box::pin(async move { self.place.check(reads::finished(&self.reads, run, &ids).await) })
    }

    fn carried(&self, run: RunId, ids: Vec<String>) -> Answer<'_, Vec<Carried>> {
        Box::pin(async move { self.place.check(reads::carried(&self.reads, run, &ids).await) })
    }

    fn begin_call(&self, call: CallStart) -> Answer<'_, CallId> {
        self.write(call)
    }

    fn end_call(&self, end: CallEnd) -> Answer<'_, ()> {
        self.write(end)
    }

    fn finish(&self, lines: Vec<FinishedLine>) -> Answer<'_, Vec<i64>> {
        if let Err(error) = lines.iter().try_for_each(FinishedLine::check) {
            return Box::pin(async { Err(error) });
        }
        self.write(lines)
    }

    fn lines(&self, run: RunId, after_seq: i64, limit: u32) -> Answer<'_, Vec<(i64, String)>> {
        Box::pin(
            async move { self.place.check(reads::lines(&self.reads, run, after_seq, limit).await) },
        )
    }

    fn record_appended(&self, run: RunId, appended: Appended) -> Answer<'_, ()> {
        self.write(RecordAppended { run, appended })
    }

    fn record_rewritten(&self, run: RunId, appended: Appended) -> Answer<'_, ()> {
        self.write(RecordRewritten { run, appended })
    }

    fn book(&self, calls: Vec<BookedCall>) -> Answer<'_, ()> {
        self.write(calls)
    }

    fn spent(&self, simulated: bool, day_start: DateTime<Utc>) -> Answer<'_, Vec<KeySpent>> {
        Box::pin(
            async move { self.place.check(booked::spent(&self.reads, simulated, day_start).await) },
        )
    }

    fn keep_batch(&self, batch: BatchRecord) -> Answer<'_, ()> {
        let kept = self.write(ChangeBatch::Keep(batch));
        Box::pin(async { kept.await.map(|_| ()) })
    }

    fn batch<'a>(&'a self, id: &'a str) -> Answer<'a, Option<BatchRecord>> {
        Box::pin(async move {
            let mut connection = self.place.check(self.reads.acquire().await)?;
            self.place.check(message_batches::find(&mut connection, id).await)
        })
    }

    fn batches(&self, query: BatchQuery) -> Answer<'_, BatchPage> {
        Box::pin(async move { message_batches::list(&self.place, &self.reads, &query).await })
    }

    fn unsettled_batches(&self, simulated: bool) -> Answer<'_, Vec<BatchRecord>> {
        Box::pin(async move {
            self.place.check(message_batches::unsettled(&self.reads, simulated).await)
        })
    }

    fn update_batch(&self, id: String, object: String) -> Answer<'_, ()> {
        let updated = self.write(ChangeBatch::Update { id, object });
        Box::pin(async { updated.await.map(|_| ()) })
    }

    fn settle_batch(&self, id: String, calls: Vec<BookedCall>) -> Answer<'_, bool> {
        self.write(ChangeBatch::Settle { id, calls })
    }

    fn drop_batch(&self, id: String) -> Answer<'_, ()> {
        let dropped = self.write(ChangeBatch::Drop { id });
        Box::pin(async { dropped.await.map(|_| ()) })
    }

    fn costs(&self, query: CostQuery) -> Answer<'_, CostReport> {
        Box::pin(async move { self.place.check(costs::report(&self.reads, query).await) })
    }

    fn flush(&self) -> Answer<'_, ()> {
        self.write(Flush)
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut writer = self.writer.lock().await;
            let Some(task) = writer.take() else { return Ok(()) };
            // If it no longer listens, it has ended already.
            let _ = self.commands.send(Command::Close).await;
            let ended = task.await;
            self.reads.close().await;
            ended.map_err(|error| JournalError::Internal {
                path: self.place.path().to_owned(),
                source: Arc::new(error),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::ResultKind;

    fn line(run: RunId, custom_id: &str, line: String) -> FinishedLine {
        FinishedLine {
            run,
            custom_id: custom_id.into(),
            request_sha256: "00".into(),
            kind: ResultKind::Succeeded,
            line,
            agent: "solver".into(),
            model: "claude-sonnet-4-6".into(),
            profile: "anthropic:key-00000000".into(),
            metadata: None,
            ended_at: DateTime::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn a_full_disk_fails_who_waits_and_nobody_after_there_is_room_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        let options = JournalOptions { path, synchronous: Synchronous::Normal, create: true };
        let place = Place::of(&options.path).unwrap();
        let settings = Settings::new(options, place);
        let mut connection = settings.first().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 64").execute(&mut connection).await.unwrap();
        let journal = SqliteJournal::start(settings, connection);

        let new = NewRun {
            results_path: "/r".into(),
            tasks_path: "/t".into(),
            simulated: false,
            holder: 1,
            now: DateTime::UNIX_EPOCH,
        };
        let run = journal.open_run(new).await.unwrap().id;
        journal.finish(vec![line(run, "small", "{}".into())]).await.unwrap();
        let large = journal.finish(vec![line(run, "large", "x".repeat(1 << 20))]).await;
        assert!(matches!(large, Err(JournalError::Full { .. })), "{large:?}");
        assert!(large.unwrap_err().to_string().contains("journal.db"));
        journal.finish(vec![line(run, "another", "{}".into())]).await.unwrap();

        let ids = ["small", "large", "another"].map(String::from).to_vec();
        let finished = journal.finished(run, ids).await.unwrap();
        let finished: Vec<_> = finished.iter().map(|task| &*task.custom_id).collect();
        assert_eq!(finished, ["another", "small"]);
        journal.close().await.unwrap();
    }
}
