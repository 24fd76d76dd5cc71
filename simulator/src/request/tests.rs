//! What is read of a request, and helpers for the tables of what is taken and refused.

mod refused;
mod rules;
mod taken;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const OLD: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];
const NEW: &[(&str, &str)] = &[("anthropic-version", "2026-10-21")];
const BETA: &[(&str, &str)] = &[("anthropic-version", "2026-10-21"), ("anthropic-beta", "any")];

fn headers(named: &[(&'static str, &'static str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    named.iter().map(header).collect()
}

/// A valid request with something laid over it; `null` takes a field away.
fn request(more: Value) -> Value {
    let mut body = json!({
        "model": "claude-opus-4-6",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "hi"}],
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    body
}

fn read(named: &[(&'static str, &'static str)], more: Value) -> Checked<Ask> {
    Ask::read(&headers(named), request(more).to_string().as_bytes())
}

/// Reads a request that must be taken.
fn ask(named: &[(&'static str, &'static str)], more: Value) -> Ask {
    read(named, more.clone()).unwrap_or_else(|problem| panic!("{more}: {}", problem.message))
}

/// The message a request is refused with.
fn refusal(named: &[(&'static str, &'static str)], more: Value) -> String {
    match read(named, more.clone()) {
        Ok(_) => panic!("taken: {more}"),
        Err(problem) => {
            assert_eq!(problem.name, "invalid_request_error", "{more}");
            problem.message
        }
    }
}

/// What is laid over a valid request, and what is said to it.
type Row = (Value, &'static str);

fn assert_refused(rows: impl IntoIterator<Item = Row>) {
    for (more, expected) in rows {
        assert_eq!(refusal(NEW, more.clone()), expected, "{more}");
    }
}

/// A conversation of one user's turn.
fn said(blocks: Value) -> Value {
    json!({"messages": [{"role": "user", "content": blocks}]})
}

/// A conversation in which an assistant's turn holds these blocks.
fn replied(blocks: Value) -> Value {
    let user = json!({"role": "user", "content": "hi"});
    json!({"messages": [user, {"role": "assistant", "content": blocks}, user]})
}

/// A tool with something laid over it.
fn tool(more: Value) -> Value {
    let mut tool = json!({"name": "t", "input_schema": {"type": "object"}});
    let members = tool.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    json!({"tools": [tool]})
}

#[test]
fn what_the_model_may_call_and_must_follow_is_read() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = |name: &str| json!({"name": name, "input_schema": schema});
    let mut later = tool("later");
    later["defer_loading"] = json!(true);
    let tools = json!([tool("weather"), {"type": "bash_20250124", "name": "bash"}, later]);
    let asked = ask(
        NEW,
        json!({
            "tools": tools,
            "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": true},
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
        }),
    );
    let weather = Tool { name: "weather".to_owned(), schema: schema.clone() };
    assert_eq!(asked.tools, [weather], "neither the API's own nor a deferred one");
    assert_eq!(asked.tool_choice, ToolChoice::Named("weather".to_owned()));
    assert!(!asked.parallel_tools);
    assert_eq!(asked.format, Some(schema.clone()));

    let asked = ask(NEW, json!({}));
    assert_eq!((asked.tools, asked.tool_choice, asked.format), (vec![], ToolChoice::Auto, None));
    assert!(asked.parallel_tools);
    for (tag, expected) in [("any", ToolChoice::Any), ("none", ToolChoice::None)] {
        let more = json!({"tools": [tool("weather")], "tool_choice": {"type": tag}});
        assert_eq!(ask(NEW, more).tool_choice, expected);
    }
}

#[test]
fn models_think_as_they_are_told_and_the_newer_ones_by_themselves() {
    let (off, shown) = (Thinking::Off, Thinking::On { shown: true });
    let hidden = Thinking::On { shown: false };
    for (model, thinking, expected) in [
        ("claude-haiku-4-5", json!(null), off),
        ("claude-haiku-4-5", json!({"type": "enabled", "budget_tokens": 1024}), shown),
        (
            "claude-haiku-4-5",
            json!({"type": "enabled", "budget_tokens": 1024, "display": "omitted"}),
            hidden,
        ),
        ("claude-opus-4-6", json!(null), off),
        ("claude-opus-4-6", json!({"type": "adaptive"}), shown),
        ("claude-opus-4-7", json!({"type": "adaptive"}), hidden),
        ("claude-opus-4-7", json!({"type": "adaptive", "display": "summarized"}), shown),
        ("claude-opus-5", json!({"type": "disabled"}), off),
        ("claude-opus-5-5", json!(null), hidden),
        ("claude-fable-5-1", json!({"type": "adaptive", "display": "summarized"}), shown),
        ("claude-sonnet-5-5", json!({"type": "between_tools"}), off),
    ] {
        let more = json!({"model": model, "thinking": thinking});
        assert_eq!(ask(NEW, more.clone()).thinking, expected, "{more}");
    }
    let mut more = taken::after_a_call();
    more["model"] = json!("claude-sonnet-5-5");
    more["thinking"] = json!({"type": "between_tools"});
    assert_eq!(ask(NEW, more).thinking, hidden);
}

#[test]
fn thinking_that_is_sent_back_is_read_with_its_place_and_whether_it_is_the_latest_message_s() {
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "EqQB"});
    let redacted = json!({"type": "redacted_thinking", "data": "EmwK"});
    let said = json!({"type": "text", "text": "Hello."});
    let asked = ask(
        NEW,
        json!({"messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [thought]},
            {"role": "user", "content": "and?"},
            {"role": "assistant", "content": [thought, redacted, said]},
            {"role": "user", "content": "and?"},
        ]}),
    );
    let signed = |path: &str, thinking: &str, signature: &str| Signed {
        path: path.to_owned(),
        thinking: thinking.to_owned(),
        signature: signature.to_owned(),
        is_latest: path.starts_with("messages.3"),
    };
    let expected = [
        signed("messages.1.content.0", "Hm.", "EqQB"),
        signed("messages.3.content.0", "Hm.", "EqQB"),
        signed("messages.3.content.1", "EmwK", "EmwK"),
    ];
    assert_eq!(asked.signed, expected);
    assert!(!asked.answers_tool);
    assert_eq!(asked.turns, 5);
    let asked = ask(
        NEW,
        json!({"messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [thought]},
            {"role": "user", "content": "and?"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "and?"},
        ]}),
    );
    assert!(asked.signed.iter().all(|thought| !thought.is_latest), "the latest has none");
}

