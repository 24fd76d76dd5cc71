//! What is taken: every construct that the official clients can send.

use serde_json::{Value, json};

use super::{BETA, NEW, OLD, ask, replied, said};

/// A conversation that ends with the result of a call.
pub(super) fn after_a_call() -> Value {
    json!({"messages": [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": [
            {"type": "text", "text": "Checking.", "citations": null},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}, "caller": {"type": "direct"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain.", "is_error": false, "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "And tomorrow?"},
        ]},
    ]})
}

#[test]
fn every_field_is_taken() {
    for more in [
        json!({"max_tokens": 0}),
        json!({"system": "", "stream": true, "stop_sequences": ["END"], "metadata": {}}),
        json!({"metadata": {"user_id": "{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"s\"}"}}),
        json!({"service_tier": "standard_only", "inference_geo": "global", "speed": "fast"}),
        json!({"container": "container_1", "diagnostics": {"previous_message_id": null}}),
        json!({"container": {"id": null, "skills": [{"skill_id": "pdf", "type": "anthropic", "version": "latest"}]}}),
        json!({"cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        json!({"output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {}}}}),
    ] {
        ask(NEW, more);
    }
    for more in [
        json!({"fallbacks": [{"model": "claude-opus-5"}], "compaction": {}, "billing_policy": {}}),
        json!({"mcp_servers": [{"type": "url", "name": "m", "url": "https://example.com"}]}),
        json!({"output_config": {"task_budget": {"type": "tokens", "total": 20_000}}}),
    ] {
        ask(BETA, more);
    }
}

#[test]
fn every_block_of_the_users_is_taken() {
    let cached = json!({"type": "ephemeral"});
    let text = json!({"type": "text", "text": "hi", "cache_control": cached, "citations": []});
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}});
    for blocks in [
        json!([text, image]),
        json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}, "transformations": {"oversized_image": "error"}}]),
        json!([{"type": "image", "source": {"type": "file", "file_id": "file_1"}}]),
        json!([{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "eA=="}, "title": "T", "context": null, "citations": {"enabled": true}}]),
        json!([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}]),
        json!([{"type": "document", "source": {"type": "content", "content": "c"}}]),
        json!([{"type": "document", "source": {"type": "content", "content": [text, image]}}]),
        json!([{"type": "document", "source": {"type": "url", "url": "https://example.com/x.pdf"}}]),
        json!([{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]),
        json!([{"type": "search_result", "title": "t", "source": "s", "content": [text], "citations": {"enabled": false}}]),
        json!([{"type": "container_upload", "file_id": "file_1"}]),
    ] {
        ask(NEW, said(blocks));
    }
}

