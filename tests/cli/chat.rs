//! `polpo chat`, through pipes and on a terminal.

use std::os::unix::fs::PermissionsExt;

use polpo::config::{Secret, profile_id};
use serde_json::{Value, json};

use crate::server::scenario;
use crate::support::{Process, Ran, World, wait_for};

const OPUS: &str = "claude-opus-4-6";

fn world_of(changes: Value) -> World {
    let world = World::new();
    let mut all = json!({"accounts": [account("a"), account("b")]});
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (key, value) in changes {
        all[key] = value;
    }
    world.write("scenario.json", scenario(all));
    let agent = json!({"name": "guide", "fallbacks": ["claude-haiku-4-5"], "maxTokens": 400});
    world.write("polpo.json", json!({"agents": [agent]}).to_string());
    world
}

fn account(name: &str) -> Value {
    json!({"name": name, "apiKey": key(name)})
}

fn key(name: &str) -> String {
    format!("sk-ant-api03-simulated-{name}")
}

/// The profile of an account.
fn profile(name: &str) -> String {
    profile_id(&"anthropic".into(), &Secret::new(key(name))).to_string()
}

fn chat(world: &World, arguments: &[&str], lines: &[&str]) -> Ran {
    let input = world.write("input", lines.join("\n"));
    let arguments = [&["chat", "--simulate"], arguments].concat();
    Process::fed(world.polpo(&arguments), &input).end()
}

#[test]
fn answers_go_to_stdout_and_all_else_to_stderr() {
    let world = world_of(json!({}));
    let ran = chat(&world, &[], &["Hello", "How are you, \\", "this morning?", "", "/quit", "No"]);
    let ran = ran.ended(0);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran}");
    assert_eq!(ran.stderr.matches("claude-sonnet-4-6 · anthropic:key-").count(), 2, "{ran}");
    assert_eq!(ran.stderr.matches(" · $0.00").count(), 2, "{ran}");
    let quiet = chat(&world, &["-q"], &["Hello"]).ended(0);
    assert_eq!((quiet.stdout.lines().count(), quiet.stderr.as_str()), (1, ""), "{quiet}");
}

#[test]
fn a_conversation_reads_its_beginning_from_the_cache_and_says_what_it_cost() {
    let world = world_of(json!({}));
    let long = "A long story about nothing in particular. ".repeat(200);
    let ran =
        chat(&world, &[], &["/cost", &long, "And then?", "/cost", "/reset", "/cost"]).ended(0);
    assert_eq!(ran.stderr.matches("this conversation: nothing yet").count(), 2, "{ran}");
    let own = ran.stderr.lines().find(|line| line.starts_with("this conversation: 2 calls"));
    let own = own.unwrap_or_else(|| panic!("{ran}"));
    assert!(!own.contains(" 0 cached") && own.contains("$0.0"), "{ran}");
    let today = own.replace("this conversation", "today (UTC), all of polpo");
    assert_eq!(ran.stderr.matches(&today).count(), 2, "{ran}");
    let costs = world.run(&["cost", "--simulate", "--by", "run", "--json"]).ended(0).json();
    let rows = costs["rows"].as_array().unwrap();
    assert!(rows[0]["key"].as_str().unwrap().starts_with("chat:"), "{costs}");
    assert_eq!((rows.len(), &rows[0]["calls"]), (1, &json!(2)), "{costs}");
    let kept = world.state();
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("nothing in particular");
    assert!(!kept.iter().any(|(_, bytes)| told(bytes)), "what is said is not recorded");
}

#[test]
fn a_model_is_chosen_by_number_by_name_and_with_a_profile_and_given_up_again() {
    let world = world_of(json!({}));
    let pinned = format!("/model anthropic/{OPUS}@{}", profile("b"));
    let lines = [
        "/model list",
        "/model 1",
        "/model list",
        &pinned,
        "/model status",
        "Hello",
        "/model claude-opus-4.8",
        "/model status",
        "/model reset",
        "/model status",
        "Hello",
    ];
    let ran = chat(&world, &[], &lines).ended(0);
    let marked: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with('*')).collect();
    assert!(marked[0].ends_with("anthropic:claude-sonnet-4-6"), "{ran}");
    assert!(marked[1].starts_with("*  1 "), "{ran}");
    let b = profile("b");
    for words in [
        format!("model: anthropic:{OPUS} (by the user)\nprofile: {b} (by the user)\n"),
        format!("{OPUS} · {b} · "),
        "fallbacks: anthropic:claude-haiku-4-5-20251001".to_owned(),
        format!("last served by: {OPUS} at {b} (pinned)"),
        "model: anthropic:claude-opus-4-8 (by the user)\nprofile: anthropic:key-".to_owned(),
        "model: anthropic:claude-sonnet-4-6 (by the agent)".to_owned(),
        "claude-sonnet-4-6 · anthropic:key-".to_owned(),
    ] {
        assert!(ran.stderr.contains(&words), "no `{words}` in:\n{ran}");
    }
}

