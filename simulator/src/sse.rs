//! Server-sent events as the API writes them.

use serde::Serialize;

use crate::draw::Draws;

/// Most spaces before the closing brace of an event.
const MAX_PADDING: u64 = 16;

/// Writes events, each padded by a drawn number of spaces before its last brace: a client must
/// not take the length of an event, or the compactness of its JSON, for granted.
#[derive(Debug)]
pub(crate) struct Events {
    draws: Draws,
    written: u64,
    out: Vec<u8>,
}

impl Events {
    pub(crate) const fn new(draws: Draws) -> Self {
        Self { draws, written: 0, out: Vec::new() }
    }

    /// Appends an event.
    pub(crate) fn put(&mut self, name: &str, data: &impl Serialize) {
        for part in ["event: ", name, "\ndata: "] {
            self.out.extend_from_slice(part.as_bytes());
        }
        if serde_json::to_writer(&mut self.out, data).is_ok() && self.out.last() == Some(&b'}') {
            self.out.pop();
            let padding = self.draws.below("padding", self.written, MAX_PADDING + 1);
            self.out.extend((0..padding).map(|_| b' '));
            self.out.push(b'}');
        }
        self.out.extend_from_slice(b"\n\n");
        self.written += 1;
    }

    /// Appends a ping, the one event that is never padded.
    pub(crate) fn ping(&mut self) {
        self.out.extend_from_slice(b"event: ping\ndata: {\"type\": \"ping\"}\n\n");
    }

    /// Takes what was written since the last time.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}
