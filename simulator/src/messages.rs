//! The turns of a conversation, checked as the API does and in its words.

use serde_json::{Map, Value};

use crate::draw::{Digest, sha256};
use crate::fields::{Checked, wrong};
use crate::problem::Problem;

/// What the rest of the simulator wants to know of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// SHA-256 of the first user message's text; the texts of several blocks are joined.
    pub(crate) first: Digest,
    /// Number of messages.
    pub(crate) turns: u64,
    /// Whether the last message is the assistant's: a prefill.
    pub(crate) is_prefilled: bool,
    /// Whether a message in the middle has the role `system`.
    pub(crate) has_system_turn: bool,
}

/// Most messages in a request.
const MAX_MESSAGES: usize = 100_000;

/// Content blocks a request may hold, and what each must have.
const BLOCKS: [(&str, &[&str]); 16] = [
    ("text", &["text"]),
    ("image", &["source"]),
    ("document", &["source"]),
    ("search_result", &["content", "source", "title"]),
    ("thinking", &["signature", "thinking"]),
    ("redacted_thinking", &["data"]),
    ("tool_use", &["id", "input", "name"]),
    ("tool_result", &["tool_use_id"]),
    ("server_tool_use", &["id", "input", "name"]),
    ("web_search_tool_result", &["content", "tool_use_id"]),
    ("web_fetch_tool_result", &["content", "tool_use_id"]),
    ("code_execution_tool_result", &["content", "tool_use_id"]),
    ("bash_code_execution_tool_result", &["content", "tool_use_id"]),
    ("text_editor_code_execution_tool_result", &["content", "tool_use_id"]),
    ("tool_search_tool_result", &["content", "tool_use_id"]),
    ("container_upload", &["file_id"]),
];

/// Checks `messages`.
pub(crate) fn check(body: &Map<String, Value>) -> Checked<Conversation> {
    let messages = match body.get("messages") {
        None => return wrong("messages", "Field required"),
        Some(Value::Array(messages)) => messages,
        Some(_) => return wrong("messages", "Input should be a valid list"),
    };
    if messages.is_empty() {
        return wrong("messages", "at least one message is required");
    }
    if messages.len() > MAX_MESSAGES {
        return wrong("messages", "List should have at most 100000 items");
    }
    let mut first = None;
    let mut roles = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let is_last = index + 1 == messages.len();
        let (role, content) = turn(index, message, is_last)?;
        if role == "user" && first.is_none() {
            first = Some(sha256(&joined(content)));
        }
        roles.push(role);
    }
    let Some(first) = first.filter(|_| roles.first() != Some(&"assistant")) else {
        return wrong("messages", "first message must use the \"user\" role");
    };
    Ok(Conversation {
        first,
        turns: messages.len() as u64,
        is_prefilled: roles.last() == Some(&"assistant"),
        has_system_turn: roles.contains(&"system"),
    })
}

/// Checks `system`: a string, or text blocks.
pub(crate) fn check_system(body: &Map<String, Value>) -> Checked<()> {
    match body.get("system") {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) => blocks.iter().enumerate().try_for_each(|(index, block)| {
            let path = format!("system.{index}");
            match block.get("type").and_then(Value::as_str) {
                Some("text") => check_block(&path, block, "system"),
                Some(_) => wrong(&format!("{path}.type"), "Input should be 'text'"),
                None => wrong(&format!("{path}.type"), "Field required"),
            }
        }),
        Some(_) => wrong("system", "Input should be a valid list"),
    }
}

fn turn(index: usize, message: &Value, is_last: bool) -> Checked<(&str, &Value)> {
    let path = format!("messages.{index}");
    let Some(message) = message.as_object() else {
        return wrong(&path, "Input should be a valid dictionary");
    };
    let role = match message.get("role") {
        None => return wrong(&format!("{path}.role"), "Field required"),
        Some(Value::String(role)) if ["user", "assistant", "system"].contains(&role.as_str()) => {
            role.as_str()
        }
        Some(_) => {
            return wrong(&format!("{path}.role"), "Input should be 'user' or 'assistant'");
        }
    };
    let Some(content) = message.get("content") else {
        return wrong(&format!("{path}.content"), "Field required");
    };
    if let Some(extra) = message.keys().find(|key| *key != "role" && *key != "content") {
        return wrong(&format!("{path}.{extra}"), "Extra inputs are not permitted");
    }
    check_content(&path, content, role == "assistant" && is_last)?;
    Ok((role, content))
}

fn check_content(path: &str, content: &Value, may_be_empty: bool) -> Checked<()> {
    let is_empty = if let Some(text) = content.as_str() {
        text.is_empty()
    } else if let Some(blocks) = content.as_array() {
        for (index, block) in blocks.iter().enumerate() {
            check_block(&format!("{path}.content.{index}"), block, "messages")?;
        }
        blocks.is_empty()
    } else {
        return wrong(&format!("{path}.content"), "Input should be a valid list");
    };
    if is_empty && !may_be_empty {
        let complaint = "all messages must have non-empty content except for the optional final assistant message";
        return wrong(path, complaint);
    }
    Ok(())
}

fn check_block(path: &str, block: &Value, section: &str) -> Checked<()> {
    let Some(block) = block.as_object() else {
        return wrong(path, "Input should be a valid dictionary");
    };
    let Some(tag) = block.get("type") else {
        return wrong(&format!("{path}.type"), "Field required");
    };
    let tag = tag.as_str().unwrap_or_default();
    let Some((tag, required)) = BLOCKS.iter().find(|(known, _)| *known == tag) else {
        let tags = BLOCKS.map(|(known, _)| format!("'{known}'")).join(", ");
        let complaint = format!(
            "Input tag '{tag}' found using 'type' does not match any of the expected tags: {tags}"
        );
        return wrong(path, &complaint);
    };
    if let Some(missing) = required.iter().find(|name| !block.contains_key(**name)) {
        return wrong(&format!("{path}.{tag}.{missing}"), "Field required");
    }
    match block.get("text") {
        Some(Value::String(text)) if text.is_empty() => {
            wrong(section, "text content blocks must be non-empty")
        }
        Some(Value::String(text)) if text.trim().is_empty() => {
            wrong(section, "text content blocks must contain non-whitespace text")
        }
        Some(Value::String(_)) | None => Ok(()),
        Some(_) => wrong(&format!("{path}.{tag}.text"), "Input should be a valid string"),
    }
}

fn joined(content: &Value) -> Vec<u8> {
    let blocks = content.as_array().into_iter().flatten();
    let texts = blocks.filter_map(|block| block.get("text").and_then(Value::as_str));
    content.as_str().into_iter().chain(texts).flat_map(str::bytes).collect()
}

/// Checks what depends on the model: prefills, and system turns in the middle.
pub(crate) fn check_for_model(conversation: &Conversation, version: (u32, u32)) -> Checked<()> {
    if conversation.is_prefilled && version >= (4, 6) {
        return Err(Problem::invalid(
            "This model does not support assistant message prefill. The conversation must end \
             with a user message.",
        ));
    }
    if conversation.has_system_turn && version < (5, 0) {
        return Err(Problem::invalid(
            "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` \
             parameter, not \"system\" as an input message role.",
        ));
    }
    Ok(())
}