#[test]
fn a_model_that_cannot_be_chosen_is_told_with_what_can() {
    let world = world_of(json!({}));
    let settings = json!({"modelAllowlist": ["claude-sonnet-*", "claude-haiku-*"]});
    world.write("polpo.json", json!({"settings": settings}).to_string());
    let nobody = "/model claude-haiku-4-5@anthropic:nobody";
    let lines = [
        nobody,
        "/model claude-opus-5",
        "/model 99",
        "/model sonet",
        "/model poe:claude-sonnet-4.6",
        "/model claude-haiku-4-5@poe:me",
        "/model claude-haiku-4-5@me",
        "/model list",
        "/modle",
        "/cost now",
        "Hello",
    ];
    let ran = chat(&world, &[], &lines).ended(0);
    for words in [
        "there is no profile anthropic:nobody: there are anthropic:key-",
        "modelAllowlist does not have anthropic:claude-opus-5: it has claude-sonnet-*, claude-haiku-*",
        "there is no model 99: /model list has 1 to",
        "cannot tell the provider of model `sonet`",
        "no profile is of provider poe: there are those of anthropic",
        "which is not of provider",
        "after @ a profile is expected, as provider:identifier, for example @anthropic:foo",
        "there is no command /modle: did you mean /model?",
        "/cost takes nothing after it",
        "claude-sonnet-4-6 · ",
    ] {
        assert!(ran.stderr.contains(words), "no `{words}` in:\n{ran}");
    }
    assert!(!ran.stderr.contains("  anthropic:claude-opus"), "{ran}");
}

#[test]
fn a_pinned_profile_that_fails_gives_way_to_the_next_model() {
    let rule = json!({"fault": "rateLimit", "accounts": ["b"], "models": [OPUS],
                      "retryAfterSeconds": 600});
    let world = world_of(json!({"faults": {"rules": [rule]}}));
    let b = profile("b");
    let pinned = format!("/model {OPUS}@{b}");
    let ran = chat(&world, &[], &[&pinned, "Hello", "/status"]).ended(0);
    let reason = format!("fallback: {OPUS} at {b}: rate_limit until ");
    assert_eq!(ran.stderr.matches(&reason).count(), 2, "{ran}");
    assert!(ran.stderr.contains("claude-haiku-4-5-20251001 · anthropic:key-"), "{ran}");
    assert!(ran.stderr.contains(&format!("{b}: cooling until ")), "{ran}");
    assert!(!ran.stderr.contains(&format!("{OPUS} · ")), "{ran}");
}

