//! A request's prompt as the cache sees it: prefixes that may be stored, by what is in them.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::block::{Block, Place, Section, blocks};
use crate::breakpoint::{Breakpoint, Ttl, breakpoints};
use crate::catalogue::Model;
use crate::draw::Digest;
use crate::estimate;
use crate::request::Checked;

/// A request's prompt.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    tokens: u64,
    /// What ends with each block up to the last breakpoint; nothing if there is none.
    prefixes: Vec<Prefix>,
    breakpoints: Vec<Breakpoint>,
}

/// The prompt up to and including a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefix {
    /// A sum of the model and everything in the prefix.
    pub(crate) key: Digest,
    pub(crate) tokens: u64,
    /// Number of its last position.
    position: u64,
}

/// Positions at which an earlier entry is looked for, the breakpoint's own included.
const LOOK_BACK: u64 = 20;

/// The shortest cached prompt where the catalogue names none: what most models up to 4 need.
const CACHE_MIN_TOKENS: u64 = 1_024;

impl Prompt {
    /// Reads the prompt of a request, or says which rule its breakpoints break.
    pub(crate) fn read(body: &Map<String, Value>, model: &Model) -> Checked<Self> {
        let blocks = blocks(body);
        let mut breakpoints = breakpoints(body, &blocks)?;
        let mut tokens = 0;
        let lengths: Vec<u64> = blocks
            .iter()
            .map(|block| {
                if block.place == Place::Message(0, 0) {
                    // Here, because they change with `tool_choice` and so do the messages' keys.
                    tokens += instructions(body, model);
                }
                tokens += block.tokens();
                tokens
            })
            .collect();
        // A shorter prefix is silently not cached.
        let least = model.cache_min_tokens.unwrap_or(CACHE_MIN_TOKENS);
        breakpoints.retain(|breakpoint| lengths.get(breakpoint.at).is_some_and(|it| *it >= least));
        let cached = breakpoints.last().map_or(0, |last| last.at + 1);
        let cached = blocks.get(..cached).filter(|it| !it.is_empty());
        let prefixes = cached.map_or_else(Vec::new, |cached| {
            prefixes(model, cached, &lengths, &Settings::new(body, &blocks))
        });
        Ok(Self { tokens, prefixes, breakpoints })
    }

    /// Tokens of the whole prompt, cached or not.
    pub(crate) const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether there is nothing to store and nothing to look for.
    pub(crate) const fn is_plain(&self) -> bool {
        self.breakpoints.is_empty()
    }

    /// The prefixes at the breakpoints, shortest first.
    pub(crate) fn breakpoints(&self) -> impl DoubleEndedIterator<Item = (&Prefix, Ttl)> {
        self.breakpoints.iter().filter_map(|it| Some((self.prefixes.get(it.at)?, it.ttl)))
    }

    /// The prefixes whose entries may be read, longest first: those few before each breakpoint.
    pub(crate) fn readable(&self) -> impl Iterator<Item = &Prefix> {
        self.breakpoints.iter().rev().flat_map(|breakpoint| {
            let upto = self.prefixes.get(..=breakpoint.at).unwrap_or_default();
            let last = upto.last().map_or(0, |prefix| prefix.position);
            upto.iter().rev().take_while(move |it| last - it.position < LOOK_BACK)
        })
    }
}

