//! An upstream that says exactly what it is told to, one request on each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything takes on a busy machine, and shorter than any time-out of the gateway.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// What its user says.
    pub(crate) fn prompt(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["messages"][0]["content"].as_str().unwrap_or_default().to_owned()
    }
}

/// A listener and what it has seen.
pub(crate) struct Upstream {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    /// One that answers each request as `answer` does.
    pub(crate) fn start(answer: impl Fn(&Seen, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (answer, all) = (Arc::new(answer), seen.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (answer, all) = (answer.clone(), all.clone());
                std::thread::spawn(move || {
                    let mut socket = socket.unwrap();
                    socket.set_nodelay(true).unwrap();
                    socket.set_read_timeout(Some(PATIENCE)).unwrap();
                    // The gateway may have hung up before it has said all.
                    if let Some(seen) = read(&socket) {
                        all.lock().unwrap().push(seen.clone());
                        answer(&seen, &mut socket);
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// One that answers everything well.
    pub(crate) fn good() -> Self {
        Self::start(|_, socket| whole(socket, "fine"))
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(socket: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lines = head.to_ascii_lowercase();
    let length = lines.split_once("content-length: ")?.1.lines().next()?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { head, body })
}

/// Answers with a message in one piece.
pub(crate) fn whole(socket: &mut TcpStream, text: &str) {
    let body = message(text);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let _ = socket.write_all(answer.as_bytes());
}

/// The message that [`whole`] sends.
pub(crate) fn message(text: &str) -> String {
    let message = json!({
        "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 100, "output_tokens": 40},
    });
    message.to_string()
}

/// Begins a stream of events.
pub(crate) fn begin(socket: &mut TcpStream) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
        transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
}

/// Sends some of it.
pub(crate) fn send(socket: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let head = format!("{:x}\r\n", bytes.len());
    socket.write_all(&[head.as_bytes(), bytes, b"\r\n"].concat())
}

/// Ends it.
pub(crate) fn end(socket: &mut TcpStream) {
    let _ = socket.write_all(b"0\r\n\r\n");
}
