//! What is refused although it has its shape, and in which words.

use serde_json::{Value, json};

use super::taken::after_a_call;
use super::{NEW, OLD, ask, assert_refused, refusal, replied, said, tool};

#[test]
fn the_second_version_refuses_documents_of_the_assistants_and_citations_of_the_users() {
    let document = json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}});
    let location = json!({
        "type": "char_location", "cited_text": "h", "document_index": 0, "document_title": null,
        "start_char_index": 0, "end_char_index": 1,
    });
    let cited = json!({"type": "text", "text": "hi", "citations": [location]});
    let found = json!({"type": "search_result", "title": "t", "source": "s", "content": [cited]});
    for (more, expected) in [
        (
            replied(json!([document])),
            "messages.1.content.0: `document` blocks can only be in `user` messages",
        ),
        (
            said(json!([cited])),
            "messages.0.content.0.text.citations: Citations are not permitted in `user` messages",
        ),
        (
            said(json!([found])),
            "messages.0.content.0.search_result.content.0.citations: Citations are not permitted in `user` messages",
        ),
    ] {
        assert_eq!(refusal(NEW, more.clone()), expected);
        ask(OLD, more);
    }
    ask(NEW, replied(json!([cited])));
}

#[test]
fn turns_are_in_an_order_and_say_something() {
    let user = json!({"role": "user", "content": "hi"});
    let system = json!({"role": "system", "content": "Be brief."});
    let modern = |messages: Value| json!({"model": "claude-sonnet-5-5", "messages": messages});
    let older = |messages: Value| json!({"model": "claude-haiku-4-5", "messages": messages});
    let assistant = json!({"role": "assistant", "content": "Hello."});
    assert_refused([
        (modern(json!([system, user])), "messages: first message must use the \"user\" role"),
        (
            modern(json!([user, system, user])),
            "messages.1: role 'system' must precede an 'assistant' message or end the array",
        ),
        (
            modern(json!([user, assistant, system])),
            "messages.2: role 'system' must follow a 'user' message or an 'assistant' message that ends in a server tool use",
        ),
        (
            modern(json!([user, {"role": "system", "content": [{"type": "image"}]}])),
            "messages.1.content.0: Input tag 'image' found using 'type' does not match any of the expected tags: 'text'",
        ),
        (modern(json!([user, {"role": "system"}])), "messages.1.content: Field required"),
        (older(json!([user, system])), "role 'system' is not supported on this model"),
        (
            older(json!([user, {"role": "assistant", "content": "The "}])),
            "messages: final assistant content cannot end with trailing whitespace",
        ),
        (
            older(json!([{"role": "user", "content": " "}])),
            "messages: text content blocks must contain non-whitespace text",
        ),
        (
            replied(json!([])),
            "messages.1: all messages must have non-empty content except for the optional final assistant message",
        ),
    ]);
}

#[test]
fn calls_and_results_belong_together() {
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "t", "input": {}});
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": ""});
    let text = json!({"type": "text", "text": "hi"});
    let talk = |asked: Value, answered: Value| {
        let user = json!({"role": "user", "content": "hi"});
        let asked = json!({"role": "assistant", "content": asked});
        json!({"messages": [user, asked, {"role": "user", "content": answered}]})
    };
    let missing = "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: b. Each `tool_use` block must have a corresponding `tool_result` block in the next message.";
    assert_refused([
        (
            said(json!([result("a")])),
            "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: a. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
        ),
        (
            talk(json!([call("a")]), json!([result("a"), result("b")])),
            "messages.2.content.1: unexpected `tool_use_id` found in `tool_result` blocks: b. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
        ),
        (talk(json!([call("a"), call("b")]), json!([result("a")])), missing),
        (talk(json!([call("a"), call("b")]), json!([result("a"), text, result("b")])), missing),
        (talk(json!([call("b")]), json!("hi")), missing),
        (
            talk(json!([call("a"), call("a")]), json!([result("a")])),
            "messages.1.content.1: `tool_use` ids must be unique",
        ),
        (
            talk(json!([call("a")]), json!([result("a"), result("a")])),
            "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: a",
        ),
        (
            said(json!([call("a")])),
            "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages",
        ),
        (
            replied(json!([result("a")])),
            "messages.1.content.0: `tool_result` blocks can only be in `user` messages",
        ),
        (
            replied(json!([{"type": "web_search_tool_result", "tool_use_id": "s", "content": []}])),
            "messages.1.content.0: unexpected `tool_use_id` found in `web_search_tool_result` blocks: s. Each `web_search_tool_result` block must have a corresponding `server_tool_use` block before it.",
        ),
        (
            talk(
                json!([call("a")]),
                json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": ""}]}]),
            ),
            "messages: text content blocks must be non-empty",
        ),
    ]);
    let mut more = talk(json!([call("a"), call("b")]), json!([result("a")]));
    let messages = more["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": "Hello."}));
    messages.push(json!({"role": "user", "content": "hi"}));
    assert_eq!(refusal(NEW, more), missing);
    let mut more = after_a_call();
    more["messages"].as_array_mut().unwrap().pop();
    more["model"] = json!("claude-haiku-4-5");
    assert!(refusal(NEW, more).starts_with("messages.1: `tool_use` ids were found without"));
}

