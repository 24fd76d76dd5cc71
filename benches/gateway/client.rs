//! The generator: connections that ask and read, and measure when what came.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::wire::{Body, Head};

/// When an answer was there, from when it was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// The first bytes of its body.
    pub(crate) first: Duration,
    pub(crate) whole: Duration,
}

/// What is asked, and how long a body is the answer.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) request: Vec<u8>,
    pub(crate) answer: usize,
}

/// A connection that is kept.
pub(crate) struct Connection {
    socket: TcpStream,
    bytes: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, bytes: Vec::with_capacity(32 * 1024) }
    }

    /// Asks, and reads the answer to its end.
    pub(crate) async fn ask(&mut self, question: &Question) -> Took {
        let began = Instant::now();
        let body = self.begin(question).await;
        let first = began.elapsed();
        self.finish(body, question).await;
        Took { first, whole: began.elapsed() }
    }

    /// Asks, and reads until some of the answer's body is there.
    pub(crate) async fn begin(&mut self, question: &Question) -> Body {
        self.socket.write_all(&question.request).await.unwrap();
        self.bytes.clear();
        loop {
            assert_ne!(self.socket.read_buf(&mut self.bytes).await.unwrap(), 0, "no answer");
            if let Some(head) = Head::of(&self.bytes)
                && self.bytes.len() > head.bytes
            {
                let text = || String::from_utf8_lossy(&self.bytes);
                assert!(self.bytes.starts_with(b"HTTP/1.1 200"), "{}", text());
                let mut body = Body::new(head.framing);
                body.take(&self.bytes[head.bytes..]);
                return body;
            }
        }
    }

    /// Reads a body to its end, which must be where it is expected.
    pub(crate) async fn finish(&mut self, mut body: Body, question: &Question) {
        while !body.has_ended() {
            self.bytes.clear();
            assert_ne!(self.socket.read_buf(&mut self.bytes).await.unwrap(), 0, "cut off");
            body.take(&self.bytes);
        }
        assert_eq!(body.bytes, question.answer, "the answer was changed");
    }
}

/// Opens connections.
pub(crate) async fn open(port: u16, connections: usize) -> Vec<Connection> {
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(port).await);
    }
    opened
}

/// Lets each connection ask once, and then again and again until a time is over.
pub(crate) async fn load(
    connections: Vec<Connection>,
    question: &Question,
    time: Duration,
) -> (Vec<Connection>, Vec<Took>) {
    let until = Instant::now() + time;
    let mut asking = JoinSet::new();
    for mut connection in connections {
        let question = question.clone();
        asking.spawn(async move {
            let mut took = Vec::new();
            loop {
                took.push(connection.ask(&question).await);
                if Instant::now() >= until {
                    return (connection, took);
                }
            }
        });
    }
    let (connections, took): (Vec<_>, Vec<_>) = asking.join_all().await.into_iter().unzip();
    (connections, took.concat())
}
