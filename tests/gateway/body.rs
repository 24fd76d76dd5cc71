//! Bodies that are too large, too many, not what they say, or not JSON.

use std::net::Shutdown;
use std::sync::{Mutex, mpsc};

use serde_json::json;

use crate::client::{Answer, Client, HEAD, body, request};
use crate::gateway::Gateway;
use crate::upstream::{Upstream, whole};

const MEGABYTE: usize = 1024 * 1024;

/// A request of so many megabytes.
fn large(megabytes: usize) -> String {
    body(&"x".repeat(megabytes * MEGABYTE), false)
}

#[test]
fn a_body_that_is_too_large_is_answered_when_it_has_been_sent() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let body = large(33);
    let mut client = Client::connect(&gateway);
    client.send(request(&body)).unwrap();
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.error().as_str()), (413, "request_too_large"));
    assert_eq!(answer.header("x-should-retry"), "false");

    let mut client = Client::connect(&gateway);
    client.send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n")).unwrap();
    for piece in body.as_bytes().chunks(MEGABYTE) {
        let size = format!("{:x}\r\n", piece.len());
        client.send([size.as_bytes(), piece, b"\r\n"].concat()).unwrap();
    }
    client.send("0\r\n\r\n").unwrap();
    assert_eq!(client.answer().unwrap().status, 413);
    assert!(upstream.seen().is_empty());
    assert_eq!(Client::ask(&gateway, &crate::client::body("next", false)).status, 200);
}

#[test]
fn bodies_that_there_is_no_memory_for_are_refused_until_there_is() {
    let (told, heard) = mpsc::channel();
    let (go, went) = mpsc::channel::<()>();
    let went = Mutex::new(went);
    let upstream = Upstream::start(move |_, socket| {
        told.send(()).unwrap();
        went.lock().unwrap().recv().unwrap();
        whole(socket, "fine");
    });
    let gateway = Gateway::with(&upstream, json!({"maxHeldBytes": 33_554_432}));
    let mut first = Client::connect(&gateway);
    first.send(request(&large(17))).unwrap();
    heard.recv().unwrap();
    let mut second = Client::connect(&gateway);
    let _ = second.send(request(&large(17))); // It may be refused before all was sent.
    let answer = second.answer().unwrap();
    assert_eq!((answer.status, answer.error().as_str()), (503, "overloaded_error"));
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), ("1", ""));
    go.send(()).unwrap();
    assert_eq!(first.answer().unwrap().status, 200);
    go.send(()).unwrap();
    assert_eq!(Client::ask(&gateway, &large(17)).status, 200);
}

#[test]
fn a_body_that_ends_too_early_or_too_late_is_no_request() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let good = body("hi", false);
    let short = format!("{HEAD}content-length: {}\r\n\r\n{good}", good.len() + 1);
    let cut = format!("{HEAD}transfer-encoding: chunked\r\n\r\n{:x}\r\n{good}\r\n", good.len());
    for bytes in [short, cut] {
        let mut client = Client::connect(&gateway);
        client.send(bytes).unwrap();
        client.socket.shutdown(Shutdown::Write).unwrap();
        let answer = client.answer();
        assert!(answer.is_none_or(|answer| answer.status == 400));
    }
    assert!(upstream.seen().is_empty());
    let mut client = Client::connect(&gateway);
    let long = format!("{HEAD}content-length: {}\r\n\r\n{good}x y z\r\n\r\n", good.len());
    client.send(long).unwrap();
    // Whoever talks nonsense behind a request may find the connection closed before its answer.
    let statuses = client.statuses();
    assert!(statuses.iter().all(|status| [200, 400].contains(status)), "{statuses:?}");
    assert_eq!(Client::ask(&gateway, &good).status, 200);
}

#[test]
fn what_is_not_json_is_refused_and_the_next_request_is_served() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let bodies = [
        ("nothing", Vec::new()),
        ("deep", "[".repeat(MEGABYTE).into_bytes()),
        (
            "deep in a field",
            format!("{{\"model\":\"claude-sonnet-4-6\",\"x\":{}", "[".repeat(MEGABYTE))
                .into_bytes(),
        ),
        (
            "deep and whole",
            format!("{{\"x\":{}{}}}", "[".repeat(MEGABYTE), "]".repeat(MEGABYTE)).into_bytes(),
        ),
        ("a key twice", br#"{"model":"claude-sonnet-4-6","model":"claude-opus-4-6"}"#.to_vec()),
        (
            "a key twice, written otherwise",
            br#"{"model":"claude-sonnet-4-6","mod\u0065l":"x"}"#.to_vec(),
        ),
        ("not UTF-8", b"{\"model\":\"claude-sonnet-4-6\",\"x\":\"\xff\xfe\"}".to_vec()),
        ("half a letter", b"{\"model\":\"claude-\xf0\x9f\"}".to_vec()),
        ("a lone surrogate", br#"{"model":"\ud800"}"#.to_vec()),
        ("more after it", br#"{"model":"claude-sonnet-4-6"} {}"#.to_vec()),
        ("a number for a model", br#"{"model":7}"#.to_vec()),
        ("a list", b"[]".to_vec()),
        ("a form", b"model=claude-sonnet-4-6&stream=true".to_vec()),
    ];
    let mut client = Client::connect(&gateway);
    for (what, body) in bodies {
        let head = format!("{HEAD}content-length: {}\r\n\r\n", body.len());
        client.send([head.as_bytes(), &body].concat()).unwrap();
        let answer = client.answer().unwrap_or_else(|| panic!("{what}: no answer"));
        let told = (answer.status, answer.error());
        assert_eq!(told, (400, "invalid_request_error".to_owned()), "{what}: {answer:?}");
        assert_eq!(answer.header("x-should-retry"), "false", "{what}");
    }
    client.send(request(&crate::client::body("next", false))).unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_body_that_is_coded_is_refused_by_name() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let mut client = Client::connect(&gateway);
    client
        .send(format!("{HEAD}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f{{"))
        .unwrap();
    let answer: Answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request_error"));
    assert!(String::from_utf8_lossy(&answer.body).contains("gzip"));
}
