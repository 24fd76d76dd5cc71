//! A gateway, asked rightly and wrongly, with secrets wherever they can be.

use std::process::Command;

use serde_json::{Value, json};

use super::commands::{configuration, log_in, prepared, run};
use super::tap::Tap;
use super::{FORMATS, assert_hidden, marked};
use crate::http::{Answer, send};
use crate::server::Server;
use crate::support::{Process, Ran, World, wait_for};

/// A process that serves, and what it was asked.
struct Gateway {
    process: Process,
    address: String,
    answers: Vec<Answer>,
}

impl Gateway {
    fn start(mut command: Command, world: &World) -> Self {
        command.env("MARKED", marked("environment"));
        let process = Process::filed(command, &world.path("said"), &world.path("log"));
        let address = wait_for("it does not serve", || {
            let said = world.read("said");
            Some(said.lines().next()?.split_once("http://")?.1.to_owned())
        });
        Self { process, address, answers: Vec::new() }
    }

    fn ask(&mut self, line: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        let version = [("anthropic-version", "2023-06-01"), ("content-type", "application/json")];
        let answer = send(&self.address, line, &[&version, headers].concat(), body);
        let status = answer.status;
        self.answers.push(answer);
        status
    }

    /// Asks everything that a client can ask.
    fn serve(&mut self, key: &str) {
        let shown = [("x-api-key", key)];
        for model in ["claude-sonnet-4-6", "team:claude-sonnet-4-6", "sso:claude-sonnet-4-6"] {
            for stream in [true, false] {
                let body = message(model, stream).to_string();
                assert_eq!(self.ask("POST /v1/messages", &shown, &body), 200, "{model}");
            }
        }
        let bearer = format!("Bearer {key}");
        let batch = json!({"requests": [{
            "custom_id": "one", "params": message("claude-sonnet-4-6", false)
        }]});
        for (line, body) in [
            ("POST /v1/messages/count_tokens", counted()),
            ("POST /v1/messages/batches", batch.to_string()),
            ("GET /v1/messages/batches", String::new()),
            ("GET /v1/models", String::new()),
        ] {
            let shown = [("authorization", bearer.as_str())];
            assert_eq!(self.ask(line, &shown, &body), 200, "{line}");
        }
    }

    /// Asks with what is no key, in every place where one may be written by mistake.
    fn refuse(&mut self, key: &str) {
        let body = message("claude-sonnet-4-6", true).to_string();
        let wrong = marked("wrong");
        for line in ["POST /v1/messages", "GET /api/v1/status", "GET /v1/models", "GET /nowhere"] {
            for (name, value) in [
                ("x-api-key", wrong.clone()),
                ("authorization", format!("Bearer {wrong}")),
                ("authorization", format!("Basic {wrong}")),
                ("x-wrong", key.to_owned()),
            ] {
                assert!(self.ask(line, &[(name, &value)], &body) >= 400, "{line} {name}");
            }
            let query = format!("{line}?api_key={key}&key={wrong}");
            assert!(self.ask(&query, &[], &body) >= 400, "{query}");
        }
        let beside = format!("POST /v1/messages?api_key={wrong}");
        let shown = [("x-api-key", key), ("cookie", &wrong), ("x-goog-api-key", &wrong)];
        assert_eq!(self.ask(&beside, &shown, &body), 200);
        let twice = format!(r#"{{"{wrong}": 1, "{wrong}": 2}}"#);
        let quoted = json!(wrong).to_string();
        for body in [&body[..body.len() - 1], &wrong, &quoted, &twice, "{}"] {
            assert_eq!(self.ask("POST /v1/messages", &shown, body), 400);
        }
    }

    /// Looks at what is for operators.
    fn observe(&mut self, admin: &str) {
        for line in ["GET /api/v1/status", "GET /metrics", "GET /readyz"] {
            assert_eq!(self.ask(line, &[("x-api-key", admin)], ""), 200, "{line}");
        }
    }
}

/// A message that says nothing but a mark.
fn message(model: &str, is_stream: bool) -> Value {
    json!({
        "model": model, "max_tokens": 20, "stream": is_stream, "system": marked("body"),
        "messages": [{"role": "user", "content": marked("body")}],
        "metadata": {"user_id": marked("body")},
    })
}

/// The same to be counted.
fn counted() -> String {
    let messages = json!([{"role": "user", "content": marked("body")}]);
    json!({"model": "claude-sonnet-4-6", "messages": messages}).to_string()
}

/// A polpo.json with a client and an operator, whose keys are nobody else's.
fn with_clients(server: &Server, tap: &Tap) -> String {
    let mut config = configuration(server, tap);
    let client = json!({"name": "configured", "key": marked("client")});
    config["gateway"] = json!({"adminKey": marked("admin"), "keys": [client]});
    config.to_string()
}

#[test]
fn no_secret_is_in_what_a_gateway_answers_logs_and_leaves() {
    for format in FORMATS {
        let (world, server, tap) = prepared();
        world.write("polpo.json", with_clients(&server, &tap));
        log_in(&world);
        run(&world, &["auth", "add", "team", "--name", "a"], format).ended(0);
        let added = run(&world, &["gateway", "key", "add", "stored"], format).ended(0);
        let stored = added.stdout.trim().to_owned();
        let serve = ["serve", "--bind", "127.0.0.1:0", "-vv", "--log-format", format];
        let mut gateway = Gateway::start(world.polpo(&serve), &world);
        for key in [&marked("client"), &stored] {
            gateway.serve(key);
            gateway.refuse(key);
        }
        gateway.observe(&marked("admin"));
        // From now on whoever is asked quotes what it was sent.
        let body = message("claude-sonnet-4-6", true).to_string();
        for (status, answered) in [(400, 400), (401, 503)] {
            tap.quote(status);
            let heard = gateway.ask("POST /v1/messages", &[("x-api-key", &stored)], &body);
            assert_eq!(heard, answered, "{status}");
        }
        gateway.process.signal("TERM");
        gateway.process.end().ended(0);

        let sent = tap.secrets();
        let clients = [marked("client"), marked("admin"), stored];
        assert!(
            !sent.iter().any(|secret| clients.contains(secret)),
            "a client's key went upstream"
        );
        for secret in ["config", "environment", "file", "stored"].map(marked) {
            assert!(sent.contains(&secret), "{secret} was not used");
        }
        let log = world.read("log");
        for words in ["a call failed", "configured", "stored"] {
            assert!(log.contains(words), "nothing was logged of {words}: {log}");
        }
        let answers = gateway.answers.iter().map(|answer| format!("{answer:?}")).collect();
        let said = [Ran { code: None, stdout: answers, stderr: String::new() }];
        assert_hidden(&world, &said, &[&sent[..], &clients].concat());
    }
}
