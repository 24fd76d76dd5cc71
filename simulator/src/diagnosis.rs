//! `diagnostics`: in what a request differs from an earlier one, so that it misses its cache.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::block::{Section, blocks};
use crate::catalogue::Model;
use crate::draw::{Digest, sha256};

/// A request that is to be compared with an earlier one, and later ones with it.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry {
    /// The message whose request it follows; a first turn follows none.
    previous: Option<String>,
    fingerprint: Fingerprint,
    /// Tokens up to the end of each block, and of all.
    ends: Vec<u64>,
}

/// What is remembered of a request: sums, no text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fingerprint {
    model: &'static str,
    blocks: Vec<(Section, Digest)>,
    settings: [Option<Digest>; 4],
}

/// Why a prompt is not one that goes on from the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Miss {
    ModelChanged { cache_missed_input_tokens: u64 },
    ToolsChanged { cache_missed_input_tokens: u64 },
    SystemChanged { cache_missed_input_tokens: u64 },
    MessagesChanged { cache_missed_input_tokens: u64 },
    PreviousMessageNotFound,
    Unavailable,
}

/// The requests that later ones may name, by workspace and message id.
#[derive(Debug, Default)]
pub(crate) struct Diagnoses {
    remembered: HashMap<(usize, String), Fingerprint>,
    /// From the oldest on.
    order: VecDeque<(usize, String)>,
}

/// Most requests that are remembered: the last turns of some thousand conversations.
const MOST: usize = 4_000;

/// Most blocks that are compared: what is remembered of a request stays below 20 kB.
const HORIZON: usize = 500;

/// Settings that the prompt depends on.
const SETTINGS: [&str; 4] = ["tool_choice", "thinking", "context_management", "output_config"];

impl Inquiry {
    /// Reads a request that has `diagnostics`; others ask for nothing and are not remembered.
    pub(crate) fn read(body: &Map<String, Value>, model: &'static Model) -> Option<Self> {
        let asked = body.get("diagnostics")?.as_object()?;
        let previous = asked.get("previous_message_id").and_then(Value::as_str).map(str::to_owned);
        let blocks = blocks(body);
        let mut end = 0;
        let ends = blocks.iter().map(|block| {
            end += block.tokens();
            end
        });
        let ends = ends.collect();
        let compared = blocks.iter().take(HORIZON);
        let blocks = compared.map(|block| (block.place.section(), block.digest())).collect();
        let settings = SETTINGS.map(|name| {
            let setting = body.get(name).filter(|it| !it.is_null());
            setting.map(|it| sha256(it.to_string().as_bytes()))
        });
        let fingerprint = Fingerprint { model: &model.id, blocks, settings };
        Some(Self { previous, fingerprint, ends })
    }

    /// The first difference from an earlier request.
    fn compare(&self, earlier: &Fingerprint) -> Option<Miss> {
        let (this, total) = (&self.fingerprint, self.ends.last().copied().unwrap_or(0));
        if this.model != earlier.model {
            return Some(Miss::ModelChanged { cache_missed_input_tokens: total });
        }
        let changed = |&at: &usize| this.blocks.get(at) != earlier.blocks.get(at);
        let Some(at) = (0..earlier.blocks.len()).find(changed) else {
            let is_all = earlier.blocks.len() < HORIZON && this.settings == earlier.settings;
            return if is_all { None } else { Some(Miss::Unavailable) };
        };
        let before = at.checked_sub(1).and_then(|last| self.ends.get(last));
        let cache_missed_input_tokens = total - before.copied().unwrap_or(0);
        let sections = [&this.blocks, &earlier.blocks].map(|blocks| blocks.get(at).map(|it| it.0));
        // Where one more tool stands, a block of the next section stood before.
        match sections.into_iter().flatten().min()? {
            Section::Tools => Some(Miss::ToolsChanged { cache_missed_input_tokens }),
            Section::System => Some(Miss::SystemChanged { cache_missed_input_tokens }),
            Section::Messages if this.settings != earlier.settings => Some(Miss::Unavailable),
            Section::Messages => Some(Miss::MessagesChanged { cache_missed_input_tokens }),
        }
    }
}

impl Diagnoses {
    /// Compares a request that is answered with message `id`, and remembers it.
    pub(crate) fn diagnose(&mut self, workspace: usize, id: &str, asked: Inquiry) -> Option<Miss> {
        let earlier = |previous: String| match self.remembered.get(&(workspace, previous)) {
            Some(earlier) => asked.compare(earlier),
            None => Some(Miss::PreviousMessageNotFound),
        };
        let miss = asked.previous.clone().and_then(earlier);
        let key = (workspace, id.to_owned());
        if self.remembered.insert(key.clone(), asked.fingerprint).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.remembered.remove(&oldest);
        }
        miss
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalogue::find;

    /// A request with four, seven and ten tokens of tools, system prompt and messages.
    fn body() -> Value {
        json!({
            "diagnostics": {"previous_message_id": "msg_1"},
            "tools": [{"name": "abcdef"}],
            "system": "word ".repeat(5),
            "messages": [{"role": "user", "content": "word ".repeat(5)}],
        })
    }

