//! A client that says exactly what it is told to.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::upstream::PATIENCE;

/// The first lines of every request.
pub(crate) const HEAD: &str = "POST /v1/messages HTTP/1.1\r\nhost: gateway\r\nx-api-key: key-of-the-client\r\n\
    anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n";

/// The body of a request.
pub(crate) fn body(prompt: &str, is_stream: bool) -> String {
    let messages = json!([{"role": "user", "content": prompt}]);
    let body = json!({
        "model": "claude-sonnet-4-6", "max_tokens": 100, "stream": is_stream, "messages": messages,
    });
    body.to_string()
}

/// A whole request with this body.
pub(crate) fn request(body: &str) -> String {
    format!("{HEAD}content-length: {}\r\n\r\n{body}", body.len())
}

/// A connection to a gateway.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    /// What was read and not yet looked at.
    read: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(gateway: &Gateway) -> Self {
        let socket = TcpStream::connect(&gateway.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, read: Vec::new() }
    }

    /// Sends some bytes; whoever reads no more has answered already.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.socket.write_all(bytes.as_ref())
    }

    /// Asks something on a connection of its own.
    pub(crate) fn ask(gateway: &Gateway, body: &str) -> Answer {
        let mut client = Self::connect(gateway);
        client.send(request(body)).unwrap();
        client.answer().expect("an answer")
    }

    /// Reads the head of an answer; `None` if the connection ends before.
    pub(crate) fn head(&mut self) -> Option<Answer> {
        let end = loop {
            let end = self.read.windows(4).position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => self.more()?,
            }
        };
        let head: Vec<u8> = self.read.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        Some(Answer { status: head[9..12].parse().unwrap(), head, body: Vec::new() })
    }

    /// Reads an answer to its end; `None` if the connection ends before.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        if answer.header("transfer-encoding").is_empty() {
            let length: usize = answer.header("content-length").parse().unwrap_or(0);
            answer.body = self.take(length)?;
        } else {
            while let Some(chunk) = self.chunk()?.filter(|chunk| !chunk.is_empty()) {
                answer.body.extend(chunk);
            }
        }
        Some(answer)
    }

    /// Reads a chunk of a body, which is the last one if it is empty.
    fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let at = loop {
            let at = self.read.windows(2).position(|window| window == b"\r\n");
            match at {
                Some(at) => break at,
                None => self.more()?,
            }
        };
        let line: Vec<u8> = self.read.drain(..at + 2).collect();
        let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let mut chunk = self.take(length + 2)?;
        chunk.truncate(length);
        Some(Some(chunk))
    }

    /// Reads the next chunk of a body.
    pub(crate) fn part(&mut self) -> Vec<u8> {
        self.chunk().flatten().expect("a part")
    }

    /// Reads everything until the connection is closed.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more().is_some() {}
        std::mem::take(&mut self.read)
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            self.more()?;
        }
        Some(self.read.drain(..length).collect())
    }

    /// Reads some more; `None` at the end.
    fn more(&mut self) -> Option<()> {
        let mut buffer = vec![0; 64 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(read @ 1..) => self.read.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came; read so far: {}", String::from_utf8_lossy(&self.read))
            }
            Ok(0) | Err(_) => return None,
        }
        Some(())
    }

    /// The statuses of all answers until the connection is closed.
    pub(crate) fn statuses(&mut self) -> Vec<u16> {
        std::iter::from_fn(|| self.answer()).map(|answer| answer.status).collect()
    }
}

impl Answer {
    /// A header; empty if there is none.
    pub(crate) fn header(&self, wanted: &str) -> &str {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map_or("", |(_, value)| value)
    }

    /// The type of an error.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)));
        assert_eq!(body["type"], "error", "{body}");
        body["error"]["type"].as_str().unwrap().to_owned()
    }
}
