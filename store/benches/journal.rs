//! Rows a second, and how long a caller waits for its commit: one journal, many callers.
//!
//! Beside it the same rows on a connection of one's own, each in a transaction of its own or 512
//! in one: what the group commit gains, and what its callers pay for sharing it.

#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]
#![expect(clippy::print_stdout, reason = "it is there to be read")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use polpo_store::journal::{
    BookedCall, CallEnd, CallId, CallStart, FinishedLine, Journal, JournalOptions, NewRun,
    ResultKind, RunId, SqliteJournal, Synchronous,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::task::JoinSet;

const ROUNDS: usize = 5;

/// Tasks of a round, each with three rows: a call begun, the same ended, a result of 2 kB.
const TASKS: usize = 10_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // Run as a test: that it compiles is enough.
    }
    println!("{:>22} {:>8} {:>9} {:>9} {:>9}", "", "rows/s", "median", "p99", "max");
    for round in 1..=ROUNDS {
        println!("round {round}");
        for callers in [1, 8, 64, 1000] {
            report(&format!("{callers} callers"), journal(callers).await);
        }
        for group in [1, 512] {
            report(&format!("by hand, {group} together"), by_hand(group).await);
        }
        for group in [1, 64, 1000] {
            report(&format!("booked, {group} together"), booked(group).await);
        }
    }
}

fn report(name: &str, (rows, took, mut waits): (usize, Duration, Vec<Duration>)) {
    waits.sort();
    let rate = rows as f64 / took.as_secs_f64();
    let at = |percent: usize| format!("{:.2?}", waits[(waits.len() - 1) * percent / 100]);
    println!("{name:>22} {rate:>8.0} {:>9} {:>9} {:>9}", at(50), at(99), at(100));
}

/// The callers share the tasks; each waits for a commit before it asks for the next.
async fn journal(callers: usize) -> (usize, Duration, Vec<Duration>) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let journal = Arc::new(open(directory.path()).await);
    let run = journal.open_run(new_run()).await.unwrap().id;
    let tasks = TASKS.min(callers * 1000) / callers;
    let mut set = JoinSet::new();
    let began = Instant::now();
    for caller in 0..callers {
        let journal = Arc::clone(&journal);
        set.spawn(async move {
            let mut waits = Vec::with_capacity(3 * tasks);
            for task in 0..tasks {
                let result = result(run, format!("task-{caller}-{task}"));
                let asked = Instant::now();
                let call = journal.begin_call(start(&result)).await.unwrap();
                let begun = Instant::now();
                journal.end_call(end(call)).await.unwrap();
                let ended = Instant::now();
                journal.finish(vec![result]).await.unwrap();
                waits.extend([begun - asked, ended - begun, ended.elapsed()]);
            }
            waits
        });
    }
    let waits = set.join_all().await.concat();
    let took = began.elapsed();
    journal.close().await.unwrap();
    (waits.len(), took, waits)
}

/// So many calls of the gateway in one request, one request after the other.
async fn booked(group: usize) -> (usize, Duration, Vec<Duration>) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let journal = open(directory.path()).await;
    let calls: Vec<_> = (0..100 * group.min(1000)).map(call_of_gateway).collect();
    let mut waits = Vec::new();
    let began = Instant::now();
    for calls in calls.chunks(group) {
        let asked = Instant::now();
        journal.book(calls.to_vec()).await.unwrap();
        waits.push(asked.elapsed());
    }
    let took = began.elapsed();
    journal.close().await.unwrap();
    (calls.len(), took, waits)
}

/// So many tasks in one transaction, statement by statement; a wait is that of a transaction.
async fn by_hand(group: usize) -> (usize, Duration, Vec<Duration>) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let journal = open(directory.path()).await;
    let run = journal.open_run(new_run()).await.unwrap().id;
    journal.close().await.unwrap();
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("journal.db"))
        .synchronous(SqliteSynchronous::Normal)
        .disable_statement_logging();
    let mut connection = options.connect().await.unwrap();
    let results: Vec<_> =
        (0..TASKS).map(|task| (task as i64 + 1, result(run, format!("task-{task}")))).collect();
    let mut waits = Vec::new();
    let began = Instant::now();
    for results in results.chunks(group) {
        for write in [Write::Begin, Write::End, Write::Finish] {
            let asked = Instant::now();
            let mut transaction = connection.begin().await.unwrap();
            for (id, result) in results {
                write.row(&mut transaction, *id, result).await;
            }
            transaction.commit().await.unwrap();
            waits.push(asked.elapsed());
        }
    }
    (3 * TASKS, began.elapsed(), waits)
}

