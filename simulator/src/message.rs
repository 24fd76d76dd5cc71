//! Messages as the API writes them, whole or in events; keys in its order.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::{Block, Said, Stop};
use crate::books::Tokens;
use crate::diagnosis::Miss;
use crate::draw::Draws;
use crate::estimate;
use crate::request::{Ask, Thinking};
use crate::sse::Events;

/// What a message says beside its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) id: &'a str,
    /// How the input divides; its output is not looked at.
    pub(crate) input: Tokens,
    /// As `service_tier` has it.
    pub(crate) tier: &'static str,
    /// Why its cache was missed, if the client asked and it was.
    #[expect(clippy::option_option, reason = "asked for or not, missed or not")]
    pub(crate) diagnosis: Option<Option<Miss>>,
}

/// An event of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    /// Output tokens that were generated since the piece before.
    pub(crate) tokens: u64,
    /// The delta it comes with: pieces of one number come together, none with the first token.
    pub(crate) delta: u32,
}

/// Most deltas of a block: enough to look like a stream, few enough to simulate thousands.
const MAX_DELTAS: usize = 10;

/// Tokens of a delta, while there are fewer than the most.
const TOKENS_A_DELTA: u64 = 8;

/// The answer in one body.
pub(crate) fn whole(heading: Heading<'_>, said: &Said) -> Vec<u8> {
    let content: Vec<_> = said.blocks.iter().map(Content::whole).collect();
    let message = Message {
        content: &content,
        stop_reason: Some(said.stop.reason()),
        stop_sequence: said.stop.sequence(),
        stop_details: Refused::by(&said.stop),
        ..Message::empty(heading, said.output_tokens, said.thinking_tokens)
    };
    serde_json::to_vec(&message).unwrap_or_default()
}

/// The answer as a stream, event by event.
pub(crate) fn pieces(heading: Heading<'_>, said: &Said, draws: Draws) -> Vec<Piece> {
    let mut stream = Stream {
        events: Events::new(draws),
        pieces: Vec::with_capacity(MAX_DELTAS + 6),
        delta: 0,
        produced: 0,
    };
    let at_once = said.output_tokens.min(1);
    let message = Message::empty(heading, at_once, 0);
    stream.put("message_start", &Event::MessageStart { message }, at_once);
    let mut before = 0;
    for (index, block) in (0..).zip(&said.blocks) {
        stream.block(index, block, before);
        before += block.tokens();
    }
    let delta = Stopped {
        stop_reason: said.stop.reason(),
        stop_sequence: said.stop.sequence(),
        stop_details: Refused::by(&said.stop),
    };
    let usage = DeltaUsage {
        input_tokens: heading.input.input,
        cache_creation_input_tokens: heading.input.cache_write(),
        cache_read_input_tokens: heading.input.cache_read,
        output_tokens: said.output_tokens,
        output_tokens_details: Details::of(heading.ask, said.thinking_tokens),
    };
    stream.put("message_delta", &Event::MessageDelta { delta, usage }, said.output_tokens);
    stream.put("message_stop", &Event::MessageStop {}, said.output_tokens);
    stream.pieces
}

struct Stream {
    events: Events,
    pieces: Vec<Piece>,
    delta: u32,
    produced: u64,
}

impl Stream {
    /// Ends a piece with an event, by which `so_far` tokens were generated in all.
    fn put(&mut self, name: &str, event: &Event<'_>, so_far: u64) {
        self.events.put(name, event);
        let tokens = so_far.saturating_sub(self.produced);
        self.produced = so_far.max(self.produced);
        self.pieces.push(Piece { bytes: self.events.take(), tokens, delta: self.delta });
    }

    fn block(&mut self, index: u32, block: &Block, before: u64) {
        let produced = self.produced;
        let content_block = Content::begun(block);
        let event = Event::ContentBlockStart { index, content_block };
        self.put("content_block_start", &event, produced);
        if index == 0 {
            self.events.ping();
            if let Some(piece) = self.pieces.last_mut() {
                piece.bytes.extend(self.events.take());
            }
        }
        match block {
            Block::Thinking { shown, signature, tokens } => {
                for (so_far, thinking) in split(shown) {
                    self.delta(index, Delta::ThinkingDelta { thinking }, before + so_far);
                }
                // Last before the stop, and all there is of a thought that is not shown.
                self.delta(index, Delta::SignatureDelta { signature }, before + tokens);
            }
            Block::Text(text) => {
                for (so_far, text) in split(text) {
                    self.delta(index, Delta::TextDelta { text }, before + so_far);
                }
            }
            Block::ToolUse { name, input, .. } => {
                let before = before + estimate::text(name);
                self.delta(index, Delta::InputJsonDelta { partial_json: "" }, before);
                for (so_far, partial_json) in split(input) {
                    self.delta(index, Delta::InputJsonDelta { partial_json }, before + so_far);
                }
            }
        }
        let produced = self.produced;
        self.put("content_block_stop", &Event::ContentBlockStop { index }, produced);
    }

