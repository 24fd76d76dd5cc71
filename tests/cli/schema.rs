//! Result lines against Anthropic's schema of a batch's result line.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::results::{by_id, lines};
use crate::server::{REFUSED, scenario, tasks};
use crate::support::World;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = include_str!("../schemas/batch_result_line.json");
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
});

/// Checks each line without its `polpo` key.
#[track_caller]
pub(crate) fn assert_valid(text: &str) {
    assert!(!text.is_empty());
    for line in text.lines() {
        let mut value: Value = serde_json::from_str(line).unwrap();
        assert!(value.as_object_mut().unwrap().remove("polpo").is_some(), "{line}");
        let faults: Vec<_> = SCHEMA.iter_errors(&value).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?} in {line}");
    }
}

#[test]
fn the_schema_refuses_lines_that_are_none() {
    for line in [
        json!({"custom_id": "t1"}),
        json!({"custom_id": "t1", "result": {"type": "succeeded"}}),
        json!({"custom_id": "t1", "result": {"type": "errored", "error": {"type": "api_error"}}}),
    ] {
        assert!(!SCHEMA.is_valid(&line), "{line}");
    }
}

#[test]
fn errors_of_the_api_of_expectations_and_of_refused_requests_are_valid_lines() {
    let world = World::new();
    world.write("scenario.json", scenario(json!({})));
    let held = r#"{"id": "held", "prompt": "hello"}"#;
    let unmet = r#"{"id": "unmet", "prompt": "hello", "expect": {"equals": "never said"}}"#;
    let unknown = r#"{"id": "unknown", "prompt": "hello", "model": "claude-nonesuch-9"}"#;
    let cut = r#"{"id": "cut", "prompt": "hello", "maxTokens": 5}"#;
    world.write("tasks.jsonl", [held, unmet, unknown, cut, REFUSED].join("\n"));
    world.run(&["run", "tasks.jsonl", "--simulate"]).ended(1);
    let text = world.read("tasks.simulated.results.jsonl");
    assert_valid(&text);
    let results = by_id(&text);
    let reason = |id: &str| results[id].polpo.reason.as_deref();
    assert!(results["held"].has_succeeded() && reason("held").is_none());
    assert_eq!(reason("unmet"), Some("expectation"));
    assert_eq!(results["unmet"].result["error"]["error"]["type"], "api_error");
    let refused = &results["refused"].result["error"]["error"]["type"];
    assert_eq!(refused, "invalid_request_error");
    assert!(!results["unknown"].has_succeeded());
    // Without an expectation a truncated answer is a result, as in a provider's batch.
    assert_eq!(results["cut"].result["message"]["stop_reason"], "max_tokens");
}

#[test]
fn a_task_that_the_service_never_served_is_a_valid_errored_line() {
    let world = World::new();
    world.write("scenario.json", scenario(json!({})));
    world.write("tasks.jsonl", tasks(3));
    world.write("polpo.json", r#"{"agents": [{"name": "a", "model": "claude-2.1"}]}"#);
    world.run(&["run", "tasks.jsonl", "--simulate"]).ended(1);
    let text = world.read("tasks.simulated.results.jsonl");
    assert_valid(&text);
    assert!(lines(&text).iter().all(|line| !line.has_succeeded()));
}
