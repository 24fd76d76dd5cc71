//! Cost reports: exact, and every call in one row.

use polpo_policy::price::Nanodollars;
use polpo_store::journal::{
    CallEnd, CallStart, CostQuery, CostReport, CostRow, FinishedLine, Group, Journal, NewRun,
};

use crate::world::{at, end, line, new_run, on_both_journals, paid, run, start};

on_both_journals! {
    costs_are_grouped_by_agent_model_profile_day_and_run,
    costs_are_grouped_by_any_key_of_the_metadata,
    calls_of_tasks_without_a_result_are_a_row_of_their_own,
    a_task_that_is_run_again_counts_as_unended_until_its_new_result,
    simulated_calls_are_no_money,
    since_and_run_choose_calls,
    calls_without_a_price_and_lost_ones_are_counted,
    an_empty_journal_costs_nothing,
}

pub(crate) fn by(group: Group) -> CostQuery {
    CostQuery { group, since: None, simulated: false, run: None }
}

pub(crate) async fn costs(journal: &dyn Journal, query: CostQuery) -> CostReport {
    let report = journal.costs(query).await.unwrap();
    let mut total = report.unended.clone();
    for row in &report.rows {
        total += row;
    }
    assert_eq!(total, report.total);
    report
}

pub(crate) fn sums(report: &CostReport) -> Vec<(&str, u64, i64)> {
    report.rows.iter().map(|row| (&*row.key, row.calls, row.cost.0)).collect()
}

const DAY: i64 = 86_400_000;

async fn costs_are_grouped_by_agent_model_profile_day_and_run(journal: &dyn Journal) {
    let (id, other) = (run(journal, "/a").await, run(journal, "/b").await);
    paid(journal, start(id, "t1"), 1).await;
    let opus = CallStart {
        model: "claude-opus-4-6".into(),
        profile: "poe:key-2".into(),
        started_at: at(DAY),
        ..start(id, "t1")
    };
    let call = journal.begin_call(opus).await.unwrap();
    let served = CallEnd { model_served: "claude-opus-4-6".into(), ..end(call, 20) };
    journal.end_call(served).await.unwrap();
    let critic = CallStart { agent: "critic".into(), ..start(other, "t1") };
    paid(journal, critic, 300).await;
    journal.finish(vec![line(id, "t1"), line(other, "t1")]).await.unwrap();

    let by = async |group| costs(journal, by(group)).await;
    assert_eq!(sums(&by(Group::Agent).await), [("critic", 1, 300), ("solver", 2, 21)]);
    let models = by(Group::Model).await;
    assert_eq!(sums(&models), [("claude-opus-4-6", 1, 20), ("claude-sonnet-4-6", 2, 301)]);
    let profiles = by(Group::Profile).await;
    assert_eq!(sums(&profiles), [("anthropic:key-1f0c9a2b", 2, 301), ("poe:key-2", 1, 20)]);
    let days = by(Group::Day).await;
    assert_eq!(sums(&days), [("2026-01-14", 2, 301), ("2026-01-15", 1, 20)]);
    let runs = by(Group::Run).await;
    assert_eq!(sums(&runs), [("/a", 2, 21), ("/b", 1, 300)]);
    assert_eq!(runs.total.usage.input, 300);
    assert_eq!((runs.total.calls, runs.total.cost), (3, Nanodollars(321)));
    assert_eq!(runs.unended, CostRow::default());
}

