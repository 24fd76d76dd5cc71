//! Calls of the gateway: booked together, and what their keys have spent.

use polpo_policy::usage::Usage;
use polpo_store::journal::{
    BookedCall, CostQuery, FinishedLine, Group, Journal, JournalError, KeySpent,
};

use crate::costs::{by, costs, sums};
use crate::world::{at, booked, line, on_both_journals, open, paid, run, start};

on_both_journals! {
    what_a_key_has_spent_is_told_of_its_day_and_in_all,
    calls_are_booked_on_the_day_they_end,
    simulated_calls_are_spent_apart,
    more_calls_than_one_statement_takes_are_booked_together,
    a_closed_journal_books_nothing,
    they_are_costs_of_the_gateway_by_model_profile_day_and_client_key,
    they_stand_beside_calls_of_runs_and_in_no_run,
    only_those_that_began_since_a_time_are_costs,
    lost_and_unpriced_ones_are_counted_and_calls_of_one_request_are_one_attempt,
}

const HOUR: i64 = 3_600_000;

async fn spent(journal: &dyn Journal, simulated: bool) -> Vec<(String, i64, i64)> {
    let spent = journal.spent(simulated, at(0)).await.unwrap();
    let line = |KeySpent { key, today, total, .. }| (key.to_string(), today.0, total.0);
    spent.into_iter().map(line).collect()
}

fn told(key: &str, today: i64, total: i64) -> (String, i64, i64) {
    (key.to_owned(), today, total)
}

async fn what_a_key_has_spent_is_told_of_its_day_and_in_all(journal: &dyn Journal) {
    assert_eq!(spent(journal, false).await, []);
    let yesterday = BookedCall { ended_at: at(-13 * HOUR), ..booked("alice", 100) };
    journal.book(vec![booked("bob", 1), booked("alice", 20), yesterday]).await.unwrap();
    journal.book(vec![]).await.unwrap();
    journal.book(vec![booked("alice", 3_000), booked("carol", 0)]).await.unwrap();
    let expected = [told("alice", 3_020, 3_120), told("bob", 1, 1), told("carol", 0, 0)];
    assert_eq!(spent(journal, false).await, expected);
}

async fn calls_are_booked_on_the_day_they_end(journal: &dyn Journal) {
    // From noon: the last millisecond of yesterday, the first of today, the first of tomorrow.
    for (ended, cost) in [(-12 * HOUR - 1, 1), (-12 * HOUR, 10), (12 * HOUR, 100)] {
        let call =
            BookedCall { started_at: at(-20 * HOUR), ended_at: at(ended), ..booked("a", cost) };
        journal.book(vec![call]).await.unwrap();
    }
    assert_eq!(spent(journal, false).await, [told("a", 110, 111)]);
}

async fn simulated_calls_are_spent_apart(journal: &dyn Journal) {
    let simulated = BookedCall { simulated: true, ..booked("alice", 20) };
    journal.book(vec![booked("alice", 1), simulated]).await.unwrap();
    assert_eq!(spent(journal, false).await, [told("alice", 1, 1)]);
    assert_eq!(spent(journal, true).await, [told("alice", 20, 20)]);
}

async fn more_calls_than_one_statement_takes_are_booked_together(journal: &dyn Journal) {
    let calls = (0..3001).map(|call| booked(&format!("k{:03}", call % 150), call));
    journal.book(calls.collect()).await.unwrap();
    let spent = spent(journal, false).await;
    assert_eq!(spent.len(), 150);
    assert_eq!(spent.iter().map(|(_, _, total)| total).sum::<i64>(), 3000 * 3001 / 2);
    assert_eq!(spent[1], told("k001", 20 + 150 * 190, 20 + 150 * 190));
}

async fn a_closed_journal_books_nothing(journal: &dyn Journal) {
    journal.close().await.unwrap();
    let error = journal.book(vec![booked("alice", 1)]).await.unwrap_err();
    assert!(matches!(error, JournalError::Closed), "{error:?}");
}

