//! A secret that is known by its mark is nowhere to be seen.

mod commands;
mod errors;
mod serve;
mod tap;

use std::process::Command;

use serde_json::json;

use crate::server::{REFUSED, Server, scenario, tasks};
use crate::support::{Process, Ran, World};

/// In the form of a real one; its end is what is looked for.
const MARKED: &str = "sk-ant-api03-0123456789-7hIsIsTheMaRk";

const MARK: &str = "7hIsIsTheMaRk";

/// The value of a header that login servers want; no key, so that it may stand in polpo.json.
const GATE: &str = "7hIsIsTheMaRk-gate";

const FORMATS: [&str; 2] = ["text", "json"];

/// A marked key that is told from others by its kind.
fn marked(kind: &str) -> String {
    format!("{MARKED}-{kind}")
}

/// Where the tests themselves put secrets.
const OWN: [&str; 5] = ["polpo.json", "key", "input", "served-scenario.json", "scenario.json"];

/// Runs it, and looks for the mark in all that it said and left; not in what the test itself put
/// into these files.
#[track_caller]
fn assert_unseen(world: &World, command: Command, own: &[&str]) -> Ran {
    let ran = Process::start(command).end();
    look(world, std::slice::from_ref(&ran), own, &[]);
    ran
}

/// Looks for the mark, and for these secrets, in all that was said and left.
#[track_caller]
fn assert_hidden(world: &World, said: &[Ran], secrets: &[String]) {
    look(world, said, &OWN, secrets);
}

#[track_caller]
fn look(world: &World, said: &[Ran], own: &[&str], secrets: &[String]) {
    let shown = |text: &str| {
        text.contains(MARK) || secrets.iter().any(|secret| text.contains(secret.as_str()))
    };
    for ran in said {
        assert!(!shown(&ran.stdout), "on stdout: {ran}");
        assert!(!shown(&ran.stderr), "on stderr: {ran}");
    }
    let mut files = world.state();
    // The profile file, and copies of it that could not be read, are where stored secrets belong.
    files.retain(|(path, _)| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        name != "auth-profiles.json" && !name.starts_with("auth-profiles.json.corrupt-")
    });
    for entry in std::fs::read_dir(world.path("")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !own.iter().any(|name| path.ends_with(name)) {
            let bytes = std::fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    for (path, bytes) in files {
        assert!(!shown(&path.to_string_lossy()), "a name: {}", path.display());
        assert!(!shown(&String::from_utf8_lossy(&bytes)), "in {}", path.display());
    }
}

fn loud(format: &str) -> Vec<&str> {
    let run = ["run", "tasks.jsonl", "--metrics-file", "run.prom", "--json"];
    [&run[..], &["-vv", "--log-format", format]].concat()
}

#[test]
fn a_key_that_is_accepted_is_in_no_output_journal_result_or_metric() {
    for format in FORMATS {
        let world = World::new();
        let accounts = json!([{"name": "a", "apiKey": MARKED}]);
        let server = Server::start(&world, &scenario(json!({"accounts": accounts})));
        world.write("tasks.jsonl", tasks(5) + REFUSED);
        let mut command = server.client(&world, &loud(format));
        command.env("ANTHROPIC_API_KEY", MARKED);
        let ran = assert_unseen(&world, command, &["served-scenario.json"]).ended(1);
        assert!(ran.stderr.contains("a call failed"), "nothing was logged: {ran}");
    }
}

#[test]
fn a_key_that_is_refused_is_not_seen_either() {
    for format in FORMATS {
        let world = World::new();
        let server = Server::start(&world, &scenario(json!({})));
        world.write("tasks.jsonl", tasks(3));
        let mut command = server.client(&world, &loud(format));
        command.env("ANTHROPIC_API_KEY", MARKED);
        assert_unseen(&world, command, &[]).ended(4);
    }
}

#[test]
fn a_key_that_cannot_be_sent_is_not_seen_either() {
    for key in [format!("{MARKED}\n"), format!("{MARKED}\u{e9}"), format!(" {MARKED} x")] {
        let world = World::new();
        let server = Server::start(&world, &scenario(json!({})));
        world.write("tasks.jsonl", tasks(1));
        let mut command = server.client(&world, &loud("text"));
        command.env("ANTHROPIC_API_KEY", key);
        let ran = assert_unseen(&world, command, &[]);
        assert!(matches!(ran.code, Some(2 | 4)), "{ran}");
    }
}

#[test]
fn a_key_in_a_wrong_place_of_the_configuration_is_not_seen_either() {
    let places = [
        format!(r#"{{"{MARKED}": 1}}"#),
        format!(r#"{{"providers": "{MARKED}"}}"#),
        format!(r#"{{"providers": {{"anthropic": ["{MARKED}"]}}}}"#),
        format!(r#"{{"providers": {{"anthropic": {{"key": "{MARKED}"}}}}}}"#),
        format!(r#"{{"providers": {{"anthropic": {{"baseUrl": "{MARKED}"}}}}}}"#),
        format!(r#"{{"providers": {{"anthropic": {{"apiKey": {{"{MARKED}": ""}}}}}}}}"#),
        format!(r#"{{"providers": {{"anthropic": "${{{MARKED}}}"}}}}"#),
        format!(r#"{{"providers": {{"anthropic": "file:{MARKED}"}}}}"#),
        format!(r#"{{"providers": {{"anthropic": "{MARKED}""#),
        format!(r#"{{"providers": {{"anthropic": {MARKED}}}}}"#),
        format!(r#"{{"settings": {{"maxConcurrency": "{MARKED}"}}}}"#),
        format!(r#"{{"settings": {{"{MARKED}": 3}}}}"#),
        format!(r#"{{"agents": [{{"name": "a", "model": "{MARKED}"}}], "x": 1}}"#),
        format!(r#"{{"agents": [{{"name": "{MARKED} x"}}]}}"#),
        format!(r#"{{"agents": "{MARKED}"}}"#),
        MARKED.to_owned(),
    ];
    for config in places {
        let world = World::new();
        world.write("tasks.jsonl", tasks(1));
        world.write("polpo.json", &config);
        for arguments in [loud("json"), vec!["config", "validate", "-vv"], vec!["config", "show"]] {
            let ran = assert_unseen(&world, world.polpo(&arguments), &["polpo.json"]);
            assert_eq!(ran.code, Some(2), "{config}: {ran}");
        }
    }
}

#[test]
fn a_configuration_is_shown_without_its_keys() {
    let world = World::new();
    let config = json!({"providers": {"anthropic": MARKED, "team": {"apiKeys": [MARKED, "${KEY}"], "baseUrl": "http://127.0.0.1:9"}}});
    world.write("polpo.json", config.to_string());
    let mut command = world.polpo(&["config", "show", "-vv"]);
    command.env("KEY", format!("{MARKED}2"));
    let ran = assert_unseen(&world, command, &["polpo.json"]).ended(0);
    assert!(ran.stdout.contains("********"), "{ran}");
}
