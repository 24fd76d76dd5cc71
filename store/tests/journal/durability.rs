//! What is left after a process ended in the worst way, and beside another one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use polpo_store::journal::{
    CostQuery, FinishedLine, Group, Journal, JournalError, NewRun, SqliteJournal,
};

use crate::world::{at, end, line, new_run, open, options, paid, run, start};

/// Marks a directory as one that a child of these tests may write to.
const MARK: &str = "for-a-child";

/// Starts one of the ignored tests below as a process of its own.
fn child(test: &str, directory: &Path, before: &str) -> Child {
    std::fs::write(directory.join(MARK), "").unwrap();
    let arguments = ["--exact", &format!("durability::{test}"), "--ignored", "--nocapture"];
    Command::new("sh")
        .args(["-c", &format!("{before} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(arguments)
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn writes_until_it_is_killed() {
    let here = std::env::current_dir().unwrap();
    if !here.join(MARK).exists() {
        return;
    }
    let journal = open(&here).await;
    let id = run(&journal, "/a").await;
    let journal = &journal;
    // An end of its own, if nobody kills it.
    join_all((0..20).map(|worker| async move {
        for count in 0..2000 {
            let task = format!("t{worker}-{count}");
            paid(journal, start(id, &task), 1).await;
            journal.finish(vec![line(id, &task)]).await.unwrap();
            println!("finished {task}");
            journal.begin_call(start(id, &format!("begun-{task}"))).await.unwrap();
            println!("begun begun-{task}");
        }
    }))
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    for acknowledged in [1, 100, 1500] {
        let directory = tempfile::tempdir().unwrap();
        let mut child = child("writes_until_it_is_killed", directory.path(), "");
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told: Vec<_> = said
            .by_ref()
            .filter(|said| said.starts_with("finished ") || said.starts_with("begun "))
            .take(acknowledged)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let told = told.into_iter().chain(said).collect::<Vec<_>>();
        let of = |kind: &str| -> Vec<String> {
            told.iter().filter_map(|said| Some(said.strip_prefix(kind)?.to_owned())).collect()
        };

        let journal = open(directory.path()).await;
        let id = journal.find_run("/a").await.unwrap().unwrap().id;
        let finished = of("finished ");
        assert_eq!(journal.finished(id, finished.clone()).await.unwrap().len(), finished.len());
        let lost = journal.settle_lost(id, at(0)).await.unwrap();
        for begun in of("begun ") {
            assert!(lost.iter().any(|call| call.task == begun), "{begun} is not listed");
        }
        let carried = journal.carried(id, finished.clone()).await.unwrap();
        assert!(carried.iter().all(|task| task.calls == 1 && task.cost.0 == 1));
        assert_eq!(carried.len(), finished.len());
    }
}

#[tokio::test]
async fn a_journal_dropped_without_close_keeps_what_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path()).await;
    let id = run(&journal, "/a").await;
    let call = journal.begin_call(start(id, "t1")).await.unwrap();
    journal.finish(vec![line(id, "t0")]).await.unwrap();
    drop(journal);
    let journal = open(directory.path()).await;
    let again = journal.open_run(new_run("/a")).await.unwrap();
    assert_eq!((again.id, again.created, again.results), (id, false, 1));
    assert_eq!(journal.settle_lost(id, at(0)).await.unwrap()[0].call, call);
}

#[tokio::test]
async fn what_waits_when_the_journal_is_closed_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path()).await;
    let id = run(&journal, "/a").await;
    let journal = &journal;
    let finish = |task| async move { journal.finish(vec![line(id, &format!("t{task}"))]).await };
    let (results, closed) = tokio::join!(join_all((0..600).map(finish)), journal.close());
    closed.unwrap();
    let committed = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(committed, 600);
    let journal = open(directory.path()).await;
    assert_eq!(journal.find_run("/a").await.unwrap().unwrap().results, 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journals_on_one_file_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["/a", "/b", "/c"];
    // Opened at once, so that they meet in creating it too.
    let journals = join_all(paths.map(|_| SqliteJournal::open(options(directory.path())))).await;
    let journals: Vec<_> = journals.into_iter().map(Result::unwrap).collect();
    let work = journals.iter().zip(paths).map(|(journal, path)| async move {
        let id = run(journal, path).await;
        join_all((0..100).map(|task| async move {
            let task = format!("t{task}");
            for _ in 0..3 {
                paid(journal, start(id, &task), 1).await;
            }
            journal.finish(vec![line(id, &task)]).await.unwrap();
        }))
        .await;
    });
    join_all(work).await;
    let query = CostQuery { group: Group::Run, since: None, simulated: false, run: None };
    for journal in &journals {
        let report = journal.costs(query.clone()).await.unwrap();
        let rows: Vec<_> = report.rows.iter().map(|row| (&*row.key, row.cost.0)).collect();
        assert_eq!(rows, [("/a", 300), ("/b", 300), ("/c", 300)]);
    }
    for journal in journals {
        journal.close().await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn costs_are_read_while_another_process_writes() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = child("writes_until_it_is_killed", directory.path(), "");
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|said| said.starts_with("finished ")));
    let journal = open(directory.path()).await;
    let query = CostQuery { group: Group::Agent, since: None, simulated: false, run: None };
    let mut calls = Vec::new();
    while calls.len() < 5 && said.nth(100).is_some() {
        calls.push(journal.costs(query.clone()).await.unwrap().total.calls);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(calls.len() > 1 && calls[0] > 0 && calls.is_sorted(), "{calls:?}");
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn writes_until_no_file_may_grow() {
    let here = std::env::current_dir().unwrap();
    if !here.join(MARK).exists() {
        return;
    }
    let journal = open(&here).await;
    let id = run(&journal, "/a").await;
    let large = |task: &str| vec![FinishedLine { line: "x".repeat(100_000), ..line(id, task) }];
    let failed = |error: JournalError| {
        let failed = matches!(error, JournalError::Io { .. } | JournalError::Full { .. });
        assert!(failed && error.to_string().contains("journal.db"), "{error:?}");
    };
    // A failure may make room, as the log is emptied then; sooner or later there is none.
    let (mut committed, mut failures) = (Vec::new(), 0);
    for count in 0..200 {
        let task = format!("t{count}");
        match journal.finish(large(&task)).await {
            Ok(_) => committed.push(task),
            Err(error) => {
                failed(error);
                failures += 1;
            }
        }
    }
    let count = committed.len();
    assert!(count > 5 && failures > 100, "{count} committed, {failures} not");
    // All who wait together are told.
    let more = join_all((0..9).map(|task| journal.finish(large(&format!("more{task}"))))).await;
    more.into_iter().for_each(|result| failed(result.unwrap_err()));
    assert_eq!(journal.finished(id, committed).await.unwrap().len(), count);
    println!("committed {count}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_may_not_grow_fails_requests_and_not_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let limit = "trap '' XFSZ; ulimit -f 4096;";
    let child = child("writes_until_no_file_may_grow", directory.path(), limit);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let count = said.lines().find_map(|said| said.strip_prefix("committed ")).unwrap();

    // With room again, what was committed is there, and the run goes on.
    let journal = open(directory.path()).await;
    let again = journal.open_run(NewRun { holder: 1, ..new_run("/a") }).await.unwrap();
    assert_eq!(again.results.to_string(), count);
    let call = journal.begin_call(start(again.id, "t")).await.unwrap();
    journal.end_call(end(call, 1)).await.unwrap();
}
