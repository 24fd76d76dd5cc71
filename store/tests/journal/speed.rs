//! How fast the journal is. Not a test of anything: run it in release when it matters.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use polpo_store::journal::{FinishedLine, Journal};

use crate::world::{end, line, open, run, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn rows_a_second_and_the_latency_of_a_commit() {
    for (workers, tasks) in [(1, 500), (64, 100), (1000, 20), (5000, 8)] {
        let directory = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
        let journal = open(directory.path()).await;
        let id = run(&journal, "/a").await;
        let journal = &journal;
        let before = Instant::now();
        let waits = join_all((0..workers).map(|worker| async move {
            let mut waits = Vec::new();
            for task in 0..tasks {
                let task = format!("task-{worker}-{task}");
                let text = format!("{{\"custom_id\":\"{task}\",{}}}", "x".repeat(2000));
                let begun = Instant::now();
                let call = journal.begin_call(start(id, &task)).await.unwrap();
                waits.push(begun.elapsed());
                let begun = Instant::now();
                journal.end_call(end(call, 1)).await.unwrap();
                waits.push(begun.elapsed());
                let begun = Instant::now();
                let result = FinishedLine { line: text, ..line(id, &task) };
                journal.finish(vec![result]).await.unwrap();
                waits.push(begun.elapsed());
            }
            waits
        }))
        .await;
        let took = before.elapsed();
        let mut waits: Vec<Duration> = waits.into_iter().flatten().collect();
        waits.sort();
        let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
        let rate = waits.len() as f64 / took.as_secs_f64();
        println!(
            "{workers} waiting: {rate:.0} rows/s; a commit takes {:.1?} (median), {:.1?} (p99), \
             {:.1?} (max)",
            at(50),
            at(99),
            at(100)
        );
        journal.close().await.unwrap();
    }
}
