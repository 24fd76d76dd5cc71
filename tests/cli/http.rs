//! A client that says exactly what it is told to, one request on each connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
    /// Whether the body came to its end, and was not broken off.
    pub(crate) is_whole: bool,
}

/// Sends a request, `POST /v1/messages` for example, and reads its answer.
pub(crate) fn send(address: &str, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let (lines, length) = (lines.collect::<String>(), body.len());
    let head = format!("{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{lines}");
    socket.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // A connection that breaks has still said what it said.
    let _ = socket.read_to_end(&mut bytes);
    Answer::parse(&bytes)
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let at = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, rest) = bytes.split_at(at.expect("an answer has a head") + 4);
        let head = String::from_utf8(head.to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Self { status, head, body: String::new(), is_whole: true };
        let mut body = rest.to_vec();
        if answer.header("transfer-encoding") == Some("chunked") {
            (body, answer.is_whole) = joined(rest);
        }
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// A header by its name.
    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The events of a stream that have arrived.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let kind = self.header("content-type");
        assert_eq!(
            (self.status, kind),
            (200, Some("text/event-stream; charset=utf-8")),
            "{self:?}"
        );
        events(&self.body)
    }
}

/// The whole events of a stream, name and data.
#[track_caller]
pub(crate) fn events(stream: &str) -> Vec<(String, Value)> {
    let mut events: Vec<_> = stream.split("\n\n").collect();
    events.pop(); // What follows the last end of an event is the beginning of one.
    let parse = |event: &str| {
        let (name, data) = event.strip_prefix("event: ")?.split_once("\ndata: ")?;
        Some((name.to_owned(), serde_json::from_str(data).ok()?))
    };
    events.into_iter().map(|event| parse(event).unwrap_or_else(|| panic!("{event}"))).collect()
}

/// The parts of a body in chunks, and whether the last one is there.
fn joined(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = std::str::from_utf8(&rest[..at]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(at + 2..at + 2 + length) else { break };
        body.extend_from_slice(chunk);
        rest = rest.get(at + 2 + length + 2..).unwrap_or_default();
    }
    (body, false)
}
