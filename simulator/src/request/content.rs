//! What the blocks of a turn may say, beyond their shapes.

use serde_json::Value;

use super::messages::{MESSAGES, Role};
use super::shape::{Checked, Path};
use super::{Rules, Version};

/// A thinking block that is sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Where it is, such as `messages.1.content.0`.
    pub(crate) path: String,
    /// What was thought; of a redacted block, its data.
    pub(crate) thinking: String,
    /// Its signature; of a redacted block, its data.
    pub(crate) signature: String,
    /// Whether it is in the latest message of the assistant's.
    pub(crate) is_latest: bool,
}

/// Checks a block of a turn.
pub(crate) fn check(block: &Value, role: Role, path: &Path<'_>, rules: Rules) -> Checked<()> {
    let tag = tag_of(block);
    check_speaker(tag, role, path, rules)?;
    match tag {
        "text" => text_of(block).map_or(Ok(()), |text| check_text(text, &MESSAGES))?,
        "tool_result" if items(block, "content").any(|inner| text_of(inner) == Some("")) => {
            return MESSAGES.wrong("text content blocks must be non-empty");
        }
        _ => {}
    }
    if role == Role::User && rules.version == Version::Second {
        check_uncited(tag, block, &path.name(tag))?;
    }
    Ok(())
}

/// Checks that a text says something.
pub(crate) fn check_text(text: &str, section: &Path<'_>) -> Checked<()> {
    if text.is_empty() {
        return section.wrong("text content blocks must be non-empty");
    }
    if text.trim().is_empty() {
        return section.wrong("text content blocks must contain non-whitespace text");
    }
    Ok(())
}

/// What a block says was thought.
pub(crate) fn signed(block: &Value, path: &Path<'_>) -> Option<Signed> {
    let (thinking, signature) = match tag_of(block) {
        "thinking" => ("thinking", "signature"),
        "redacted_thinking" => ("data", "data"),
        _ => return None,
    };
    let text = |name| block.get(name)?.as_str().map(str::to_owned);
    let (thinking, signature) = (text(thinking)?, text(signature)?);
    Some(Signed { path: path.to_string(), thinking, signature, is_latest: false })
}

pub(crate) fn tag_of(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn text_of(block: &Value) -> Option<&str> {
    block.get("text").and_then(Value::as_str)
}

/// Some blocks are only the user's or only the assistant's.
fn check_speaker(tag: &str, role: Role, path: &Path<'_>, rules: Rules) -> Checked<()> {
    let (only, whose) = match tag {
        "tool_result" => (Role::User, "user"),
        "document" if rules.version == Version::Second => (Role::User, "user"),
        "thinking" | "redacted_thinking" | "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            (Role::Assistant, "assistant")
        }
        _ => return Ok(()),
    };
    if role == only {
        return Ok(());
    }
    path.wrong(format_args!("`{tag}` blocks can only be in `{whose}` messages"))
}

/// The assistant cites, the user does not.
fn check_uncited(tag: &str, block: &Value, path: &Path<'_>) -> Checked<()> {
    let complaint = "Citations are not permitted in `user` messages";
    let cites = |block: &Value| items(block, "citations").next().is_some();
    if tag == "text" && cites(block) {
        return path.name("citations").wrong(complaint);
    }
    match items(block, "content").position(cites) {
        Some(index) if tag == "search_result" => {
            path.name("content").index(index).name("citations").wrong(complaint)
        }
        Some(_) | None => Ok(()),
    }
}

fn items<'a>(block: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    block.get(name).and_then(Value::as_array).into_iter().flatten()
}
