//! A provider that answers as it is told to, one request on each connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request, as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The method and the path.
    pub(super) line: String,
    pub(super) body: String,
}

/// The provider.
pub(super) struct Upstream {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Upstream {
    /// One that answers so: status line, headers and body. Nothing is a connection that breaks.
    pub(super) fn start(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, answer) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(answer));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // A client may go away in the middle, which is its own affair.
                thread::spawn(move || {
                    let mut client = client?;
                    let asked = read(&mut client)?;
                    seen.lock().unwrap().push(asked.clone());
                    client.write_all(answer(&asked).as_bytes())
                });
            }
        });
        Self { address, asked }
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(client: &mut TcpStream) -> std::io::Result<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a request has lines of text");
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    client.read_exact(&mut body)?;
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    Ok(Asked { line, body: String::from_utf8(body).expect("a body of text") })
}

/// An answer in JSON, or something like it.
pub(super) fn answer(status: u16, body: &str) -> String {
    let (kind, length) = ("content-type: application/json", body.len());
    let head = format!("HTTP/1.1 {status} Answered\r\n{kind}\r\ncontent-length: {length}\r\n");
    format!("{head}connection: close\r\n\r\n{body}")
}