async fn costs_are_grouped_by_any_key_of_the_metadata(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let metadata = [
        Some(r#"{"team":"red","a.b \" $ key":1}"#),
        Some(r#"{"a.b \" $ key":1.0,"team":"red"}"#),
        Some(r#"{"team":["blue"]}"#),
        Some(r#"{"team":null}"#),
        Some("{}"),
        None,
    ];
    for (task, metadata) in metadata.into_iter().enumerate() {
        let task = format!("t{task}");
        paid(journal, start(id, &task), 1 << task[1..].parse::<u32>().unwrap()).await;
        let metadata = metadata.map(String::from);
        journal.finish(vec![FinishedLine { metadata, ..line(id, &task) }]).await.unwrap();
    }
    paid(journal, start(id, "unended"), 1000).await;

    let report = costs(journal, by(Group::Metadata("team".into()))).await;
    let expected = [("", 2, 48), ("[\"blue\"]", 1, 4), ("null", 1, 8), ("red", 2, 3)];
    assert_eq!(sums(&report), expected);
    assert_eq!(report.unended.cost, Nanodollars(1000));
    let report = costs(journal, by(Group::Metadata("a.b \" $ key".into()))).await;
    assert_eq!(sums(&report), [("", 4, 60), ("1", 1, 1), ("1.0", 1, 2)]);
}

async fn calls_of_tasks_without_a_result_are_a_row_of_their_own(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    paid(journal, start(id, "done"), 1).await;
    journal.finish(vec![line(id, "done")]).await.unwrap();
    paid(journal, start(id, "undone"), 10).await;
    journal.begin_call(start(id, "undone")).await.unwrap();
    let report = costs(journal, by(Group::Agent)).await;
    assert_eq!(sums(&report), [("solver", 1, 1)]);
    assert_eq!((report.unended.calls, report.unended.cost.0), (2, 10 + 1_000_000));
    assert_eq!((report.total.calls, report.total.cost.0), (3, 11 + 1_000_000));
}

async fn a_task_that_is_run_again_counts_as_unended_until_its_new_result(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    paid(journal, start(id, "t1"), 1).await;
    journal.finish(vec![line(id, "t1")]).await.unwrap();
    paid(journal, start(id, "t1"), 10).await;
    let call = journal.begin_call(start(id, "t1")).await.unwrap();
    let report = costs(journal, by(Group::Agent)).await;
    assert_eq!(sums(&report), [("solver", 1, 1)]);
    assert_eq!(report.unended.cost.0, 10 + 1_000_000);

    journal.end_call(end(call, 100)).await.unwrap();
    journal.finish(vec![line(id, "t1")]).await.unwrap();
    let report = costs(journal, by(Group::Agent)).await;
    assert_eq!(sums(&report), [("solver", 3, 111)]);
    assert_eq!(report.unended, CostRow::default());
}

async fn simulated_calls_are_no_money(journal: &dyn Journal) {
    let real = run(journal, "/a").await;
    let simulated = NewRun { simulated: true, ..new_run("/b") };
    let simulated = journal.open_run(simulated).await.unwrap().id;
    paid(journal, start(real, "t1"), 1).await;
    paid(journal, start(simulated, "t1"), 10).await;
    assert_eq!(costs(journal, by(Group::Agent)).await.total.cost.0, 1);
    let query = CostQuery { simulated: true, ..by(Group::Agent) };
    assert_eq!(costs(journal, query).await.total.cost.0, 10);
}

async fn since_and_run_choose_calls(journal: &dyn Journal) {
    let (id, other) = (run(journal, "/a").await, run(journal, "/b").await);
    for (run, millis, cost) in [(id, 0, 1), (id, 1000, 10), (other, 1001, 100)] {
        paid(journal, CallStart { started_at: at(millis), ..start(run, "t1") }, cost).await;
    }
    let since = CostQuery { since: Some(at(1000)), ..by(Group::Agent) };
    assert_eq!(costs(journal, since.clone()).await.total.cost.0, 110);
    let both = CostQuery { run: Some(id), ..since };
    assert_eq!(costs(journal, both.clone()).await.total.cost.0, 10);
    assert_eq!(costs(journal, CostQuery { since: None, ..both }).await.total.cost.0, 11);
}

async fn calls_without_a_price_and_lost_ones_are_counted(journal: &dyn Journal) {
    let id = run(journal, "/a").await;
    let call = journal.begin_call(start(id, "t1")).await.unwrap();
    journal.end_call(CallEnd { priced: false, ..end(call, 0) }).await.unwrap();
    journal.begin_call(start(id, "t1")).await.unwrap();
    journal.settle_lost(id, at(90)).await.unwrap();
    journal.finish(vec![line(id, "t1")]).await.unwrap();
    let report = costs(journal, by(Group::Model)).await;
    let row = &report.rows[0];
    assert_eq!((row.attempts, row.calls, row.unpriced_calls, row.lost_calls), (1, 2, 1, 1));
    assert_eq!(row.cost.0, 1_000_000);
}

async fn an_empty_journal_costs_nothing(journal: &dyn Journal) {
    assert_eq!(costs(journal, by(Group::Day)).await, CostReport::default());
}