#[test]
fn without_a_fallback_a_turn_that_would_wait_in_vain_says_who_is_not_there_until_when() {
    let rule = json!({"fault": "rateLimit", "retryAfterSeconds": 600});
    let world = world_of(json!({"faults": {"rules": [rule]}}));
    world.write("polpo.json", r#"{"settings": {"maxQueueSeconds": 1}}"#);
    let ran = chat(&world, &[], &["Hello"]);
    let (a, b) = (profile("a"), profile("b"));
    let standing = [a, b].map(|profile| format!("{profile}: cooling until "));
    let words = ["no answer from anthropic:claude-sonnet-4-6: no profile was free", "nor will be"];
    let ran = ran.complained(1, &words);
    assert!(standing.iter().all(|words| ran.stderr.contains(words)), "{ran}");
}

#[test]
fn after_an_error_the_conversation_goes_on_without_what_was_said() {
    let rules = json!([
        {"fault": "invalidRequest", "skip": 1, "times": 1},
        {"fault": "errorEvent", "afterEvents": 6, "skip": 1, "times": 1},
    ]);
    let world = world_of(json!({"faults": {"rules": rules}}));
    let ran = chat(&world, &[], &["One", "Two", "Three", "Four"]);
    let ran = ran.complained(1, &["no answer: The request is invalid. (400", "was cut off: "]);
    assert_eq!(ran.stderr.matches("what was said is not kept").count(), 2, "{ran}");
    assert_eq!(ran.stderr.matches(" · $0.00").count(), 2, "{ran}");
}

#[test]
fn a_chat_that_cannot_begin_says_why() {
    let world = world_of(json!({}));
    chat(&world, &["-a", "nobody"], &[]).complained(2, &["no agent `nobody`", "guide"]);
    let missing = ["chat", "--simulate=missing.json"];
    world.run(&missing).complained(2, &["missing.json: cannot be read"]);
    world.run(&["chat"]).complained(4, &["no credential for provider anthropic", "--simulate"]);
    let pinned = json!({"name": "guide", "model": "claude-opus-4-6@anthropic:nobody"});
    world.write("polpo.json", json!({"agents": [pinned]}).to_string());
    let mut command = world.polpo(&["chat"]);
    command.env("ANTHROPIC_API_KEY", key("a"));
    let words =
        format!("agent guide: there is no profile anthropic:nobody: there are {}", profile("a"));
    Process::fed(command, &world.write("input", "")).end().complained(4, &[&words]);
}

/// A chat whose second answer does not come.
fn stalled() -> (World, Process) {
    let world = world_of(json!({"faults": {"rules": [{"fault": "stall", "skip": 1}]}}));
    begun(world, "One\nTwo\n", "exec <input")
}

/// A chat that waits for more to be said.
fn open(lines: &str) -> (World, Process) {
    begun(world_of(json!({})), lines, "mkfifo pipe && exec <>pipe && cat input >pipe")
}

/// A chat that has had its first answer; `reading` has the shell open what it reads.
fn begun(world: World, lines: &str, reading: &str) -> (World, Process) {
    world.write("input", lines);
    let mut shell = world.command("sh");
    let script = format!("{reading} && exec \"$0\" chat --simulate");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_polpo")]);
    let process = Process::logged(shell, &world.path("log"));
    wait_for("no answer", || world.read("log").contains(" · $0.00").then_some(()));
    (world, process)
}

#[test]
fn a_running_conversation_can_be_explained_by_what_status_calls_it() {
    let (world, process) = open("One\n/status\n");
    let session = wait_for("no status", || {
        let log = world.read("log");
        let (_, session) = log.split_once("session: ")?;
        Some(session.split_once('\n')?.0.to_owned())
    });
    let told = world.run(&["auth", "explain", "--simulate", "--session", &session]).ended(0);
    assert_eq!(told.stdout.matches("has this conversation's cache").count(), 1, "{told}");
    process.signal("TERM");
    process.end().ended(130);
}

/// What a chat leaves behind that gets a signal while it waits for its second answer.
fn ended_by(signal: &str) -> Value {
    let (world, process) = stalled();
    let costs = || world.run(&["cost", "--simulate", "--by", "profile", "--json"]).ended(0).json();
    wait_for("no second call", || (costs()["notEnded"]["calls"] == 1).then_some(()));
    process.signal(signal);
    process.end().ended(130);
    costs()
}

#[test]
fn whatever_ends_a_chat_its_last_call_is_settled_and_has_a_profile() {
    for signal in ["INT", "TERM", "HUP"] {
        let costs = ended_by(signal);
        let calls = costs["rows"].as_array().unwrap().iter().map(|row| row["calls"].as_u64());
        assert!(calls.sum::<Option<u64>>() == Some(2), "{signal}: {costs}");
        assert_eq!(costs["notEnded"]["calls"], 0, "{signal}: {costs}");
    }
}

#[test]
fn what_is_typed_is_remembered_where_only_its_user_reads_it() {
    let world = world_of(json!({}));
    if !world.command("script").arg("--version").output().is_ok_and(|it| it.status.success()) {
        return; // It makes the terminal, where there is one of util-linux.
    }
    let input = world.write("input", "Hello\r/quit\r");
    let mut script = world.command("script");
    let run = format!("{} chat --simulate --color never", env!("CARGO_BIN_EXE_polpo"));
    script.args(["-qec", &run, "/dev/null"]).env("TERM", "xterm-256color");
    let ran = Process::fed(script, &input).end().ended(0);
    assert!(ran.stdout.contains("claude-sonnet-4-6 · "), "{ran}");
    let history = world.path("state/simulated/chat-history");
    let mode = std::fs::metadata(&history).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(world.read("state/simulated/chat-history").contains("Hello"));
}
