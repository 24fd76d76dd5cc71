//! Every command, with secrets wherever they can be.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use clap::CommandFactory;
use polpo::cli::Cli;
use serde_json::{Value, json};

use super::tap::Tap;
use super::{FORMATS, GATE, assert_hidden, marked};
use crate::auth::login::Login;
use crate::server::{Server, get, scenario, tasks};
use crate::support::{Process, Ran, World, wait_for};

/// The profile that is signed in.
const LOGIN: &str = "sso:config@example.com";

/// What is typed, in this order; `auth login` and `serve` have parts of their own, and `simulate` is
/// what all others ask.
const COMMANDS: [&[&str]; 46] = [
    &["init"],
    &["completions", "bash"],
    &["config", "validate"],
    &["config", "show"],
    &["config", "schema"],
    &["models", "list"],
    &["auth", "add", "team", "--name", "a"],
    &["auth", "add", "team", "--name", "b", "--no-test"],
    &["auth", "test"],
    &["auth", "list"],
    &["auth", "list", "--json"],
    &["auth", "explain"],
    &["auth", "explain", "--json", "--model", "team:claude-opus-4-6@team:a"],
    &["models", "status", "--check"],
    &["models", "status", "--json"],
    &["run", "tasks.jsonl", "--dry-run"],
    &["run", "tasks.jsonl", "--metrics-file", "run.prom"],
    &["run", "tasks.jsonl", "--json", "--agent", "stored", "-o", "stored.jsonl"],
    &["run", "tasks.jsonl", "--json", "--agent", "signed-in", "-o", "signed-in.jsonl"],
    &["chat"],
    &["chat", "--agent", "signed-in"],
    &["gateway", "key", "add", "client"],
    &["gateway", "key", "add", "client", "--simulate"],
    &["gateway", "key", "list"],
    &["gateway", "key", "list", "--json"],
    &["gateway", "key", "list", "--simulate"],
    &["gateway", "key", "revoke", "client"],
    &["cost", "--by", "profile"],
    &["cost", "--by", "day", "--csv"],
    &["auth", "disable", "team:a"],
    &["auth", "enable", "team:a"],
    &["auth", "clear", "--all"],
    &["run", "tasks.jsonl", "--simulate", "-o", "simulated.jsonl"],
    &["chat", "--simulate"],
    &["auth", "add", "anthropic", "--name", "x"],
    &["auth", "list", "--simulate"],
    &["auth", "test", "--simulate"],
    &["auth", "explain", "--simulate"],
    &["auth", "disable", "--all", "--simulate"],
    &["auth", "enable", "--all", "--simulate"],
    &["auth", "clear", "--all", "--simulate"],
    &["models", "status", "--simulate"],
    &["cost", "--simulate", "--json"],
    &["auth", "logout", "team:a"],
    &["auth", "logout", "--all"],
    &["auth", "logout", "--all", "--simulate"],
];

/// The names of the commands that have none below them.
fn leaves(command: &clap::Command, above: &str, found: &mut BTreeSet<String>) {
    for below in command.get_subcommands() {
        let name = format!("{above} {}", below.get_name()).trim_start().to_owned();
        if below.has_subcommands() {
            leaves(below, &name, found);
        } else {
            found.insert(name);
        }
    }
}

#[test]
fn no_command_is_left_out() {
    let mut all = BTreeSet::new();
    leaves(&Cli::command(), "", &mut all);
    all.retain(|name| {
        let words: Vec<_> = name.split(' ').collect();
        !COMMANDS.iter().any(|command| command.starts_with(&words))
    });
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["auth login", "serve", "simulate"]);
}

/// A polpo.json with keys of every kind: written down, of the environment, of a file, stored, and
/// those of a login.
pub(super) fn configuration(server: &Server, tap: &Tap) -> Value {
    let oauth = json!({
        "clientId": "polpo-simulator",
        "authorizeUrl": format!("{}/oauth/authorize", server.base_url()),
        "tokenUrl": tap.url("/v1/oauth/token"),
        "redirectUri": format!("{}/oauth/code/callback", server.base_url()),
        "scopes": ["user:profile", "user:inference"],
        "tokenHeaders": {"x-gate": GATE},
        "callHeaders": {"anthropic-beta": "oauth-2025-04-20"},
        "profileUrl": tap.url("/api/oauth/profile"),
    });
    let keys = [marked("config"), "${MARKED}".to_owned(), "file:key".to_owned()];
    json!({
        "providers": {
            "anthropic": {"apiKeys": keys, "baseUrl": tap.url("")},
            "team": {"baseUrl": tap.url("")},
            "sso": {"baseUrl": tap.url(""), "oauth": oauth},
        },
        "agents": [
            {"name": "keys", "model": "claude-sonnet-4-6"},
            {"name": "stored", "model": "team:claude-sonnet-4-6"},
            {"name": "signed-in", "model": "sso:claude-sonnet-4-6"},
        ],
        "gateway": {
            "adminKey": marked("config"),
            "keys": [{"name": "environment", "key": "${MARKED}"}],
        },
    })
}

