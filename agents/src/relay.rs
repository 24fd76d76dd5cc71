//! A reply on its way through: passed on, metered, and put together if that is wanted.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use polpo_policy::failure::Failure;
use polpo_policy::limits::{Hints, Timestamp};
use polpo_policy::pool::{Used, Verdict};
use polpo_upstream::error::TransportError;
use polpo_upstream::meter::{Ending, Meter};
use polpo_upstream::sse::Decoder;
use polpo_upstream::transport::{Body, Reply};
use polpo_upstream::wire::assemble::Assembler;
use polpo_upstream::wire::problem::Problem;
use serde_json::Value;

use crate::lease::Lease;
use crate::talk::Delta;

/// The longest answer that is taken in one piece; the API's own limit on bodies.
pub(crate) const MAX_WHOLE_BYTES: usize = 32 * 1024 * 1024;

/// A stream that owns body, meter and lease: it passes the same bytes on and meters them.
/// Dropping it cancels the call and gives the profile back.
pub struct Relay {
    body: Body,
    shape: Shape,
    meter: Meter,
    assembler: Assembler,
    /// What was said since it was last taken, if that is wanted.
    deltas: Option<Vec<Delta>>,
    broken: Option<TransportError>,
    is_garbled: bool,
    hints: Hints,
    lease: Lease,
}

enum Shape {
    Events(Decoder),
    /// Asked for a stream, some proxies answer in one piece all the same.
    Whole(Vec<u8>),
}

/// What a reply came to.
#[derive(Debug)]
pub struct Relayed {
    /// The figures.
    pub meter: Meter,
    /// The message, or why there is none.
    pub result: Result<Value, Box<Fault>>,
}

/// Why a reply that began well is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What to report.
    pub problem: Problem,
    /// What it means.
    pub failure: Failure,
    /// Whether nobody knows what upstream did after the last byte that arrived.
    pub is_lost: bool,
}

impl Relay {
    /// Takes over a reply with a good status, whose headers gave `hints`. What it says can be taken
    /// as it comes if `is_heard`.
    #[must_use]
    pub fn new(reply: Reply, hints: Hints, lease: Lease, is_heard: bool) -> Self {
        Self {
            shape: if is_stream(&reply.headers) {
                Shape::Events(Decoder::default())
            } else {
                Shape::Whole(Vec::new())
            },
            body: reply.body,
            meter: Meter::default(),
            assembler: Assembler::default(),
            deltas: is_heard.then(Vec::new),
            broken: None,
            is_garbled: false,
            hints,
            lease,
        }
    }

    /// What has been metered so far.
    #[must_use]
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What was said since this was last asked.
    pub fn take_deltas(&mut self) -> Vec<Delta> {
        self.deltas.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn observe(&mut self, chunk: &[u8]) {
        let Self { shape, meter, assembler, deltas, is_garbled, .. } = self;
        match shape {
            Shape::Events(decoder) => {
                let fed = decoder.feed(chunk, |event| {
                    meter.observe(&event);
                    match (assembler.observe(event.name, &event.data), &mut *deltas) {
                        (Ok(Some(said)), Some(deltas)) => deltas.push(said.into()),
                        (Ok(_), _) => {}
                        (Err(_), _) => *is_garbled = true,
                    }
                });
                *is_garbled |= fed.is_err();
            }
            Shape::Whole(whole) if whole.len() + chunk.len() <= MAX_WHOLE_BYTES => {
                whole.extend_from_slice(chunk);
            }
            Shape::Whole(_) => *is_garbled = true,
        }
    }

    /// Ends the relay after its last chunk, and with it the lease.
    #[must_use]
    pub fn finish(mut self, now: Timestamp) -> Relayed {
        let is_stream = matches!(self.shape, Shape::Events(_));
        let message = match std::mem::replace(&mut self.shape, Shape::Whole(Vec::new())) {
            Shape::Events(mut decoder) => {
                decoder.finish(|event| {
                    self.meter.observe(&event);
                    self.is_garbled |= self.assembler.observe(event.name, &event.data).is_err();
                });
                Some(std::mem::take(&mut self.assembler).finish())
            }
            Shape::Whole(whole) => {
                let message = serde_json::from_slice::<Value>(&whole).ok();
                let message = message.filter(|message| message["type"] == "message");
                if message.is_some() {
                    self.meter.observe_message(&whole);
                }
                message
            }
        };
        let result = self.conclude(now, message, is_stream);
        let verdict = match &result {
            Ok(_) => Verdict::Success,
            Err(fault) => Verdict::Failed(fault.failure),
        };
        self.lease.settle(verdict, used(&self.meter));
        Relayed { meter: self.meter, result }
    }

    fn conclude(
        &self,
        now: Timestamp,
        message: Option<Value>,
        is_stream: bool,
    ) -> Result<Value, Box<Fault>> {
        let is_whole = match self.meter.ending() {
            Ending::Complete => true,
            // All that matters has arrived when only the last event is missing.
            Ending::Open => {
                let stops = message.as_ref().is_some_and(|it| it["stop_reason"].is_string());
                self.meter.has_totals() && stops
            }
            Ending::Failed(problem) => {
                let failure = problem.failure(now, &self.hints);
                return Err(Box::new(Fault { problem: problem.clone(), failure, is_lost: false }));
            }
        };
        match message {
            Some(message) if is_whole && !self.is_garbled => Ok(message),
            Some(_) | None => Err(Box::new(Fault {
                problem: lost(self.broken, self.is_garbled),
                failure: Failure::Network,
                // A whole page that is no message, such as a captive portal's, was served by someone else.
                is_lost: self.broken.is_some() || (is_stream && !is_whole),
            })),
        }
    }
}

/// Whether an answer comes as events; the names of media types have no case.
pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("event-stream"))
}

/// What a call used of the limits; cache reads are not counted.
pub(crate) fn used(meter: &Meter) -> Option<Used> {
    let usage = meter.usage().usage();
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let input = usage.input.saturating_add(written);
    meter.has_totals().then_some(Used { input, output: usage.output })
}

pub(crate) fn lost(broken: Option<TransportError>, is_garbled: bool) -> Problem {
    let message = match broken {
        Some(error) => format!("the answer was cut off: {error}"),
        None if is_garbled => "the answer is not what the API would send".to_owned(),
        None => "the answer ended before its end".to_owned(),
    };
    Problem::own("api_error", message)
}

impl Stream for Relay {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.body.as_mut().poll_next(cx));
        match &item {
            Some(Ok(chunk)) => self.observe(chunk),
            Some(Err(error)) => self.broken = Some(*error),
            None => {}
        }
        Poll::Ready(item)
    }
}
