//! The requests of Claude Code, as version 2.1.330 sends them, and what it needs for answers.

use serde_json::{Value, json};

use crate::http::{Answer, send};
use crate::schema::{COUNT, MESSAGE, MODEL, assert_are_events, assert_fits, error_of};
use crate::server::scenario;
use crate::site::Site;
use crate::support::World;

const SESSION: &str = "7f1c8a52-3f0e-4c55-9a0b-5d0a3c1be0a4";

/// What comes with every request.
const HEADERS: [(&str, &str); 11] = [
    ("Accept", "application/json"),
    ("Content-Type", "application/json"),
    ("User-Agent", "claude-cli/2.1.330 (external, sdk-cli)"),
    ("X-Claude-Code-Session-Id", SESSION),
    ("x-app", "cli"),
    ("X-Stainless-Lang", "js"),
    ("X-Stainless-Package-Version", "0.128.0"),
    ("X-Stainless-Retry-Count", "0"),
    ("X-Stainless-Runtime", "node"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("anthropic-version", "2023-06-01"),
];

const BETAS: &str = "claude-code-20250219,interleaved-thinking-2025-05-14,\
    context-management-2025-06-27,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20";

/// What it asks for of models from 5 on.
const NEWER_BETAS: &str =
    "per-turn-control-2026-07-01,mid-conversation-tool-changes-2026-07-01,effort-2025-11-24";

const TOOLS: [&str; 12] = [
    "Agent",
    "Bash",
    "Edit",
    "ListAgents",
    "Read",
    "ReportFindings",
    "ScheduleWakeup",
    "Skill",
    "ToolSearch",
    "Workflow",
    "DeferredToolPlaceholder",
    "Write",
];

/// Sends a body to the messages, and says how long it waits for the answer.
fn ask(site: &Site, body: &Value, timeout: &str) -> Answer {
    let is_newer = body["output_config"].is_object();
    let betas = if is_newer { format!("{BETAS},{NEWER_BETAS}") } else { BETAS.to_owned() };
    let more = [("X-Stainless-Timeout", timeout), ("anthropic-beta", &betas)];
    say(site, "POST /v1/messages?beta=true", &more, &body.to_string())
}

fn say(site: &Site, line: &str, more: &[(&str, &str)], body: &str) -> Answer {
    let headers = [&HEADERS[..], &[("x-api-key", site.key())], more].concat();
    send(site.address(), line, &headers, body)
}

/// A prompt to a model that thinks for a number of tokens.
fn older() -> Value {
    let said = [
        reminder("The context of the project, with all of its rules."),
        json!({"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}),
    ];
    let mut body = body("claude-sonnet-4-5-20250929", json!([{"role": "user", "content": said}]));
    body["max_tokens"] = json!(32000);
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 31999, "display": "omitted"});
    body
}

/// A prompt to a model that thinks as it finds right; the rules come as a turn of their own.
fn newer() -> Value {
    let rules = json!([{
        "type": "text", "text": "The rules of the project.", "cache_control": {"type": "ephemeral"},
    }]);
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "system", "content": rules},
    ]);
    let mut body = body("claude-opus-5-5", messages);
    body["max_tokens"] = json!(128_000);
    body["thinking"] = json!({"type": "adaptive", "display": "omitted"});
    body["output_config"] = json!({"effort": "medium"});
    body
}

/// What all prompts have, some 87 kB of it.
fn body(model: &str, messages: Value) -> Value {
    let tools = TOOLS.map(|name| {
        json!({
            "name": name,
            "description": format!("{name}: {}", "how and when to use this tool. ".repeat(100)),
            "input_schema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {"value": {"type": "string", "description": "What to use it on."}},
                "required": ["value"],
                "additionalProperties": false,
            },
            "defer_loading": name == "DeferredToolPlaceholder",
        })
    });
    let cached = |text: String| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    let billing = "x-anthropic-billing-header: cc_version=2.1.330.1a2; cc_entrypoint=sdk-cli;";
    let user = json!({"device_id": "d".repeat(64), "account_uuid": "", "session_id": SESSION});
    json!({
        "model": model,
        "messages": messages,
        "system": [
            {"type": "text", "text": billing},
            cached("You are Claude Code, Anthropic's official CLI for Claude.".to_owned()),
            cached("What to do, and what not to do, in every case. ".repeat(1000)),
        ],
        "tools": tools,
        "metadata": {"user_id": user.to_string()},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stream": true,
    })
}

