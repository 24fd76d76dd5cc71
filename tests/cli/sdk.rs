//! The official SDKs against `polpo simulate`, and against `polpo serve` before it: what they make of
//! every answer. The tests themselves are in `tests/sdk`; the ones of Python are called here.

mod poe;
mod typescript;

use std::ffi::OsString;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::scenario;
use crate::site::Site;
use crate::support::{Process, Ran, World};

/// A program of the machine: the one that a variable names, if it does.
#[expect(clippy::disallowed_methods, reason = "not the program's environment, but the machine's")]
fn program(variable: &str, otherwise: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| otherwise.into())
}

fn python() -> OsString {
    program("POLPO_PYTHON", "python3")
}

fn node() -> OsString {
    program("POLPO_NODE", "node")
}

/// Where the tests of a topic are.
fn file(name: &str) -> String {
    format!("{}/tests/sdk/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a client of the API and one of a gateway before it, each in a scenario of its own.
fn run(changes: Value, client: impl Fn(&World) -> Command) -> Vec<Ran> {
    let world = World::new();
    let sites = Vec::from(Site::both(&world, &scenario(changes)));
    let runs = sites.into_iter().map(|site| {
        let mut client = client(&world);
        client
            .env("ANTHROPIC_API_KEY", site.key())
            .env("ANTHROPIC_BASE_URL", site.base_url())
            .env("SIMULATOR_URL", site.simulator().base_url())
            .env("POLPO", env!("CARGO_BIN_EXE_polpo"));
        (Process::start(client), site)
    });
    let runs: Vec<_> = runs.collect();
    runs.into_iter().map(|(client, _site)| client.end()).collect()
}

/// Runs the tests of a topic in a scenario.
#[track_caller]
fn pass(topic: &str, changes: Value) {
    let runs = run(changes, |world| {
        let mut client = world.command(python());
        client.arg(file(&format!("{topic}.py"))).env("PYTHONDONTWRITEBYTECODE", "1");
        client
    });
    for ran in runs {
        ran.complained(0, &["\nOK\n"]);
    }
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_gets_messages() {
    pass("messages", json!({"limits": {"requestsPerMinute": 1000}}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_streams() {
    pass("streaming", json!({}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_calls_tools() {
    pass("tools", json!({}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_gets_thoughts_and_sends_them_back() {
    pass("thinking", json!({}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_parses_structured_output() {
    pass("structured", json!({}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_caches_prompts() {
    pass("caching", json!({}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_counts_tokens() {
    pass("counting", json!({}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_lists_models() {
    pass("models", json!({}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_processes_batches() {
    // Long enough to cancel one in time.
    pass("batches", json!({"batches": {"medianSeconds": 2}}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_knows_every_error() {
    pass("errors", json!({}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_retries_what_may_pass_and_waits_as_it_is_told() {
    pass("retries", json!({}));
}

#[test]
#[ignore = "needs the official Python SDK; .ci/run installs it"]
fn the_sdk_speaks_both_versions_of_the_api() {
    pass("versions", json!({}));
}
