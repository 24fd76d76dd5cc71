//! Many conversations over many accounts: how much of the prompt cache of one account is left.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use polpo_policy::usage::Usage;
use polpo_simulator::{InMemory, Scenario, Simulator};
use polpo_upstream::transport::Transport;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::conversation::Conversation;
use crate::script::Script;
use crate::system::simulate;
use crate::world::{World, agent};

/// Caches prefixes from 512 tokens on.
const MODEL: &str = "claude-haiku-5-5";

/// Who talks how long, and to how many accounts with which limits.
#[derive(Clone)]
struct Party {
    conversations: u64,
    turns: u64,
    accounts: usize,
    limits: Value,
}

impl Party {
    fn new(conversations: u64, turns: u64) -> Self {
        let limits = json!({
            "requestsPerMinute": null, "inputTokensPerMinute": null, "outputTokensPerMinute": null,
        });
        Self { conversations, turns, accounts: 10, limits }
    }

    /// The share of the cache reads of one account without limits that this one has, and how often
    /// it met a limit.
    fn share(&self) -> (f64, usize) {
        let alone = Self { accounts: 1, ..Self::new(self.conversations, self.turns) };
        let ((own, limited), (most, _)) = (self.talk(), alone.talk());
        let share = own.cache_read as f64 / most.cache_read as f64;
        println!("{own:?}, {limited} limits met\n{most:?}\nshare of cache reads: {share:.4}");
        (share, limited)
    }

    fn talk(&self) -> (Usage, usize) {
        let mut result = (Usage::default(), 0);
        simulate(async || {
            let world = self.world().await;
            let all = (0..self.conversations).map(|number| converse(&world, number, self.turns));
            for usage in join_all(all).await {
                result.0 += usage;
            }
            let ends = world.rows().into_iter().filter_map(|row| row.end);
            result.1 = ends.filter(|end| end.outcome == "rate_limit").count();
        });
        result
    }

    async fn world(&self) -> World {
        let names: Vec<String> = (0..self.accounts).map(|number| format!("a{number}")).collect();
        let accounts =
            names.iter().map(|name| json!({"name": name, "apiKey": format!("sk-{name}")}));
        let rate_limit = json!({"fault": "rateLimit", "rate": 0.005, "retryAfterSeconds": 20});
        let long_limit = json!({"fault": "rateLimit", "rate": 0.0005, "retryAfterSeconds": 90});
        let drop = json!({"fault": "drop", "rate": 0.005});
        let scenario = json!({
            "accounts": accounts.collect::<Vec<_>>(), "limits": self.limits,
            "latency": {"medianSeconds": 2},
            "faults": {"overloadedRate": 0.01, "errorRate": 0.005,
                       "rules": [rate_limit, long_limit, drop]},
        });
        let scenario = Scenario::from_json(&scenario.to_string(), "scenario").unwrap();
        let simulator = Simulator::forgetful(scenario);
        let wires = names.iter().map(|name| {
            let wire: Arc<dyn Transport> = Arc::new(InMemory::new(simulator.clone()));
            (name.as_str(), wire, format!("sk-{name}"))
        });
        World::with(vec![agent("agent")], wires.collect(), 64, Script::new()).await
    }
}

/// One conversation, with some thought before each turn.
async fn converse(world: &World, number: u64, turns: u64) -> Usage {
    let mut dice = fastrand::Rng::with_seed(number);
    let mut conversation = Conversation {
        name: format!("c{number}"),
        wait: None, // Who never gives up has the same turns in every party.
        ..Conversation::new(MODEL, &[])
    };
    let mut usage = Usage::default();
    for turn in 0..turns {
        sleep(Duration::from_millis(dice.u64(1000..60_000))).await;
        let words = if turn == 0 { 600 } else { dice.usize(10..80) };
        let text = format!("Turn {turn} of {number}. {}", "and so on ".repeat(words));
        let (talked, _) = conversation.say(world, &text).await;
        assert!(talked.result.is_ok(), "{talked:?}");
        usage += talked.spent.usage;
    }
    usage
}

#[test]
fn conversations_over_ten_accounts_keep_the_cache_that_one_account_would_have() {
    let (share, _) = Party::new(20, 8).share();
    assert!(share >= 0.95, "{share}");
}

#[test]
#[ignore = "takes a minute: cargo test --test sim affinity -- --ignored --nocapture"]
fn two_hundred_conversations_of_twenty_turns_keep_it_too() {
    let (share, _) = Party::new(200, 20).share();
    assert!(share >= 0.95, "{share}");
}

#[test]
#[ignore = "takes a minute: cargo test --test sim affinity -- --ignored --nocapture"]
fn limits_that_bind_now_and_then_cost_little_of_it() {
    let limits = json!({
        "requestsPerMinute": null, "inputTokensPerMinute": 12_000, "outputTokensPerMinute": null,
    });
    let (share, limited) = Party { limits, ..Party::new(200, 20) }.share();
    assert!(share >= 0.9, "{share}");
    assert!(limited > 100, "{limited}: they do not bind");
}
