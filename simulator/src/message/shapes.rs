//! The shapes of a message and of its events, with keys in the API's order.

use serde::Serialize;
use serde_json::value::RawValue;

use super::Heading;
use crate::answer::{Block, Said, Stop};
use crate::diagnosis::Miss;
use crate::request::{Ask, Thinking};
use crate::search::Page;

#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) model: &'a str,
    pub(super) id: &'a str,
    pub(super) r#type: &'static str,
    pub(super) role: &'static str,
    pub(super) content: &'a [Content<'a>],
    pub(super) stop_reason: Option<&'a str>,
    pub(super) stop_sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_details: Option<Refused>,
    pub(super) usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) diagnostics: Option<Diagnostics>,
}

#[derive(Serialize)]
pub(super) struct Diagnostics {
    pub(super) cache_miss_reason: Option<Miss>,
}

impl<'a> Message<'a> {
    pub(super) fn empty(heading: Heading<'a>) -> Self {
        let Heading { ask, id, input, tier, diagnosis } = heading;
        Self {
            model: &ask.model.id,
            id,
            r#type: "message",
            role: "assistant",
            content: &[],
            stop_reason: None,
            stop_sequence: None,
            stop_details: None,
            diagnostics: diagnosis.map(|cache_miss_reason| Diagnostics { cache_miss_reason }),
            usage: Usage {
                input_tokens: input.input,
                cache_creation_input_tokens: input.cache_write(),
                cache_read_input_tokens: input.cache_read,
                cache_creation: CacheCreation {
                    ephemeral_5m_input_tokens: input.cache_write_5m,
                    ephemeral_1h_input_tokens: input.cache_write_1h,
                },
                output_tokens: 0,
                output_tokens_details: Details::of(ask, 0),
                server_tool_use: None,
                service_tier: tier,
                inference_geo: match (ask.model.version >= (4, 6), ask.terms.us_only) {
                    (false, _) => "not_available",
                    (true, true) => "us",
                    (true, false) => "global",
                },
                speed: ask.names_speed.then_some(if ask.terms.fast { "fast" } else { "standard" }),
            },
        }
    }
}

#[derive(Serialize)]
pub(super) struct Usage {
    pub(super) input_tokens: u64,
    pub(super) cache_creation_input_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
    pub(super) cache_creation: CacheCreation,
    pub(super) output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_tokens_details: Option<Details>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_tool_use: Option<ServerTools>,
    pub(super) service_tier: &'static str,
    pub(super) inference_geo: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) speed: Option<&'static str>,
}

impl Usage {
    /// What it is once everything is said.
    pub(super) fn is_ended_by(&mut self, said: &Said) {
        self.input_tokens += said.found_tokens;
        self.output_tokens = said.output_tokens;
        if let Some(details) = &mut self.output_tokens_details {
            details.thinking_tokens = said.thinking_tokens;
        }
        self.server_tool_use = ServerTools::of(said);
    }
}

/// Uses of the API's own tools.
#[derive(Serialize)]
pub(super) struct ServerTools {
    web_search_requests: u64,
    web_fetch_requests: u64,
}

impl ServerTools {
    pub(super) fn of(said: &Said) -> Option<Self> {
        let web_search_requests = said.searches;
        (web_search_requests > 0).then_some(Self { web_search_requests, web_fetch_requests: 0 })
    }
}

#[derive(Serialize)]
pub(super) struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
pub(super) struct Details {
    pub(super) thinking_tokens: u64,
}

impl Details {
    /// Only a model that may think has something to tell.
    pub(super) fn of(ask: &Ask, thinking_tokens: u64) -> Option<Self> {
        matches!(ask.thinking, Thinking::On { .. }).then_some(Self { thinking_tokens })
    }
}

/// Why a model refused.
#[derive(Serialize)]
pub(super) struct Refused {
    pub(super) r#type: &'static str,
    pub(super) category: Option<&'static str>,
    pub(super) explanation: &'static str,
}

impl Refused {
    pub(super) fn by(stop: &Stop) -> Option<Self> {
        (*stop == Stop::Refusal).then_some(Self {
            r#type: "refusal",
            category: Some("general_harms"),
            explanation: "The request was refused.",
        })
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    Thinking { thinking: &'a str, signature: &'a str },
    Text { text: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Box<RawValue>, caller: Caller },
    ServerToolUse { id: &'a str, name: &'a str, input: Box<RawValue>, caller: Caller },
    WebSearchToolResult { tool_use_id: &'a str, content: &'a [Page], caller: Caller },
}

impl<'a> Content<'a> {
    pub(super) fn whole(block: &'a Block) -> Self {
        match block {
            Block::Thinking { shown, signature, .. } => {
                Self::Thinking { thinking: shown, signature }
            }
            Block::Text(text) => Self::Text { text },
            Block::ToolUse { id, name, input } => Self::tool_use(id, name, input),
            Block::Search { id, input } => Self::search(id, input),
            Block::Found { id, pages } => Self::found(id, pages),
        }
    }

    /// As it is when it begins to be streamed: without what the deltas bring.
    pub(super) fn begun(block: &'a Block) -> Self {
        match block {
            Block::Thinking { .. } => Self::Thinking { thinking: "", signature: "" },
            Block::Text(_) => Self::Text { text: "" },
            Block::ToolUse { id, name, .. } => Self::tool_use(id, name, "{}"),
            Block::Search { id, .. } => Self::search(id, "{}"),
            Block::Found { id, pages } => Self::found(id, pages),
        }
    }

    pub(super) fn tool_use(id: &'a str, name: &'a str, input: &str) -> Self {
        Self::ToolUse { id, name, input: raw(input), caller: DIRECT }
    }

    fn search(id: &'a str, input: &str) -> Self {
        Self::ServerToolUse { id, name: "web_search", input: raw(input), caller: DIRECT }
    }

    const fn found(tool_use_id: &'a str, content: &'a [Page]) -> Self {
        Self::WebSearchToolResult { tool_use_id, content, caller: DIRECT }
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap_or_default()
}

/// The model itself calls, not a program of its.
const DIRECT: Caller = Caller { r#type: "direct" };

#[derive(Serialize)]
pub(super) struct Caller {
    pub(super) r#type: &'static str,
}

#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the API's names")]
pub(super) enum Delta<'a> {
    ThinkingDelta { thinking: &'a str },
    SignatureDelta { signature: &'a str },
    TextDelta { text: &'a str },
    InputJsonDelta { partial_json: &'a str },
}

#[derive(Serialize)]
pub(super) struct Stopped<'a> {
    pub(super) stop_reason: &'a str,
    pub(super) stop_sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_details: Option<Refused>,
}

/// Cumulative: the totals of the whole message.
#[derive(Serialize)]
pub(super) struct DeltaUsage {
    pub(super) input_tokens: u64,
    pub(super) cache_creation_input_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
    pub(super) output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_tokens_details: Option<Details>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_tool_use: Option<ServerTools>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: u32, content_block: Content<'a> },
    ContentBlockDelta { index: u32, delta: Delta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: Stopped<'a>, usage: DeltaUsage },
    MessageStop {},
}