    fn delta(&mut self, index: u32, delta: Delta<'_>, so_far: u64) {
        self.delta += 1;
        self.put("content_block_delta", &Event::ContentBlockDelta { index, delta }, so_far);
    }
}

/// Splits a text into deltas of about equal length, each with the tokens that are said by its end.
fn split(text: &str) -> Vec<(u64, &str)> {
    let wanted = estimate::text(text) / TOKENS_A_DELTA;
    let count = usize::try_from(wanted).unwrap_or(MAX_DELTAS).clamp(2, MAX_DELTAS);
    let mut start = 0;
    let mut deltas = Vec::with_capacity(count);
    for n in 1..=count {
        let end = text.floor_char_boundary(text.len() * n / count);
        if end > start {
            deltas.push((estimate::text(&text[..end]), &text[start..end]));
            start = end;
        }
    }
    deltas
}

#[derive(Serialize)]
struct Message<'a> {
    model: &'a str,
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    content: &'a [Content<'a>],
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_details: Option<Refused>,
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<Diagnostics>,
}

#[derive(Serialize)]
struct Diagnostics {
    cache_miss_reason: Option<Miss>,
}

impl<'a> Message<'a> {
    fn empty(heading: Heading<'a>, output_tokens: u64, thinking_tokens: u64) -> Self {
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
                output_tokens,
                output_tokens_details: Details::of(ask, thinking_tokens),
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
struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<Details>,
    service_tier: &'static str,
    inference_geo: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<&'static str>,
}

#[derive(Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct Details {
    thinking_tokens: u64,
}

impl Details {
    /// Only a model that may think has something to tell.
    fn of(ask: &Ask, thinking_tokens: u64) -> Option<Self> {
        matches!(ask.thinking, Thinking::On { .. }).then_some(Self { thinking_tokens })
    }
}

/// Why a model refused.
#[derive(Serialize)]
struct Refused {
    r#type: &'static str,
    category: Option<&'static str>,
    explanation: &'static str,
}

impl Refused {
    fn by(stop: &Stop) -> Option<Self> {
        (*stop == Stop::Refusal).then_some(Self {
            r#type: "refusal",
            category: Some("general_harms"),
            explanation: "The request was refused.",
        })
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content<'a> {
    Thinking { thinking: &'a str, signature: &'a str },
    Text { text: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Box<RawValue>, caller: Caller },
}

impl<'a> Content<'a> {
    fn whole(block: &'a Block) -> Self {
        match block {
            Block::Thinking { shown, signature, .. } => {
                Self::Thinking { thinking: shown, signature }
            }
            Block::Text(text) => Self::Text { text },
            Block::ToolUse { id, name, input } => Self::tool_use(id, name, input),
        }
    }

    /// As it is when it begins to be streamed: without what the deltas bring.
    fn begun(block: &'a Block) -> Self {
        match block {
            Block::Thinking { .. } => Self::Thinking { thinking: "", signature: "" },
            Block::Text(_) => Self::Text { text: "" },
            Block::ToolUse { id, name, .. } => Self::tool_use(id, name, "{}"),
        }
    }

    fn tool_use(id: &'a str, name: &'a str, input: &str) -> Self {
        let input = RawValue::from_string(input.to_owned()).unwrap_or_default();
        Self::ToolUse { id, name, input, caller: Caller { r#type: "direct" } }
    }
}

#[derive(Serialize)]
struct Caller {
    r#type: &'static str,
}

#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the API's names")]
enum Delta<'a> {
    ThinkingDelta { thinking: &'a str },
    SignatureDelta { signature: &'a str },
    TextDelta { text: &'a str },
    InputJsonDelta { partial_json: &'a str },
}

#[derive(Serialize)]
struct Stopped<'a> {
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_details: Option<Refused>,
}

/// Cumulative: the totals of the whole message.
#[derive(Serialize)]
struct DeltaUsage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<Details>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: u32, content_block: Content<'a> },
    ContentBlockDelta { index: u32, delta: Delta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: Stopped<'a>, usage: DeltaUsage },
    MessageStop {},
}
