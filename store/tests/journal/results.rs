//! Results: committed, replaced, read back.

use futures_util::future::join_all;
use polpo_store::journal::{FinishedLine, FinishedTask, Journal, JournalError, ResultKind, RunId};

use tokio::task::unconstrained;

use crate::world::{line, on_both_journals, run, start};

on_both_journals! {
    lines_come_back_whole_and_in_order_of_their_places,
    a_new_result_replaces_the_old_one_and_goes_to_the_end,
    a_task_twice_in_one_request_ends_as_the_last_says,
    finished_tasks_are_known_by_id_and_hash,
    a_finished_task_that_was_begun_again_is_told_until_it_ends_again,
    results_committed_together_keep_their_order,
    one_refused_result_takes_no_other_with_it_but_all_of_its_request,
    what_would_break_the_results_file_is_refused,
}

async fn lines_come_back_whole_and_in_order_of_their_places(journal: &dyn Journal) {
    let (id, other) = (run(journal, "/a").await, run(journal, "/b").await);
    let text = "\u{1f9c0} \"quoted\" ' ? \\u0000 ".repeat(5000);
    let long = FinishedLine { line: text.clone(), ..line(id, "long") };
    let first = journal.finish(vec![long, line(id, "t2")]).await.unwrap();
    journal.finish(vec![line(other, "t2")]).await.unwrap();
    let second = journal.finish(vec![line(id, "t3")]).await.unwrap();
    assert!(first.iter().chain(&second).is_sorted_by(|a, b| a < b));
    assert_eq!(journal.finish(vec![]).await.unwrap(), [0_i64; 0]);

    let lines = journal.lines(id, 0, 2).await.unwrap();
    assert_eq!(lines, [(first[0], text), (first[1], line(id, "t2").line)]);
    let lines = journal.lines(id, first[1], 2).await.unwrap();
    assert_eq!(lines, [(second[0], line(id, "t3").line)]);
    assert_eq!(journal.lines(id, second[0], 2).await.unwrap(), []);
    assert_eq!(journal.lines(id, i64::MAX, 2).await.unwrap(), []);
}

async fn a_new_result_replaces_the_old_one_and_goes_to_the_end(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let failed = FinishedLine { kind: ResultKind::Errored, ..line(id, "t2") };
    let seqs = journal.finish(vec![line(id, "t1"), failed, line(id, "t3")]).await.unwrap();
    let pending = async || journal.find_run("/a").await.unwrap().unwrap().rewrite_pending;
    assert!(!pending().await);

    let again = FinishedLine { request_sha256: "new".into(), ..line(id, "t2") };
    let seq = journal.finish(vec![again]).await.unwrap()[0];
    assert!(seq > seqs[2]);
    assert!(pending().await);
    let lines = journal.lines(id, 0, 10).await.unwrap();
    let places: Vec<_> = lines.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(places, [seqs[0], seqs[2], seq]);
    let t2 = FinishedTask {
        custom_id: "t2".into(),
        request_sha256: "new".into(),
        succeeded: true,
        begun_again: false,
    };
    assert_eq!(journal.finished(id, vec!["t2".into()]).await.unwrap(), [t2]);
    assert_eq!(journal.find_run("/a").await.unwrap().unwrap().results, 3);

    // The last of all, replaced, still moves on: no place is given twice.
    assert!(journal.finish(vec![line(id, "t2")]).await.unwrap()[0] > seq);
}

async fn a_task_twice_in_one_request_ends_as_the_last_says(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let second = FinishedLine { line: "second".into(), ..line(id, "t1") };
    let third = FinishedLine { line: "third".into(), ..line(id, "t1") };
    let seqs = journal.finish(vec![line(id, "t1"), line(id, "t0"), second, third]).await.unwrap();
    let lines = journal.lines(id, 0, 10).await.unwrap();
    assert_eq!(lines, [(seqs[1], line(id, "t0").line), (seqs[3], "third".into())]);
    assert!(journal.find_run("/a").await.unwrap().unwrap().rewrite_pending);
}

