//! Messages as the API writes them, whole or in events; keys in its order.

use serde::Serialize;

use crate::answer::Answer;
use crate::draw::Draws;
use crate::request::Ask;
use crate::sse::Events;

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    /// Output tokens that were generated since the piece before.
    pub(crate) tokens: u64,
}

/// Most deltas of an answer: enough to look like a stream, few enough to simulate thousands.
const MAX_DELTAS: usize = 10;

/// Tokens of a delta, while there are fewer than the most.
const TOKENS_A_DELTA: u64 = 8;

/// The answer in one body.
pub(crate) fn whole(ask: &Ask, answer: &Answer, id: &str) -> Vec<u8> {
    let blocks = [Block::Text { text: &answer.text }];
    let message = Message {
        content: if answer.text.is_empty() { &[] } else { &blocks },
        stop_reason: Some(answer.stop.reason()),
        stop_sequence: answer.stop.sequence(),
        ..Message::empty(ask, id, answer.output_tokens)
    };
    serde_json::to_vec(&message).unwrap_or_default()
}

/// The answer as a stream: what comes with the first token, the deltas, and the end.
pub(crate) fn pieces(ask: &Ask, answer: &Answer, id: &str, draws: Draws) -> Vec<Piece> {
    let mut events = Events::new(draws);
    let mut pieces = Vec::with_capacity(MAX_DELTAS + 2);
    let mut produced = 0;
    let mut put = |events: &mut Events, so_far: u64| {
        let tokens = so_far.saturating_sub(produced);
        produced = so_far.max(produced);
        pieces.push(Piece { bytes: events.take(), tokens });
    };

    let at_once = answer.output_tokens.min(1);
    let message = Message::empty(ask, id, at_once);
    events.put("message_start", &Event::MessageStart { message });
    if answer.text.is_empty() {
        put(&mut events, at_once);
    } else {
        let content_block = Block::Text { text: "" };
        events.put("content_block_start", &Event::ContentBlockStart { index: 0, content_block });
        events.ping();
        put(&mut events, at_once);
        for (end, text) in split(&answer.text) {
            let delta = Delta::TextDelta { text };
            events.put("content_block_delta", &Event::ContentBlockDelta { index: 0, delta });
            put(&mut events, crate::estimate::text(&answer.text[..end]));
        }
        events.put("content_block_stop", &Event::ContentBlockStop { index: 0 });
    }
    let delta =
        Stopped { stop_reason: answer.stop.reason(), stop_sequence: answer.stop.sequence() };
    let usage = DeltaUsage {
        input_tokens: ask.input_tokens,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: answer.output_tokens,
    };
    events.put("message_delta", &Event::MessageDelta { delta, usage });
    events.put("message_stop", &Event::MessageStop {});
    put(&mut events, answer.output_tokens);
    pieces
}

/// Splits a text into deltas of about equal length, each with where it ends.
fn split(text: &str) -> Vec<(usize, &str)> {
    let wanted = crate::estimate::text(text) / TOKENS_A_DELTA;
    let count = usize::try_from(wanted).unwrap_or(MAX_DELTAS).clamp(2, MAX_DELTAS);
    let mut start = 0;
    let mut deltas = Vec::with_capacity(count);
    for n in 1..=count {
        let end = text.floor_char_boundary(text.len() * n / count);
        if end > start {
            deltas.push((end, &text[start..end]));
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
    content: &'a [Block<'a>],
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    usage: Usage,
}

impl<'a> Message<'a> {
    fn empty(ask: &'a Ask, id: &'a str, output_tokens: u64) -> Self {
        Self {
            model: &ask.model.id,
            id,
            r#type: "message",
            role: "assistant",
            content: &[],
            stop_reason: None,
            stop_sequence: None,
            usage: Usage {
                input_tokens: ask.input_tokens,
                cache_creation_input_tokens: 0,
                cache_read_input_tokens: 0,
                cache_creation: CacheCreation {
                    ephemeral_5m_input_tokens: 0,
                    ephemeral_1h_input_tokens: 0,
                },
                output_tokens,
                service_tier: "standard",
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
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta<'a> {
    TextDelta { text: &'a str },
}

#[derive(Serialize)]
struct Stopped<'a> {
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
}

/// Cumulative: the totals of the whole message.
#[derive(Serialize)]
struct DeltaUsage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: u32, content_block: Block<'a> },
    ContentBlockDelta { index: u32, delta: Delta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: Stopped<'a>, usage: DeltaUsage },
    MessageStop {},
}
