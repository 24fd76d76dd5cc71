//! Puts the events of a stream together into the one message they tell.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A message in the making.
#[derive(Debug, Default)]
pub struct Assembler {
    message: Map<String, Value>,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    content: Value,
    /// The pieces of a tool's input, which are JSON only when put together.
    input: String,
}

#[derive(Deserialize)]
struct Start {
    message: Map<String, Value>,
}

#[derive(Deserialize)]
struct BlockStart {
    index: usize,
    content_block: Value,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    index: usize,
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<Piece<'a>>,
    #[serde(borrow)]
    thinking: Option<Piece<'a>>,
    #[serde(borrow)]
    signature: Option<Piece<'a>>,
    #[serde(borrow)]
    partial_json: Option<Piece<'a>>,
    citation: Option<Value>,
}

/// What a delta adds to what the model says, lent from its event.
#[derive(Debug, PartialEq, Eq)]
pub enum Fragment<'a> {
    /// A piece of the answer.
    Text(Cow<'a, str>),
    /// A piece of a thought.
    Thinking(Cow<'a, str>),
}

/// A text lent from the event where nothing in it is escaped. A type of its own, because serde
/// copies what is a `Cow` inside an `Option`.
#[derive(Deserialize)]
struct Piece<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct End {
    #[serde(default)]
    delta: Map<String, Value>,
    #[serde(default)]
    usage: Map<String, Value>,
}

/// A stream may number its blocks as it likes; beyond this it is not a message.
/// The longest real ones, with a tool call a block, stay below a few hundred.
const MAX_BLOCKS: usize = 10_000;

impl Assembler {
    /// Takes one event, and lends what it says. Events and deltas that we do not know say nothing
    /// to us.
    ///
    /// # Errors
    /// When a known event is not what it should be.
    pub fn observe<'a>(
        &mut self,
        name: &[u8],
        data: &'a [u8],
    ) -> Result<Option<Fragment<'a>>, serde_json::Error> {
        match name {
            b"message_start" => self.message = serde_json::from_slice::<Start>(data)?.message,
            b"content_block_start" => self.start_block(serde_json::from_slice(data)?),
            b"content_block_delta" => return Ok(self.extend_block(serde_json::from_slice(data)?)),
            b"message_delta" => self.end(serde_json::from_slice(data)?),
            _ => {}
        }
        Ok(None)
    }

    fn start_block(&mut self, start: BlockStart) {
        if start.index >= MAX_BLOCKS {
            return;
        }
        let fill = || Block { content: Value::Null, input: String::new() };
        if self.blocks.len() <= start.index {
            self.blocks.resize_with(start.index + 1, fill);
        }
        self.blocks[start.index] = Block { content: start.content_block, ..fill() };
    }

    fn extend_block<'a>(&mut self, extension: BlockDelta<'a>) -> Option<Fragment<'a>> {
        let BlockDelta { index, delta } = extension;
        let block = self.blocks.get_mut(index)?;
        for (key, piece) in [("text", &delta.text), ("thinking", &delta.thinking)] {
            if let Some(Piece(piece)) = piece
                && let Some(Value::String(text)) = block.content.get_mut(key)
            {
                text.push_str(piece);
            }
        }
        if let (Some(Piece(signature)), Some(content)) =
            (delta.signature, block.content.as_object_mut())
        {
            content.insert("signature".into(), signature.into());
        }
        if let Some(Piece(piece)) = delta.partial_json {
            block.input.push_str(&piece);
        }
        if let (Some(citation), Some(content)) = (delta.citation, block.content.as_object_mut()) {
            let citations = content.entry("citations").or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(citations) = citations {
                citations.push(citation);
            } else {
                *citations = Value::Array(vec![citation]); // A block may begin with null here.
            }
        }
        let text = delta.text.map(|Piece(piece)| Fragment::Text(piece));
        text.or_else(|| delta.thinking.map(|Piece(piece)| Fragment::Thinking(piece)))
    }

    fn end(&mut self, end: End) {
        self.message.extend(end.delta);
        if let Value::Object(usage) =
            self.message.entry("usage").or_insert_with(|| Value::Object(Map::new()))
        {
            // Totals so far: what is stated replaces what was known, what is null says nothing.
            usage.extend(end.usage.into_iter().filter(|(_, value)| !value.is_null()));
        }
    }

    /// The message. The input of a tool that was cut off in the middle stays the empty object it
    /// began as: it cannot be told in JSON, and the message says by its `stop_reason` why.
    #[must_use]
    pub fn finish(self) -> Value {
        let mut message = self.message;
        let blocks = self.blocks.into_iter().filter(|block| !block.content.is_null());
        let content = blocks.map(|Block { mut content, input }| {
            if let Some(content) = content.as_object_mut()
                && let Ok(input) = serde_json::from_str(&input)
            {
                content.insert("input".into(), input);
            }
            content
        });
        let content: Vec<_> = content.collect();
        message.insert("content".into(), Value::Array(content));
        Value::Object(message)
    }
}

