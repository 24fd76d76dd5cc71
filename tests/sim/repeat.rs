//! Whole runs against the simulator: the same again from the same seed, and an hour in a moment.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use polpo_simulator::{Books, InMemory, Scenario, Simulator};
use polpo_upstream::transport::Transport;
use serde_json::json;

use crate::script::Script;
use crate::system::simulate;
use crate::world::{World, agent, answer};

const ACCOUNTS: usize = 10;

/// What a run did, and how it looked from upstream.
struct Ran {
    trace: Vec<(u64, String)>,
    books: Books,
    seconds: i64,
}

/// Runs so many tasks over ten accounts of 50 requests a minute.
async fn run(tasks: usize, overloaded_rate: f64) -> Ran {
    let names: Vec<String> = (0..ACCOUNTS).map(|n| format!("account-{n}")).collect();
    let key = |name: &str| format!("sk-ant-api03-{name}");
    let accounts = names.iter().map(|name| json!({"name": name, "apiKey": key(name)}));
    let scenario = json!({
        "seed": 7,
        "accounts": accounts.collect::<Vec<_>>(),
        "limits": {"requestsPerMinute": 50, "inputTokensPerMinute": null, "outputTokensPerMinute": null},
        "faults": {"overloadedRate": overloaded_rate},
    });
    let scenario = Scenario::from_json(&scenario.to_string(), "scenario.json").unwrap();
    let (simulator, script) = (Simulator::new(scenario), Script::new());
    let profiles = names.iter().map(|name| {
        let inner: Arc<dyn Transport> = Arc::new(InMemory::new(simulator.clone()));
        (name.as_str(), script.before(name, inner), key(name))
    });
    let world = World::with(vec![agent("agent")], profiles.collect(), 64, script.clone()).await;
    let prompts: Vec<String> = (0..tasks).map(|n| format!("what is {n}?")).collect();
    let outcomes = futures_util::stream::iter(prompts.iter().map(|prompt| world.ask(prompt)));
    let outcomes: Vec<_> = outcomes.buffer_unordered(1000).collect().await;
    assert!(outcomes.iter().all(|outcome| !answer(outcome).starts_with("Errored")));
    let spent: i64 = outcomes.iter().map(|outcome| outcome.spent.cost.0).sum();
    assert_eq!(spent, simulator.books().total.nanodollars);
    Ran { trace: world.trace(), books: simulator.books(), seconds: world.clock.now().timestamp() }
}

#[test]
fn one_seed_makes_one_sequence_of_calls() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        simulate(async || runs.push(run(800, 0.05).await));
    }
    let [one, two] = &runs[..] else { panic!("two runs") };
    assert!(one.books.total.refused > 0 && one.books.total.faulted > 0, "{:?}", one.books.total);
    assert_eq!(one.books.total.served, 800);
    assert_eq!(one.trace, two.trace);
}

#[test]
fn ten_accounts_at_their_limit_are_used_to_the_full() {
    at_the_limit(5);
}

#[test]
#[ignore = "half a minute without optimisation"]
fn an_hour_of_ten_accounts_at_their_limit_takes_a_moment() {
    at_the_limit(60);
}

/// Runs as many tasks as the accounts can serve in so many minutes, and prints how long it took.
fn at_the_limit(minutes: usize) {
    simulate(async || {
        let (began, tasks) = (Instant::now(), ACCOUNTS * 50 * minutes);
        let ran = run(tasks, 0.0).await;
        let (calls, total, took) = (ran.trace.len(), ran.books.total, began.elapsed());
        println!("{} s, {calls} calls, {} refused: {took:?}", ran.seconds, total.refused);
        assert_eq!(total.served, tasks as u64);
        // Full buckets at the start are worth the first minute; the rest is what limits allow.
        let least = (minutes as i64 - 1) * 60;
        assert!((least - 10..least + 60).contains(&ran.seconds), "{} s", ran.seconds);
    });
}
