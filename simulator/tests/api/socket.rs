//! The other face: a real socket and a client that only knows bytes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use polpo_simulator::{Simulator, server};
use serde_json::{Value, json};

use crate::client::{Heard, KEY, assert_is_message, error_of, post, request, saying, simulator};

/// A server on a port of its own, stopped when dropped.
pub(crate) struct Served {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn new(simulator: Simulator) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let server = server(simulator, listener).unwrap();
                tell.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { address, handle: told.recv().unwrap(), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends one request on a connection of its own and reads all that comes back.
    pub(crate) fn raw(&self, head: &str, body: &str) -> Heard {
        let mut stream = self.connect();
        let length = body.len();
        write!(
            stream,
            "{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        parse(&bytes)
    }

    fn post(&self, body: &Value) -> Heard {
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nx-api-key: {KEY}\r\nanthropic-version: 2023-06-01"
        );
        self.raw(&head, &body.to_string())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Head and body of a response that ends with its connection.
fn parse(bytes: &[u8]) -> Heard {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase().parse().unwrap(), value.parse().unwrap())
    };
    let headers: http::HeaderMap = lines.map(header).collect();
    let mut body = &bytes[end + 4..];
    let mut chunks = Vec::new();
    if headers.get("transfer-encoding").is_some() {
        loop {
            let line = body.windows(2).position(|window| window == b"\r\n").unwrap();
            let size =
                usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
            if size == 0 {
                break;
            }
            chunks.push(body[line + 2..line + 2 + size].to_vec().into());
            body = &body[line + 2 + size + 2..];
        }
    } else {
        chunks.push(body.to_vec().into());
    }
    Heard { status, headers, chunks }
}

#[tokio::test]
async fn the_socket_and_the_memory_tell_the_same() {
    let over_socket = simulator(json!({}));
    let served = Served::new(over_socket.clone());
    let in_memory = simulator(json!({}));
    for body in
        [request(json!({})), request(json!({"stream": true})), request(json!({"model": "no"}))]
    {
        let (socket, memory) = (served.post(&body), post(&in_memory, &body).await);
        assert_eq!((socket.status, socket.text()), (memory.status, memory.text()));
        for (name, value) in &memory.headers {
            assert_eq!(socket.headers.get(name), Some(value));
        }
    }
    assert_is_message(&served.post(&request(json!({}))).json());
    post(&in_memory, &request(json!({}))).await;
    assert_eq!(over_socket.books(), in_memory.books());
    let books = served.raw("GET /_sim/books HTTP/1.1", "");
    assert_eq!(books.json(), serde_json::to_value(in_memory.books()).unwrap());
}

#[test]
fn hello_answers_without_a_body_and_other_paths_are_not_found() {
    let served = Served::new(simulator(json!({})));
    let hello = served.raw("HEAD /api/hello HTTP/1.1", "");
    assert_eq!((hello.status, hello.text().as_str()), (200, ""));
    assert!(hello.header("request-id").is_some());
    assert_eq!(error_of(&served.raw("GET /v1/nothing HTTP/1.1", "")).0, 404);
    assert_eq!(served.raw("POST /_sim/reset HTTP/1.1", "").status, 204);
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let served = Served::new(simulator(json!({})));
    let mut stream = served.connect();
    for n in 0..3 {
        let body = saying(&format!("{n}")).to_string();
        write!(
            stream,
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nanthropic-version: 2026-10-21\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while !bytes.ends_with(b"}}") {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "closed after {n} answers");
            bytes.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(parse(&bytes).status, 200);
    }
}

#[test]
fn a_body_above_32_megabytes_is_refused_in_the_shape_of_the_api() {
    let served = Served::new(simulator(json!({})));
    let mut stream = served.connect();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {}\r\n\r\n",
        33 << 20
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.ends_with(b"}") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "closed without an answer");
        bytes.extend_from_slice(&buffer[..count]);
    }
    let (status, kind, _) = error_of(&parse(&bytes));
    assert_eq!((status, kind.as_str()), (413, "request_too_large"));

