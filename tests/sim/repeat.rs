//! Whole runs against the simulator: the same again from the same seed, and an hour in a moment.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use polpo_agents::job::Ending;
use polpo_simulator::{Books, InMemory, Scenario, Simulator};
use polpo_upstream::transport::Transport;
use serde_json::json;

use crate::journal::Row;
use crate::script::Script;
use crate::system::simulate;
use crate::world::{World, agent};

const ACCOUNTS: usize = 10;

const REQUESTS_PER_MINUTE: usize = 50;

/// What a run did, and how it looked from upstream.
struct Ran {
    /// Every call: whose, when, on which model and profile, and what came of it.
    calls: Vec<Row>,
    books: Books,
    /// In the world's own time.
    seconds: i64,
    /// In ours.
    took: Duration,
}

/// Runs as many tasks as the accounts can serve in so many minutes.
fn run(minutes: usize, overloaded_rate: f64) -> Ran {
    let (began, tasks) = (Instant::now(), ACCOUNTS * REQUESTS_PER_MINUTE * minutes);
    let mut ran = None;
    simulate(async || ran = Some(work(tasks, overloaded_rate).await));
    let (calls, books, seconds) = ran.unwrap();
    let ran = Ran { calls, books, seconds, took: began.elapsed() };
    let total = &ran.books.total;
    println!(
        "{minutes} minutes of {ACCOUNTS} accounts at {REQUESTS_PER_MINUTE} RPM: {} served, {} refused, wall {:.2} s",
        total.served,
        total.refused,
        ran.took.as_secs_f64()
    );
    assert_eq!(total.served, tasks as u64);
    assert!(total.refused * 200 <= total.served, "who would be refused waits: {total:?}");
    // Full buckets at the start are worth the first minute; the rest is what limits allow.
    let least = (minutes as i64 - 1) * 60;
    assert!((least - 10..least + 60).contains(&ran.seconds), "{} s", ran.seconds);
    ran
}

async fn work(tasks: usize, overloaded_rate: f64) -> (Vec<Row>, Books, i64) {
    let names: Vec<String> = (0..ACCOUNTS).map(|n| format!("account-{n}")).collect();
    let key = |name: &str| format!("sk-ant-api03-{name}");
    let accounts = names.iter().map(|name| json!({"name": name, "apiKey": key(name)}));
    let scenario = json!({
        "seed": 7,
        "accounts": accounts.collect::<Vec<_>>(),
        "limits": {
            "requestsPerMinute": REQUESTS_PER_MINUTE,
            "inputTokensPerMinute": null,
            "outputTokensPerMinute": null,
        },
        "faults": {"overloadedRate": overloaded_rate},
    });
    let scenario = Scenario::from_json(&scenario.to_string(), "scenario.json").unwrap();
    let simulator = Simulator::new(scenario);
    let transport: Arc<dyn Transport> = Arc::new(InMemory::new(simulator.clone()));
    let profiles = names.iter().map(|name| (name.as_str(), transport.clone(), key(name)));
    let world = World::with(vec![agent("agent")], profiles.collect(), 64, Script::new()).await;
    let prompts: Vec<String> = (0..tasks).map(|n| format!("what is {n}?")).collect();
    let outcomes = futures_util::stream::iter(prompts.iter().map(|prompt| world.ask(prompt)));
    let spent = outcomes.buffer_unordered(1000).fold(0, async |spent, outcome| {
        assert!(matches!(outcome.ending, Ending::Succeeded(_)), "{outcome:?}");
        spent + outcome.spent.cost.0
    });
    let (spent, books) = (spent.await, simulator.books());
    assert_eq!(spent, books.total.nanodollars);
    (world.rows(), books, world.clock.now().timestamp())
}

#[test]
fn ten_accounts_at_their_limit_are_used_to_the_full_and_one_seed_makes_one_sequence_of_calls() {
    let (one, two) = thread::scope(|scope| {
        let other = scope.spawn(|| run(2, 0.05));
        (run(2, 0.05), other.join().unwrap())
    });
    assert!(one.books.total.faulted > 0, "{:?}", one.books.total);
    assert_eq!(one.calls.len(), two.calls.len());
    let differing = one.calls.iter().zip(&two.calls).find(|(one, two)| one != two);
    assert_eq!(differing, None);
}

#[test]
#[ignore = "a figure, which benches/README.md tells"]
fn an_hour_of_ten_accounts_at_their_limit_takes_a_moment() {
    run(60, 0.0);
}