/// The text of a message: its text blocks, joined.
#[must_use]
pub fn text(message: &Value) -> String {
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks
        .iter()
        .filter(|block| block["type"] == "text")
        .filter_map(|block| block["text"].as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn assemble(events: &[(&str, Value)]) -> Value {
        let mut assembler = Assembler::default();
        for (name, data) in events {
            assembler.observe(name.as_bytes(), data.to_string().as_bytes()).unwrap();
        }
        assembler.finish()
    }

    fn delta(index: usize, delta: &Value) -> (&'static str, Value) {
        (
            "content_block_delta",
            json!({"type": "content_block_delta", "index": index, "delta": delta}),
        )
    }

    fn start(index: usize, block: &Value) -> (&'static str, Value) {
        ("content_block_start", json!({"index": index, "content_block": block}))
    }

    #[test]
    fn every_kind_of_block_and_delta_ends_up_in_the_message() {
        let message = assemble(&[
            (
                "message_start",
                json!({"message": {"id": "msg_1", "content": [], "stop_reason": null,
                "usage": {"input_tokens": 135, "output_tokens": 1}}}),
            ),
            start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
            ("ping", json!({"type": "ping"})),
            delta(0, &json!({"type": "thinking_delta", "thinking": "Let me"})),
            delta(0, &json!({"type": "signature_delta", "signature": "EqQB"})),
            start(1, &json!({"type": "text", "text": ""})),
            delta(1, &json!({"type": "text_delta", "text": "Sun"})),
            delta(1, &json!({"type": "text_delta", "text": "ny \u{1f600}"})),
            delta(1, &json!({"type": "citations_delta", "citation": {"cited_text": "sun"}})),
            delta(1, &json!({"type": "new_delta", "what": 1})),
            start(2, &json!({"type": "tool_use", "id": "toolu_1", "name": "w", "input": {}})),
            delta(2, &json!({"type": "input_json_delta", "partial_json": ""})),
            delta(2, &json!({"type": "input_json_delta", "partial_json": "{\"city\": \"Os"})),
            delta(2, &json!({"type": "input_json_delta", "partial_json": "lo\"}"})),
            ("brand_new_event", json!({})),
            (
                "message_delta",
                json!({"delta": {"stop_reason": "tool_use", "stop_sequence": null},
                "usage": {"output_tokens": 42, "server_tool_use": null}}),
            ),
            ("message_stop", json!({})),
        ]);
        assert_eq!(
            message,
            json!({"id": "msg_1", "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 135, "output_tokens": 42},
            "content": [
                {"type": "thinking", "thinking": "Let me", "signature": "EqQB"},
                {"type": "text", "text": "Sunny \u{1f600}", "citations": [{"cited_text": "sun"}]},
                {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {"city": "Oslo"}},
            ]})
        );
        assert_eq!(text(&message), "Sunny \u{1f600}");
    }

    #[test]
    fn a_tool_without_input_keeps_its_empty_object() {
        let message = assemble(&[
            start(0, &json!({"type": "tool_use", "id": "t", "name": "n", "input": {}})),
            delta(0, &json!({"type": "input_json_delta", "partial_json": ""})),
        ]);
        assert_eq!(message["content"][0]["input"], json!({}));
    }

    #[test]
    fn a_tool_call_that_was_cut_off_is_still_a_message() {
        let message = assemble(&[
            start(0, &json!({"type": "tool_use", "id": "t", "name": "n", "input": {}})),
            delta(0, &json!({"type": "input_json_delta", "partial_json": "{\"city\": \"Os"})),
            ("message_delta", json!({"delta": {"stop_reason": "max_tokens"}, "usage": {}})),
        ]);
        assert_eq!(message["content"][0]["input"], json!({}));
        assert_eq!(message["stop_reason"], "max_tokens");
    }

    #[test]
    fn a_block_number_from_nowhere_does_not_fill_the_memory() {
        let message = assemble(&[start(usize::MAX, &json!({"type": "text", "text": "x"}))]);
        assert_eq!(message["content"], json!([]));
    }
}
