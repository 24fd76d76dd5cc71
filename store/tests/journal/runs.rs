//! Opening and finding runs.

use polpo_store::journal::{Appended, Holder, Journal, JournalError, NewRun, RunId};

use crate::world::{at, line, new_run, on_both_journals, run};

on_both_journals! {
    a_run_is_its_results_path,
    the_last_opener_is_the_holder,
    a_run_never_changes_between_simulated_and_real,
    what_is_appended_is_remembered_and_a_rewrite_is_pending_until_it_is_done,
    a_run_nobody_opened_is_not_there,
    a_closed_journal_says_so_and_closes_twice,
}

async fn a_run_is_its_results_path(journal: &dyn Journal) {
    let first = journal.open_run(new_run("/a")).await.unwrap();
    assert!(first.created);
    assert_eq!((first.appended, first.rewrite_pending, first.results), Default::default());
    journal.finish(vec![line(first.id, "t1"), line(first.id, "t2")]).await.unwrap();

    let other = journal.open_run(new_run("/b")).await.unwrap();
    assert!(other.created);
    assert_ne!(other.id, first.id);
    assert_eq!(other.results, 0);

    let again = NewRun { tasks_path: "/moved.jsonl".into(), now: at(5), ..new_run("/a") };
    let again = journal.open_run(again).await.unwrap();
    assert!(!again.created);
    assert_eq!((again.id, again.results), (first.id, 2));
    assert_eq!((&*again.tasks_path, again.created_at), ("/moved.jsonl", at(0)));
    assert_eq!(journal.find_run("/a").await.unwrap().unwrap(), again);
}

async fn the_last_opener_is_the_holder(journal: &dyn Journal) {
    assert_eq!(journal.holder("/a").await.unwrap(), None);
    run(journal, "/a").await;
    let second = NewRun { holder: 4712, now: at(9), ..new_run("/a") };
    let opened = journal.open_run(second).await.unwrap();
    let holder = Holder { pid: 4712, since: at(9) };
    assert_eq!(opened.holder, holder);
    assert_eq!(journal.holder("/a").await.unwrap(), Some(holder));
}

async fn a_run_never_changes_between_simulated_and_real(journal: &dyn Journal) {
    journal.open_run(NewRun { simulated: true, ..new_run("/simulated") }).await.unwrap();
    run(journal, "/real").await;
    let real = NewRun { holder: 1, ..new_run("/simulated") };
    let error = journal.open_run(real).await.unwrap_err();
    assert!(matches!(&error, JournalError::RunMismatch { simulated: true, .. }), "{error:?}");
    assert!(error.to_string().contains("/simulated belongs to a simulated run"), "{error}");
    let simulated = NewRun { simulated: true, ..new_run("/real") };
    let error = journal.open_run(simulated).await.unwrap_err();
    assert!(error.to_string().contains("/real belongs to a real run"), "{error}");
    // The refused one holds nothing.
    assert_eq!(journal.holder("/simulated").await.unwrap().unwrap().pid, 4711);
}

async fn what_is_appended_is_remembered_and_a_rewrite_is_pending_until_it_is_done(
    journal: &dyn Journal,
) {
    let id = run(journal, "/a").await;
    let found = async || journal.find_run("/a").await.unwrap().unwrap();
    journal.finish(vec![line(id, "t1")]).await.unwrap();
    let appended = Appended { seq: 1, bytes: 19 };
    journal.record_appended(id, appended).await.unwrap();
    assert_eq!((found().await.appended, found().await.rewrite_pending), (appended, false));

    journal.finish(vec![line(id, "t1")]).await.unwrap();
    assert!(found().await.rewrite_pending);
    let appended = Appended { seq: 2, bytes: 38 };
    journal.record_appended(id, appended).await.unwrap();
    assert!(found().await.rewrite_pending, "appending is no rewrite");
    let rewritten = Appended { seq: 2, bytes: 19 };
    journal.record_rewritten(id, rewritten).await.unwrap();
    assert_eq!((found().await.appended, found().await.rewrite_pending), (rewritten, false));

    for error in [
        journal.record_appended(RunId(99), appended).await.unwrap_err(),
        journal.record_rewritten(RunId(99), appended).await.unwrap_err(),
    ] {
        assert!(matches!(error, JournalError::UnknownRun(RunId(99))), "{error:?}");
    }
}

async fn a_run_nobody_opened_is_not_there(journal: &dyn Journal) {
    assert_eq!(journal.find_run("/a").await.unwrap(), None);
}

async fn a_closed_journal_says_so_and_closes_twice(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    journal.flush().await.unwrap();
    journal.close().await.unwrap();
    journal.close().await.unwrap();
    let closed = |error| assert!(matches!(error, JournalError::Closed), "{error:?}");
    closed(journal.finish(vec![line(id, "t1")]).await.unwrap_err());
    closed(journal.find_run("/a").await.unwrap_err());
    closed(journal.flush().await.unwrap_err());
}
