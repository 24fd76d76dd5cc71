//! Calls: in flight, ended, lost, carried.

use std::time::Duration;

use futures_util::future::join_all;
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use polpo_store::journal::{
    CallEnd, CallId, CallStart, Carried, Journal, JournalError, LostCall, MemoryJournal, RunId,
};

use tokio::task::unconstrained;

use crate::world::{at, end, line, on_both_journals, open, paid, run, start};

on_both_journals! {
    a_call_in_flight_is_lost_once_and_charged_at_its_reservation,
    a_call_ends_once,
    carried_sums_cover_every_ended_and_lost_call_of_a_task,
    calls_begun_together_get_their_ids_in_order,
    one_refused_call_takes_no_other_with_it,
    nonsense_from_upstream_does_not_break_the_sums,
}

async fn a_call_in_flight_is_lost_once_and_charged_at_its_reservation(journal: &dyn Journal) {
    let (id, other) = (run(journal, "/a").await, run(journal, "/b").await);
    paid(journal, start(id, "t1"), 7).await;
    let second =
        CallStart { attempt: 2, reserved: Nanodollars(123_456_789_012), ..start(id, "t2") };
    let call = journal.begin_call(second).await.unwrap();
    journal.begin_call(start(other, "t3")).await.unwrap();

    let lost = LostCall {
        call,
        task: "t2".into(),
        attempt: 2,
        agent: "solver".into(),
        model: "claude-sonnet-4-6".into(),
        profile: "anthropic:key-1f0c9a2b".into(),
        reserved: Nanodollars(123_456_789_012),
        started_at: at(10),
    };
    assert_eq!(journal.settle_lost(id, at(99)).await.unwrap(), [lost]);
    assert_eq!(journal.settle_lost(id, at(99)).await.unwrap(), []);
    let carried = journal.carried(id, vec!["t2".into()]).await.unwrap();
    assert_eq!(carried[0].cost, Nanodollars(123_456_789_012));
    assert_eq!(journal.settle_lost(other, at(99)).await.unwrap().len(), 1);
}

async fn a_call_ends_once(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let call = paid(journal, start(id, "t1"), 7).await;
    let lost = journal.begin_call(start(id, "t1")).await.unwrap();
    journal.settle_lost(id, at(50)).await.unwrap();
    for call in [call, lost, CallId(99), CallId(0), CallId(-1)] {
        let error = journal.end_call(end(call, 8)).await.unwrap_err();
        assert!(matches!(error, JournalError::UnknownCall(c) if c == call), "{error:?}");
    }
    let carried = journal.carried(id, vec!["t1".into()]).await.unwrap();
    assert_eq!(carried[0].cost, Nanodollars(7 + 1_000_000));
}

async fn carried_sums_cover_every_ended_and_lost_call_of_a_task(journal: &dyn Journal) {
    let (id, other) = (run(journal, "/a").await, run(journal, "/b").await);
    paid(journal, start(id, "t1"), 3).await;
    let usage = Usage {
        input: 1,
        output: 2,
        cache_read: 3,
        cache_write_5m: 4,
        cache_write_1h: 5,
        web_searches: 6,
    };
    let call = journal.begin_call(start(id, "t1")).await.unwrap();
    journal.end_call(CallEnd { usage, ..end(call, 4) }).await.unwrap();
    journal.begin_call(start(id, "t1")).await.unwrap();
    journal.settle_lost(id, at(60)).await.unwrap();
    // Not lost yet, of another run, of another task.
    journal.begin_call(start(id, "t1")).await.unwrap();
    paid(journal, start(other, "t1"), 100).await;
    paid(journal, start(id, "t2"), 1000).await;
    journal.begin_call(start(id, "t3")).await.unwrap();
    // A committed result ends no sum: the task may run again.
    journal.finish(vec![line(id, "t1")]).await.unwrap();

    let ids = ["t1", "t3", "t4"].map(String::from).to_vec();
    let usage = Usage { input: 101, output: 22, ..usage };
    let cost = Nanodollars(3 + 4 + 1_000_000);
    let t1 = Carried { custom_id: "t1".into(), calls: 3, usage, cost };
    assert_eq!(journal.carried(id, ids).await.unwrap(), [t1]);

    // More ids than fit one statement.
    let ids = (0..1200).map(|task| format!("t{task}")).collect();
    assert_eq!(journal.carried(id, ids).await.unwrap().len(), 2);
}