/// Keys are chained: each is a sum of the one before it, of its own block, and at the start of a
/// section of the settings whose change makes the section another one.
fn prefixes(
    model: &Model,
    blocks: &[Block<'_>],
    lengths: &[u64],
    settings: &Settings,
) -> Vec<Prefix> {
    let mut chain = Sha256::new_with_prefix(&model.id);
    let mut prefixes = Vec::with_capacity(blocks.len());
    let mut position = 0;
    let mut before = "";
    for section in [Section::Tools, Section::System, Section::Messages] {
        chain.update(settings.of(section));
        let blocks = blocks.iter().zip(lengths);
        for (block, &tokens) in blocks.filter(|(block, _)| block.place.section() == section) {
            chain.update(block.digest());
            let kind = block.kind();
            // A run of calls, or of their results, is one position.
            let is_run = kind == before && matches!(kind, "tool_use" | "tool_result");
            position += u64::from(!is_run);
            before = kind;
            prefixes.push(Prefix { key: chain.clone().finalize().into(), tokens, position });
        }
    }
    prefixes
}

/// What a section depends on beside its blocks.
struct Settings {
    system: String,
    messages: String,
}

impl Settings {
    fn new(body: &Map<String, Value>, blocks: &[Block<'_>]) -> Self {
        let set = |name| body.get(name).filter(|value| !value.is_null());
        let is_fast = set("speed").is_some_and(|speed| speed == "fast");
        let cites = blocks.iter().any(|block| {
            block.holds(|it| it.pointer("/citations/enabled") == Some(&Value::Bool(true)))
        });
        let sees = blocks
            .iter()
            .any(|block| block.holds(|it| it.get("type").is_some_and(|kind| kind == "image")));
        let choice = set("tool_choice").filter(|choice| **choice != json!({"type": "auto"}));
        let asked = [choice, set("thinking"), set("output_config")];
        Self {
            system: json!([is_fast, cites]).to_string(),
            messages: json!([sees, asked]).to_string(),
        }
    }

    fn of(&self, section: Section) -> &str {
        match section {
            Section::Tools => "",
            Section::System => &self.system,
            Section::Messages => &self.messages,
        }
    }
}

/// Tokens of what the API itself says about tools, if there are any.
fn instructions(body: &Map<String, Value>, model: &Model) -> u64 {
    let has_tools = body.get("tools").and_then(Value::as_array).is_some_and(|it| !it.is_empty());
    let choice = body.get("tool_choice").and_then(|choice| choice.get("type"));
    let is_forced = matches!(choice.and_then(Value::as_str), Some("any" | "tool"));
    if has_tools { estimate::tool_instructions(model, is_forced) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::find;

    fn prompt(body: &Value) -> Prompt {
        Prompt::read(body.as_object().unwrap(), find("claude-opus-5").unwrap()).unwrap()
    }

    /// A request with one long block in each section, and a breakpoint at the end of each.
    fn conversation() -> Value {
        let marker = json!({"type": "ephemeral"});
        let long = "word ".repeat(600);
        json!({
            "tools": [{"name": "a", "description": long, "cache_control": marker}],
            "system": [{"type": "text", "text": long, "cache_control": marker}],
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": long, "cache_control": marker},
                {"type": "text", "text": "And so on."},
            ]}],
        })
    }

    /// Which of the sections is still the same after a change.
    fn kept(change: impl Fn(&mut Value)) -> [bool; 3] {
        let keys = |body: &Value| prompt(body).breakpoints().map(|it| it.0.key).collect::<Vec<_>>();
        let (mut body, before) = (conversation(), keys(&conversation()));
        change(&mut body);
        let after = keys(&body);
        [0, 1, 2].map(|section| before[section] == after[section])
    }

    #[test]
    fn everything_a_request_says_counts() {
        let mut body = json!({"messages": [{"role": "user", "content": "abcdefgh"}]});
        let count = |body: &Value| prompt(body).tokens();
        assert_eq!(count(&body), 5);
        body["system"] = json!([{"type": "text", "text": "abcd"}]);
        assert_eq!(count(&body), 6);
        body["tools"] = json!([{"name": "x"}]);
        assert_eq!(count(&body), 9 + 286, "the API adds its instructions");
        body["messages"][0]["content"] =
            json!([{"type": "text", "text": "abcde"}, {"type": "image"}]);
        assert_eq!(count(&body), 9 + 286 + crate::media::AN_IMAGE);
    }

    #[test]
    fn without_a_breakpoint_nothing_is_hashed() {
        let body = json!({"messages": [{"role": "user", "content": "word ".repeat(9_000)}]});
        assert!(prompt(&body).prefixes.is_empty());
        assert_eq!(prompt(&body).tokens(), 11_253);
    }

    #[test]
    fn what_comes_after_the_breakpoint_changes_no_key() {
        assert_eq!(kept(|body| body["messages"][0]["content"][1]["text"] = json!("!")), [true; 3]);
        assert_eq!(kept(|body| body["max_tokens"] = json!(7)), [true; 3]);
    }

    #[test]
    fn a_change_of_a_block_changes_its_section_and_the_ones_after_it() {
        assert_eq!(kept(|body| body["tools"][0]["name"] = json!("b")), [false; 3]);
        assert_eq!(
            kept(|body| body["system"][0]["text"] = json!("!".repeat(3_000))),
            [true, false, false]
        );
        assert_eq!(
            kept(|body| body["messages"][0]["content"][0]["text"] = json!("!".repeat(3_000))),
            [true, true, false]
        );
    }

    #[test]
    fn a_change_of_a_setting_changes_the_sections_that_depend_on_it() {
        assert_eq!(kept(|body| body["speed"] = json!("fast")), [true, false, false]);
        let cited = json!({"type": "document", "citations": {"enabled": true}});
        assert_eq!(
            kept(|body| body["messages"][0]["content"][1] = cited.clone()),
            [true, false, false]
        );
        for (name, value) in [
            ("tool_choice", json!({"type": "any"})),
            ("thinking", json!({"type": "adaptive"})),
            ("output_config", json!({"effort": "low"})),
        ] {
            assert_eq!(kept(|body| body[name] = value.clone()), [true, true, false], "{name}");
        }
        let picture = json!({"type": "image"});
        let result = json!({"type": "tool_result", "content": [picture]});
        for block in [picture, result] {
            let change = |body: &mut Value| body["messages"][0]["content"][1] = block.clone();
            assert_eq!(kept(change), [true, true, false]);
        }
    }

    #[test]
    fn what_is_the_default_changes_nothing() {
        assert_eq!(kept(|body| body["speed"] = json!("standard")), [true; 3]);
        assert_eq!(kept(|body| body["tool_choice"] = json!({"type": "auto"})), [true; 3]);
        assert_eq!(kept(|body| body["thinking"] = Value::Null), [true; 3]);
    }

    #[test]
    fn a_text_is_the_same_as_a_string_and_a_block_the_same_with_a_breakpoint() {
        let long = "word ".repeat(600);
        let key = |content: Value| {
            let body = json!({
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
                "messages": [{"role": "user", "content": content}],
            });
            prompt(&body).breakpoints().last().unwrap().0.key
        };
        let marker = json!({"type": "ephemeral", "ttl": "1h"});
        assert_eq!(key(json!(long)), key(json!([{"type": "text", "text": long}])));
        assert_eq!(
            key(json!(long)),
            key(json!([{"type": "text", "text": long, "cache_control": marker}]))
        );
        assert_ne!(key(json!(long)), key(json!([{"type": "text", "text": long.trim()}])));
        let result = json!({"type": "tool_result", "content": long});
        let marked = json!({"type": "tool_result", "content": long, "cache_control": marker});
        assert_eq!(key(json!([result])), key(json!([marked])));
    }

    #[test]
    fn who_says_something_and_which_model_reads_it_are_part_of_the_key() {
        let mut body = conversation();
        let key = |body: &Value, model| {
            let prompt = Prompt::read(body.as_object().unwrap(), find(model).unwrap()).unwrap();
            prompt.breakpoints().last().unwrap().0.key
        };
        let said = key(&body, "claude-opus-5");
        assert_ne!(said, key(&body, "claude-opus-5-5"));
        body["messages"][0]["role"] = json!("assistant");
        assert_ne!(said, key(&body, "claude-opus-5"));
    }

    #[test]
    fn a_deferred_tool_is_not_in_the_prompt() {
        let with = |tools: Value| prompt(&json!({"tools": tools, "messages": []})).tokens();
        let tool = json!({"name": "a"});
        let deferred = json!({"name": "b", "defer_loading": true});
        assert_eq!(with(json!([tool, deferred])), with(json!([tool])));
    }

    #[test]
    fn the_instructions_about_tools_count_with_the_messages() {
        let mut body = conversation();
        let lengths =
            |body: &Value| prompt(body).breakpoints().map(|it| it.0.tokens).collect::<Vec<_>>();
        let auto = lengths(&body);
        assert_eq!(auto[2] - auto[1], 750 + 3 + 286);
        body["tool_choice"] = json!({"type": "tool", "name": "a"});
        assert_eq!(lengths(&body)[2] - auto[1], 750 + 3 + 406);
        assert_eq!(lengths(&body)[..2], auto[..2]);
    }

    #[test]
    fn a_prefix_below_the_minimum_of_the_model_is_not_cached() {
        let body = json!({
            "cache_control": {"type": "ephemeral"},
            "messages": [{"role": "user", "content": "word".repeat(600)}],
        });
        let cached = |model| {
            let prompt = Prompt::read(body.as_object().unwrap(), find(model).unwrap()).unwrap();
            assert_eq!(prompt.tokens(), 603);
            prompt.breakpoints().count()
        };
        assert_eq!(cached("claude-opus-5"), 1, "512");
        assert_eq!(cached("claude-opus-4-8"), 0, "1,024");
        assert_eq!(cached("claude-3-haiku-20240307"), 0, "not in the catalogue");
    }

    /// How many prefixes can be read at a breakpoint after these many blocks of each kind.
    fn readable(kinds: &[(&str, usize)]) -> usize {
        let blocks = kinds.iter().flat_map(|&(kind, count)| {
            (0..count).map(move |at| json!({"type": kind, "text": "a", "id": at}))
        });
        let body = json!({
            "cache_control": {"type": "ephemeral"},
            "messages": [{"role": "user", "content": "word ".repeat(600)},
                         {"role": "user", "content": blocks.collect::<Vec<_>>()}],
        });
        prompt(&body).readable().count()
    }

    #[test]
    fn a_breakpoint_reads_twenty_positions_and_a_run_of_calls_or_results_is_one() {
        assert_eq!(readable(&[("text", 18)]), 19);
        assert_eq!(readable(&[("text", 19)]), 20);
        assert_eq!(readable(&[("text", 40)]), 20);
        assert_eq!(readable(&[("tool_use", 30), ("tool_result", 30)]), 61);
        assert_eq!(readable(&[("tool_use", 30), ("text", 20)]), 20);
    }
}