    fn inquiry(body: &Value, model: &str) -> Inquiry {
        Inquiry::read(body.as_object().unwrap(), find(model).unwrap()).unwrap()
    }

    /// What a request is told that follows the one above after a change.
    fn after(change: impl Fn(&mut Value)) -> Value {
        let mut diagnoses = Diagnoses::default();
        let mut later = body();
        change(&mut later);
        diagnoses.diagnose(0, "msg_1", inquiry(&body(), "claude-opus-5"));
        json!(diagnoses.diagnose(0, "msg_2", inquiry(&later, "claude-opus-5")))
    }

    #[test]
    fn a_conversation_that_only_grows_misses_nothing() {
        assert_eq!(after(|_| {}), Value::Null);
        let more = json!({"role": "assistant", "content": "I see."});
        let grow = |body: &mut Value| body["messages"].as_array_mut().unwrap().push(more.clone());
        assert_eq!(after(grow), Value::Null);
    }

    #[test]
    fn the_first_difference_is_named_with_the_tokens_after_it() {
        let reason = |kind, tokens| json!({"type": kind, "cache_missed_input_tokens": tokens});
        let tool = json!({"name": "b"});
        assert_eq!(
            after(|body| body["tools"].as_array_mut().unwrap().push(tool.clone())),
            reason("tools_changed", 3 + 7 + 10)
        );
        assert_eq!(after(|body| body["tools"] = json!([])), reason("tools_changed", 7 + 10));
        assert_eq!(after(|body| body["system"] = json!("other")), reason("system_changed", 2 + 10));
        assert_eq!(
            after(|body| body["messages"][0]["content"] = json!("other")),
            reason("messages_changed", 2 + 3)
        );
    }

    #[test]
    fn another_model_has_another_cache() {
        let mut diagnoses = Diagnoses::default();
        diagnoses.diagnose(0, "msg_1", inquiry(&body(), "claude-opus-5"));
        let miss = diagnoses.diagnose(0, "msg_2", inquiry(&body(), "claude-sonnet-5"));
        assert_eq!(miss, Some(Miss::ModelChanged { cache_missed_input_tokens: 4 + 7 + 10 }));
    }

    #[test]
    fn a_change_of_settings_has_no_diagnosis() {
        let unavailable = json!({"type": "unavailable"});
        let change = |body: &mut Value| body["thinking"] = json!({"type": "adaptive"});
        assert_eq!(after(change), unavailable);
        let both = |body: &mut Value| {
            change(body);
            body["messages"][0]["content"] = json!("other");
        };
        assert_eq!(after(both), unavailable);
    }

    #[test]
    fn a_very_long_conversation_has_no_diagnosis() {
        let unavailable = json!({"type": "unavailable"});
        let long = vec![json!({"type": "text", "text": "a"}); HORIZON];
        let mut diagnoses = Diagnoses::default();
        let mut body = body();
        body["messages"][0]["content"] = json!(long);
        diagnoses.diagnose(0, "msg_1", inquiry(&body, "claude-opus-5"));
        let miss = diagnoses.diagnose(0, "msg_2", inquiry(&body, "claude-opus-5"));
        assert_eq!(json!(miss), unavailable);
    }

    #[test]
    fn a_first_turn_is_told_nothing_and_an_unknown_message_is_not_found() {
        let first = json!({"previous_message_id": null});
        assert_eq!(after(|body| body["diagnostics"] = first.clone()), Value::Null);
        let unknown = json!({"previous_message_id": "msg_9"});
        let not_found = json!({"type": "previous_message_not_found"});
        assert_eq!(after(|body| body["diagnostics"] = unknown.clone()), not_found);
        let mut diagnoses = Diagnoses::default();
        diagnoses.diagnose(0, "msg_1", inquiry(&body(), "claude-opus-5"));
        let miss = diagnoses.diagnose(1, "msg_2", inquiry(&body(), "claude-opus-5"));
        assert_eq!(miss, Some(Miss::PreviousMessageNotFound), "another workspace");
    }

    #[test]
    fn the_oldest_request_is_forgotten_when_there_are_too_many() {
        let mut diagnoses = Diagnoses::default();
        let asked = inquiry(&body(), "claude-opus-5");
        for nth in 1..=MOST {
            diagnoses.diagnose(0, &format!("msg_{nth}"), asked.clone());
        }
        assert_eq!(diagnoses.diagnose(0, "msg_0", asked.clone()), None);
        let miss = diagnoses.diagnose(0, "msg_1", asked);
        assert_eq!(miss, Some(Miss::PreviousMessageNotFound));
        assert_eq!((diagnoses.remembered.len(), diagnoses.order.len()), (MOST, MOST));
    }

    #[test]
    fn a_request_that_does_not_ask_is_not_remembered() {
        for body in [json!({"messages": []}), json!({"messages": [], "diagnostics": null})] {
            let read = Inquiry::read(body.as_object().unwrap(), find("claude-opus-4-6").unwrap());
            assert!(read.is_none());
        }
    }
}
