//! The upstream: answers at once with canned bytes, whatever is asked.

use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::canned::{self, STREAM};
use crate::wire::{Framing, Head};

/// How a stream goes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Pace {
    /// Events of a stream that carry text.
    #[arg(long, hide = true, default_value_t = 200)]
    pub(crate) deltas: usize,
    /// Mean milliseconds between events; without any, a stream is a single write.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) gap: u64,
}

struct Answers {
    message: Vec<u8>,
    /// Head and end of a stream are in its first and last event.
    events: Vec<Vec<u8>>,
    gap: Duration,
}

/// Listens at a port of loopback until the process is killed.
pub(crate) fn serve(port: u16, pace: Pace) {
    // One thread is cheapest, and several times as fast as what it is asked through.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(accept(port, Arc::new(Answers::new(pace))));
    panic!("{ended}");
}

async fn accept(port: u16, answers: Arc<Answers>) -> std::io::Error {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mut connections = JoinSet::new();
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => return error,
        };
        socket.set_nodelay(true).unwrap();
        connections.spawn(answers.clone().connection(socket));
        while connections.try_join_next().is_some() {}
    }
}

impl Answers {
    fn new(Pace { deltas, gap }: Pace) -> Self {
        let message = canned::message();
        let length = message.len();
        let head = canned::head("application/json");
        let message = format!("{head}content-length: {length}\r\n\r\n{message}");

        let events = canned::events(deltas).into_iter();
        let mut events: Vec<_> =
            events.map(|event| format!("{:x}\r\n{event}\r\n", event.len())).collect();
        let head = canned::head("text/event-stream; charset=utf-8");
        events[0].insert_str(0, &format!("{head}transfer-encoding: chunked\r\n\r\n"));
        events.last_mut().unwrap().push_str("0\r\n\r\n");
        if gap == 0 {
            events = vec![events.concat()];
        }
        let events = events.into_iter().map(String::into_bytes).collect();
        Self { message: message.into_bytes(), events, gap: Duration::from_millis(gap) }
    }

    /// Ends when the other side has gone.
    async fn connection(self: Arc<Self>, mut socket: TcpStream) {
        let mut asked = Vec::with_capacity(4096);
        loop {
            asked.clear();
            let Some(body) = read(&mut socket, &mut asked).await else { return };
            let written = if memmem::find(&asked[body..], STREAM).is_some() {
                self.stream(&mut socket).await
            } else {
                socket.write_all(&self.message).await
            };
            if written.is_err() {
                return;
            }
        }
    }

    async fn stream(&self, socket: &mut TcpStream) -> std::io::Result<()> {
        let (first, others) = self.events.split_first().unwrap();
        socket.write_all(first).await?;
        for event in others {
            // By chance, or all streams that began together would go on so.
            sleep(self.gap.mul_f64(2.0 * fastrand::f64())).await;
            socket.write_all(event).await?;
        }
        Ok(())
    }
}

/// Reads a request and tells where its body begins.
async fn read(socket: &mut TcpStream, asked: &mut Vec<u8>) -> Option<usize> {
    loop {
        match Head::of(asked) {
            Some(Head { bytes, framing: Framing::Length(length) })
                if asked.len() >= bytes + length =>
            {
                return Some(bytes);
            }
            Some(Head { framing: Framing::Chunked, .. }) => panic!("a request in chunks"),
            Some(_) | None => {}
        }
        if socket.read_buf(asked).await.ok()? == 0 {
            return None;
        }
    }
}
