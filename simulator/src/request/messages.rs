//! The turns of a conversation.

use serde_json::{Map, Value};

use super::blocks::{CONTENT, ONLY_TEXT, SYSTEM_CONTENT};
use super::pairing::Calls;
use super::shape::Kind::{List, Record, Word};
use super::shape::Presence::{Beta, Optional, Required};
use super::shape::{self, Checked, Field, Kind, Path};
use super::thinking::EFFORT;
use super::{Rules, Version};
use crate::draw::{Digest, sha256};
use crate::problem::Problem;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Assistant,
    System,
}

/// A thinking block that is sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Where it is, such as `messages.1.content.0`.
    pub(crate) path: String,
    /// What was thought; of a redacted block, its data.
    pub(crate) thinking: String,
    /// Its signature; of a redacted block, its data.
    pub(crate) signature: String,
}

/// What the rest of the simulator wants to know of a conversation.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// SHA-256 of the first user message's text; the texts of several blocks are joined.
    pub(crate) first: Digest,
    /// Number of messages.
    pub(crate) turns: u64,
    /// Every thinking block of the assistant's.
    pub(crate) signed: Vec<Signed>,
    /// Whether the user's last turn holds results of tools.
    pub(crate) answers_tool: bool,
    /// If the last message is the assistant's to go on with, whether it ends in whitespace.
    prefill: Option<bool>,
    /// Whether a message in the middle has the role `system`.
    has_system_turn: bool,
}

/// Most messages in a request, as the API documents.
const MAX_MESSAGES: usize = 100_000;

const MESSAGES: Path<'_> = Path::Name(&Path::Root, "messages");

/// Checks `messages`, whose blocks have their shapes before what they say is looked at.
pub(crate) fn check(body: &Map<String, Value>, rules: Rules) -> Checked<Conversation> {
    let messages = match body.get("messages") {
        None => return MESSAGES.wrong("Field required"),
        Some(Value::Array(messages)) => messages,
        Some(_) => return MESSAGES.wrong("Input should be a valid list"),
    };
    if messages.is_empty() {
        return MESSAGES.wrong("at least one message is required");
    }
    if messages.len() > MAX_MESSAGES {
        return MESSAGES.wrong("List should have at most 100000 items");
    }
    let turns = messages.iter().enumerate();
    let turns = turns.map(|(index, message)| Turn::read(message, &MESSAGES.index(index), rules));
    converse(&turns.collect::<Checked<Vec<_>>>()?, rules)
}

/// Checks `system`: a string, or text blocks.
pub(crate) fn check_system(body: &Map<String, Value>, rules: Rules) -> Checked<()> {
    let path = Path::Root.name("system");
    match body.get("system") {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(blocks) => {
            List(&ONLY_TEXT).check(blocks, &path, rules)?;
            let mut blocks = blocks.as_array().into_iter().flatten();
            blocks.try_for_each(|block| check_text(text_of(block), &path))
        }
    }
}

impl Conversation {
    /// Checks what depends on the model: prefills, and system turns in the middle.
    pub(crate) fn check_for_model(&self, version: (u32, u32)) -> Checked<()> {
        match self.prefill {
            Some(_) if version >= (4, 6) => Err(Problem::invalid(
                "This model does not support assistant message prefill. The conversation must end \
                 with a user message.",
            )),
            Some(true) => {
                MESSAGES.wrong("final assistant content cannot end with trailing whitespace")
            }
            _ if self.has_system_turn && version < (5, 0) => {
                Err(Problem::invalid("role 'system' is not supported on this model"))
            }
            Some(false) | None => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Turn<'a> {
    role: Role,
    content: &'a Value,
}

const SPEAKER: &[Field] = &[Field("role", Required, Word(&["user", "assistant"]))];

const SAYING: &[&[Field]] = &[SPEAKER, &[Field("content", Required, CONTENT)]];

const INSTRUCTING: &[&[Field]] = &[&[
    Field("role", Required, Word(&["system"])),
    Field("content", Optional, SYSTEM_CONTENT),
    Field("clear_at", Beta, Word(&["next_user_message", "never"])),
    Field("output_config", Beta, TURN_CONFIG),
]];

const TURN_CONFIG: Kind = Record(&[&[Field("effort", Optional, EFFORT)]]);

impl<'a> Turn<'a> {
    fn read(message: &'a Value, path: &Path<'_>, rules: Rules) -> Checked<Self> {
        let Some(message) = message.as_object() else {
            return path.wrong("Input should be a valid dictionary");
        };
        let (role, shape) = match message.get("role").and_then(Value::as_str) {
            Some("assistant") => (Role::Assistant, SAYING),
            Some("system") => (Role::System, INSTRUCTING),
            _ => (Role::User, SAYING),
        };
        shape::members(shape, message, path, rules)?;
        match message.get("content").filter(|content| !content.is_null()) {
            Some(content) => Ok(Self { role, content }),
            // A system turn may say nothing, and set the effort.
            None if message.contains_key("output_config") => {
                Ok(Self { role, content: &Value::Null })
            }
            None => path.name("content").wrong("Field required"),
        }
    }

    /// The blocks; none if the content is a string.
    fn blocks(&self) -> &'a [Value] {
        self.content.as_array().map_or(&[], Vec::as_slice)
    }

    fn is_empty(&self) -> bool {
        match self.content {
            Value::String(text) => text.is_empty(),
            Value::Array(blocks) => blocks.is_empty(),
            _ => false,
        }
    }

    /// The last text, if the content ends with one.
    fn last_text(&self) -> Option<&'a str> {
        self.content.as_str().or_else(|| text_of(self.blocks().last()?))
    }