#[test]
fn every_result_of_a_tool_is_taken() {
    let text = json!({"type": "text", "text": "Rain."});
    for content in [
        json!(""),
        json!([]),
        json!([text, {"type": "image", "source": {"type": "file", "file_id": "file_1"}}]),
        json!([{"type": "search_result", "title": "t", "source": "s", "content": [text]}]),
        json!([{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]),
        json!([{"type": "tool_reference", "tool_name": "weather"}]),
        json!([{"type": "browser_state", "tabs": []}]),
    ] {
        let mut more = after_a_call();
        more["messages"][2]["content"][0]["content"] = content;
        ask(NEW, more);
    }
    let mut more = after_a_call();
    more["messages"][2]["content"][0].as_object_mut().unwrap().remove("content");
    ask(NEW, more);
}

#[test]
fn every_block_of_the_assistants_is_taken() {
    let call =
        |name: &str| json!({"type": "server_tool_use", "id": "s", "name": name, "input": {}});
    let result = |tag: &str| json!({"type": tag, "tool_use_id": "s", "content": {"type": "x"}});
    for blocks in [
        json!([{"type": "thinking", "thinking": "", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]),
        json!([call("web_search"), {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}]),
        json!([call("web_search"), result("web_search_tool_result")]),
        json!([call("web_fetch"), result("web_fetch_tool_result")]),
        json!([call("code_execution"), result("code_execution_tool_result")]),
        json!([call("bash_code_execution"), result("bash_code_execution_tool_result")]),
        json!([
            call("text_editor_code_execution"),
            result("text_editor_code_execution_tool_result")
        ]),
        json!([call("tool_search_tool_regex"), result("tool_search_tool_result")]),
        json!([{"type": "text", "text": "T", "citations": [
            {"type": "page_location", "cited_text": "c", "document_index": 0, "document_title": "T", "file_id": null, "start_page_number": 1, "end_page_number": 2},
            {"type": "content_block_location", "cited_text": "c", "document_index": 0, "document_title": null, "start_block_index": 0, "end_block_index": 1},
            {"type": "web_search_result_location", "cited_text": "c", "encrypted_index": "e", "title": null, "url": "u"},
            {"type": "search_result_location", "cited_text": "c", "search_result_index": 0, "source": "s", "title": null, "start_block_index": 0, "end_block_index": 1},
        ]}]),
    ] {
        ask(NEW, replied(blocks));
    }
    for blocks in [
        json!([call("advisor"), result("advisor_tool_result")]),
        json!([
            {"type": "mcp_tool_use", "id": "m", "name": "t".repeat(200), "server_name": "m", "input": {}},
            {"type": "mcp_tool_result", "tool_use_id": "m", "content": "c", "is_error": false},
        ]),
        json!([{"type": "compaction", "content": "c", "encrypted_content": null}]),
        json!([{"type": "fallback", "from": {}, "to": {}, "trigger": null}]),
    ] {
        ask(BETA, replied(blocks));
    }
}

#[test]
fn every_tool_is_taken() {
    let custom = json!({
        "type": "custom", "name": "weather", "description": "d", "strict": true, "defer_loading": false,
        "input_schema": {"type": "object", "properties": {}, "required": ["city"], "additionalProperties": false},
        "eager_input_streaming": null, "allowed_callers": ["direct"], "input_examples": [{}],
        "cache_control": {"type": "ephemeral", "ttl": "5m"},
    });
    let search = json!({
        "type": "web_search_20260318", "name": "web_search", "max_uses": 3, "allowed_domains": ["example.com"],
        "response_inclusion": "full", "user_location": {"type": "approximate", "city": "Oslo"},
    });
    let fetch = json!({
        "type": "web_fetch_20260318", "name": "web_fetch", "max_content_tokens": 9, "use_cache": true,
        "citations": {"enabled": true}, "url_sources": {"user_input": {"type": "all"}},
    });
    ask(NEW, json!({"tools": [custom, search, fetch], "tool_choice": {"type": "none"}}));
    for (tag, name) in [
        ("bash_20250124", "bash"),
        ("text_editor_20250124", "str_replace_editor"),
        ("text_editor_20250429", "str_replace_based_edit_tool"),
        ("text_editor_20250728", "str_replace_based_edit_tool"),
        ("memory_20250818", "memory"),
        ("code_execution_20250522", "code_execution"),
        ("code_execution_20250825", "code_execution"),
        ("code_execution_20260120", "code_execution"),
        ("code_execution_20260521", "code_execution"),
        ("web_search_20250305", "web_search"),
        ("web_search_20260209", "web_search"),
        ("web_fetch_20250910", "web_fetch"),
        ("web_fetch_20260209", "web_fetch"),
        ("web_fetch_20260309", "web_fetch"),
        ("tool_search_tool_bm25_20251119", "tool_search_tool_bm25"),
        ("tool_search_tool_regex", "tool_search_tool_regex"),
    ] {
        ask(NEW, json!({"tools": [{"type": tag, "name": name}]}));
    }
    ask(
        NEW,
        json!({"tools": [{"type": "browser_toolset_20260801"}, {"type": "computer_toolset_20260801", "configs": {}}]}),
    );
    let computer = json!({"type": "computer_20251124", "name": "computer", "display_height_px": 1, "display_width_px": 1});
    ask(BETA, json!({"tools": [computer, {"type": "mcp_toolset", "mcp_server_name": "m"}]}));
}

#[test]
fn turns_of_the_same_role_are_one() {
    let call = |id: &str| json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "t", "input": {}}]});
    let result =
        |id: &str| json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id}]});
    let user = json!({"role": "user", "content": "hi"});
    ask(
        NEW,
        json!({"messages": [user, user, call("a"), call("b"), result("b"), result("a"), user]}),
    );
}

