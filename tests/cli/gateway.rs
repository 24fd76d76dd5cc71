//! `polpo serve` over the simulator inside it, asked over a socket.

mod batches;
mod count;
mod kept;
mod models;
mod nowhere;
mod operators;
mod upstream;

use serde_json::{Value, json};

use crate::http::{Answer, send};
use crate::server::{Server, scenario};
use crate::support::World;

/// What the clients of [`Gateway::start`] show.
const ALICE: &str = "the-key-of-alice";
const BOB: &str = "the-key-of-bob-who-has-less";

/// A gateway.
struct Gateway(Server);

impl Gateway {
    /// One that takes any key.
    fn open(world: &World) -> Self {
        Self::serve(world, json!({}), json!({}))
    }

    /// One with the client keys of two: Alice may all, and Bob what is said of him.
    fn start(world: &World, bob: Value) -> Self {
        Self::serve(world, json!({"gateway": {"keys": keys(bob)}}), json!({}))
    }

    /// One with a configuration, in a scenario that is changed so.
    fn serve(world: &World, config: Value, changes: Value) -> Self {
        world.write("polpo.json", config.to_string());
        world.write("scenario.json", scenario(changes));
        Self::spawn(world, &["serve", "--simulate", "--bind", "127.0.0.1:0"])
    }

    /// One before the providers of a configuration.
    fn before(world: &World, config: Value) -> Self {
        world.write("polpo.json", config.to_string());
        Self::spawn(world, &["serve", "--bind", "127.0.0.1:0"])
    }

    fn spawn(world: &World, arguments: &[&str]) -> Self {
        Self(Server::spawn(world.polpo(&[arguments, &["--quiet"]].concat())))
    }

    fn address(&self) -> &str {
        self.0.address()
    }

    /// Asks with a key.
    fn ask(&self, key: &str, line: &str, body: &str) -> Answer {
        let headers = [("x-api-key", key), ("anthropic-version", "2026-10-21")];
        send(self.address(), line, &headers, body)
    }
}

fn keys(bob: Value) -> Value {
    let mut keys = json!([{"name": "alice", "key": ALICE}, {"name": "bob", "key": BOB}]);
    keys[1].as_object_mut().unwrap().extend(bob.as_object().unwrap().clone());
    keys
}
