//! Server-sent events, taken apart as they arrive.
//!
//! Written here because the relay is what we exist for: an event that lies whole in a chunk is
//! lent from it without a copy, which the published decoders do not do.

use std::borrow::Cow;

use memchr::memchr_iter;

/// The longest event that is put together from several chunks. Server tools send whole results
/// in one event; the API's own bodies end at 32 MB.
pub const MAX_EVENT_BYTES: usize = 32 * 1024 * 1024;

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field; empty if there is none.
    pub name: &'a [u8],
    /// The `data` fields, joined by line feeds.
    pub data: Cow<'a, [u8]>,
}

/// Says that an event is longer than [`MAX_EVENT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oversized;

/// Cuts a byte stream into events, wherever the stream was cut into chunks.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of an event that goes on in the next chunk.
    pending: Vec<u8>,
}

impl Decoder {
    /// Takes the next chunk and hands out each event that is complete.
    ///
    /// # Errors
    /// When an event is too long; the decoder is of no more use then.
    pub fn feed(&mut self, chunk: &[u8], mut sink: impl FnMut(Event<'_>)) -> Result<(), Oversized> {
        let rest = if self.pending.is_empty() { chunk } else { self.resume(chunk, &mut sink) };
        self.pending.extend_from_slice(events(rest, &mut sink));
        if self.pending.len() > MAX_EVENT_BYTES { Err(Oversized) } else { Ok(()) }
    }

    /// How many of the bytes at the end of what was fed begin an event that is not complete.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Puts the pending event together; returns what comes after it.
    fn resume<'a>(&mut self, chunk: &'a [u8], sink: &mut dyn FnMut(Event<'_>)) -> &'a [u8] {
        let mut start = 0;
        for line_feed in memchr_iter(b'\n', chunk) {
            self.pending.extend_from_slice(&chunk[start..=line_feed]);
            start = line_feed + 1;
            if self.pending.ends_with(b"\n\n") || self.pending.ends_with(b"\n\r\n") {
                events(&self.pending, sink);
                self.pending.clear();
                return &chunk[start..];
            }
        }
        self.pending.extend_from_slice(&chunk[start..]);
        &[]
    }

    /// Hands out what is left at the end of the stream; some servers leave out the last blank line.
    pub fn finish(&mut self, mut sink: impl FnMut(Event<'_>)) {
        self.pending.extend_from_slice(b"\n\n");
        events(&self.pending, &mut sink);
        self.pending.clear();
    }
}

/// Hands out the events in `bytes`; returns the beginning of one that is left. The sink is `dyn` so
/// that this loop is compiled here, with all it calls inlined: a call an event costs less.
fn events<'a>(bytes: &'a [u8], sink: &mut dyn FnMut(Event<'_>)) -> &'a [u8] {
    let (mut event, mut line) = (0, 0);
    let (mut name, mut data): (&[u8], Option<Cow<'_, [u8]>>) = (b"", None);
    for line_feed in memchr_iter(b'\n', bytes) {
        let text = &bytes[line..line_feed];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let text =
            if line == event { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
        line = line_feed + 1;
        if text.is_empty() {
            if let Some(data) = data.take() {
                sink(Event { name, data });
            }
            (name, event) = (b"", line);
        } else if let Some(value) = field(text, b"data:") {
            join(&mut data, value);
        } else if let Some(value) = field(text, b"event:") {
            name = value;
        }
    }
    &bytes[event..]
}

fn join<'a>(data: &mut Option<Cow<'a, [u8]>>, value: &'a [u8]) {
    match data {
        None => *data = Some(Cow::Borrowed(value)),
        Some(data) => {
            let data = data.to_mut();
            data.push(b'\n');
            data.extend_from_slice(value);
        }
    }
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(name).map(|value| value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = (String, String);

    fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        let mut sink = |event: Event<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            events.push((text(event.name), text(&event.data)));
        };
        for chunk in chunks {
            decoder.feed(chunk, &mut sink).unwrap();
        }
        decoder.finish(&mut sink);
        events
    }

    fn pair(name: &str, data: &str) -> Owned {
        (name.to_owned(), data.to_owned())
    }

    const STREAM: &str = ": a comment\n\nevent: message_start\r\ndata: {\"a\":1   }\r\n\r\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: x\ndata:no space\ndata: second\nid: 7\n\nevent: nothing\n\ndata: nameless\n\nevent: last\ndata: cut";

    #[test]
    fn real_and_odd_streams_are_decoded() {
        assert_eq!(
            decode([STREAM.as_bytes()]),
            [
                pair("message_start", "{\"a\":1   }"),
                pair("ping", "{\"type\": \"ping\"}"),
                pair("x", "no space\nsecond"),
                pair("", "nameless"),
                pair("last", "cut"),
            ]
        );
    }

    #[test]
    fn a_split_at_any_byte_changes_nothing() {
        let whole = decode([STREAM.as_bytes()]);
        for at in 0..STREAM.len() {
            let (left, right) = STREAM.as_bytes().split_at(at);
            assert_eq!(decode([left, right]), whole, "split at {at}");
        }
        assert_eq!(decode(STREAM.as_bytes().chunks(1)), whole);
    }

    #[test]
    fn an_event_without_end_is_refused_before_it_fills_the_memory() {
        let mut decoder = Decoder::default();
        let chunk = vec![b'x'; 1024 * 1024];
        let fed = (0..40).map(|_| decoder.feed(&chunk, |_| {})).find(Result::is_err);
        assert_eq!(fed, Some(Err(Oversized)));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_decode_the_same(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), any::<u8>()], 0..200),
            size in 1..50_usize,
        ) {
            prop_assert_eq!(decode(bytes.chunks(size)), decode([bytes.as_slice()]));
        }
    }
}
