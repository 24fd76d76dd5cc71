//! Costs of the gateway, as `polpo cost` shows what its journal has booked.

use chrono::{DateTime, TimeDelta, Utc};
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use polpo_store::journal::{
    BatchRecord, BookedCall, Journal, JournalOptions, SqliteJournal, Synchronous,
};
use serde_json::{Value, json};

use crate::results::cost_at;
use crate::server::scenario;
use crate::support::World;

pub(crate) fn call(key: &str, cost: i64) -> BookedCall {
    let started_at = "2026-01-14T23:59:59Z".parse::<DateTime<Utc>>().unwrap();
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
        started_at,
        ended_at: started_at + TimeDelta::seconds(2),
    }
}

fn batch(key: &str, reserved: i64) -> BatchRecord {
    BatchRecord {
        id: "msgbatch_1".into(),
        key: key.into(),
        profile: "anthropic:key-1f0c9a2b".into(),
        simulated: false,
        created_at: call(key, 0).started_at,
        requests: 3,
        reserved: Nanodollars(reserved),
        settled: false,
        object: "{}".into(),
    }
}

/// Has a gateway book this in the state directory of a world, or in its simulated one.
pub(crate) fn book(world: &World, below: &str, calls: Vec<BookedCall>, batches: Vec<BatchRecord>) {
    let path = world.path("state").join(below).join("journal.db");
    let options = JournalOptions { path, synchronous: Synchronous::Normal, create: true };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = SqliteJournal::open(options).await.unwrap();
        journal.book(calls).await.unwrap();
        for batch in batches {
            journal.keep_batch(batch).await.unwrap();
        }
        journal.close().await.unwrap();
    });
}

/// The rows of `polpo cost` by a group: key, calls, dollars.
fn rows(world: &World, by: &str) -> Value {
    let costs = world.run(&["cost", "--json", "--by", by]).ended(0).json();
    let rows = costs["rows"].as_array().unwrap().iter();
    rows.map(|row| json!([row["key"], row["calls"], row["costUsd"]])).collect()
}

#[test]
fn costs_of_the_gateway_are_shown_by_every_group_and_by_client_key() {
    let world = World::new();
    let opus = BookedCall {
        model_served: "claude-opus-4-6".into(),
        profile: "poe:key-2".into(),
        started_at: call("bob", 0).ended_at,
        ..call("bob", 20_000_000)
    };
    let lost = BookedCall { is_lost: true, ..call("alice", 1) };
    let unpriced = BookedCall { priced: false, ..call("alice", 0) };
    book(&world, "", vec![call("alice", 300_000_000), lost, unpriced, opus], vec![]);

    for by in ["agent", "run"] {
        assert_eq!(rows(&world, by), json!([["gateway", 4, 0.320000001]]), "{by}");
    }
    let keys = json!([["alice", 3, 0.300000001], ["bob", 1, 0.02]]);
    assert_eq!(rows(&world, "metadata.key"), keys);
    assert_eq!(rows(&world, "metadata.team"), json!([["", 4, 0.320000001]]));
    let models = json!([["claude-opus-4-6", 1, 0.02], ["claude-sonnet-4-6", 3, 0.300000001]]);
    assert_eq!(rows(&world, "model"), models);
    let profiles = json!([["anthropic:key-1f0c9a2b", 3, 0.300000001], ["poe:key-2", 1, 0.02]]);
    assert_eq!(rows(&world, "profile"), profiles);
    let days = json!([["2026-01-14", 3, 0.300000001], ["2026-01-15", 1, 0.02]]);
    assert_eq!(rows(&world, "day"), days);

    let costs = world.run(&["cost", "--json"]).ended(0);
    assert_eq!(cost_at(&costs.stdout, &["total"]), 320_000_001);
    let total = &costs.json()["total"];
    assert_eq!((&total["lostCalls"], &total["unpricedCalls"]), (&json!(1), &json!(1)));
    assert_eq!(costs.json()["estimated"], true, "a poe profile is among them");
    let since = world.run(&["cost", "--json", "--since", "2026-01-15"]).ended(0);
    assert_eq!(cost_at(&since.stdout, &["total"]), 20_000_000);
    let csv = world.run(&["cost", "--csv", "--by", "metadata.key"]).ended(0);
    assert!(csv.stdout.contains("\nalice,3,300,60,0,0,0,0,0.300000001,1,1\n"), "{csv}");
}

#[test]
fn costs_of_a_simulated_gateway_are_shown_only_on_demand_and_beside_those_of_runs() {
    let world = World::new();
    world.write("scenario.json", scenario(json!({})));
    world.write("tasks.jsonl", r#"{"id": "t1", "prompt": "hello", "metadata": {"key": "alice"}}"#);
    world.run(&["run", "tasks.jsonl", "--simulate", "-q"]).ended(0);
    let costs = |arguments: &[&str]| world.run(&[&["cost", "--json"], arguments].concat()).ended(0);
    let of_run = cost_at(&costs(&["--simulate"]).stdout, &["total"]);
    assert!(of_run > 0);

    let simulated = BookedCall { simulated: true, ..call("alice", 7) };
    book(&world, "simulated", vec![simulated], vec![]);
    assert_eq!(cost_at(&costs(&[]).stdout, &["total"]), 0);
    let keys = costs(&["--simulate", "--by", "metadata.key"]);
    assert_eq!(cost_at(&keys.stdout, &["total"]), of_run + 7);
    assert_eq!(keys.json()["rows"].as_array().unwrap().len(), 1);
    assert_eq!(keys.json()["rows"][0]["key"], "alice");
}

#[test]
fn a_batch_of_the_gateway_that_has_not_ended_is_shown_at_its_bound() {
    let world = World::new();
    book(&world, "", vec![call("alice", 1)], vec![batch("alice", 500_000_000)]);
    let costs = world.run(&["cost", "--json"]).ended(0);
    assert_eq!(cost_at(&costs.stdout, &["notEnded"]), 500_000_000);
    assert_eq!(cost_at(&costs.stdout, &["total"]), 500_000_001);
    assert_eq!(costs.json()["notEnded"]["calls"], 3);
    let table = world.run(&["cost"]).ended(0);
    assert!(table.stdout.contains("(not ended)"), "{table}");
}
