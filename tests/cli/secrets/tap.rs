//! A server before the simulator, which notes what passes, and can quote it back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use serde_json::{Value, json};

/// Fields of the bodies that hold secrets.
const FIELDS: [&str; 5] = ["code", "code_verifier", "refresh_token", "access_token", "id_token"];

/// Headers that hold secrets.
const HEADERS: [&str; 3] = ["authorization", "x-api-key", "x-gate"];

/// What passes through it is sent on to a simulator, or refused with its own words.
pub(super) struct Tap {
    address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    secrets: Mutex<Vec<String>>,
    /// The status of refusals; 0 as long as nothing is refused.
    quotes: AtomicU16,
}

impl Tap {
    /// A tap of the server at an address.
    pub(super) fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::<State>::default();
        let (server, shared) = (server.to_owned(), Arc::clone(&state));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (server, state) = (server.clone(), Arc::clone(&shared));
                // A client may go away in the middle, which is its own affair.
                thread::spawn(move || state.pass(client?, &server));
            }
        });
        Self { address, state }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on whatever is asked is refused, and the secrets in it are quoted.
    pub(super) fn quote(&self, status: u16) {
        self.state.quotes.store(status, Ordering::SeqCst);
    }

    /// Every secret that has passed.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.state.secrets.lock().unwrap().clone()
    }
}

impl State {
    fn pass(&self, mut client: TcpStream, server: &str) -> std::io::Result<()> {
        let (head, body) = request(&mut client)?;
        let secrets = [in_head(&head), in_body(&body)].concat();
        let path = head.split(' ').nth(1).unwrap_or_default();
        self.secrets.lock().unwrap().extend(secrets.clone());
        let status = self.quotes.load(Ordering::SeqCst);
        if status > 0 {
            return client.write_all(refusal(path, status, &secrets.join(" ")).as_bytes());
        }
        let mut server = TcpStream::connect(server)?;
        server.write_all(head.as_bytes())?;
        server.write_all(b"connection: close\r\n\r\n")?;
        server.write_all(&body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        let start = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(0, |at| at + 4);
        self.secrets.lock().unwrap().extend(in_body(&answer[start..]));
        client.write_all(&answer)
    }
}

/// A request: its lines without the last, empty one, and its body.
fn request(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    head.truncate(head.len() - 2);
    let head = String::from_utf8(head).expect("a request has lines of text");
    let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    Ok((head, body))
}

fn header(head: &str, wanted: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
}

fn in_head(head: &str) -> Vec<String> {
    let values = HEADERS.iter().filter_map(|name| header(head, name));
    values.map(|value| value.trim_start_matches("Bearer ").to_owned()).collect()
}

fn in_body(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    FIELDS.iter().filter_map(|name| Some(body[name].as_str()?.to_owned())).collect()
}

/// In the form of the endpoint that is asked.
fn refusal(path: &str, status: u16, words: &str) -> String {
    let words = format!("What is {words}?");
    let error = if path.contains("/oauth/token") {
        json!({"error": "invalid_grant", "error_description": words})
    } else {
        let kind = if status == 401 { "authentication_error" } else { "invalid_request_error" };
        let error = json!({"type": kind, "message": words});
        json!({"type": "error", "error": error, "request_id": "req_1"})
    };
    let (error, kind) = (error.to_string(), "content-type: application/json");
    let length = error.len();
    format!(
        "HTTP/1.1 {status} No\r\n{kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{error}"
    )
}
