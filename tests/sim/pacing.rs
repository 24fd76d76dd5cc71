//! The aim of pacing, with the real actors and the simulator: what limits allow is used, and hardly
//! a call is refused.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use polpo_simulator::{InMemory, Scenario, Simulator};
use polpo_upstream::transport::Transport;
use serde_json::{Value, json};

use crate::script::Script;
use crate::system::simulate;
use crate::world::{World, agent, pass};

/// Until then the buckets, full at the start, are used up.
const WARM_UP: u64 = 150;

/// Which limit of an account binds.
#[derive(Clone, Copy, Debug)]
enum Binding {
    Requests(u64),
    Input(u64),
    Output(u64),
}

impl Binding {
    fn limits(self) -> Value {
        let (requests, input, output) = match self {
            Self::Requests(limit) => (Some(limit), None, None),
            Self::Input(limit) => (None, Some(limit), None),
            Self::Output(limit) => (None, None, Some(limit)),
        };
        json!({
            "requestsPerMinute": requests,
            "inputTokensPerMinute": input,
            "outputTokensPerMinute": output,
        })
    }

    const fn allowed(self) -> u64 {
        match self {
            Self::Requests(limit) | Self::Input(limit) | Self::Output(limit) => limit,
        }
    }

    fn used(self, simulator: &Simulator) -> u64 {
        let total = simulator.books().total;
        match self {
            Self::Requests(_) => total.served,
            Self::Input(_) => total.tokens.input,
            Self::Output(_) => total.tokens.output,
        }
    }
}

/// The share of what was allowed that was used, and of the calls that were refused.
#[derive(Debug)]
struct Share {
    used: f64,
    refused: f64,
}

async fn measure(accounts: u64, binding: Binding, minutes: u64) -> Share {
    let names: Vec<String> = (0..accounts).map(|n| format!("account-{n}")).collect();
    let key = |name: &str| format!("sk-ant-api03-{name}");
    let listed: Vec<_> =
        names.iter().map(|name| json!({"name": name, "apiKey": key(name)})).collect();
    let scenario = json!({
        "seed": 7, "accounts": listed, "limits": binding.limits(), "faults": {"overloadedRate": 0},
    });
    let scenario = Scenario::from_json(&scenario.to_string(), "scenario.json").unwrap();
    let simulator = Simulator::new(scenario);
    let transport: Arc<dyn Transport> = Arc::new(InMemory::new(simulator.clone()));
    let profiles = names.iter().map(|name| (name.as_str(), transport.clone(), key(name)));
    let world = World::with(vec![agent("agent")], profiles.collect(), 256, Script::new()).await;
    // Prompts from half a kilobyte to thirty, most of them short.
    let prompt = |n: u64| format!("{n}: {}", "what of it? ".repeat(40 << (n * 7 % 13 / 2)));
    let endless = futures_util::stream::iter((0..).map(|n| {
        let world = &world;
        async move { world.ask(&prompt(n)).await }
    }));
    let at_once = usize::try_from(accounts * 60).unwrap();
    let work = endless.buffer_unordered(at_once).for_each(async |_| {});
    let watch = async {
        pass(WARM_UP).await;
        let before = binding.used(&simulator);
        tokio::time::sleep(Duration::from_secs(minutes * 60)).await;
        (binding.used(&simulator) - before) as f64
    };
    let used = tokio::select! {
        used = watch => used,
        () = work => 0.0,
    };
    let total = simulator.books().total;
    Share {
        used: used / (binding.allowed() * minutes * accounts) as f64,
        refused: total.refused as f64 / (total.served + total.refused) as f64,
    }
}

fn aim(accounts: u64, binding: Binding, minutes: u64) {
    simulate(async || {
        let share = measure(accounts, binding, minutes).await;
        let (used, refused) = (share.used * 100.0, share.refused * 100.0);
        println!(
            "{accounts} accounts, {binding:?}, {minutes} min: {used:.2} % used, {refused:.3} % refused"
        );
        assert!(share.used >= 0.98 && share.refused < 0.005, "{share:?}");
    });
}

#[test]
fn one_account_is_used_to_the_full_whichever_of_its_limits_binds() {
    aim(1, Binding::Requests(60), 4);
    aim(1, Binding::Input(100_000), 4);
    aim(1, Binding::Output(8_000), 4);
}

#[test]
#[ignore = "a figure, which benches/README.md tells"]
fn ten_and_a_hundred_accounts_are_used_to_the_full() {
    for accounts in [1, 10, 100] {
        aim(accounts, Binding::Requests(60), 10);
        aim(accounts, Binding::Input(100_000), 10);
        aim(accounts, Binding::Output(8_000), 10);
    }
}