async fn they_are_costs_of_the_gateway_by_model_profile_day_and_client_key(journal: &dyn Journal) {
    let opus = BookedCall {
        model_served: "claude-opus-4-6".into(),
        profile: "poe:key-2".into(),
        started_at: at(-13 * HOUR),
        ..booked("bob", 20)
    };
    journal.book(vec![booked("alice", 1), opus, booked("bob", 300)]).await.unwrap();

    let by = async |group| costs(journal, by(group)).await;
    for group in [Group::Agent, Group::Run] {
        assert_eq!(sums(&by(group).await), [("gateway", 3, 321)]);
    }
    let models = by(Group::Model).await;
    assert_eq!(sums(&models), [("claude-opus-4-6", 1, 20), ("claude-sonnet-4-6", 2, 301)]);
    let profiles = by(Group::Profile).await;
    assert_eq!(sums(&profiles), [("anthropic:key-1f0c9a2b", 2, 301), ("poe:key-2", 1, 20)]);
    let days = by(Group::Day).await;
    assert_eq!(sums(&days), [("2026-01-13", 1, 20), ("2026-01-14", 2, 301)]);
    let keys = by(Group::Metadata("key".into())).await;
    assert_eq!(sums(&keys), [("alice", 1, 1), ("bob", 2, 320)]);
    assert_eq!((keys.rows[1].usage.input, keys.unended.calls), (200, 0));
    assert_eq!(sums(&by(Group::Metadata("team".into())).await), [("", 3, 321)]);
}

async fn they_stand_beside_calls_of_runs_and_in_no_run(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    paid(journal, start(id, "t1"), 1).await;
    let metadata = Some(r#"{"key":"alice"}"#.to_owned());
    journal.finish(vec![FinishedLine { metadata, ..line(id, "t1") }]).await.unwrap();
    paid(journal, start(id, "t2"), 5).await;
    let simulated = BookedCall { simulated: true, ..booked("alice", 100) };
    journal.book(vec![booked("alice", 20), simulated]).await.unwrap();

    let report = costs(journal, by(Group::Agent)).await;
    assert_eq!(sums(&report), [("gateway", 1, 20), ("solver", 1, 1)]);
    assert_eq!((report.unended.cost.0, report.total.cost.0), (5, 26));
    let keys = costs(journal, by(Group::Metadata("key".into()))).await;
    assert_eq!(sums(&keys), [("alice", 2, 21)]);
    let of_run = CostQuery { run: Some(id), ..by(Group::Model) };
    assert_eq!(costs(journal, of_run).await.total.cost.0, 6);
    let simulated = CostQuery { simulated: true, ..by(Group::Model) };
    assert_eq!(costs(journal, simulated).await.total.cost.0, 100);
}

async fn only_those_that_began_since_a_time_are_costs(journal: &dyn Journal) {
    for (began, cost) in [(-HOUR, 1), (-1, 10), (0, 100), (HOUR, 1_000)] {
        let call = BookedCall { started_at: at(began), ..booked("alice", cost) };
        journal.book(vec![call]).await.unwrap();
    }
    let query = CostQuery { since: Some(at(0)), ..by(Group::Agent) };
    assert_eq!(sums(&costs(journal, query).await), [("gateway", 2, 1_100)]);
}

async fn lost_and_unpriced_ones_are_counted_and_calls_of_one_request_are_one_attempt(
    journal: &dyn Journal,
) {
    let usage = Usage { input: u64::MAX, ..Usage::default() };
    let unpriced = BookedCall { priced: false, usage, ..booked("alice", 0) };
    let lost = BookedCall { is_lost: true, profile: "poe:key-2".into(), ..booked("alice", 50) };
    let other = BookedCall { request: "req_2".into(), ..booked("alice", 1) };
    journal.book(vec![unpriced.clone(), unpriced, lost, other]).await.unwrap();
    let report = costs(journal, by(Group::Agent)).await;
    let row = &report.rows[0];
    assert_eq!((row.attempts, row.calls, row.unpriced_calls, row.lost_calls), (2, 4, 2, 1));
    // Upstream's nonsense does not break the sums.
    assert_eq!((row.usage.input, row.cost.0), ((2 << 43) + 200, 51));
    let report = costs(journal, by(Group::Profile)).await;
    let attempts: Vec<_> = report.rows.iter().map(|row| row.attempts).collect();
    assert_eq!(attempts, [2, 1]);
}

#[tokio::test]
async fn calls_are_booked_all_or_none_and_one_refused_book_takes_no_other_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path()).await;
    let most = booked("alice", i64::MAX);
    journal.book(vec![most]).await.unwrap();
    // More than can be counted: the sum would no longer be exact.
    let (refused, booked) = tokio::join!(
        journal.book(vec![booked("bob", 5), booked("alice", 1)]),
        journal.book(vec![booked("bob", 7)])
    );
    assert!(matches!(refused, Err(JournalError::Invalid(_))), "{refused:?}");
    booked.unwrap();
    assert_eq!(spent(&journal, false).await[1], told("bob", 7, 7));
    journal.close().await.unwrap();
    let journal = open(directory.path()).await;
    assert_eq!(spent(&journal, false).await[0].2, i64::MAX);
}
