//! The blocks of a prompt, in the order in which the API reads them: tools, system, messages.

use std::fmt;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::draw::Digest;
use crate::estimate;

/// A tool, a block of the system prompt, or a content block of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) place: Place,
    /// Who says it; empty outside messages.
    role: &'a str,
    /// An object, or a text that stands for a text block.
    pub(crate) content: &'a Value,
}

/// Where a block is in the request, by its indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tool(usize),
    System(usize),
    Message(usize, usize),
}

/// The parts of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Tools,
    System,
    Messages,
}

/// The blocks of a request body. Tools that are found by search later are not among them.
pub(crate) fn blocks(body: &Map<String, Value>) -> Vec<Block<'_>> {
    let array = |name| body.get(name).and_then(Value::as_array).into_iter().flatten().enumerate();
    let tools = array("tools").map(|(at, tool)| Block::new(Place::Tool(at), "", tool));
    let system =
        parts(body.get("system")).map(|(at, part)| Block::new(Place::System(at), "", part));
    let messages = array("messages").flat_map(|(index, message)| {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        let parts = parts(message.get("content"));
        parts.map(move |(at, part)| Block::new(Place::Message(index, at), role, part))
    });
    tools.filter(|tool| !tool.is_deferred()).chain(system).chain(messages).collect()
}

/// The blocks of a content; a string is one.
fn parts(content: Option<&Value>) -> impl Iterator<Item = (usize, &Value)> {
    let blocks = content.and_then(Value::as_array);
    let string = content.filter(|content| content.is_string());
    string.into_iter().chain(blocks.into_iter().flatten()).enumerate()
}

impl<'a> Block<'a> {
    const fn new(place: Place, role: &'a str, content: &'a Value) -> Self {
        Self { place, role, content }
    }

    /// The type of a content block.
    pub(crate) fn kind(&self) -> &'a str {
        match self.content.get("type") {
            Some(Value::String(kind)) => kind,
            _ => "text",
        }
    }

    pub(crate) fn tokens(&self) -> u64 {
        let is_first = matches!(self.place, Place::Message(_, 0));
        estimate::block(self.content) + if is_first { estimate::A_TURN } else { 0 }
    }

    /// Whether a breakpoint may stand here.
    pub(crate) fn is_cacheable(&self) -> bool {
        !self.is_thinking() && !self.is_empty_text() && !self.is_deferred()
    }

    pub(crate) fn is_thinking(&self) -> bool {
        matches!(self.kind(), "thinking" | "redacted_thinking")
    }

    pub(crate) fn is_empty_text(&self) -> bool {
        self.text().is_some_and(str::is_empty)
    }

    pub(crate) fn is_deferred(&self) -> bool {
        matches!(self.place, Place::Tool(_))
            && self.content.get("defer_loading") == Some(&Value::Bool(true))
    }

    /// Whether the block, or a block in it, is of a kind.
    pub(crate) fn holds(&self, is: fn(&Value) -> bool) -> bool {
        let inner = self.content.get("content").and_then(Value::as_array);
        is(self.content) || inner.is_some_and(|blocks| blocks.iter().any(is))
    }

    /// A sum of what the model sees: a text is the same as a string and as a block, a breakpoint
    /// is nothing.
    pub(crate) fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        let mut add = |bytes: &str| {
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        };
        add(self.role);
        add(self.kind());
        if let Some(text) = self.text() {
            add(text);
        } else {
            let fields = self.content.as_object().into_iter().flatten();
            for (name, value) in fields.filter(|(name, _)| *name != "cache_control") {
                add(name);
                add(&value.to_string());
            }
        }
        hash.finalize().into()
    }

    fn text(&self) -> Option<&'a str> {
        let is_text = self.kind() == "text" && !matches!(self.place, Place::Tool(_));
        let text = if is_text { self.content.get("text") } else { None };
        self.content.as_str().or(text.and_then(Value::as_str))
    }
}

impl Place {
    pub(crate) const fn section(self) -> Section {
        match self {
            Self::Tool(_) => Section::Tools,
            Self::System(_) => Section::System,
            Self::Message(..) => Section::Messages,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(at) => write!(f, "tools.{at}"),
            Self::System(at) => write!(f, "system.{at}"),
            Self::Message(message, at) => write!(f, "messages.{message}.content.{at}"),
        }
    }
}
