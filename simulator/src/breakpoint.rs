//! `cache_control`: where a prompt may be cut, and how long the pieces are kept.

use serde_json::{Map, Value};

use crate::block::Block;
use crate::clock::SimTime;
use crate::problem::Problem;
use crate::request::{Checked, wrong};

/// Most breakpoints in a request, the automatic one included.
const MOST: usize = 4;

/// A block up to which the prompt is to be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Breakpoint {
    /// Index of the block.
    pub(crate) at: usize,
    pub(crate) ttl: Ttl,
}

/// How long an entry is kept after its last use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ttl {
    FiveMinutes,
    Hour,
}

impl Ttl {
    /// When an entry ends that was last used by a request that arrived at `start`.
    pub(crate) const fn end(self, start: SimTime) -> SimTime {
        const SECOND: u64 = 1_000_000_000;
        let seconds = match self {
            Self::FiveMinutes => 300,
            Self::Hour => 3600,
        };
        SimTime(start.0.saturating_add(seconds * SECOND))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }
}

/// The breakpoints of a request in their order, the automatic one last.
pub(crate) fn breakpoints(
    body: &Map<String, Value>,
    blocks: &[Block<'_>],
) -> Checked<Vec<Breakpoint>> {
    check_deferred(body)?;
    let mut breakpoints = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        if let Some(marker) = block.content.get("cache_control").filter(|it| !it.is_null()) {
            check_cacheable(block)?;
            let ttl = ttl(marker);
            check_order(&breakpoints, ttl, &format!("{}.cache_control", block.place))?;
            breakpoints.push(Breakpoint { at, ttl });
        }
    }
    let automatic = body.get("cache_control").filter(|it| !it.is_null());
    if let Some(marker) = automatic {
        add_automatic(&mut breakpoints, blocks, ttl(marker))?;
    }
    if breakpoints.len() > MOST {
        return Err(Problem::invalid(format!(
            "A maximum of {MOST} blocks with cache_control may be provided. Found {}.",
            breakpoints.len()
        )));
    }
    Ok(breakpoints)
}