#[test]
fn a_turn_answers_tools_only_if_it_is_the_last() {
    let mut more = taken::after_a_call();
    assert!(ask(NEW, more.clone()).answers_tool);
    let messages = more["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "user", "content": "And tomorrow?"}));
    assert!(ask(NEW, more.clone()).answers_tool, "two messages are one turn");
    let messages = more["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": "Rain."}));
    messages.push(json!({"role": "user", "content": "Thanks."}));
    assert!(!ask(NEW, more).answers_tool);
}

#[test]
fn a_count_takes_what_is_said_and_refuses_how_to_answer() {
    let count = |more: Value| {
        let mut body = request(json!({"max_tokens": null}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Ask::count(&headers(NEW), body.to_string().as_bytes())
    };
    let counted = count(json!({"model": "claude-haiku-4-5"})).unwrap();
    assert_eq!(counted.model.id, "claude-haiku-4-5-20251001");
    assert_eq!(counted.input_tokens, ask(NEW, json!({})).input_tokens);
    let tools = json!([{"name": "t", "input_schema": {"type": "object"}}]);
    let more = json!({
        "system": "Be brief.",
        "tools": tools,
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "enabled", "budget_tokens": 100_000},
        "output_config": {"effort": "low"},
        "cache_control": {"type": "ephemeral"},
        "speed": "standard",
    });
    assert!(count(more).unwrap().input_tokens > counted.input_tokens);
    for name in ["max_tokens", "stream", "metadata", "stop_sequences", "service_tier", "container"]
    {
        let message = count(json!({name: 1})).unwrap_err().message;
        assert_eq!(message, format!("{name}: Extra inputs are not permitted"));
    }
    assert_eq!(
        count(json!({"messages": []})).unwrap_err().message,
        "messages: at least one message is required"
    );
}

#[test]
fn a_request_of_a_batch_has_fields_of_its_own_and_no_empty_answer() {
    let batched = |more: Value| Ask::batched(Rules::of(&headers(NEW)).unwrap(), request(more));
    assert!(!batched(json!({"stream": false})).unwrap().stream);
    for (more, expected) in [
        (json!({"speed": "standard"}), "speed: Extra inputs are not permitted"),
        (json!({"max_tokens": 0}), "max_tokens: Input should be greater than or equal to 1"),
        (json!({"store": true}), "store: Extra inputs are not permitted"),
        (json!({"top_p": 1}), "top_p: Extra inputs are not permitted"),
    ] {
        assert_eq!(batched(more).unwrap_err().message, expected);
    }
    let older = Rules::of(&headers(OLD)).unwrap();
    assert!(Ask::batched(older, request(json!({"top_p": 1}))).is_ok());
    let message = Ask::batched(older, json!([])).unwrap_err().message;
    assert_eq!(message, "Input should be a valid dictionary");
}

/// Words that mean something in a request, so that a drawn one gets far.
const WORDS: [&str; 24] = [
    "model",
    "claude-opus-5-5",
    "max_tokens",
    "messages",
    "role",
    "user",
    "assistant",
    "system",
    "content",
    "type",
    "text",
    "tool_use",
    "tool_result",
    "tool_use_id",
    "id",
    "name",
    "input",
    "tools",
    "input_schema",
    "object",
    "tool_choice",
    "thinking",
    "enabled",
    "source",
];

fn anything() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(WORDS.as_slice());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_body_is_taken_or_refused(body in anything(), name in prop::sample::select(WORDS.as_slice())) {
        let over = request(json!({name: body.clone()}));
        let said = request(json!({"messages": [{"role": "user", "content": "hi"}, body.clone()]}));
        let block = request(json!({"messages": [{"role": "user", "content": [body.clone()]}]}));
        for body in [body, over, said, block] {
            for named in [OLD, NEW, BETA] {
                let body = body.to_string();
                if let Err(problem) = Ask::read(&headers(named), body.as_bytes()) {
                    let is_known = ["invalid_request_error", "not_found_error"].contains(&problem.name.as_str());
                    prop_assert!(is_known && !problem.message.is_empty(), "{}", body);
                }
                let _ = Ask::count(&headers(named), body.as_bytes());
            }
        }
    }
}
