//! The turns of a conversation.

use serde_json::{Map, Value};

use super::Rules;
use super::blocks::{CONTENT, ONLY_TEXT, SYSTEM_CONTENT};
use super::content::{self, Signed, tag_of, text_of};
use super::pairing::Calls;
use super::shape::Kind::{List, Record, Word};
use super::shape::Presence::{Beta, Optional, Required};
use super::shape::{self, Checked, Field, Kind, Path};
use super::thinking::EFFORT;
use crate::draw::{Digest, sha256};
use crate::problem::Problem;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Assistant,
    System,
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

pub(crate) const MESSAGES: Path<'_> = Path::Name(&Path::Root, "messages");

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
            let mut texts = blocks.as_array().into_iter().flatten().filter_map(text_of);
            texts.try_for_each(|text| content::check_text(text, &path))
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

    /// Checks what is said, and takes note of it.
    fn check(
        &self,
        path: &Path<'_>,
        rules: Rules,
        (said, calls): (&mut Conversation, &mut Calls<'a>),
    ) -> Checked<()> {
        if let Some(text) = self.content.as_str().filter(|text| !text.is_empty()) {
            content::check_text(text, &MESSAGES)?;
            return if self.role == Role::Assistant { Ok(()) } else { calls.settle() };
        }
        let content = path.name("content");
        for (index, block) in self.blocks().iter().enumerate() {
            let path = content.index(index);
            content::check(block, self.role, &path, rules)?;
            calls.read(block, &path)?;
            said.answers_tool |= tag_of(block) == "tool_result";
            said.signed.extend(content::signed(block, &path));
        }
        Ok(())
    }

    /// The blocks; none if the content is a string.
    fn blocks(&self) -> &'a [Value] {
        self.content.as_array().map_or(&[], Vec::as_slice)
    }

    fn is_empty(&self) -> bool {
        self.content.as_str() == Some("") || self.content.as_array().is_some_and(Vec::is_empty)
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
    let latest = turns.iter().rposition(|turn| turn.role == Role::Assistant);
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
        said.answers_tool &= turn.role != Role::Assistant;
        let earlier = said.signed.len();
        turn.check(&path, rules, (&mut said, &mut calls))?;
        if Some(index) == latest {
            said.signed.iter_mut().skip(earlier).for_each(|thought| thought.is_latest = true);
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

fn joined(content: &Value) -> Vec<u8> {
    let texts = content.as_array().into_iter().flatten().filter_map(text_of);
    content.as_str().into_iter().chain(texts).flat_map(str::bytes).collect()
}