enum Write {
    Begin,
    End,
    Finish,
}

impl Write {
    async fn row(&self, connection: &mut SqliteConnection, id: i64, result: &FinishedLine) {
        let query = match self {
            Self::Begin => {
                let call = start(result);
                let insert = "INSERT INTO calls (id, run, task, attempt, agent, model, profile, \
                              reserved, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
                let insert = sqlx::query(insert).bind(id).bind(call.run.0).bind(call.task);
                let insert = insert.bind(call.attempt).bind(call.agent.to_string());
                let insert = insert.bind(call.model.to_string()).bind(call.profile.to_string());
                insert.bind(call.reserved.0).bind(call.started_at.timestamp_millis())
            }
            Self::End => {
                let end = end(CallId(id));
                let update = "UPDATE calls SET outcome = ?, model_served = ?, input = ?, \
                              output = ?, cost = ?, ended_at = ? WHERE id = ?";
                let update = sqlx::query(update).bind(end.outcome);
                let update = update.bind(end.model_served.to_string());
                let update = update.bind(end.usage.input as i64).bind(end.usage.output as i64);
                update.bind(end.cost.0).bind(end.ended_at.timestamp_millis()).bind(id)
            }
            Self::Finish => {
                let insert = "INSERT INTO results (seq, run, custom_id, request_sha256, kind, \
                              agent, model, profile, last_call, ended_at, line) \
                              VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
                let insert = sqlx::query(insert).bind(id).bind(result.run.0);
                let insert = insert.bind(&result.custom_id).bind(&result.request_sha256);
                let insert = insert.bind(result.kind.label()).bind(result.agent.to_string());
                let insert = insert.bind(result.model.to_string());
                let insert = insert.bind(result.profile.to_string()).bind(id);
                insert.bind(result.ended_at.timestamp_millis()).bind(&result.line)
            }
        };
        query.execute(connection).await.unwrap();
    }
}

async fn open(directory: &Path) -> SqliteJournal {
    let path = directory.join("journal.db");
    let options = JournalOptions { path, synchronous: Synchronous::Normal, create: true };
    SqliteJournal::open(options).await.unwrap()
}

fn new_run() -> NewRun {
    NewRun {
        results_path: "/results.jsonl".into(),
        tasks_path: "/tasks.jsonl".into(),
        simulated: false,
        holder: 1,
        now: DateTime::UNIX_EPOCH,
    }
}

fn result(run: RunId, custom_id: String) -> FinishedLine {
    FinishedLine {
        run,
        line: format!(r#"{{"custom_id":"{custom_id}","text":"{}"}}"#, "x".repeat(2000)),
        custom_id,
        request_sha256: "0123456789abcdef".repeat(4),
        kind: ResultKind::Succeeded,
        agent: "solver".into(),
        model: "claude-sonnet-4-6".into(),
        profile: "anthropic:key-1f0c9a2b".into(),
        metadata: None,
        ended_at: DateTime::UNIX_EPOCH,
    }
}

fn start(result: &FinishedLine) -> CallStart {
    CallStart {
        run: result.run,
        task: result.custom_id.clone(),
        attempt: 1,
        agent: result.agent.clone(),
        model: result.model.clone(),
        profile: result.profile.clone(),
        reserved: Nanodollars(1_000_000),
        started_at: DateTime::UNIX_EPOCH,
    }
}

fn call_of_gateway(number: usize) -> BookedCall {
    let at = DateTime::from_timestamp_millis(1_768_392_000_000 + number as i64).unwrap();
    BookedCall {
        key: format!("client-{}", number % 20).into(),
        request: format!("req_011CSHoEeqs5C35K2UU{number:07}"),
        model: "claude-sonnet-4-6".into(),
        model_served: "claude-sonnet-4-6".into(),
        profile: format!("anthropic:key-{:08}", number % 50).into(),
        outcome: "succeeded",
        usage: Usage { input: 100, output: 20, ..Usage::default() },
        cost: Nanodollars(600_000),
        priced: true,
        is_lost: false,
        simulated: false,
        started_at: at,
        ended_at: at,
    }
}

fn end(call: CallId) -> CallEnd {
    CallEnd {
        call,
        outcome: "succeeded",
        model_served: "claude-sonnet-4-6".into(),
        usage: Usage { input: 100, output: 20, ..Usage::default() },
        cost: Nanodollars(600_000),
        priced: true,
        ended_at: DateTime::UNIX_EPOCH,
    }
}