async fn finished_tasks_are_known_by_id_and_hash(journal: &dyn Journal) {
    let (id, other) = (run(journal, "/a").await, run(journal, "/b").await);
    let kinds =
        [ResultKind::Succeeded, ResultKind::Errored, ResultKind::Canceled, ResultKind::Expired];
    let lines = kinds.map(|kind| FinishedLine { kind, ..line(id, kind.label()) });
    journal.finish(lines.to_vec()).await.unwrap();
    journal.finish(vec![line(other, "elsewhere")]).await.unwrap();

    let ids = (0..1200).map(|task| format!("t{task}"));
    let ids = ids.chain(["elsewhere".into()]).chain(kinds.map(|kind| kind.label().into()));
    let mut known = journal.finished(id, ids.collect()).await.unwrap();
    known.sort_by(|a, b| a.custom_id.cmp(&b.custom_id));
    let expected = ["canceled", "errored", "expired", "succeeded"].map(|kind| FinishedTask {
        custom_id: kind.into(),
        request_sha256: format!("hash of {kind}"),
        succeeded: kind == "succeeded",
        begun_again: false,
    });
    assert_eq!(known, expected);
}

async fn a_finished_task_that_was_begun_again_is_told_until_it_ends_again(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let begun_again = async || {
        let known = journal.finished(id, vec!["t1".into()]).await.unwrap();
        known[0].begun_again
    };
    journal.begin_call(start(id, "t1")).await.unwrap();
    journal.finish(vec![line(id, "t1")]).await.unwrap();
    assert!(!begun_again().await);
    journal.begin_call(start(id, "t1")).await.unwrap();
    assert!(begun_again().await);
    journal.finish(vec![line(id, "t1")]).await.unwrap();
    assert!(!begun_again().await);
}

async fn results_committed_together_keep_their_order(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let results = (0..3000).map(|task| journal.finish(vec![line(id, &format!("t{task}"))]));
    // Else the runtime cuts in, and they stop standing in order.
    let seqs = unconstrained(join_all(results)).await;
    let seqs: Vec<_> = seqs.into_iter().map(|seqs| seqs.unwrap()[0]).collect();
    let expected = seqs.iter().enumerate();
    let expected = expected.map(|(task, seq)| (*seq, line(id, &format!("t{task}")).line));
    assert!(seqs.is_sorted_by(|a, b| a < b));
    assert!(journal.lines(id, 0, 5000).await.unwrap().into_iter().eq(expected));
}

async fn one_refused_result_takes_no_other_with_it_but_all_of_its_request(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    journal.finish(vec![line(id, "old")]).await.unwrap();
    let results = (0..50).map(|task| {
        let mut lines = vec![line(id, &format!("t{task}"))];
        if task == 20 {
            lines.extend([line(id, "old"), line(RunId(99), "t1")]);
        }
        journal.finish(lines)
    });
    let results = join_all(results).await;
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    assert!(results[20].is_err());
    let lines = journal.lines(id, 0, 100).await.unwrap();
    assert_eq!(lines.len(), 50);
    assert!(lines.iter().all(|(_, text)| *text != line(id, "t20").line));
    assert_eq!(lines[0].1, line(id, "old").line);
    assert!(!journal.find_run("/a").await.unwrap().unwrap().rewrite_pending);
}

async fn what_would_break_the_results_file_is_refused(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let two = FinishedLine { line: "{}\n{}".into(), ..line(id, "t1") };
    let list = FinishedLine { metadata: Some("[1]".into()), ..line(id, "t1") };
    for broken in [two, list] {
        let error = journal.finish(vec![line(id, "t0"), broken]).await.unwrap_err();
        assert!(matches!(&error, JournalError::Invalid(what) if what.contains("t1")), "{error:?}");
    }
    assert_eq!(journal.lines(id, 0, 10).await.unwrap(), []);
}
