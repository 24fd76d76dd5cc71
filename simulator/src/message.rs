//! Messages as the API writes them, whole or in events; keys in its order.

mod shapes;

use crate::answer::{Block, Said};
use crate::books::Tokens;
use crate::diagnosis::Miss;
use crate::draw::Draws;
use crate::estimate;
use crate::request::Ask;
use crate::search::Page;
use crate::sse::Events;
use shapes::{Content, Delta, DeltaUsage, Details, Event, Message, Refused, ServerTools, Stopped};

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
    /// What was made since the piece before.
    pub(crate) made: Made,
    /// The delta it comes with: pieces of one number come together, none with the first token.
    pub(crate) delta: u32,
}

/// What there is to pay for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) output: u64,
    /// Input that a search of the web has found.
    pub(crate) found: u64,
    pub(crate) searches: u64,
}

impl Made {
    pub(crate) fn add(&mut self, more: Self) {
        self.output += more.output;
        self.found += more.found;
        self.searches += more.searches;
    }
}

/// Most deltas of a block: enough to look like a stream, few enough to simulate thousands.
const MAX_DELTAS: usize = 10;

/// Tokens of a delta, while there are fewer than the most.
const TOKENS_A_DELTA: u64 = 8;

/// The id of a message.
pub(crate) fn message_id(draws: Draws) -> String {
    format!("msg_01{}", draws.id("message", 22))
}

/// The answer in one body.
pub(crate) fn whole(heading: Heading<'_>, said: &Said) -> Vec<u8> {
    let content: Vec<_> = said.blocks.iter().map(Content::whole).collect();
    let mut message = Message {
        content: &content,
        stop_reason: Some(said.stop.reason()),
        stop_sequence: said.stop.sequence(),
        stop_details: Refused::by(&said.stop),
        ..Message::empty(heading)
    };
    message.usage.is_ended_by(said);
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
    let mut message = Message::empty(heading);
    message.usage.output_tokens = at_once;
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
        input_tokens: heading.input.input + said.found_tokens,
        cache_creation_input_tokens: heading.input.cache_write(),
        cache_read_input_tokens: heading.input.cache_read,
        output_tokens: said.output_tokens,
        output_tokens_details: Details::of(heading.ask, said.thinking_tokens),
        server_tool_use: ServerTools::of(said),
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
        let made = Made { output: so_far.saturating_sub(self.produced), ..Made::default() };
        self.produced = so_far.max(self.produced);
        self.pieces.push(Piece { bytes: self.events.take(), made, delta: self.delta });
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
            Block::ToolUse { input, .. } | Block::Search { input, .. } => {
                let before = before + block.tokens() - estimate::text(input);
                self.delta(index, Delta::InputJsonDelta { partial_json: "" }, before);
                for (so_far, partial_json) in split(input) {
                    self.delta(index, Delta::InputJsonDelta { partial_json }, before + so_far);
                }
            }
            // Comes whole in its start.
            Block::Found { pages, .. } => {
                if let Some(piece) = self.pieces.last_mut() {
                    piece.made.found = pages.iter().map(Page::tokens).sum();
                    piece.made.searches = 1;
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