fn reminder(text: &str) -> Value {
    json!({"type": "text", "text": format!("<system-reminder>\n{text}\n</system-reminder>\n")})
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

/// The content of a streamed answer.
fn content(events: &[(String, Value)]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for (name, data) in events {
        let delta = &data["delta"];
        match name.as_str() {
            "content_block_start" => blocks.push(data["content_block"].clone()),
            "content_block_delta" => {
                let block = blocks.last_mut().unwrap();
                for field in ["text", "thinking", "signature"] {
                    if let Some(more) = delta[field].as_str() {
                        block[field] = (block[field].as_str().unwrap().to_owned() + more).into();
                    }
                }
                input.push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            "content_block_stop" if !input.is_empty() => {
                blocks.last_mut().unwrap()["input"] = serde_json::from_str(&input).unwrap();
                input.clear();
            }
            _ => {}
        }
    }
    blocks
}

/// The same conversation with an answer and the results of the tools that it calls.
fn go_on(body: &Value, content: &[Value]) -> Value {
    let calls = content.iter().filter(|block| block["type"] == "tool_use");
    let results: Vec<_> = calls
        .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "done"}))
        .collect();
    assert!(!results.is_empty(), "no call in {content:?}");
    let mut body = body.clone();
    let messages = body["messages"].as_array_mut().unwrap();
    for block in messages.iter_mut().flat_map(|turn| turn["content"].as_array_mut().unwrap()) {
        block.as_object_mut().unwrap().remove("cache_control");
    }
    messages.push(json!({"role": "assistant", "content": content}));
    messages.push(json!({"role": "user", "content": results}));
    let last = messages.last_mut().unwrap()["content"].as_array_mut().unwrap().last_mut().unwrap();
    last["cache_control"] = json!({"type": "ephemeral"});
    body
}

/// Checks that an answer is a stream of Claude's, and gives its events.
#[track_caller]
fn streamed(answer: &Answer) -> Vec<(String, Value)> {
    let events = answer.events();
    assert_are_events(&events);
    let names = names(&events);
    assert_eq!((names[0], *names.last().unwrap()), ("message_start", "message_stop"));
    assert!(answer.is_whole && names.contains(&"ping"), "{names:?}");
    assert!(answer.header("request-id").is_some());
    events
}

fn sites(world: &World) -> [Site; 2] {
    Site::both(world, &scenario(json!({})))
}

/// Has the simulator make a fault once.
fn set_fault(site: &Site, mut fault: Value) {
    fault["times"] = json!(1);
    let body = json!({"overloadedRate": 0, "rules": [fault]}).to_string();
    assert_eq!(send(site.simulator().address(), "PUT /_sim/faults", &[], &body).status, 204);
}

#[test]
fn a_prompt_to_a_model_of_any_age_is_one_streamed_request() {
    let world = World::new();
    for site in sites(&world) {
        for body in [older(), newer()] {
            let size = body.to_string().len();
            assert!((80_000..95_000).contains(&size), "{size} bytes");
            let events = streamed(&ask(&site, &body, "600"));
            let usage = &events[0].1["message"]["usage"];
            assert!(usage["cache_creation_input_tokens"].as_u64() > Some(10_000), "{usage}");
            let first = &content(&events)[0];
            assert_eq!((&first["type"], &first["thinking"]), (&json!("thinking"), &json!("")));
        }
        assert_eq!(site.simulator().books()["total"]["served"], 2);
    }
}

