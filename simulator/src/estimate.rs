//! How many tokens something is: about four bytes each.

use serde_json::{Map, Value};

/// Tokens of a text.
pub(crate) fn text(text: &str) -> u64 {
    bytes(text.len())
}

/// The bytes that this many tokens stand for.
pub(crate) fn bytes_of(tokens: u64) -> usize {
    usize::try_from(tokens.saturating_mul(BYTES_A_TOKEN)).unwrap_or(usize::MAX)
}

/// Tokens of a request body: system prompt, tools and messages.
pub(crate) fn input(body: &Map<String, Value>) -> u64 {
    let messages = body.get("messages").and_then(Value::as_array).map_or(0, |messages| {
        messages.iter().map(|message| A_TURN + content(message.get("content"))).sum()
    });
    content(body.get("system")) + body.get("tools").map_or(0, json) + messages
}

const BYTES_A_TOKEN: u64 = 4;

/// What a turn costs beside its content: the marks of who speaks.
const A_TURN: u64 = 3;

/// A picture of about a megapixel.
const AN_IMAGE: u64 = 1_500;

/// Base64 bytes of a document for one token: mostly fonts and layout, not text.
const DOCUMENT_BYTES_A_TOKEN: usize = 20;

fn bytes(count: usize) -> u64 {
    (count as u64).div_ceil(BYTES_A_TOKEN)
}

fn json(value: &Value) -> u64 {
    bytes(value.to_string().len())
}

fn content(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::String(string)) => text(string),
        Some(Value::Array(blocks)) => blocks.iter().map(block).sum(),
        _ => 0,
    }
}

fn block(block: &Value) -> u64 {
    let string = |name| block.get(name).and_then(Value::as_str);
    match string("type") {
        Some("text") => string("text").map_or(0, text),
        Some("image") => AN_IMAGE,
        Some("tool_result") => A_TURN + content(block.get("content")),
        Some("document") => match block.pointer("/source/data").and_then(Value::as_str) {
            Some(data) => (data.len() / DOCUMENT_BYTES_A_TOKEN) as u64,
            None => json(block),
        },
        _ => json(block),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_a_request_says_counts() {
        let mut body = json!({"messages": [{"role": "user", "content": "abcdefgh"}]});
        let count = |body: &Value| input(body.as_object().unwrap());
        assert_eq!(count(&body), 5);
        body["system"] = json!([{"type": "text", "text": "abcd"}]);
        assert_eq!(count(&body), 6);
        body["tools"] = json!([{"name": "x"}]);
        assert_eq!(count(&body), 10);
        body["messages"][0]["content"] =
            json!([{"type": "text", "text": "abcde"}, {"type": "image"}]);
        assert_eq!(count(&body), 10 + AN_IMAGE);
    }
}
