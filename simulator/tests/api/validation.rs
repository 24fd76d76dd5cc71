//! What the API refuses, and how it says so.

use serde_json::{Value, json};

use crate::client::{KEY, call, error_of, request, send, simulator};

async fn refusal(version: &str, body: &str) -> (u16, String, String) {
    let simulator = simulator(json!({}));
    let headers = [("x-api-key", KEY), ("anthropic-version", version)];
    let heard = send(&simulator, call(&headers, body.to_owned())).await;
    assert_eq!(simulator.books().total.invalid, 1, "{body} -> {}", heard.text());
    assert_eq!(simulator.books().total.tokens.input, 0);
    error_of(&heard)
}

fn said(content: Value) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

/// What is laid over a valid request, and what is said to it.
type Row = (Value, &'static str);

async fn assert_refused(rows: impl IntoIterator<Item = Row>) {
    for (more, expected) in rows {
        let expected = (400, "invalid_request_error".to_owned(), expected.to_owned());
        let body = request(more.clone()).to_string();
        assert_eq!(refusal("2026-10-21", &body).await, expected, "{more}");
    }
}

#[tokio::test]
async fn model_and_max_tokens_are_required_and_must_make_sense() {
    assert_refused([
        (json!({"model": null}), "model: Field required"),
        (json!({"model": 4}), "model: Input should be a valid string"),
        (json!({"model": ""}), "model: String should have at least 1 character"),
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (json!({"max_tokens": "many"}), "max_tokens: Input should be a valid integer"),
        (json!({"max_tokens": -1}), "max_tokens: Input should be greater than or equal to 0"),
        (
            json!({"max_tokens": 200_000}),
            "max_tokens: 200000 > 128000, which is the maximum allowed number of output tokens for claude-opus-4-6",
        ),
    ])
    .await;
}

#[tokio::test]
async fn turns_must_be_complete_and_in_an_order_the_model_takes() {
    let user = json!({"role": "user", "content": "hi"});
    assert_refused([
        (json!({"messages": null}), "messages: Field required"),
        (json!({"messages": "hi"}), "messages: Input should be a valid list"),
        (json!({"messages": []}), "messages: at least one message is required"),
        (json!({"messages": ["hi"]}), "messages.0: Input should be a valid dictionary"),
        (json!({"messages": [{"content": "hi"}]}), "messages.0.role: Field required"),
        (json!({"messages": [{"role": "user"}]}), "messages.0.content: Field required"),
        (
            json!({"messages": [{"role": "bot", "content": "hi"}]}),
            "messages.0.role: Input should be 'user' or 'assistant'",
        ),
        (
            json!({"messages": [{"role": "user", "content": "hi", "name": "x"}]}),
            "messages.0.name: Extra inputs are not permitted",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "hi"}, user]}),
            "messages: first message must use the \"user\" role",
        ),
        (
            json!({"messages": [user, {"role": "assistant", "content": "The"}]}),
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ),
        (
            json!({"messages": [user, {"role": "system", "content": "Be brief."}]}),
            "role 'system' is not supported on this model",
        ),
    ])
    .await;
}

#[tokio::test]
async fn content_blocks_must_be_known_complete_and_not_empty() {
    assert_refused([
        (said(json!(7)), "messages.0.content: Input should be a valid list"),
        (said(json!("")), "messages.0: all messages must have non-empty content except for the optional final assistant message"),
        (said(json!([])), "messages.0: all messages must have non-empty content except for the optional final assistant message"),
        (said(json!(["hi"])), "messages.0.content.0: Input should be a valid dictionary"),
        (said(json!([{"text": "hi"}])), "messages.0.content.0.type: Field required"),
        (said(json!([{"type": "text"}])), "messages.0.content.0.text.text: Field required"),
        (
            said(json!([{"type": "text", "text": 7}])),
            "messages.0.content.0.text.text: Input should be a valid string",
        ),
        (
            said(json!([{"type": "text", "text": ""}])),
            "messages: text content blocks must be non-empty",
        ),
        (
            said(json!([{"type": "text", "text": " \n"}])),
            "messages: text content blocks must contain non-whitespace text",
        ),
        (
            said(json!([{"type": "tool_result"}])),
            "messages.0.content.0.tool_result.tool_use_id: Field required",
        ),
    ])
    .await;
    let tag = said(json!([{"type": "video"}]));
    let message = refusal("2026-10-21", &request(tag).to_string()).await.2;
    let expected = "messages.0.content.0: Input tag 'video' found using 'type' does not match any of the expected tags: 'text', 'image'";
    assert!(message.starts_with(expected), "{message}");
}

