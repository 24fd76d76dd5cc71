//! Meters a stream while it passes: tokens, model, how it ended.

use polpo_policy::usage::UsageReport;
use serde::Deserialize;

use crate::sse::Event;
use crate::wire::problem::Problem;

/// How a stream ended, as far as it has been seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Not yet, or cut off.
    #[default]
    Open,
    /// With `message_stop`.
    Complete,
    /// With an `error` event.
    Failed(Problem),
}

/// What is known of a stream so far. Sans-IO: whoever reads the stream shows it the events.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    usage: UsageReport,
    model: Option<String>,
    has_totals: bool,
    has_content: bool,
    has_begun: bool,
    said: u64,
    ending: Ending,
}

#[derive(Deserialize)]
struct MessageStart {
    message: Message,
}

/// The part of a message that a bill needs.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<UsageReport>,
}

#[derive(Deserialize)]
struct MessageDelta {
    #[serde(default)]
    usage: Option<UsageReport>,
}

impl Meter {
    /// Takes one event into account.
    ///
    /// Only three of the API's events carry figures; the many deltas are told by their name and
    /// not parsed. An unreadable event changes nothing.
    pub fn observe(&mut self, event: &Event<'_>) {
        self.has_begun |= !matches!(event.name, b"ping" | b"message_start" | b"error");
        match event.name {
            b"content_block_delta" => {
                self.has_content = true;
                self.said += said(&event.data);
            }
            b"content_block_start" => self.has_content = true,
            b"message_start" => {
                if let Ok(start) = serde_json::from_slice::<MessageStart>(&event.data) {
                    self.take(start.message);
                }
            }
            b"message_delta" => {
                if let Ok(MessageDelta { usage: Some(usage) }) = serde_json::from_slice(&event.data)
                {
                    self.usage.merge(usage);
                    self.has_totals = true;
                }
            }
            b"message_stop" => self.ending = Ending::Complete,
            b"error" => self.ending = Ending::Failed(Problem::from_event(&event.data)),
            _ => {}
        }
    }

    /// Meters a message that came in one piece instead of a stream.
    pub fn observe_message(&mut self, message: &[u8]) {
        if let Ok(message) = serde_json::from_slice::<Message>(message) {
            (self.has_content, self.has_totals) = (true, message.usage.is_some());
            self.has_begun = true;
            self.take(message);
            self.ending = Ending::Complete;
        }
    }

    fn take(&mut self, message: Message) {
        self.model = message.model;
        self.usage.merge(message.usage.unwrap_or_default());
    }

    /// The usage, merged from every report so far.
    #[must_use]
    pub const fn usage(&self) -> &UsageReport {
        &self.usage
    }

    /// The model that answers, by its own word.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Whether content has arrived.
    #[must_use]
    pub const fn has_content(&self) -> bool {
        self.has_content
    }

    /// Whether anything has arrived but what comes before all answers, a failure included.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// How many bytes the model has said so far, about.
    #[must_use]
    pub const fn said(&self) -> u64 {
        self.said
    }

    /// Whether the final totals are known.
    #[must_use]
    pub const fn has_totals(&self) -> bool {
        self.has_totals
    }

    /// How the stream ended.
    #[must_use]
    pub const fn ending(&self) -> &Ending {
        &self.ending
    }
}

