//! The official TypeScript SDK.

use serde_json::{Value, json};

use super::{file, node, run};

/// Runs the tests of a topic in a scenario.
#[track_caller]
fn pass(topic: &str, changes: Value) {
    let runs = run(changes, |world| {
        let mut client = world.command(node());
        client.arg("--test-reporter=tap").arg(file(&format!("typescript/{topic}.mjs")));
        client
    });
    for ran in runs {
        let ran = ran.ended(0);
        let (some, all) = ("\n# pass 0\n", "\n# fail 0\n");
        assert!(!ran.stdout.contains(some) && ran.stdout.contains(all), "{ran}");
    }
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_sdk_gets_messages_and_sends_pictures() {
    pass("messages", json!({}));
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_sdk_streams() {
    pass("streaming", json!({}));
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_sdk_calls_tools() {
    pass("tools", json!({}));
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_sdk_gets_thoughts_and_sends_them_back() {
    pass("thinking", json!({}));
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_sdk_counts_tokens() {
    pass("counting", json!({}));
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_sdk_lists_models() {
    pass("models", json!({}));
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_sdk_processes_batches() {
    // Long enough to cancel one in time.
    pass("batches", json!({"batches": {"medianSeconds": 2}}));
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_sdk_knows_every_error() {
    pass("errors", json!({}));
}

#[test]
#[ignore = "needs the official TypeScript SDK; .ci/run installs it"]
fn the_typescript_sdk_retries_what_may_pass() {
    pass("retries", json!({}));
}