async fn calls_begun_together_get_their_ids_in_order(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let calls = (0..3000).map(|task| journal.begin_call(start(id, &format!("t{task}"))));
    // Else the runtime cuts in, and they stop standing in order.
    let calls = unconstrained(join_all(calls)).await;
    let calls: Vec<_> = calls.into_iter().map(Result::unwrap).collect();
    assert!(calls.is_sorted_by(|a, b| a < b));
    let lost = journal.settle_lost(id, at(70)).await.unwrap();
    let tasks = lost.iter().map(|lost| (lost.call, lost.task.clone()));
    let begun = calls.into_iter().enumerate().map(|(task, call)| (call, format!("t{task}")));
    assert!(tasks.eq(begun));
}

async fn one_refused_call_takes_no_other_with_it(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let calls = (0..200).map(|task| {
        let run = if task == 70 { RunId(99) } else { id };
        journal.begin_call(start(run, &format!("t{task}")))
    });
    let calls = join_all(calls).await;
    let refused = calls.iter().filter(|call| call.is_err()).count();
    let unknown = calls[70].as_ref().unwrap_err();
    assert!(matches!(unknown, JournalError::UnknownRun(RunId(99))), "{unknown:?}");
    assert_eq!(refused, 1);

    let ids: Vec<_> = calls.into_iter().filter_map(Result::ok).collect();
    let twice = ids.iter().chain([&ids[3], &CallId(9999)]);
    let ends = join_all(twice.map(|call| journal.end_call(end(*call, 1)))).await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 199);
    assert!(ends[199..].iter().all(Result::is_err));
    assert_eq!(journal.settle_lost(id, at(70)).await.unwrap(), []);
}

async fn nonsense_from_upstream_does_not_break_the_sums(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let usage = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
    for _ in 0..3 {
        let call = journal.begin_call(start(id, "t1")).await.unwrap();
        journal.end_call(CallEnd { usage, priced: false, ..end(call, 0) }).await.unwrap();
    }
    let carried = journal.carried(id, vec!["t1".into()]).await.unwrap();
    assert_eq!(carried[0].usage.input, 3 << 43);
}

#[tokio::test]
async fn a_call_whose_caller_went_away_before_it_was_told_is_not_charged() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path()).await;
    let id = run(&journal, "/a").await;
    let mut told = 0;
    for patience in 0..400_u32 {
        let wait = async {
            // Until the request waits, is written, is committed.
            for _ in 0..patience % 20 {
                tokio::time::sleep(Duration::from_micros(30)).await;
            }
        };
        tokio::select! {
            biased;
            call = journal.begin_call(start(id, "t1")) => {
                told += 1;
                journal.end_call(end(call.unwrap(), 1)).await.unwrap();
            }
            () = wait => {}
        }
    }
    journal.flush().await.unwrap();
    journal.close().await.unwrap();
    let journal = open(directory.path()).await;
    assert_eq!(journal.settle_lost(id, at(70)).await.unwrap(), []);
    let calls = journal.carried(id, vec!["t1".into()]).await.unwrap();
    assert_eq!(calls.first().map_or(0, |carried| carried.calls), told);
    assert!(told < 400, "nobody went away");
}

#[tokio::test(start_paused = true)]
async fn the_memory_journal_takes_no_time_on_a_paused_clock() {
    let before = tokio::time::Instant::now();
    let journal = MemoryJournal::default();
    let id = run(&journal, "/a").await;
    paid(&journal, start(id, "t1"), 1).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
}
