//! What we say against Anthropic's schemas, which were made from the types of its SDK.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::http::Answer;
use crate::results::{by_id, lines};
use crate::server::{REFUSED, scenario, tasks};
use crate::support::World;

/// A shape that something must have.
pub(crate) type Shape = LazyLock<Validator>;

pub(crate) static RESULT_LINE: Shape =
    LazyLock::new(|| load(include_str!("../../simulator/tests/schemas/batch_result_line.json")));
static EVENT: Shape =
    LazyLock::new(|| load(include_str!("../../simulator/tests/schemas/stream_event.json")));
static ERROR: Shape =
    LazyLock::new(|| load(include_str!("../../simulator/tests/schemas/error_response.json")));
pub(crate) static MESSAGE: Shape =
    LazyLock::new(|| load(include_str!("../../simulator/tests/schemas/message.json")));
pub(crate) static MODEL: Shape =
    LazyLock::new(|| load(include_str!("../../simulator/tests/schemas/model_info.json")));
pub(crate) static BATCH: Shape =
    LazyLock::new(|| load(include_str!("../../simulator/tests/schemas/message_batch.json")));
pub(crate) static COUNT: Shape =
    LazyLock::new(|| load(include_str!("../../simulator/tests/schemas/tokens_count.json")));

fn load(schema: &str) -> Validator {
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
}

/// Checks something that was said.
#[track_caller]
pub(crate) fn assert_fits(shape: &Shape, value: &Value) {
    let faults: Vec<_> = shape.iter_errors(value).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?} in {value}");
}

/// Checks the events of a stream, errors among them.
#[track_caller]
pub(crate) fn assert_are_events(events: &[(String, Value)]) {
    assert!(!events.is_empty());
    for (name, data) in events {
        assert_eq!(data["type"], **name);
        match name.as_str() {
            "ping" => assert_eq!(*data, json!({"type": "ping"})),
            "error" => assert_fits(&ERROR, data),
            _ => assert_fits(&EVENT, data),
        }
    }
}

/// Checks an error, and gives its status, type and message.
#[track_caller]
pub(crate) fn error_of(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    // The SDK has classes, but no types, for these two.
    if ![409, 413].contains(&answer.status) {
        assert_fits(&ERROR, &body);
    }
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(body["request_id"].as_str(), answer.header("request-id"));
    assert!(body["request_id"].is_string(), "{body}");
    let text = |name: &str| body["error"][name].as_str().unwrap().to_owned();
    (answer.status, text("type"), text("message"))
}

/// Checks result lines, each without its `polpo` key.
#[track_caller]
pub(crate) fn assert_valid(text: &str) {
    assert!(!text.is_empty());
    for line in text.lines() {
        let mut value: Value = serde_json::from_str(line).unwrap();
        assert!(value.as_object_mut().unwrap().remove("polpo").is_some(), "{line}");
        assert_fits(&RESULT_LINE, &value);
    }
}

#[test]
fn the_schema_refuses_lines_that_are_none() {
    for line in [
        json!({"custom_id": "t1"}),
        json!({"custom_id": "t1", "result": {"type": "succeeded"}}),
        json!({"custom_id": "t1", "result": {"type": "errored", "error": {"type": "api_error"}}}),
    ] {
        assert!(!RESULT_LINE.is_valid(&line), "{line}");
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
