//! Every call of a tool has one result, and every result a call.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::content::tag_of;
use super::messages::Role;
use super::shape::{Checked, Path};

/// The calls of a conversation, read block by block.
#[derive(Debug, Default)]
pub(crate) struct Calls<'a> {
    /// Ids of every call so far, the server's included.
    seen: HashSet<&'a str>,
    /// Calls of the assistant's latest turn, in order, and whether each has its result.
    latest: Vec<&'a str>,
    answered: HashMap<&'a str, bool>,
    unanswered: usize,
    /// The message that the latest of them is in.
    message: usize,
    /// Whether the assistant's turn goes on: consecutive messages of one role are one turn.
    is_calling: bool,
}

impl<'a> Calls<'a> {
    /// Begins a message.
    pub(crate) fn begin(&mut self, role: Role, message: usize) -> Checked<()> {
        if role == Role::Assistant {
            if !self.is_calling {
                self.settle()?;
                self.latest.clear();
                self.answered.clear();
            }
            self.message = message;
        }
        self.is_calling = role == Role::Assistant;
        Ok(())
    }

    /// Reads a block of the message.
    pub(crate) fn read(&mut self, block: &'a Value, path: &Path<'_>) -> Checked<()> {
        let tag = tag_of(block);
        let text = |name| block.get(name).and_then(Value::as_str).unwrap_or_default();
        match tag {
            "tool_use" => {
                let id = text("id");
                self.call(id, path)?;
                self.latest.push(id);
                self.answered.insert(id, false);
                self.unanswered += 1;
                Ok(())
            }
            "server_tool_use" | "mcp_tool_use" => self.call(text("id"), path),
            "tool_result" => self.answer(text("tool_use_id"), path),
            _ if tag.ends_with("_tool_result") => self.find(tag, text("tool_use_id"), path),
            _ if self.is_calling => Ok(()),
            // Results come before anything else that the user says.
            _ => self.settle(),
        }
    }

    /// Complains if a call of the assistant's latest turn has no result.
    pub(crate) fn settle(&self) -> Checked<()> {
        if self.unanswered == 0 {
            return Ok(());
        }
        let is_open = |id: &&&str| self.answered.get(**id) == Some(&false);
        let open: Vec<_> = self.latest.iter().filter(is_open).copied().collect();
        Path::Root.name("messages").index(self.message).wrong(format_args!(
            "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
             `tool_use` block must have a corresponding `tool_result` block in the next message.",
            open.join(", ")
        ))
    }

    fn call(&mut self, id: &'a str, path: &Path<'_>) -> Checked<()> {
        if self.seen.insert(id) {
            return Ok(());
        }
        path.wrong("`tool_use` ids must be unique")
    }

    fn answer(&mut self, id: &str, path: &Path<'_>) -> Checked<()> {
        match self.answered.get_mut(id) {
            Some(true) => path.wrong(format_args!(
                "each tool_use must have a single result. Found multiple `tool_result` blocks \
                 with id: {id}"
            )),
            Some(answered) => {
                *answered = true;
                self.unanswered -= 1;
                Ok(())
            }
            None => path.wrong(format_args!(
                "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous \
                 message."
            )),
        }
    }

    fn find(&self, tag: &str, id: &str, path: &Path<'_>) -> Checked<()> {
        if self.seen.contains(id) {
            return Ok(());
        }
        let call = if tag == "mcp_tool_result" { "mcp_tool_use" } else { "server_tool_use" };
        path.wrong(format_args!(
            "unexpected `tool_use_id` found in `{tag}` blocks: {id}. Each `{tag}` block must have \
             a corresponding `{call}` block before it."
        ))
    }
}
