//! Message batches of the gateway: whose they are, and their money counted once at every moment.

use polpo_policy::price::Nanodollars;
use polpo_store::journal::{
    BatchQuery, BatchRecord, BookedCall, CostQuery, Cursor, Group, Journal, JournalError,
};

use crate::costs::{by, costs, sums};
use crate::world::{at, batch, booked, on_both_journals, open, run};

on_both_journals! {
    a_batch_is_found_as_it_was_kept_and_as_it_was_updated,
    a_batch_is_kept_once,
    a_page_goes_from_its_cursor_to_older_or_to_newer_batches,
    a_list_shows_a_key_its_own_batches_only,
    a_batch_is_held_at_its_bound_until_its_calls_are_booked_once,
    an_unsettled_batch_is_a_cost_that_has_not_ended,
    only_settled_batches_are_dropped,
    a_batch_nobody_kept_is_not_changed,
    changes_of_a_batch_that_wait_together_are_made_in_their_order,
}

/// Keeps `b0` of alice, and so on, in this order.
async fn keep(journal: &dyn Journal, count: usize) {
    for number in 0..count {
        journal.keep_batch(batch(&format!("b{number}"), "alice")).await.unwrap();
    }
}

/// What a key has spent in all and what is held for it.
async fn money(journal: &dyn Journal, key: &str) -> (i64, i64) {
    let spent = journal.spent(false, at(0)).await.unwrap();
    let of_key = spent.into_iter().find(|spent| spent.key.as_str() == key);
    of_key.map_or((0, 0), |spent| (spent.total.0, spent.reserved.0))
}

fn is_unknown<T: std::fmt::Debug>(answer: Result<T, JournalError>, id: &str) -> bool {
    matches!(answer.unwrap_err(), JournalError::UnknownBatch(unknown) if unknown == id)
}

async fn a_batch_is_found_as_it_was_kept_and_as_it_was_updated(journal: &dyn Journal) {
    let kept = BatchRecord {
        simulated: true,
        requests: 100_000,
        reserved: Nanodollars(123_456_789_012),
        ..batch("b1", "alice")
    };
    assert_eq!(journal.batch("b1").await.unwrap(), None);
    journal.keep_batch(kept.clone()).await.unwrap();
    assert_eq!(journal.batch("b1").await.unwrap(), Some(kept.clone()));
    let object = r#"{"id":"b1","processing_status":"ended"}"#.to_owned();
    journal.update_batch("b1".into(), object.clone()).await.unwrap();
    assert_eq!(journal.batch("b1").await.unwrap(), Some(BatchRecord { object, ..kept }));
}

async fn a_batch_is_kept_once(journal: &dyn Journal) {
    journal.keep_batch(batch("b1", "alice")).await.unwrap();
    let again = journal.keep_batch(batch("b1", "bob")).await.unwrap_err();
    assert!(matches!(again, JournalError::KnownBatch(id) if id == "b1"));
    assert_eq!(journal.batch("b1").await.unwrap(), Some(batch("b1", "alice")));
}

async fn a_page_goes_from_its_cursor_to_older_or_to_newer_batches(journal: &dyn Journal) {
    keep(journal, 5).await;
    let after = |id: &str| Some(Cursor::After(id.into()));
    let before = |id: &str| Some(Cursor::Before(id.into()));
    for (limit, cursor, ids, has_more) in [
        (9, None, "b4 b3 b2 b1 b0", false),
        (5, None, "b4 b3 b2 b1 b0", false),
        (2, None, "b4 b3", true),
        (2, after("b3"), "b2 b1", true),
        (2, after("b2"), "b1 b0", false),
        (2, after("b0"), "", false),
        (2, before("b1"), "b3 b2", true),
        (2, before("b2"), "b4 b3", false),
        (2, before("b3"), "b4", false),
        (2, before("b4"), "", false),
    ] {
        let query = BatchQuery { key: "alice".into(), simulated: false, limit, cursor };
        let page = journal.batches(query.clone()).await.unwrap();
        let listed: Vec<_> = page.batches.iter().map(|batch| &*batch.id).collect();
        assert_eq!((listed.join(" "), page.has_more), (ids.to_owned(), has_more), "{query:?}");
    }
}

async fn a_list_shows_a_key_its_own_batches_only(journal: &dyn Journal) {
    keep(journal, 1).await;
    journal.keep_batch(batch("of-bob", "bob")).await.unwrap();
    let simulated = BatchRecord { simulated: true, ..batch("simulated", "alice") };
    journal.keep_batch(simulated).await.unwrap();
    let query = BatchQuery { key: "alice".into(), simulated: false, limit: 9, cursor: None };
    let page = journal.batches(query.clone()).await.unwrap();
    assert_eq!((page.batches, page.has_more), (vec![batch("b0", "alice")], false));
    for id in ["of-bob", "simulated", "nobody's"] {
        for cursor in [Cursor::After(id.into()), Cursor::Before(id.into())] {
            let query = BatchQuery { cursor: Some(cursor), ..query.clone() };
            assert!(is_unknown(journal.batches(query).await, id), "{id}");
        }
    }
}