    let mut stream = served.connect();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    for _ in 0..33 {
        // The server may answer and close before everything is sent.
        if stream.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    let mut buffer = [0; 32];
    match stream.read(&mut buffer) {
        Ok(count) => assert!(buffer[..count].starts_with(b"HTTP/1.1 413 "), "{buffer:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn what_was_sent_before_a_connection_breaks_arrives() {
    let rule = json!({"fault": "drop", "afterEvents": 3});
    let served = Served::new(simulator(json!({"faults": {"overloadedRate": 0, "rules": [rule]}})));
    let mut stream = served.connect();
    let body = request(json!({"stream": true})).to_string();
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\nanthropic-version: 2026-10-21\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("event: content_block_delta"), "{text}");
    assert!(!text.ends_with("\r\n0\r\n\r\n"), "it is not whole: {text}");
}

#[test]
fn a_batch_may_be_eight_times_as_large_as_a_message() {
    let served = Served::new(simulator(json!({})));
    let head = format!("POST /v1/messages/batches HTTP/1.1\r\nx-api-key: {KEY}");
    let (status, kind, message) = error_of(&served.raw(&head, &"x".repeat(33 << 20)));
    assert_eq!((status, kind.as_str()), (400, "invalid_request_error"), "{message}");

    let mut stream = served.connect();
    write!(stream, "{head}\r\nhost: x\r\ncontent-length: {}\r\n\r\n", (256 << 20) + 1).unwrap();
    let mut buffer = [0; 32];
    let count = stream.read(&mut buffer).unwrap();
    assert!(buffer[..count].starts_with(b"HTTP/1.1 413 "), "{buffer:?}");
}

#[test]
fn the_results_of_a_batch_are_where_the_client_found_the_simulator() {
    // A thousand times as fast: a batch of some three minutes takes less than 0.2 s.
    let served = Served::new(simulator(json!({"timeScale": 1000})));
    let ask = |method: &str, path: &str, body: &str| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nx-api-key: {KEY}\r\nanthropic-version: 2026-10-21"
        );
        served.raw(&head, body)
    };
    let body = json!({"requests": [{"custom_id": "a", "params": saying("Hello")}]}).to_string();
    let id = ask("POST", "/v1/messages/batches", &body).json()["id"].clone();
    let path = format!("/v1/messages/batches/{}", id.as_str().unwrap());
    let late = Instant::now() + Duration::from_secs(20);
    let url = loop {
        let batch = ask("GET", &path, "").json();
        if batch["processing_status"] == "ended" {
            break batch["results_url"].clone();
        }
        assert!(Instant::now() < late, "{batch}");
    };
    assert_eq!(url, format!("http://x{path}/results"));
    let line = ask("GET", &format!("{path}/results"), "").json();
    assert_eq!((&line["custom_id"], &line["result"]["type"]), (&json!("a"), &json!("succeeded")));
}

#[test]
fn a_client_that_hangs_up_stops_the_generation_streamed_or_not() {
    let simulator = simulator(json!({"latency": {"medianSeconds": 60}}));
    let served = Served::new(simulator.clone());
    // About 18 s to the first token, so the head of neither has come.
    for body in [request(json!({"stream": true})), request(json!({}))] {
        let body = body.to_string();
        let mut stream = served.connect();
        write!(
            stream,
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\nanthropic-version: 2026-10-21\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        until(|| simulator.books().in_flight == 1);
        drop(stream);
        until(|| simulator.books().in_flight == 0);
    }
    assert_eq!(simulator.books().total.served, 2);
    assert!(simulator.books().total.tokens.input > 0);
}

#[test]
fn a_client_that_hangs_up_in_the_middle_of_a_stream_is_billed_a_part() {
    let simulator = simulator(json!({"latency": {"medianSeconds": 40}, "timeScale": 20}));
    let served = Served::new(simulator.clone());
    let whole = served.post(&request(json!({"stream": true}))).events();
    let output = whole[whole.len() - 2].1["usage"]["output_tokens"].as_u64().unwrap();
    simulator.reset();

    let body = request(json!({"stream": true})).to_string();
    let mut stream = served.connect();
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\nanthropic-version: 2026-10-21\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("text_delta") {
        let count = stream.read(&mut buffer).unwrap();
        text += std::str::from_utf8(&buffer[..count]).unwrap();
    }
    drop(stream);
    until(|| simulator.books().in_flight == 0);
    let billed = simulator.books().total.tokens.output;
    assert!(billed > 0 && billed < output, "{billed} of {output}");
}

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen in time");
        thread::sleep(Duration::from_millis(5));
    }
}