#[test]
fn a_call_of_a_tool_is_answered_with_its_thoughts_and_what_was_said_is_read_from_the_cache() {
    let world = World::new();
    for site in sites(&world) {
        for body in [older(), newer()] {
            let events = streamed(&ask(&site, &body, "600"));
            assert_eq!(events[0].1["message"]["usage"]["cache_read_input_tokens"], 0);
            let events = streamed(&ask(&site, &go_on(&body, &content(&events)), "600"));
            let usage = &events[0].1["message"]["usage"];
            assert!(usage["cache_read_input_tokens"].as_u64() > Some(10_000), "{usage}");
            assert_eq!(events[events.len() - 2].1["delta"]["stop_reason"], "end_turn");
        }
        let total = &site.simulator().books()["total"];
        assert_eq!((&total["requests"], &total["served"]), (&json!(4), &json!(4)), "once each");
    }
}

#[test]
fn a_stream_that_ends_with_an_error_is_asked_for_again_in_one_piece() {
    let world = World::new();
    for site in sites(&world) {
        let error = json!({"type": "overloaded_error"});
        set_fault(&site, json!({"fault": "errorEvent", "afterEvents": 6, "error": error}));
        let mut body = newer();
        let events = ask(&site, &body, "600").events();
        assert_are_events(&events);
        let (last, data) = events.last().unwrap();
        assert_eq!((events.len(), last.as_str()), (8, "error"), "six, a ping and the error");
        assert_eq!(data["error"]["type"], "overloaded_error");

        body["stream"] = json!(false);
        let answer = ask(&site, &body, "300");
        assert_eq!(answer.status, 200);
        assert_fits(&MESSAGE, &answer.json());
    }
}

#[test]
fn a_stream_that_breaks_off_is_asked_for_again() {
    let world = World::new();
    for site in sites(&world) {
        set_fault(&site, json!({"fault": "drop", "afterEvents": 6}));
        let broken = ask(&site, &newer(), "600");
        let events = broken.events();
        assert_are_events(&events);
        // A gateway says itself that it lost the rest.
        let last = events.last().unwrap().0.as_str();
        assert_eq!((broken.is_whole, last == "error"), (site.is_gateway(), site.is_gateway()));
        streamed(&ask(&site, &newer(), "600"));
    }
}

#[test]
fn the_warm_up_is_answered_and_models_are_discovered() {
    let world = World::new();
    for site in &sites(&world) {
        let hello = send(site.address(), "HEAD /api/hello", &[("User-Agent", "Bun/1.3.14")], "");
        assert_eq!((hello.status, hello.body.as_str()), (200, ""));
        let list = say(site, "GET /v1/models?limit=1000", &[], "").json();
        assert_eq!(list["has_more"], false);
        let models = list["data"].as_array().unwrap();
        assert!(models.iter().any(|model| model["id"] == "claude-opus-5-5"));
        for model in models {
            assert_fits(&MODEL, model);
            assert!(model["id"].as_str().unwrap().contains("claude"), "{model}");
        }
    }
}

#[test]
fn tokens_are_counted() {
    let world = World::new();
    for site in &sites(&world) {
        let Value::Object(mut body) = newer() else { unreachable!() };
        body.retain(|key, _| ["model", "messages", "system", "tools"].contains(&key.as_str()));
        let line = "POST /v1/messages/count_tokens?beta=true";
        let counted = say(site, line, &[], &json!(body).to_string()).json();
        assert_fits(&COUNT, &counted);
        assert!(counted["input_tokens"].as_u64() > Some(10_000), "{counted}");
    }
}

#[test]
fn the_words_that_it_looks_for_are_in_the_errors() {
    let world = World::new();
    let prompt = |text: &str| json!([{"role": "user", "content": text}]);
    let mut unknown = older();
    unknown["model"] = json!("claude-nonesuch");
    let mut long = older();
    long["messages"] = prompt(&"word ".repeat(200_000));
    for site in sites(&world) {
        for (body, expected, words) in [
            (&unknown, (404, "not_found_error"), "model: claude-nonesuch"),
            (&long, (400, "invalid_request_error"), "prompt is too long"),
        ] {
            let (status, kind, message) = error_of(&ask(&site, body, "600"));
            assert_eq!((status, kind.as_str()), expected);
            assert!(message.starts_with(words), "{message}");
        }
    }
}