async fn a_batch_is_held_at_its_bound_until_its_calls_are_booked_once(journal: &dyn Journal) {
    journal.book(vec![booked("alice", 5)]).await.unwrap();
    keep(journal, 2).await;
    assert_eq!(money(journal, "alice").await, (5, 2_000));
    let calls = || vec![booked("alice", 20), booked("alice", 300)];
    assert!(journal.settle_batch("b0".into(), calls()).await.unwrap());
    assert_eq!(money(journal, "alice").await, (325, 1_000));
    assert!(!journal.settle_batch("b0".into(), calls()).await.unwrap());
    assert_eq!(money(journal, "alice").await, (325, 1_000));
    assert!(journal.batch("b0").await.unwrap().unwrap().settled);
    let unsettled = journal.unsettled_batches(false).await.unwrap();
    assert_eq!(unsettled, [batch("b1", "alice")]);
    assert_eq!(journal.unsettled_batches(true).await.unwrap(), []);

    // Nothing was spent yet, but money is held.
    journal.keep_batch(batch("of-bob", "bob")).await.unwrap();
    assert_eq!(money(journal, "bob").await, (0, 1_000));
    assert!(journal.settle_batch("of-bob".into(), vec![]).await.unwrap());
    assert_eq!(money(journal, "bob").await, (0, 0));
}

async fn an_unsettled_batch_is_a_cost_that_has_not_ended(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    keep(journal, 2).await;
    let simulated = BatchRecord { simulated: true, ..batch("simulated", "alice") };
    journal.keep_batch(simulated).await.unwrap();
    assert!(journal.settle_batch("b0".into(), vec![booked("alice", 20)]).await.unwrap());
    let report = costs(journal, by(Group::Agent)).await;
    assert_eq!(sums(&report), [("gateway", 1, 20)]);
    let unended = &report.unended;
    assert_eq!((unended.attempts, unended.calls, unended.cost.0), (3, 3, 1_000));
    assert_eq!(report.total.cost.0, 1_020);

    let since = |millis| CostQuery { since: Some(at(millis)), ..by(Group::Day) };
    assert_eq!(costs(journal, since(5)).await.unended.cost.0, 1_000);
    assert_eq!(costs(journal, since(6)).await.unended.cost.0, 0);
    let of_run = CostQuery { run: Some(id), ..by(Group::Agent) };
    assert_eq!(costs(journal, of_run).await.total.calls, 0);
}

async fn only_settled_batches_are_dropped(journal: &dyn Journal) {
    keep(journal, 2).await;
    let early = journal.drop_batch("b0".into()).await.unwrap_err();
    assert!(matches!(early, JournalError::UnsettledBatch(id) if id == "b0"));
    assert_eq!(money(journal, "alice").await, (0, 2_000));
    journal.settle_batch("b0".into(), vec![booked("alice", 20)]).await.unwrap();
    journal.drop_batch("b0".into()).await.unwrap();
    assert_eq!(journal.batch("b0").await.unwrap(), None);
    // What it cost stays.
    assert_eq!(money(journal, "alice").await, (20, 1_000));
    assert!(is_unknown(journal.drop_batch("b0".into()).await, "b0"));
}

async fn a_batch_nobody_kept_is_not_changed(journal: &dyn Journal) {
    assert!(is_unknown(journal.update_batch("b9".into(), "{}".into()).await, "b9"));
    let settled = journal.settle_batch("b9".into(), vec![booked("alice", 1)]).await;
    assert!(is_unknown(settled, "b9"));
    assert_eq!(money(journal, "alice").await, (0, 0));
}

async fn changes_of_a_batch_that_wait_together_are_made_in_their_order(journal: &dyn Journal) {
    let settle = || journal.settle_batch("b1".into(), vec![booked("alice", 20)]);
    let (early, kept, unknown, first, second, dropped) = tokio::join!(
        journal.drop_batch("b1".into()),
        journal.keep_batch(batch("b1", "alice")),
        journal.update_batch("b9".into(), "{}".into()),
        settle(),
        settle(),
        journal.drop_batch("b1".into()),
    );
    assert!(is_unknown(early, "b1") && is_unknown(unknown, "b9"));
    kept.unwrap();
    assert_eq!((first.unwrap(), second.unwrap()), (true, false));
    dropped.unwrap();
    assert_eq!(money(journal, "alice").await, (20, 0));
}

#[tokio::test]
async fn a_batch_whose_calls_are_refused_stays_held() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path()).await;
    keep(&journal, 1).await;
    journal.book(vec![booked("alice", i64::MAX)]).await.unwrap();
    let calls = vec![booked("bob", 5), booked("alice", 1)];
    let refused = journal.settle_batch("b0".into(), calls).await.unwrap_err();
    assert!(matches!(refused, JournalError::Invalid(_)), "{refused:?}");
    assert_eq!(money(&journal, "bob").await, (0, 0));
    assert_eq!(money(&journal, "alice").await, (i64::MAX, 1_000));
    let fewer = vec![BookedCall { is_lost: true, ..booked("bob", 5) }];
    assert!(journal.settle_batch("b0".into(), fewer).await.unwrap());
    assert_eq!(money(&journal, "bob").await, (5, 0));
}

#[tokio::test]
async fn batches_and_what_is_held_for_them_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path()).await;
    keep(&journal, 2).await;
    journal.settle_batch("b0".into(), vec![booked("alice", 20)]).await.unwrap();
    journal.close().await.unwrap();
    let journal = open(directory.path()).await;
    assert_eq!(money(&journal, "alice").await, (20, 1_000));
    assert_eq!(journal.unsettled_batches(false).await.unwrap(), [batch("b1", "alice")]);
    assert!(!journal.settle_batch("b0".into(), vec![booked("alice", 20)]).await.unwrap());
}