/// Marks the last block that can be marked, unless it is already.
fn add_automatic(breakpoints: &mut Vec<Breakpoint>, blocks: &[Block<'_>], ttl: Ttl) -> Checked<()> {
    let Some(at) = blocks.iter().rposition(Block::is_cacheable) else { return Ok(()) };
    match breakpoints.last() {
        Some(last) if last.at == at && last.ttl == ttl => Ok(()),
        Some(last) if last.at == at => {
            let (own, other) = (ttl.name(), last.ttl.name());
            let complaint = format!(
                "the last cacheable block already has a cache_control with ttl='{other}', which \
                 must not differ from ttl='{own}'."
            );
            wrong("cache_control.ttl", &complaint)
        }
        _ => {
            check_order(breakpoints, ttl, "cache_control")?;
            breakpoints.push(Breakpoint { at, ttl });
            Ok(())
        }
    }
}

/// The lifetime that a marker names, whose shape is checked before.
fn ttl(marker: &Value) -> Ttl {
    if marker.get("ttl").is_some_and(|ttl| ttl == Ttl::Hour.name()) {
        Ttl::Hour
    } else {
        Ttl::FiveMinutes
    }
}

fn check_order(before: &[Breakpoint], ttl: Ttl, path: &str) -> Checked<()> {
    match before.last() {
        Some(last) if last.ttl < ttl => wrong(
            &format!("{path}.ttl"),
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. \
             Note that blocks are processed in the following order: `tools`, `system`, `messages`.",
        ),
        _ => Ok(()),
    }
}

fn check_cacheable(block: &Block<'_>) -> Checked<()> {
    let place = block.place;
    if block.is_empty_text() {
        let complaint = "cache_control cannot be set for empty text blocks";
        return wrong(&format!("{place}.text"), complaint);
    }
    Ok(())
}

/// Tools that are found by search later are in no prefix.
fn check_deferred(body: &Map<String, Value>) -> Checked<()> {
    let mut tools = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let is_set = |tool: &Value, name| tool.get(name).is_some_and(|value| !value.is_null());
    let is_both = |tool: &&Value| {
        tool.get("defer_loading") == Some(&Value::Bool(true)) && is_set(tool, "cache_control")
    };
    match tools.find(is_both) {
        Some(tool) => Err(Problem::invalid(format!(
            "Tool '{}' cannot have both defer_loading=true and cache_control set. Tools with \
             defer_loading cannot use prompt caching.",
            tool.get("name").and_then(Value::as_str).unwrap_or_default()
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::block::blocks;

    /// Index and lifetime of the breakpoints of a body, or the complaint.
    fn found(body: &Value) -> Result<Vec<(usize, &'static str)>, String> {
        let body = body.as_object().unwrap();
        let found = breakpoints(body, &blocks(body)).map_err(|problem| problem.message)?;
        Ok(found.iter().map(|it| (it.at, it.ttl.name())).collect())
    }

    fn said(content: &Value) -> Value {
        json!({"messages": [{"role": "user", "content": content}]})
    }

    fn text(marker: &Value) -> Value {
        json!({"type": "text", "text": "a", "cache_control": marker})
    }

    #[test]
    fn breakpoints_stand_on_tools_on_the_system_prompt_and_on_content_of_every_kind() {
        let marker = json!({"type": "ephemeral"});
        let body = json!({
            "tools": [{"name": "a"}, {"name": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "system": [text(&marker)],
            "messages": [
                {"role": "user", "content": "A string has no breakpoint."},
                {"role": "assistant", "content": [{"type": "tool_use", "cache_control": marker}]},
                {"role": "user", "content": [{"type": "tool_result", "cache_control": marker}]},
            ],
        });
        assert_eq!(found(&body).unwrap(), [(1, "1h"), (2, "5m"), (4, "5m"), (5, "5m")]);
        assert_eq!(found(&said(&json!([text(&Value::Null)]))).unwrap(), []);
    }

    #[test]
    fn empty_texts_and_deferred_tools_take_no_breakpoint() {
        let marker = json!({"type": "ephemeral"});
        let empty = json!([{"type": "text", "text": "", "cache_control": marker}]);
        assert_eq!(
            found(&said(&empty)).unwrap_err(),
            "messages.0.content.0.text: cache_control cannot be set for empty text blocks"
        );
        let tool = json!({"name": "a", "defer_loading": true, "cache_control": marker});
        assert_eq!(
            found(&json!({"tools": [tool]})).unwrap_err(),
            "Tool 'a' cannot have both defer_loading=true and cache_control set. Tools with \
             defer_loading cannot use prompt caching."
        );
    }

    #[test]
    fn there_are_at_most_four_with_the_automatic_one() {
        let five_minutes = text(&json!({"type": "ephemeral"}));
        let too_many = "A maximum of 4 blocks with cache_control may be provided. Found 5.";
        assert_eq!(found(&said(&json!(vec![&five_minutes; 4]))).unwrap().len(), 4);
        assert_eq!(found(&said(&json!(vec![&five_minutes; 5]))).unwrap_err(), too_many);
        let mut content = vec![five_minutes; 4];
        content.push(json!({"type": "text", "text": "a"}));
        let mut body = said(&json!(content));
        body["cache_control"] = json!({"type": "ephemeral"});
        assert_eq!(found(&body).unwrap_err(), too_many);
    }

    #[test]
    fn an_hour_must_not_come_after_five_minutes() {
        let (hour, minutes) =
            (json!({"type": "ephemeral", "ttl": "1h"}), json!({"type": "ephemeral"}));
        assert!(found(&said(&json!([text(&hour), text(&minutes)]))).is_ok());
        let rule = "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control \
                    block. Note that blocks are processed in the following order: `tools`, \
                    `system`, `messages`.";
        assert_eq!(
            found(&said(&json!([text(&minutes), text(&hour)]))).unwrap_err(),
            format!("messages.0.content.1.cache_control.ttl: {rule}")
        );
        let mut body = said(&json!([text(&minutes), {"type": "text", "text": "a"}]));
        body["cache_control"] = hour;
        assert_eq!(found(&body).unwrap_err(), format!("cache_control.ttl: {rule}"));
    }

    #[test]
    fn the_automatic_one_marks_the_last_block_that_can_be_marked() {
        let automatic = |content: Value| {
            let mut body = said(&content);
            body["cache_control"] = json!({"type": "ephemeral", "ttl": "1h"});
            found(&body)
        };
        let thinking = json!({"type": "thinking", "thinking": "a"});
        let plain = json!({"type": "text", "text": "a"});
        assert_eq!(automatic(json!("a")).unwrap(), [(0, "1h")]);
        assert_eq!(automatic(json!([plain, plain])).unwrap(), [(1, "1h")]);
        assert_eq!(
            automatic(json!([plain, thinking, {"type": "text", "text": ""}])).unwrap(),
            [(0, "1h")]
        );
        assert_eq!(automatic(json!([thinking])).unwrap(), []);
    }

    #[test]
    fn the_automatic_one_agrees_with_a_marker_that_is_there_or_is_refused() {
        let marked = |ttl| text(&json!({"type": "ephemeral", "ttl": ttl}));
        let mut body = said(&json!([marked("1h")]));
        body["cache_control"] = json!({"type": "ephemeral", "ttl": "1h"});
        assert_eq!(found(&body).unwrap(), [(0, "1h")]);
        body["messages"][0]["content"][0] = marked("5m");
        assert_eq!(
            found(&body).unwrap_err(),
            "cache_control.ttl: the last cacheable block already has a cache_control with \
             ttl='5m', which must not differ from ttl='1h'."
        );
    }
}
