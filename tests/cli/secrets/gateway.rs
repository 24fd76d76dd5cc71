//! A gateway, with secrets wherever they can be: of its profiles, its clients and its operator.

use serde_json::json;

use super::commands::prepared;
use super::{FORMATS, assert_hidden, marked};
use crate::http::{Answer, send};
use crate::server::Server;
use crate::support::{Ran, World};

/// All that can be asked, by the method and the path.
const LINES: [&str; 9] = [
    "POST /v1/messages",
    "POST /v1/messages/count_tokens",
    "POST /v1/messages/batches",
    "GET /v1/messages/batches",
    "GET /v1/messages/batches/msgbatch_none",
    "GET /v1/models",
    "GET /metrics",
    "GET /api/v1/status",
    "GET /v1/none",
];

fn bodies() -> [String; 3] {
    let message = |is_stream: bool| {
        let messages = json!([{"role": "user", "content": "Hello"}]);
        json!({"model": "claude-haiku-4-5", "max_tokens": 9, "stream": is_stream, "messages": messages})
    };
    let mut counted = message(false);
    counted.as_object_mut().unwrap().retain(|name, _| ["model", "messages"].contains(&&**name));
    let request = json!({"custom_id": "a", "params": counted});
    [message(true).to_string(), counted.to_string(), json!({"requests": [request]}).to_string()]
}

/// Asks for everything with a key, in either header.
fn asked(gateway: &Server, key: &str) -> Vec<Answer> {
    let (bearer, bodies) = (format!("Bearer {key}"), bodies());
    let mut heard = Vec::new();
    for (number, line) in LINES.iter().enumerate() {
        let body = bodies.get(number).map_or("", String::as_str);
        for header in [("x-api-key", key), ("authorization", bearer.as_str())] {
            let headers = [header, ("anthropic-version", "2026-10-21")];
            heard.push(send(gateway.address(), line, &headers, body));
        }
    }
    heard
}

/// A gateway that logs as loudly as can be.
fn gateway(world: &World, format: &str) -> Server {
    let arguments = ["serve", "--bind", "127.0.0.1:0", "-vv", "--log-format", format];
    let mut command = world.polpo(&arguments);
    command.env("MARKED", marked("environment"));
    Server::logged(command, &world.path("log"))
}

#[test]
fn no_secret_is_in_anything_that_a_gateway_says_or_leaves() {
    for format in FORMATS {
        let (world, _server, tap) = prepared();
        let gateway = gateway(&world, format);
        let client = marked("environment");
        let mut heard = asked(&gateway, &client);
        assert_eq!(heard[0].status, 200, "{heard:?}");
        heard.extend(asked(&gateway, &marked("config"))); // The operator's.
        assert!(heard.iter().any(|answer| answer.body.contains("inFlight")), "no status");
        heard.extend(asked(&gateway, &marked("typed"))); // Nobody's.
        for status in [400, 401] {
            tap.quote(status);
            let refused = asked(&gateway, &client);
            assert_eq!(refused[0].status, if status == 400 { 400 } else { 503 }, "{refused:?}");
            heard.extend(refused);
        }
        drop(gateway);
        let log = world.read("log");
        assert!(log.contains("claude-haiku-4-5"), "nothing was logged: {log}");
        let said = Ran { code: None, stdout: format!("{heard:?}"), stderr: log };
        assert_hidden(&world, &[said], &tap.secrets());
    }
}