    /// Whether it ends with work of the server's, which a next answer goes on with.
    fn is_paused(&self) -> bool {
        let tag = self.blocks().last().map_or("", tag_of);
        tag.ends_with("_tool_use") || tag.ends_with("_tool_result")
    }
}

fn converse(turns: &[Turn<'_>], rules: Rules) -> Checked<Conversation> {
    let Some((first, last)) = turns.first().zip(turns.last()) else {
        return MESSAGES.wrong("at least one message is required");
    };
    if first.role != Role::User {
        return MESSAGES.wrong("first message must use the \"user\" role");
    }
    let goes_on = last.role == Role::Assistant && !last.is_paused();
    let ends_in_space = |text: &str| text.ends_with(char::is_whitespace);
    let mut said = Conversation {
        first: sha256(&joined(first.content)),
        turns: turns.len() as u64,
        signed: Vec::new(),
        answers_tool: false,
        prefill: goes_on.then(|| last.last_text().is_some_and(ends_in_space)),
        has_system_turn: turns.iter().any(|turn| turn.role == Role::System),
    };
    let mut calls = Calls::default();
    for (index, turn) in turns.iter().enumerate() {
        let path = MESSAGES.index(index);
        if turn.is_empty() && !(turn.role == Role::Assistant && index + 1 == turns.len()) {
            return path.wrong(
                "all messages must have non-empty content except for the optional final assistant \
                 message",
            );
        }
        check_place(turns, index, &path)?;
        calls.begin(turn.role, index)?;
        if turn.role != Role::System {
            said.answers_tool &= turn.role == Role::User;
            read_turn(turn, &path, rules, (&mut said, &mut calls))?;
        }
    }
    calls.settle()?;
    Ok(said)
}

/// A system turn comes after the user's, and the assistant speaks next.
fn check_place(turns: &[Turn<'_>], index: usize, path: &Path<'_>) -> Checked<()> {
    if turns.get(index).is_none_or(|turn| turn.role != Role::System) {
        return Ok(());
    }
    let before = index.checked_sub(1).and_then(|index| turns.get(index));
    if !before.is_some_and(|turn| turn.role == Role::User || turn.is_paused()) {
        return path.wrong(
            "role 'system' must follow a 'user' message or an 'assistant' message that ends in a \
             server tool use",
        );
    }
    if turns.get(index + 1).is_some_and(|turn| turn.role != Role::Assistant) {
        return path.wrong("role 'system' must precede an 'assistant' message or end the array");
    }
    Ok(())
}

fn read_turn<'a>(
    turn: &Turn<'a>,
    path: &Path<'_>,
    rules: Rules,
    (said, calls): (&mut Conversation, &mut Calls<'a>),
) -> Checked<()> {
    if let Some(text) = turn.content.as_str().filter(|text| !text.is_empty()) {
        check_text(Some(text), &MESSAGES)?;
        return if turn.role == Role::User { calls.settle() } else { Ok(()) };
    }
    let content = path.name("content");
    for (index, block) in turn.blocks().iter().enumerate() {
        let (tag, path) = (tag_of(block), content.index(index));
        check_speaker(tag, turn.role, &path, rules)?;
        calls.read(tag, block, &path)?;
        match tag {
            "text" => check_text(text_of(block), &MESSAGES)?,
            "tool_result" => {
                said.answers_tool = true;
                check_result(block)?;
            }
            "thinking" => said.signed.push(signed(block, &path, ["thinking", "signature"])),
            "redacted_thinking" => said.signed.push(signed(block, &path, ["data", "data"])),
            _ => {}
        }
        if turn.role == Role::User && rules.version == Version::Second {
            check_uncited(tag, block, &path)?;
        }
    }
    Ok(())
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

fn check_result(block: &Value) -> Checked<()> {
    let mut inner = block.get("content").and_then(Value::as_array).into_iter().flatten();
    if inner.any(|inner| text_of(inner) == Some("")) {
        return MESSAGES.wrong("text content blocks must be non-empty");
    }
    Ok(())
}

/// The assistant cites, the user does not.
fn check_uncited(tag: &str, block: &Value, path: &Path<'_>) -> Checked<()> {
    let cites = |block: &Value| {
        let citations = block.get("citations").and_then(Value::as_array);
        citations.is_some_and(|citations| !citations.is_empty())
    };
    let path = path.name(tag);
    let complaint = "Citations are not permitted in `user` messages";
    if tag == "text" && cites(block) {
        return path.name("citations").wrong(complaint);
    }
    if tag == "search_result" {
        let mut texts = block.get("content").and_then(Value::as_array).into_iter().flatten();
        if let Some(index) = texts.position(cites) {
            return path.name("content").index(index).name("citations").wrong(complaint);
        }
    }
    Ok(())
}

fn check_text(text: Option<&str>, section: &Path<'_>) -> Checked<()> {
    match text {
        Some("") => section.wrong("text content blocks must be non-empty"),
        Some(text) if text.trim().is_empty() => {
            section.wrong("text content blocks must contain non-whitespace text")
        }
        Some(_) | None => Ok(()),
    }
}

fn signed(block: &Value, path: &Path<'_>, [thinking, signature]: [&str; 2]) -> Signed {
    let text = |name| block.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Signed { path: path.to_string(), thinking: text(thinking), signature: text(signature) }
}

fn tag_of(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn text_of(block: &Value) -> Option<&str> {
    block.get("text").and_then(Value::as_str)
}

fn joined(content: &Value) -> Vec<u8> {
    let texts = content.as_array().into_iter().flatten().filter_map(text_of);
    content.as_str().into_iter().chain(texts).flat_map(str::bytes).collect()
}
