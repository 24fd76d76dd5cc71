//! As much of HTTP/1.1 as two ends need that know each other.

use memchr::{memchr, memmem};

/// How the end of a body is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// The head of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) bytes: usize,
    pub(crate) framing: Framing,
}

impl Head {
    /// Of a message that starts with these bytes, once it is whole.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let end = memmem::find(bytes, b"\r\n\r\n")? + 4;
        let mut framing = Framing::Length(0);
        let mut rest = &bytes[..end];
        while let Some(at) = memchr(b'\n', rest) {
            let line = rest[..at].trim_ascii();
            rest = &rest[at + 1..];
            let Some(colon) = memchr(b':', line) else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                framing = Framing::Length(std::str::from_utf8(value).unwrap().parse().unwrap());
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                framing = Framing::Chunked;
            }
        }
        Some(Self { bytes: end, framing })
    }
}

/// A body that arrives, of which only the length counts.
#[derive(Debug)]
pub(crate) struct Body {
    state: State,
    /// Of its content so far.
    pub(crate) bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// What is left of a body that told its length.
    Rest(usize),
    /// Digits of a chunk's length so far.
    Size(usize),
    /// What is left of a chunk, and of the line end behind it.
    Chunk(usize),
    /// Behind the last chunk; holds the length of the line so far.
    Trailer(usize),
    Ended,
}

impl Body {
    pub(crate) const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Ended,
            Framing::Length(length) => State::Rest(length),
            Framing::Chunked => State::Size(0),
        };
        Self { state, bytes: 0 }
    }

    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Takes in the next bytes.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            bytes = &bytes[taken..];
        }
    }

    /// Takes in some of the bytes, of which there are any.
    fn step(&mut self, bytes: &[u8]) -> usize {
        match self.state {
            State::Rest(left) => {
                let taken = left.min(bytes.len());
                self.bytes += taken;
                self.state = if taken == left { State::Ended } else { State::Rest(left - taken) };
                taken
            }
            State::Size(size) => {
                self.state = match (bytes[0], size) {
                    (b'\n', 0) => State::Trailer(0),
                    (b'\n', size) => State::Chunk(size + 2),
                    (b'\r', size) => State::Size(size),
                    (digit, size) => State::Size(size * 16 + hex(digit)),
                };
                1
            }
            State::Chunk(left) => {
                let taken = left.min(bytes.len());
                self.bytes += taken.min(left.saturating_sub(2));
                self.state =
                    if taken == left { State::Size(0) } else { State::Chunk(left - taken) };
                taken
            }
            State::Trailer(line) => {
                self.state = match (bytes[0], line) {
                    (b'\n', 0) => State::Ended,
                    (b'\n', _) => State::Trailer(0),
                    (b'\r', line) => State::Trailer(line),
                    (_, line) => State::Trailer(line + 1),
                };
                1
            }
            State::Ended => panic!("{} bytes behind the end of a body", bytes.len()),
        }
    }
}

fn hex(digit: u8) -> usize {
    char::from(digit).to_digit(16).unwrap() as usize
}
