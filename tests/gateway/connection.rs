//! Connections that take their time, and heads that take too much room.

use std::thread::available_parallelism;
use std::time::Duration;

use crate::client::{Client, HEAD, body, request};
use crate::corpus::streams;
use crate::gateway::Gateway;
use crate::upstream::{Upstream, begin, end, send, whole};

/// As many as an attacker with one machine opens without effort.
const CROWD: usize = 200;

#[test]
fn those_who_never_finish_their_requests_keep_nobody_else_from_being_served() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let whole = request(&body("slow", false));
    let crowd: Vec<Client> = (0..CROWD)
        .map(|number| {
            let mut client = Client::connect(&gateway);
            client.send(&whole[..number % whole.len()]).unwrap();
            client
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(Client::ask(&gateway, &body("quick", false)).status, 200);
    }
    assert_eq!(upstream.seen().len(), 5);
    drop(crowd);
}

#[test]
#[ignore = "takes the ten seconds that a head may take: cargo test --test gateway -- --ignored"]
fn a_head_that_does_not_come_is_given_up() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let mut client = Client::connect(&gateway);
    client.socket.set_read_timeout(Some(2 * crate::upstream::PATIENCE)).unwrap();
    client.send(&HEAD[..HEAD.len() - 10]).unwrap();
    assert_eq!(client.statuses(), [408]);
}

#[test]
fn a_client_that_asks_before_it_sends_its_body_is_told_to_go_on() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let mut client = Client::connect(&gateway);
    let body = body("hi", false);
    let length = body.len();
    client.send(format!("{HEAD}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n")).unwrap();
    assert_eq!(client.head().unwrap().status, 100);
    client.send(body).unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    assert!(!upstream.seen()[0].head.contains("expect"));
}

#[test]
fn a_head_that_is_too_large_is_refused_and_the_next_request_is_served() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let good = body("hi", false);
    let length = format!("content-length: {}\r\n\r\n{good}", good.len());
    let many: String = (0..5_000).map(|number| format!("x-{number}: 1\r\n")).collect();
    for (what, bytes) in [
        ("a long header", format!("{HEAD}x-long: {}\r\n{length}", "x".repeat(1024 * 1024))),
        ("many headers", format!("{HEAD}{many}{length}")),
        ("a long path", format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(1024 * 1024))),
        ("a head without an end", "x: y\r\n".repeat(200_000)),
    ] {
        let mut client = Client::connect(&gateway);
        let _ = client.send(bytes); // It may be refused before all was sent.
        let statuses = client.statuses();
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{what}: {statuses:?}");
        assert!(upstream.seen().is_empty(), "{what}");
    }
    assert_eq!(Client::ask(&gateway, &good).status, 200);
}

#[test]
fn the_head_of_an_answer_says_once_how_long_it_is() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let answer = Client::ask(&gateway, &body("hi", false));
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(answer.header("transfer-encoding"), "");
    assert_eq!(String::from_utf8(answer.body).unwrap(), crate::upstream::message("fine"));
    let seen = upstream.seen().remove(0).head.to_ascii_lowercase();
    let values = |name: &str| seen.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(
        (values("content-length:"), values("host:"), values("transfer-encoding:")),
        (1, 1, 0)
    );
    assert!(seen.contains("x-api-key: sk-of-the-pool\r\n") && !seen.contains("of-the-client"));
    assert!(seen.contains(&format!("host: {}\r\n", upstream.address)));
}

#[test]
fn a_client_of_the_first_version_gets_a_stream_without_chunks_that_ends_with_its_connection() {
    let (_, events) = streams().remove(0);
    let said = events.clone();
    let upstream = Upstream::start(move |_, socket| {
        begin(socket);
        send(socket, &said).unwrap();
        end(socket);
    });
    let gateway = Gateway::start(&upstream);
    let mut client = Client::connect(&gateway);
    let asked = request(&body("hi", true));
    let asked = asked.replacen("HTTP/1.1", "HTTP/1.0\r\nconnection: keep-alive", 1);
    client.send(asked).unwrap();
    let answer = client.head().unwrap();
    assert_eq!((answer.status, answer.header("transfer-encoding")), (200, ""));
    assert_ne!(answer.header("connection"), "keep-alive");
    assert_eq!(client.rest(), events);
}

#[test]
fn clients_do_not_use_up_the_descriptors_that_their_requests_need() {
    let upstream = Upstream::start(|_, socket| {
        std::thread::sleep(Duration::from_millis(100)); // So that they overlap.
        whole(socket, "fine");
    });
    let gateway = Gateway::cramped(&upstream, 140 + 4 * available_parallelism().unwrap().get());
    let asked = request(&body("hi", false)).replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let crowd: Vec<Client> = (0..CROWD)
        .map(|_| {
            let mut client = Client::connect(&gateway);
            client.send(&asked).unwrap();
            client
        })
        .collect();
    for mut client in crowd {
        assert_eq!(client.answer().map(|answer| answer.status), Some(200));
    }
}
