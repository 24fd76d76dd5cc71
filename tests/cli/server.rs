//! `polpo simulate` in a process of its own, and scenarios for it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{World, wait_for};

/// The key of the first account of a scenario.
pub(crate) const KEY: &str = "sk-ant-api03-simulated-a";

/// A task that the API refuses whoever asks, as it has no message.
pub(crate) const REFUSED: &str = concat!(
    r#"{"custom_id": "refused", "params": "#,
    r#"{"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": []}}"#,
    "\n"
);

/// A scenario without limits, faults or delays, with some keys changed.
pub(crate) fn scenario(changes: Value) -> String {
    let mut scenario = json!({
        "limits": {
            "requestsPerMinute": null, "inputTokensPerMinute": null, "outputTokensPerMinute": null
        },
        "latency": {"medianSeconds": 0.0},
        "faults": {"overloadedRate": 0.0, "errorRate": 0.0},
    });
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (key, value) in changes {
        scenario[key] = value;
    }
    scenario.to_string()
}

/// Tasks that ask one thing each; what they ask is their text.
pub(crate) fn tasks(count: usize) -> String {
    let mut text = String::new();
    for number in 1..=count {
        writeln!(text, r#"{{"id": "t{number}", "prompt": "{}"}}"#, prompt(number)).unwrap();
    }
    text
}

/// What task `number` of [`tasks`] asks.
pub(crate) fn prompt(number: usize) -> String {
    format!("What is the meaning of {number}?")
}

/// The simulated API, or whatever else serves in a process of its own.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Serves a scenario on a free port.
    pub(crate) fn start(world: &World, scenario: &str) -> Self {
        world.write("served-scenario.json", scenario);
        let arguments = ["simulate", "--bind", "127.0.0.1:0", "--scenario", "served-scenario.json"];
        Self::spawn(world.polpo(&arguments))
    }

    /// Runs a process that says first where it serves.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let address = first.trim().rsplit_once("http://").unwrap().1.to_owned();
        Self { child, address }
    }

    /// A run of the program against it, with the key of its first account.
    pub(crate) fn client(&self, world: &World, arguments: &[&str]) -> Command {
        let mut command = world.polpo(arguments);
        command.env("ANTHROPIC_API_KEY", KEY).env("ANTHROPIC_BASE_URL", self.base_url());
        command
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its books, once nothing is in flight any more.
    pub(crate) fn books(&self) -> Value {
        wait_for("the simulator has calls in flight", || {
            let books: Value = serde_json::from_str(&get(&self.address, "/_sim/books")).unwrap();
            (books["inFlight"] == 0).then_some(books)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of an answer to a GET.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("chunked"), "{head}");
    body.to_owned()
}
