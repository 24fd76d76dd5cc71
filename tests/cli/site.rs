//! Where clients ask: the API itself, or a gateway before it. To them it should be the same.

use serde_json::{Value, json};

use crate::server::{KEY, Server};
use crate::support::World;

/// What a client of the gateway shows; no account of the simulator has it.
const CLIENT_KEY: &str = "the-key-of-a-client";

/// The keys of the simulator's accounts.
const KEYS: [&str; 3] = [KEY, "sk-ant-api03-simulated-b", "sk-ant-api03-simulated-c"];

/// A place to ask.
pub(crate) struct Site {
    asked: Server,
    /// The simulator behind it, if that is not what is asked.
    behind: Option<Server>,
}

impl Site {
    /// The API itself and a gateway before another, in a scenario.
    pub(crate) fn both(world: &World, scenario: &str) -> [Self; 2] {
        let direct = Self { asked: Server::start(world, scenario), behind: None };
        [direct, Self::gateway(world, scenario)]
    }

    /// A gateway before the API, over all of its accounts, with one client.
    pub(crate) fn gateway(world: &World, scenario: &str) -> Self {
        Self::gateway_for(world, scenario, json!({"requestsPerMinute": 1000}))
    }

    /// The same with what the client may use.
    pub(crate) fn gateway_for(world: &World, scenario: &str, mut client: Value) -> Self {
        client["name"] = json!("tester");
        client["key"] = json!(CLIENT_KEY);
        let simulator = Server::start(world, scenario);
        world.write("polpo.json", config(&simulator, &client).to_string());
        let asked = Server::spawn(world.polpo(&["serve", "--quiet", "--bind", "127.0.0.1:0"]));
        Self { asked, behind: Some(simulator) }
    }

    pub(crate) fn address(&self) -> &str {
        self.asked.address()
    }

    pub(crate) fn base_url(&self) -> String {
        self.asked.base_url()
    }

    pub(crate) const fn is_gateway(&self) -> bool {
        self.behind.is_some()
    }

    /// What a client shows here.
    pub(crate) const fn key(&self) -> &'static str {
        if self.is_gateway() { CLIENT_KEY } else { KEY }
    }

    /// The simulator that answers.
    pub(crate) fn simulator(&self) -> &Server {
        self.behind.as_ref().unwrap_or(&self.asked)
    }
}

/// A gateway that soon gives up what cannot be had.
fn config(simulator: &Server, client: &Value) -> Value {
    json!({
        "providers": {"anthropic": {"apiKeys": KEYS, "baseUrl": simulator.base_url()}},
        "settings": {"maxQueueSeconds": 2},
        "gateway": {"keys": [client]},
    })
}
