//! What the tests are made of.

use std::path::Path;

use chrono::{DateTime, Utc};
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use polpo_store::journal::{
    BatchRecord, BookedCall, CallEnd, CallId, CallStart, FinishedLine, Journal, JournalOptions,
    NewRun, ResultKind, RunId, SqliteJournal, Synchronous,
};

/// Makes two tests of each function: one on the memory journal, one on a file.
macro_rules! on_both_journals {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&polpo_store::journal::MemoryJournal::default()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let directory = tempfile::tempdir().unwrap();
                let journal = crate::world::open(directory.path()).await;
                super::$name(&journal).await;
            })*
        }
    };
}
pub(crate) use on_both_journals;

pub(crate) fn options(directory: &Path) -> JournalOptions {
    let path = directory.join("journal.db");
    JournalOptions { path, synchronous: Synchronous::Normal, create: true }
}

pub(crate) async fn open(directory: &Path) -> SqliteJournal {
    SqliteJournal::open(options(directory)).await.unwrap()
}

/// Milliseconds after noon of 14 January 2026, UTC.
pub(crate) fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_768_392_000_000 + millis).unwrap()
}

pub(crate) fn new_run(results_path: &str) -> NewRun {
    NewRun {
        results_path: results_path.into(),
        tasks_path: "/tasks.jsonl".into(),
        simulated: false,
        holder: 4711,
        now: at(0),
    }
}

pub(crate) async fn run(journal: &dyn Journal, results_path: &str) -> RunId {
    journal.open_run(new_run(results_path)).await.unwrap().id
}

pub(crate) fn start(run: RunId, task: &str) -> CallStart {
    CallStart {
        run,
        task: task.into(),
        attempt: 1,
        agent: "solver".into(),
        model: "claude-sonnet-4-6".into(),
        profile: "anthropic:key-1f0c9a2b".into(),
        reserved: Nanodollars(1_000_000),
        started_at: at(10),
    }
}

pub(crate) fn end(call: CallId, cost: i64) -> CallEnd {
    CallEnd {
        call,
        outcome: "succeeded",
        model_served: "claude-sonnet-4-6".into(),
        usage: Usage { input: 100, output: 20, ..Usage::default() },
        cost: Nanodollars(cost),
        priced: true,
        ended_at: at(20),
    }
}

pub(crate) fn line(run: RunId, custom_id: &str) -> FinishedLine {
    FinishedLine {
        run,
        custom_id: custom_id.into(),
        request_sha256: format!("hash of {custom_id}"),
        kind: ResultKind::Succeeded,
        line: format!(r#"{{"custom_id":"{custom_id}"}}"#),
        agent: "solver".into(),
        model: "claude-sonnet-4-6".into(),
        profile: "anthropic:key-1f0c9a2b".into(),
        metadata: None,
        ended_at: at(30),
    }
}

/// A call of the gateway that has ended.
pub(crate) fn booked(key: &str, cost: i64) -> BookedCall {
    BookedCall {
        key: key.into(),
        request: "req_1".into(),
        model: "claude-sonnet-4-6".into(),
        model_served: "claude-sonnet-4-6".into(),
        profile: "anthropic:key-1f0c9a2b".into(),
        outcome: "succeeded",
        usage: Usage { input: 100, output: 20, ..Usage::default() },
        cost: Nanodollars(cost),
        priced: true,
        is_lost: false,
        simulated: false,
        started_at: at(10),
        ended_at: at(20),
    }
}

/// A message batch of three requests, not settled.
pub(crate) fn batch(id: &str, key: &str) -> BatchRecord {
    BatchRecord {
        id: id.into(),
        key: key.into(),
        profile: "anthropic:key-1f0c9a2b".into(),
        simulated: false,
        created_at: at(5),
        requests: 3,
        reserved: Nanodollars(1_000),
        settled: false,
        object: format!(r#"{{"id":"{id}"}}"#),
    }
}

/// A call that begins and ends.
pub(crate) async fn paid(journal: &dyn Journal, start: CallStart, cost: i64) -> CallId {
    let call = journal.begin_call(start).await.unwrap();
    journal.end_call(end(call, cost)).await.unwrap();
    call
}
