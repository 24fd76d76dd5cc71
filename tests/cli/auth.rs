//! `polpo auth` and `polpo models status`: credentials stored, shown, tested and mended.

mod add;
mod live;
pub(crate) mod login;
mod shown;
mod tended;
mod tested;

use serde_json::{Value, json};

use crate::server::{KEY, Server, scenario};
use crate::support::{Process, Ran, World};

/// The profile that [`KEY`] makes.
const PROFILE: &str = "anthropic:key-b428911a";

/// The keys of the second account of a scenario, and one that nobody has.
const OTHER_KEY: &str = "sk-ant-api03-simulated-b";
const NOBODYS_KEY: &str = "sk-ant-api03-nobody";

/// A simulated API without limits, and a polpo.json that knows where it is.
fn served() -> (World, Server) {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({})));
    configure(&world, json!({"baseUrl": server.base_url()}));
    (world, server)
}

/// Writes a polpo.json with this provider `anthropic`.
fn configure(world: &World, provider: Value) {
    world.write("polpo.json", json!({"providers": {"anthropic": provider}}).to_string());
}

/// Runs a command with this on its standard input.
fn fed(world: &World, input: &str, arguments: &[&str]) -> Ran {
    let input = world.write("input", input);
    let ran = Process::fed(world.polpo(arguments), &input).end();
    std::fs::remove_file(input).unwrap();
    ran
}

/// Stores keys under names, untested.
fn store(world: &World, keys: &[(&str, &str)]) {
    for (name, key) in keys {
        fed(world, key, &["auth", "add", "anthropic", "--no-test", "--name", name]).ended(0);
    }
}

/// The profile file.
fn file(world: &World) -> Value {
    serde_json::from_str(&world.read("state/auth-profiles.json")).unwrap()
}

/// Changes what the profile file remembers of a profile.
fn remember(world: &World, profile: &str, stats: Value) {
    let mut file = file(world);
    file["usageStats"][profile] = stats;
    world.write("state/auth-profiles.json", file.to_string());
}

/// The list of profiles.
fn listed(world: &World, arguments: &[&str]) -> Vec<Value> {
    let ran = world.run(&[&["auth", "list", "--json"], arguments].concat()).ended(0);
    ran.json().as_array().unwrap().clone()
}

/// What the list says of one profile.
fn status(world: &World, profile: &str) -> Value {
    let rows = listed(world, &[profile]);
    assert_eq!(rows.len(), 1);
    rows[0].clone()
}

/// In how many milliseconds or since when, as the profile file has it.
fn millis(seconds_from_now: i64) -> i64 {
    chrono::Utc::now().timestamp_millis() + seconds_from_now * 1000
}