#[test]
fn a_choice_of_tools_is_one_that_can_be_made() {
    let choosing = |model: &str, choice: Value, thinking: Value| {
        let mut more = tool(json!({}));
        more["tool_choice"] = choice;
        more["model"] = json!(model);
        more["thinking"] = thinking;
        more
    };
    let never = "tool_choice: type \"tool\" and \"any\" are not supported for this model.";
    assert_refused([
        (
            json!({"tool_choice": {"type": "auto"}}),
            "`tool_choice` may only be specified while providing `tools`.",
        ),
        (
            choosing("claude-opus-4-6", json!({"type": "required"}), json!(null)),
            "tool_choice: Input tag 'required' found using 'type' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'",
        ),
        (
            choosing("claude-opus-4-6", json!({"type": "tool"}), json!(null)),
            "tool_choice.tool.name: Field required",
        ),
        (
            choosing("claude-opus-4-6", json!({"type": "tool", "name": "u"}), json!(null)),
            "tool_choice.tool.name: Tool 'u' not found in provided tools",
        ),
        (
            choosing(
                "claude-opus-4-6",
                json!({"type": "none", "disable_parallel_tool_use": true}),
                json!(null),
            ),
            "tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted",
        ),
        (choosing("claude-opus-5-5", json!({"type": "any"}), json!(null)), never),
        (choosing("claude-sonnet-5-5", json!({"type": "tool", "name": "t"}), json!(null)), never),
        (choosing("claude-fable-5-1", json!({"type": "any"}), json!(null)), never),
        (
            choosing("claude-opus-4-6", json!({"type": "any"}), json!({"type": "adaptive"})),
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
    ]);
}

#[test]
fn models_refuse_thinking_they_do_not_have() {
    let on = |model: &str, thinking: Value| json!({"model": model, "thinking": thinking});
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let off = json!({"type": "disabled"});
    assert_refused([
        (
            on("claude-opus-4-6", json!({"type": "enabled"})),
            "thinking.enabled.budget_tokens: Field required",
        ),
        (
            on("claude-opus-4-6", budget(1023)),
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            on("claude-opus-4-6", budget(4096)),
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
        ),
        (
            on("claude-opus-4-6", json!({"type": "adaptive", "display": "all"})),
            "thinking.adaptive.display: Input should be 'summarized', 'omitted' or 'updates'",
        ),
        (
            on("claude-opus-4-6", json!({"type": "on"})),
            "thinking: Input tag 'on' found using 'type' does not match any of the expected tags: 'enabled', 'adaptive', 'disabled', 'between_tools'",
        ),
        (
            on("claude-opus-4-7", budget(1024)),
            "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
        ),
        (
            on("claude-haiku-4-5", json!({"type": "adaptive"})),
            "adaptive thinking is not supported on this model",
        ),
        (
            on("claude-opus-5-5", off.clone()),
            "\"thinking.type.disabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
        ),
        (
            on("claude-fable-5", off.clone()),
            "\"thinking.type.disabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
        ),
        (
            on("claude-opus-5", json!({"type": "between_tools"})),
            "\"thinking.type.between_tools\" is not supported for this model.",
        ),
        (
            json!({"model": "claude-opus-5", "thinking": off, "output_config": {"effort": "max"}}),
            "output_config.effort 'max' is not supported when thinking is disabled on this model. Use effort 'high' or below, or enable thinking.",
        ),
        (
            json!({"model": "claude-haiku-4-5", "output_config": {"effort": "low"}}),
            "This model does not support the effort parameter.",
        ),
    ]);
}

#[test]
fn a_model_that_thinks_samples_with_its_defaults() {
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    for (name, value, complaint) in [
        ("temperature", 0.5, "may only be set to 1 when thinking is enabled."),
        ("top_p", 0.9, "must be greater than or equal to 0.95 or unset when thinking is enabled."),
        ("top_k", 5.0, "must be unset when thinking is enabled."),
    ] {
        ask(OLD, json!({name: value}));
        let message = refusal(OLD, json!({name: value, "thinking": thinking}));
        assert_eq!(message, format!("`{name}` {complaint}"));
    }
    ask(OLD, json!({"top_p": 0.95, "temperature": 1, "thinking": thinking}));
}

#[test]
fn a_hundred_thousand_messages_are_a_conversation_and_one_more_are_not() {
    let refusal = |count: usize| refusal(NEW, json!({"messages": vec!["hi"; count]}));
    assert_eq!(refusal(100_000), "messages.0: Input should be a valid dictionary");
    assert_eq!(refusal(100_001), "messages: List should have at most 100000 items");
}