pub(super) fn accounts() -> Value {
    let names = ["config", "environment", "file", "stored", "typed"];
    names.iter().map(|name| json!({"name": name, "apiKey": marked(name)})).collect()
}

pub(super) fn prepared() -> (World, Server, Tap) {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({"accounts": accounts()})));
    let tap = Tap::before(server.address());
    world.write("polpo.json", configuration(&server, &tap).to_string());
    world.write("scenario.json", scenario(json!({"accounts": accounts()})));
    world.write("key", marked("file"));
    world.write("tasks.jsonl", tasks(3));
    (world, server, tap)
}

/// Runs it as loudly as can be; to `auth add` a key is typed, and to `chat` a few lines.
pub(super) fn run(world: &World, arguments: &[&str], format: &str) -> Ran {
    let typed = if arguments[0] == "chat" {
        "Hello\n/model list\n/model status\n/status\n/cost\n".to_owned()
    } else {
        marked("stored")
    };
    let input = world.write("input", typed);
    let loud = ["-vv", "--log-format", format];
    let mut command = world.polpo(&[arguments, &loud].concat());
    command.env("MARKED", marked("environment")).env("ANTHROPIC_API_KEY", marked("unused"));
    Process::fed(command, &input).end()
}

/// Logs in, and lets the token be renewed.
pub(super) fn log_in(world: &World) -> Vec<Ran> {
    let mut command = world.polpo(&["auth", "login", "sso", "-vv"]);
    command.env("MARKED", marked("environment"));
    let login = Login::start(command);
    let code = login.codes().remove(0);
    let (code, stdout, stderr) = login.paste(&code);
    let signed_in = Ran { code, stdout, stderr }.ended(0);
    let mut file: Value = serde_json::from_str(&world.read("state/auth-profiles.json")).unwrap();
    file["profiles"][LOGIN]["expires"] = 1.into();
    world.write("state/auth-profiles.json", file.to_string());
    vec![signed_in, run(world, &["auth", "test", "sso"], "json").ended(0)]
}

#[test]
fn no_secret_is_in_anything_that_any_command_says_or_leaves() {
    let (world, _server, tap) = prepared();
    let mut said = log_in(&world);
    for (number, command) in COMMANDS.iter().enumerate() {
        let ran = run(&world, command, FORMATS[number % 2]);
        // There is a polpo.json already.
        said.push(ran.ended(if command[0] == "init" { 2 } else { 0 }));
    }
    let secrets = tap.secrets();
    let keys = ["config", "environment", "file", "stored"].map(marked);
    for secret in keys.iter().map(String::as_str).chain([GATE]) {
        assert!(secrets.iter().any(|sent| sent == secret), "{secret} was not sent");
    }
    for start in ["sk-ant-oat01-", "sk-ant-ort01-"] {
        let tokens: BTreeSet<_> = secrets.iter().filter(|it| it.starts_with(start)).collect();
        assert!(tokens.len() >= 2, "{start}: {tokens:?}");
    }
    assert_hidden(&world, &said, &secrets);
}

#[test]
fn no_secret_is_in_what_a_running_process_tells_and_logs() {
    for format in FORMATS {
        let (world, _idle, _) = prepared();
        let slow = json!({"accounts": accounts(), "latency": {"medianSeconds": 600}});
        let server = Server::start(&world, &scenario(slow));
        let tap = Tap::before(server.address());
        world.write("polpo.json", configuration(&server, &tap).to_string());
        let mut command = world.polpo(&["run", "tasks.jsonl", "-vv", "--log-format", format]);
        command.env("MARKED", marked("environment")).args(["--metrics-addr", "127.0.0.1:0"]);
        let process = Process::logged(command, &world.path("log"));
        let socket = world.path(&format!("state/run/{}.sock", process.id()));
        wait_for("no call is under way", || (tap.secrets().len() >= 3).then_some(()));
        let mut told = String::new();
        for line in [
            json!({"op": "status"}).to_string(),
            json!({"op": "explain", "models": [], "session": null}).to_string(),
            json!({"op": "clear", "profiles": [LOGIN]}).to_string(),
            json!({"op": "disable", "profiles": [LOGIN]}).to_string(),
            json!({"op": "clear", "profiles": [marked("typed")]}).to_string(),
            marked("typed"),
        ] {
            let mut stream = UnixStream::connect(&socket).unwrap();
            writeln!(stream, "{line}").unwrap();
            stream.read_to_string(&mut told).unwrap();
        }
        let log = world.read("log");
        let (_, url) = log.split_once("metrics at http://").unwrap();
        told += &get(url.split('/').next().unwrap(), "/metrics");
        let ran = process.kill();
        let said = [ran, Ran { code: None, stdout: told, stderr: world.read("log") }];
        assert!(said[1].stdout.lines().count() >= 6, "{}", said[1]);
        assert_hidden(&world, &said, &tap.secrets());
    }
}