#[test]
fn a_paused_answer_is_sent_back_to_go_on() {
    let user = json!({"role": "user", "content": "hi"});
    let call = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}});
    let paused = json!({"role": "assistant", "content": [call]});
    let system = json!({"role": "system", "content": "Be brief."});
    ask(NEW, json!({"messages": [user, paused]}));
    ask(NEW, json!({"model": "claude-opus-5-5", "messages": [user, paused, system]}));
}

#[test]
fn an_old_model_goes_on_with_what_it_is_said_to_have_begun() {
    let user = json!({"role": "user", "content": "hi"});
    for begun in [json!("The"), json!(""), json!([{"type": "text", "text": "The"}])] {
        let messages = json!([user, {"role": "assistant", "content": begun}]);
        ask(NEW, json!({"model": "claude-haiku-4-5", "messages": messages}));
    }
}

const CLAUDE_CODE: &[(&str, &str)] = &[
    ("anthropic-version", "2023-06-01"),
    (
        "anthropic-beta",
        "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20",
    ),
];

/// The body that Claude Code sends, shortened where it is only text.
fn claude_code(more: Value) -> Value {
    let tool = |name: &str, deferred: bool| {
        let schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {}, "additionalProperties": false});
        json!({"name": name, "description": "d", "input_schema": schema, "defer_loading": deferred})
    };
    let system =
        |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    let mut body = json!({
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=sdk-cli;"},
            system("You are Claude Code."),
            system("Tools."),
        ],
        "tools": [tool("Bash", false), tool("ToolSearch", false), tool("DeferredToolPlaceholder", true)],
        "metadata": {"user_id": "{\"device_id\":\"0a\",\"account_uuid\":\"\",\"session_id\":\"0b\"}"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stream": true,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn claude_code_is_taken_on_an_old_and_on_a_new_model() {
    let asked = ask(
        CLAUDE_CODE,
        claude_code(json!({
            "model": "claude-sonnet-4-5-20250929",
            "max_tokens": 32_000,
            "thinking": {"type": "enabled", "budget_tokens": 31_999, "display": "omitted"},
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}],
        })),
    );
    assert!(asked.stream);
    assert_eq!(asked.tools.len(), 2);
    let instruction =
        json!({"type": "text", "text": "Agents.", "cache_control": {"type": "ephemeral"}});
    for model in ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"] {
        let said = json!([
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "system", "content": [instruction]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "", "signature": "EqQB"},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x", "is_error": false, "cache_control": {"type": "ephemeral"}}]},
        ]);
        for turns in [2, 4] {
            let asked = ask(
                CLAUDE_CODE,
                claude_code(json!({
                    "model": model,
                    "max_tokens": 128_000,
                    "thinking": {"type": "adaptive", "display": "omitted"},
                    "output_config": {"effort": "medium"},
                    "messages": said.as_array().unwrap()[..turns],
                })),
            );
            assert_eq!((asked.answers_tool, asked.signed.len()), (turns == 4, turns / 4));
        }
    }
}

#[test]
fn a_system_turn_sets_the_effort_under_a_beta() {
    let user = json!({"role": "user", "content": "hi"});
    let system = json!({"role": "system", "output_config": {"effort": "low"}, "clear_at": "never"});
    ask(BETA, json!({"model": "claude-opus-5-5", "messages": [user, system]}));
    ask(OLD, json!({"temperature": 0.3}));
}
