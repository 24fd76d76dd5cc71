//! The official Python SDK against `polpo simulate`: what it makes of every answer. The tests
//! themselves are in `tests/sdk`.

use std::ffi::OsString;

use serde_json::{Value, json};

use crate::server::{KEY, Server, scenario};
use crate::support::{Process, World};

/// The Python that has the SDK.
#[expect(clippy::disallowed_methods, reason = "not the program's environment, but the machine's")]
fn python() -> OsString {
    std::env::var_os("POLPO_PYTHON").unwrap_or_else(|| "python3".into())
}

/// Runs the tests of a topic in a scenario.
#[track_caller]
fn pass(topic: &str, changes: Value) {
    let world = World::new();
    let server = Server::start(&world, &scenario(changes));
    let mut command = world.command(python());
    command
        .arg(format!("{}/tests/sdk/{topic}.py", env!("CARGO_MANIFEST_DIR")))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ANTHROPIC_API_KEY", KEY)
        .env("ANTHROPIC_BASE_URL", server.base_url())
        .env("SIMULATOR_URL", server.base_url());
    Process::start(command).end().complained(0, &["\nOK\n"]);
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
