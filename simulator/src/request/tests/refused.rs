//! Shapes that are refused, and in which words.

use serde_json::{Value, json};

use super::{BETA, NEW, Problem, assert_refused, read, refusal, replied, said, tool};
use crate::problem::Kind;

#[test]
fn fields_have_types_and_bounds() {
    assert_refused([
        (json!({"model": "x".repeat(257)}), "model: String should have at most 256 characters"),
        (json!({"max_tokens": 1.5}), "max_tokens: Input should be a valid integer"),
        (json!({"metadata": {"user_id": 7}}), "metadata.user_id: Input should be a valid string"),
        (json!({"metadata": {"user": "u"}}), "metadata.user: Extra inputs are not permitted"),
        (json!({"inference_geo": "eu"}), "inference_geo: Input should be 'global' or 'us'"),
        (json!({"speed": "slow"}), "speed: Input should be 'standard' or 'fast'"),
        (json!({"container": 7}), "container: Input should be a valid dictionary"),
        (
            json!({"container": {"skills": [{"type": "custom"}]}}),
            "container.skills.0.skill_id: Field required",
        ),
        (
            json!({"diagnostics": {"previous_message_id": 7}}),
            "diagnostics.previous_message_id: Input should be a valid string",
        ),
        (json!({"stop_sequences": "x"}), "stop_sequences: Input should be a valid list"),
        (
            json!({"cache_control": {"type": "lasting"}}),
            "cache_control: Input tag 'lasting' found using 'type' does not match any of the expected tags: 'ephemeral'",
        ),
        (
            json!({"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "2h"}}]}),
            "system.0.cache_control.ephemeral.ttl: Input should be '5m' or '1h'",
        ),
        (
            json!({"output_config": {"effort": "most"}}),
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        ),
        (
            json!({"output_config": {"format": {"type": "json_schema"}}}),
            "output_config.format.json_schema.schema: Field required",
        ),
        (
            json!({"output_config": {"format": {"type": "json_schema", "schema": "s"}}}),
            "output_config.format.json_schema.schema: Input should be a valid dictionary",
        ),
        (
            json!({"output_config": {"task_budget": {"type": "tokens", "total": 9}}}),
            "output_config.task_budget: Extra inputs are not permitted",
        ),
    ]);
}

#[test]
fn what_a_beta_adds_needs_a_beta() {
    for name in
        ["context_management", "mcp_servers", "fallbacks", "compaction", "billing_policy", "thread"]
    {
        let expected = format!("{name}: Extra inputs are not permitted");
        assert_eq!(refusal(NEW, json!({name: {}})), expected);
    }
    let message = refusal(NEW, said(json!([{"type": "compaction", "content": "c"}])));
    assert!(message.starts_with("messages.0.content.0: Input tag 'compaction' found"), "{message}");
    assert!(!message.contains("'mcp_tool_use'"), "{message}");
    let message = refusal(NEW, json!({"tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}]}));
    assert!(message.starts_with("tools.0: Input tag 'mcp_toolset' found"), "{message}");
    let edits = json!({"context_management": {"edits": "all"}});
    assert_eq!(refusal(BETA, edits), "context_management.edits: Input should be a valid list");
}

#[test]
fn a_conversation_that_the_api_should_have_kept_is_lost() {
    let threads = |kind: &str| json!({"thread": {"type": kind, "previous_message_id": "msg_1"}});
    assert!(read(BETA, threads("create")).is_ok());
    let problem = read(BETA, threads("continue")).unwrap_err();
    let lost =
        Problem::new(Kind::NotFound, "thread.previous_message_id: there is no thread with msg_1");
    assert_eq!(problem, lost.with_code("thread_not_found"));
    assert_eq!(refusal(NEW, threads("continue")), "thread: Extra inputs are not permitted");
}

#[test]
fn blocks_of_the_users_have_their_members() {
    let image = |source: Value| said(json!([{"type": "image", "source": source}]));
    let document = |source: Value| said(json!([{"type": "document", "source": source}]));
    assert_refused([
        (
            image(json!({"type": "base64", "data": "eA==", "media_type": "image/bmp"})),
            "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        ),
        (
            image(json!({"type": "url"})),
            "messages.0.content.0.image.source.url.url: Field required",
        ),
        (
            image(json!({"type": "disk"})),
            "messages.0.content.0.image.source: Input tag 'disk' found using 'type' does not match any of the expected tags: 'base64', 'url', 'file'",
        ),
        (
            document(json!({"type": "base64", "data": "eA==", "media_type": "text/plain"})),
            "messages.0.content.0.document.source.base64.media_type: Input should be 'application/pdf'",
        ),
        (
            document(json!({"type": "content", "content": [{"type": "text"}]})),
            "messages.0.content.0.document.source.content.content.0.text.text: Field required",
        ),
        (
            said(json!([{"type": "search_result", "title": "t", "source": "s", "content": "c"}])),
            "messages.0.content.0.search_result.content: Input should be a valid list",
        ),
        (
            said(json!([{"type": "text", "text": null}])),
            "messages.0.content.0.text.text: Input should be a valid string",
        ),
        (
            said(json!([{"type": "text", "text": "hi", "color": "red"}])),
            "messages.0.content.0.text.color: Extra inputs are not permitted",
        ),
    ]);
}

#[test]
fn blocks_of_the_assistants_have_their_members() {
    assert_refused([
        (
            replied(json!([{"type": "thinking", "thinking": "Hm."}])),
            "messages.1.content.0.thinking.signature: Field required",
        ),
        (
            replied(
                json!([{"type": "thinking", "thinking": "", "signature": "s", "cache_control": {"type": "ephemeral"}}]),
            ),
            "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted",
        ),
        (
            replied(
                json!([{"type": "redacted_thinking", "data": "d", "cache_control": {"type": "ephemeral"}}]),
            ),
            "messages.1.content.0.redacted_thinking.cache_control: Extra inputs are not permitted",
        ),
        (
            replied(json!([{"type": "tool_use", "id": "a b", "name": "t", "input": {}}])),
            "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        ),
        (
            replied(json!([{"type": "tool_use", "id": "a", "name": "t", "input": "{}"}])),
            "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
        ),
        (
            said(
                json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "thinking"}]}]),
            ),
            "messages.0.content.0.tool_result.content.0: Input tag 'thinking' found using 'type' does not match any of the expected tags: 'text', 'image', 'search_result', 'document', 'tool_reference', 'browser_state'",
        ),
    ]);
}

#[test]
fn tools_are_complete_and_differ_in_name() {
    assert_refused([
        (
            tool(json!({"name": "get weather"})),
            "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
        ),
        (
            tool(json!({"name": "x".repeat(129)})),
            "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
        ),
        (tool(json!({"name": null})), "tools.0.custom.name: Field required"),
        (tool(json!({"input_schema": null})), "tools.0.custom.input_schema: Field required"),
        (tool(json!({"input_schema": {}})), "tools.0.custom.input_schema.type: Field required"),
        (
            tool(json!({"input_schema": {"type": "array"}})),
            "tools.0.custom.input_schema.type: Input should be 'object'",
        ),
        (
            tool(json!({"input_schema": {"type": "object", "anyOf": []}})),
            "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
        ),
        (
            tool(json!({"parameters": {}})),
            "tools.0.custom.parameters: Extra inputs are not permitted",
        ),
        (tool(json!({"strict": "yes"})), "tools.0.custom.strict: Input should be a valid boolean"),
        (json!({"tools": ["t"]}), "tools.0: Input should be a valid dictionary"),
        (
            json!({"tools": [{"type": "bash_20250124", "name": "sh"}]}),
            "tools.0.bash_20250124.name: Input should be 'bash'",
        ),
        (
            json!({"tools": [
                {"name": "bash", "input_schema": {"type": "object"}},
                {"type": "bash_20250124", "name": "bash"},
            ]}),
            "tools: Tool names must be unique.",
        ),
    ]);
    let twice = json!({"tools": [{"type": "bash_20250124", "name": "bash"}, {"type": "bash_20250124", "name": "bash"}]});
    let expected = Problem::invalid("tools: Tool names must be unique.");
    assert_eq!(read(NEW, twice).unwrap_err(), expected.with_code("tool_name_conflict"));
    let message = refusal(NEW, json!({"tools": [{"type": "function"}]}));
    assert!(message.starts_with("tools.0: Input tag 'function' found using 'type'"), "{message}");
}