/// The length of what a delta adds, told without parsing it: what is quoted last, after the type.
fn said(data: &[u8]) -> u64 {
    let after = |from: usize, text: &[u8]| {
        let rest = data.get(from..)?;
        memchr::memmem::find(rest, text).map(|at| from + at + text.len())
    };
    let start = after(0, b"\"delta\":{")
        .and_then(|at| after(at, b"\",\""))
        .and_then(|at| after(at, b"\":\""));
    // Of a delta of another shape, all of it.
    let start = start.unwrap_or(0);
    let end = memchr::memrchr(b'"', data).unwrap_or(data.len());
    end.saturating_sub(start) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::Decoder;
    use proptest::prelude::*;

    const STREAM: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-opus-5-5\",",
        "\"usage\":{\"input_tokens\":2679,\"cache_creation_input_tokens\":0,\"output_tokens\":1}}   }\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"delta\":{\"text\":\"event: message_stop\"}}\n\n",
        "event: message_delta\ndata: {\"delta\":{},\"usage\":{\"output_tokens\":42,\"input_tokens\":10682} }\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"   }\n\n",
    );

    fn meter<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Meter {
        let (mut meter, mut decoder) = (Meter::default(), Decoder::default());
        for chunk in chunks {
            decoder.feed(chunk, |event| meter.observe(&event)).unwrap();
        }
        meter
    }

    #[test]
    fn the_last_totals_count_wherever_the_stream_is_cut_into_chunks() {
        for size in 1..STREAM.len() {
            let meter = meter(STREAM.as_bytes().chunks(size));
            let usage = meter.usage().usage();
            assert_eq!((usage.input, usage.output), (10_682, 42), "chunks of {size}");
            assert_eq!(meter.model(), Some("claude-opus-5-5"));
            assert_eq!(*meter.ending(), Ending::Complete);
        }
    }

    #[test]
    fn a_stream_that_breaks_off_has_content_but_no_totals() {
        let cut = STREAM.find("event: message_delta").unwrap();
        let meter = meter([&STREAM.as_bytes()[..cut]]);
        assert!(meter.has_content() && !meter.has_totals());
        assert_eq!(*meter.ending(), Ending::Open);
    }

    #[test]
    fn an_answer_begins_with_the_first_event_that_only_an_answer_has() {
        let events: Vec<&str> = STREAM.split_inclusive("\n\n").collect();
        assert!(!meter(events[..2].iter().map(|it| it.as_bytes())).has_begun());
        assert!(meter(events[..3].iter().map(|it| it.as_bytes())).has_begun());
        assert!(meter([events[4].as_bytes()]).has_begun(), "without any content, too");
        assert!(!meter([&b"event: error\ndata: {}\n\n"[..]]).has_begun());
    }

    #[test]
    fn what_is_said_is_counted_without_its_packing() {
        for (delta, bytes) in [
            (r#"{"type":"text_delta","text":"Sunny"}"#, 5),
            (r#"{"type":"thinking_delta","thinking":"Let me"}"#, 6),
            (r#"{"type":"input_json_delta","partial_json":""}"#, 0),
            (r#"{"type":"input_json_delta","partial_json":"{\"a\":"}"#, 7),
        ] {
            let data = format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}   }}"#);
            assert_eq!(said(data.as_bytes()), bytes, "{data}");
        }
        assert_eq!((said(b"{}"), said(b"")), (2, 0));
    }

    #[test]
    fn an_error_event_ends_the_stream_with_its_problem() {
        let text = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
        let meter = meter([text.as_bytes()]);
        assert!(matches!(meter.ending(), Ending::Failed(problem) if problem.status == 529));
    }

    #[test]
    fn what_carries_no_figures_allocates_nothing() {
        let stream = concat!(
            "event: content_block_start\ndata: {\"index\":0,\"content_block\":{\"type\":\"text\"}}\n\n",
            "event: content_block_delta\ndata: {\"index\":0,\"delta\":{\"text\":\"Sunny\"}   }\n\n",
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "event: content_block_stop\ndata: {\"index\":0 }\n\n",
        )
        .repeat(100);
        let (mut meter, mut decoder) = (Meter::default(), Decoder::default());
        let mut allocations = |size| {
            let feed = |chunk| decoder.feed(chunk, |event| meter.observe(&event)).unwrap();
            let chunks = stream.as_bytes().chunks(size);
            allocation_counter::measure(|| chunks.for_each(feed)).count_total
        };
        assert_eq!(allocations(stream.len()), 0);
        assert_ne!(allocations(7), 0, "an event that was cut is put together");
        assert_eq!(allocations(7), 0, "and the next ones in the same place");
    }

    proptest! {
        #[test]
        fn the_same_is_metered_wherever_the_stream_is_cut(
            mut cuts in prop::collection::vec(0..=STREAM.len(), 0..20),
        ) {
            cuts.push(STREAM.len());
            cuts.sort_unstable();
            let starts = [0].into_iter().chain(cuts.clone());
            let chunks = starts.zip(&cuts).map(|(start, end)| &STREAM.as_bytes()[start..*end]);
            let (cut, whole) = (meter(chunks), meter([STREAM.as_bytes()]));
            prop_assert_eq!(cut.usage(), whole.usage());
            prop_assert_eq!(cut.model(), whole.model());
            prop_assert_eq!(cut.ending(), whole.ending());
            prop_assert!(cut.has_content() && cut.has_totals());
        }
    }
}
