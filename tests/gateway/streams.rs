//! Streams over sockets: the same bytes, at the client's pace, for as long as it listens.

use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use crate::client::{Answer, Client, body, request};
use crate::corpus::streams;
use crate::gateway::Gateway;
use crate::upstream::{PATIENCE, Upstream, begin, end, send};

#[test]
fn a_client_gets_exactly_the_bytes_of_upstream_in_whatever_pieces_they_come() {
    let upstream = Upstream::start(|seen, socket| {
        let prompt = seen.prompt();
        let (number, size) = prompt.split_once(' ').unwrap();
        let (_, bytes) = streams().remove(number.parse().unwrap());
        begin(socket);
        for piece in bytes.chunks(size.parse().unwrap()) {
            send(socket, piece).unwrap();
        }
        end(socket);
    });
    let gateway = Gateway::start(&upstream);
    let mut client = Client::connect(&gateway);
    for (number, (what, bytes)) in streams().into_iter().enumerate() {
        for size in [5, 61, 4096] {
            client.send(request(&body(&format!("{number} {size}"), true))).unwrap();
            let answer = client.answer().unwrap();
            assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
            assert!(answer.body == bytes, "{what} in pieces of {size}: {answer:?}");
        }
    }
}

const BEGUN: &str = "event: content_block_start\ndata: {\"type\":\"content_block_start\"}\n\n";

/// Whether the other side closes the connection before patience is over.
fn is_closed(socket: &mut TcpStream) -> bool {
    matches!(socket.read(&mut [0; 16]), Ok(0)) // A time-out is an error.
}

#[test]
fn a_client_that_hangs_up_closes_the_connection_upstream() {
    let (told, heard) = mpsc::channel();
    let upstream = Upstream::start(move |seen, socket| {
        if seen.prompt() == "in the middle" {
            begin(socket);
            send(socket, BEGUN.as_bytes()).unwrap();
        }
        told.send(None).unwrap();
        told.send(Some(is_closed(socket))).unwrap();
    });
    let gateway = Gateway::start(&upstream);
    for (stage, is_stream) in [("in the middle", true), ("before", true), ("before", false)] {
        let mut client = Client::connect(&gateway);
        client.send(request(&body(stage, is_stream))).unwrap();
        if stage == "in the middle" {
            assert_eq!((client.head().unwrap().status, client.part()), (200, BEGUN.into()));
        }
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(None));
        drop(client);
        assert_eq!(heard.recv_timeout(2 * PATIENCE), Ok(Some(true)), "{stage}");
    }
}

/// More than all the buffers between upstream and client hold together, by far.
const MUCH: usize = 256 * 1024 * 1024;

#[test]
fn a_client_that_reads_slowly_slows_upstream_down() {
    let (told, heard) = mpsc::channel();
    let upstream = Upstream::start(move |_, socket| {
        socket.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        begin(socket);
        let event = format!("event: x\ndata: {}\n\n", "x".repeat(64 * 1024));
        let mut sent = 0;
        while sent < MUCH && send(socket, event.as_bytes()).is_ok() {
            sent += event.len();
        }
        told.send(sent).unwrap();
    });
    let gateway = Gateway::start(&upstream);
    let mut client = Client::connect(&gateway);
    client.send(request(&body("hi", true))).unwrap();
    let Answer { status, .. } = client.head().unwrap();
    let sent = heard.recv_timeout(3 * PATIENCE).unwrap();
    assert!(status == 200 && sent < MUCH / 4, "{sent} bytes went nowhere");
}
