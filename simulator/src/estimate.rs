//! How many tokens something is: about four bytes each, with every tokenizer.

use serde_json::{Map, Value};

use crate::catalogue::Model;
use crate::media;

/// What a turn costs beside its content: the marks of who speaks.
pub(crate) const A_TURN: u64 = 3;

const BYTES_A_TOKEN: u64 = 4;

/// Tokens of a text.
pub(crate) fn text(text: &str) -> u64 {
    bytes(text.len())
}

/// The bytes that this many tokens stand for.
pub(crate) fn bytes_of(tokens: u64) -> usize {
    usize::try_from(tokens.saturating_mul(BYTES_A_TOKEN)).unwrap_or(usize::MAX)
}

/// Tokens of a text, a content block or a tool.
pub(crate) fn block(block: &Value) -> u64 {
    let Some(fields) = block.as_object() else {
        return block.as_str().map_or(0, text);
    };
    let source = fields.get("source").unwrap_or(&Value::Null);
    match fields.get("type").and_then(Value::as_str) {
        Some("text") => content(fields.get("text")),
        Some("image") => media::image(source),
        Some("tool_result") => A_TURN + content(fields.get("content")),
        Some("document") => {
            content(fields.get("title")) + content(fields.get("context")) + document(source)
        }
        _ => json(fields),
    }
}

/// Tokens of the instructions that the API adds to a request with tools.
pub(crate) fn tool_instructions(model: &Model, is_forced: bool) -> u64 {
    let (free, forced) = match (model.class.as_str(), model.version) {
        (_, (4, 7)) => (675, 804),
        ("opus", (4, 8)) => (290, 410),
        ("opus" | "fable" | "mythos", (5.., _)) => (286, 406),
        (_, (5.., _)) => (354, 474),
        _ => (497, 589),
    };
    if is_forced { forced } else { free }
}

fn bytes(count: usize) -> u64 {
    (count as u64).div_ceil(BYTES_A_TOKEN)
}

/// The model does not see where the client wants its cache to end.
fn json(fields: &Map<String, Value>) -> u64 {
    let seen = fields.iter().filter(|(name, _)| *name != "cache_control");
    bytes(seen.map(|(name, value)| name.len() + value.to_string().len() + r#""":,"#.len()).sum())
}

fn content(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Array(blocks)) => blocks.iter().map(block).sum(),
        Some(Value::String(string)) => text(string),
        _ => 0,
    }
}

fn document(source: &Value) -> u64 {
    match source.get("type").and_then(Value::as_str) {
        Some("text") => content(source.get("data")),
        Some("content") => content(source.get("content")),
        _ => media::pdf(source),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalogue::find;

    #[test]
    fn a_document_counts_what_it_holds_and_what_is_said_about_it() {
        let document = |source: Value| block(&json!({"type": "document", "source": source}));
        assert_eq!(document(json!({"type": "text", "data": "abcdefgh"})), 2);
        let parts = json!([{"type": "text", "text": "abcd"}, {"type": "image"}]);
        assert_eq!(document(json!({"type": "content", "content": parts})), 1 + media::AN_IMAGE);
        assert_eq!(document(json!({"type": "url", "url": "https://example.com"})), media::A_PAGE);
        let titled = json!({"type": "document", "title": "abcd", "source": {"type": "text"}});
        assert_eq!(block(&titled), 1);
    }

    #[test]
    fn a_breakpoint_has_no_tokens() {
        let mut tool = json!({"name": "x", "input_schema": {"type": "object"}});
        let without = block(&tool);
        tool["cache_control"] = json!({"type": "ephemeral"});
        assert_eq!(block(&tool), without);
    }

    #[test]
    fn tools_come_with_instructions_by_model_and_choice() {
        let of = |name| [false, true].map(|forced| tool_instructions(find(name).unwrap(), forced));
        assert_eq!(of("claude-opus-5"), [286, 406]);
        assert_eq!(of("claude-opus-4-8"), [290, 410]);
        assert_eq!(of("claude-opus-4-7"), [675, 804]);
        assert_eq!(of("claude-opus-4-6"), [497, 589]);
        assert_eq!(of("claude-sonnet-5"), [354, 474]);
        assert_eq!(of("claude-haiku-4-5"), [497, 589]);
    }
}