#[tokio::test]
async fn the_other_fields_must_have_their_shape_and_unknown_ones_are_not_permitted() {
    assert_refused([
        (json!({"system": 7}), "system: Input should be a valid list"),
        (
            json!({"system": [{"type": "text", "text": ""}]}),
            "system: text content blocks must be non-empty",
        ),
        (json!({"system": [{"type": "image"}]}), "system.0.type: Input should be 'text'"),
        (json!({"stream": "yes"}), "stream: Input should be a valid boolean"),
        (
            json!({"stop_sequences": ["\n"]}),
            "stop_sequences: each stop sequence must contain non-whitespace",
        ),
        (json!({"stop_sequences": [7]}), "stop_sequences.0: Input should be a valid string"),
        (json!({"metadata": "x"}), "metadata: Input should be a valid dictionary"),
        (json!({"tools": {}}), "tools: Input should be a valid list"),
        (
            json!({"service_tier": "priority"}),
            "service_tier: Input should be 'auto' or 'standard_only'",
        ),
        (
            json!({"model": "claude-haiku-4-5", "inference_geo": "us"}),
            "inference_geo: not supported for this model",
        ),
        (
            json!({"model": "claude-opus-4-7", "speed": "fast"}),
            "speed: 'fast' is not supported for this model",
        ),
        (json!({"temperature": 1}), "temperature: Extra inputs are not permitted"),
        (json!({"max_token": 5}), "max_token: Extra inputs are not permitted"),
        (json!({"context_management": {}}), "context_management: Extra inputs are not permitted"),
    ])
    .await;
}

#[tokio::test]
async fn a_prompt_longer_than_the_window_is_refused() {
    let body = request(
        json!({"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "x".repeat(800_000)}]}),
    );
    let message = refusal("2026-10-21", &body.to_string()).await.2;
    assert_eq!(message, "prompt is too long: 200003 tokens > 200000 maximum");
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    for model in ["gpt-5", "claude-opus-4.6", "claude-opus-4-1"] {
        let (status, kind, message) =
            refusal("2026-10-21", &request(json!({"model": model})).to_string()).await;
        assert_eq!((status, kind.as_str()), (404, "not_found_error"));
        assert_eq!(message, format!("model: {model}"));
    }
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_is_refused() {
    for body in ["", "{", "{\"model\": }"] {
        let message = refusal("2026-10-21", body).await.2;
        assert!(message.starts_with("The request body is not valid JSON: "), "{message}");
    }
    assert_eq!(refusal("2026-10-21", "[]").await.2, "Input should be a valid dictionary");
}

#[tokio::test]
async fn the_version_header_is_required_and_must_be_known() {
    let body = request(json!({})).to_string();
    assert_eq!(
        refusal("2024-01-01", &body).await.2,
        "anthropic-version: \"2024-01-01\" is not a valid version"
    );
    let heard = send(&simulator(json!({})), call(&[("x-api-key", KEY)], body)).await;
    assert_eq!(error_of(&heard).2, "anthropic-version: header is required");
}

#[tokio::test]
async fn the_older_version_takes_sampling_parameters_where_the_model_does() {
    let simulator = simulator(json!({}));
    let ask = async |model: &str, more: Value| {
        let mut body = request(more);
        body["model"] = json!(model);
        let headers = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
        let heard = send(&simulator, call(&headers, body.to_string())).await;
        if heard.status == 200 { String::new() } else { error_of(&heard).2 }
    };
    let sampling = json!({"temperature": 0.2, "top_p": 0.9, "top_k": 5});
    assert_eq!(ask("claude-opus-4-6", sampling.clone()).await, "");
    assert_eq!(
        ask("claude-opus-4-7", sampling).await,
        "`temperature` is deprecated for this model."
    );
    assert_eq!(ask("claude-opus-4-7", json!({"temperature": 1.0})).await, "");
    assert_eq!(
        ask("claude-opus-4-6", json!({"temperature": 1.5})).await,
        "temperature: Input should be less than or equal to 1"
    );
    assert_eq!(
        ask("claude-opus-4-6", json!({"top_k": -1})).await,
        "top_k: Input should be greater than or equal to 0"
    );
    assert_eq!(
        ask("claude-opus-4-6", json!({"top_p": "x"})).await,
        "top_p: Input should be a valid number"
    );
}

#[tokio::test]
async fn what_the_api_takes_is_taken() {
    let simulator = simulator(json!({}));
    let user = json!({"role": "user", "content": "hi"});
    let assistant = json!({"role": "assistant", "content": "hello"});
    for more in [
        json!({"messages": [user, user, assistant, assistant, user]}),
        json!({"model": "claude-haiku-4-5", "messages": [user, {"role": "assistant", "content": ""}]}),
        json!({"model": "claude-opus-5-5", "messages": [user, {"role": "system", "content": "Be brief."}]}),
        json!({"system": "Be brief.", "metadata": {"user_id": "u"}, "service_tier": "auto", "stop_sequences": null}),
        json!({"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]}),
        json!({"tools": [{"name": "t", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto"}}),
        said(
            json!([{"type": "text", "text": "hi"}, {"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}}]),
        ),
    ] {
        let headers = [("x-api-key", KEY), ("anthropic-version", "2026-10-21")];
        let heard = send(&simulator, call(&headers, request(more.clone()).to_string())).await;
        assert_eq!(heard.status, 200, "{more}: {}", heard.text());
    }
    let headers = [
        ("x-api-key", KEY),
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "context-management-2025-06-27"),
    ];
    let body = request(json!({"context_management": {"edits": []}}));
    assert_eq!(send(&simulator, call(&headers, body.to_string())).await.status, 200);
}
