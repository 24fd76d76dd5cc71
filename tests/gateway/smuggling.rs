//! Requests that could be read in two ways: refused, and nobody behind is asked.

use crate::client::{Client, HEAD, body, request};
use crate::gateway::Gateway;
use crate::upstream::Upstream;

/// What must not reach upstream as a request of its own.
fn smuggled() -> String {
    request(&body("smuggled", false))
}

/// Headers and a body that others between may take for one request, or for two.
fn ambiguous() -> Vec<(&'static str, String)> {
    let inner = smuggled();
    let length = inner.len();
    let headers = |lines: &str, body: &str| format!("{HEAD}{lines}\r\n\r\n{body}");
    let chunked = |rest: &str| headers("transfer-encoding: chunked", rest);
    vec![
        (
            "a length and chunks",
            headers(
                &format!("content-length: {}\r\ntransfer-encoding: chunked", length + 5),
                &format!("0\r\n\r\n{inner}"),
            ),
        ),
        (
            "chunks and a length",
            headers(
                "transfer-encoding: chunked\r\ncontent-length: 4",
                &format!("0\r\n\r\n{inner}"),
            ),
        ),
        ("two lengths", headers(&format!("content-length: 0\r\ncontent-length: {length}"), &inner)),
        ("a list of lengths", headers(&format!("content-length: 0, {length}"), &inner)),
        ("a length with a sign", headers("content-length: +0", &inner)),
        ("a negative length", headers("content-length: -1", &inner)),
        ("a length in hexadecimal", headers("content-length: 0x0", &inner)),
        ("a length beyond all", headers("content-length: 99999999999999999999999", &inner)),
        ("a length in words", headers("content-length: none", &inner)),
        ("chunks that are not last", headers("transfer-encoding: chunked, identity", &inner)),
        ("an unknown coding", headers("transfer-encoding: xchunked", &inner)),
        (
            "chunks twice",
            headers(
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
                &format!("0\r\n\r\n{inner}"),
            ),
        ),
        (
            "a folded coding",
            headers("transfer-encoding:\r\n chunked", &format!("0\r\n\r\n{inner}")),
        ),
        ("a folded header", headers("x-a: 1\r\n content-length: 5", &inner)),
        ("a space before the colon", headers("content-length : 0", &inner)),
        ("a carriage return in a header", headers("x-a: 1\rcontent-length: 0", &inner)),
        ("a null in a header", headers("x-a: \0\r\ncontent-length: 0", &inner)),
        ("a name that is none", headers("x a: 1\r\ncontent-length: 0", &inner)),
        ("a chunk of a length that is none", chunked(&format!("zz\r\n{inner}"))),
        ("a chunk of a negative length", chunked(&format!("-1\r\n{inner}"))),
        ("a chunk with a prefix", chunked(&format!("0x0\r\n\r\n{inner}"))),
        ("a chunk longer than all", chunked(&format!("fffffffffffffffff0\r\n{inner}"))),
        ("a chunk without its end", chunked(&format!("1\r\nab0\r\n\r\n{inner}"))),
        ("another protocol", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{inner}")),
        ("another version", inner.replacen("HTTP/1.1", "HTTP/9.9", 1)),
        ("a method that is none", format!("P\u{f6}ST{}", &inner[4..])),
        ("no path", inner.replacen("/v1/messages ", "", 1)),
        ("TLS", format!("\x16\x03\x01\x02\0\x01\0\x01{inner}")),
    ]
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    for (what, bytes) in ambiguous() {
        let mut client = Client::connect(&gateway);
        let _ = client.send(bytes); // It may be refused before all was sent.
        assert_eq!(client.statuses(), [400], "{what}");
        assert!(upstream.seen().is_empty(), "{what}");
    }
    assert_eq!(Client::ask(&gateway, &body("next", false)).status, 200);
}

/// RFC 9112, 2.2 lets a server read a line so. It must do it everywhere alike.
#[test]
fn a_line_feed_alone_ends_a_line() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let (one, two) = (smuggled().replace("\r\n", "\n"), request(&body("two", false)));
    let none = format!("{HEAD}x-a: 1\ncontent-length: 0\r\n\r\n");
    let mut client = Client::connect(&gateway);
    client.send([one, none, two].concat()).unwrap();
    for status in [200, 400, 200] {
        assert_eq!(client.answer().unwrap().status, status);
    }
}

#[test]
fn two_requests_in_one_breath_are_two_requests() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let mut client = Client::connect(&gateway);
    let two = [request(&body("one", false)), request(&body("two", false))];
    client.send(two.concat()).unwrap();
    for _ in 0..2 {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let seen: Vec<_> = upstream.seen().iter().map(|seen| seen.prompt()).collect();
    assert_eq!(seen, ["one", "two"]);
}

#[test]
fn a_body_in_chunks_reaches_upstream_whole() {
    let upstream = Upstream::good();
    let gateway = Gateway::start(&upstream);
    let mut client = Client::connect(&gateway);
    let body = body("in chunks", false);
    client.send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n")).unwrap();
    for piece in body.as_bytes().chunks(7) {
        let size = format!("{:x};extension=1\r\n", piece.len());
        client.send([size.as_bytes(), piece, b"\r\n"].concat()).unwrap();
    }
    client.send("0\r\nx-trailer: 1\r\n\r\n").unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.body, body.as_bytes());
    assert!(!seen.head.contains("transfer-encoding") && !seen.head.contains("x-trailer"));
}
