//! Secrets in files that are damaged, and in what servers say.

use serde_json::{Value, json};

use super::tap::Tap;
use super::{FORMATS, GATE, assert_hidden, marked};
use crate::server::{Server, scenario, tasks};
use crate::support::{Process, Ran, World};

/// What meets a profile file, or a provider.
const COMMANDS: [&[&str]; 11] = [
    &["auth", "list"],
    &["auth", "test"],
    &["auth", "explain"],
    &["models", "status"],
    &["run", "tasks.jsonl", "--metrics-file", "run.prom"],
    &["chat"],
    &["auth", "disable", "--all"],
    &["auth", "enable", "--all"],
    &["auth", "clear", "--all"],
    &["auth", "add", "anthropic"],
    &["auth", "logout", "--all"],
];

/// Runs them all, with this on their standard input.
fn all(world: &World, typed: &str) -> Vec<Ran> {
    let input = world.write("input", typed);
    let mut said = Vec::new();
    for (number, command) in COMMANDS.iter().enumerate() {
        let loud = ["-vv", "--log-format", FORMATS[number % 2]];
        said.push(Process::fed(world.polpo(&[command, &loud[..]].concat()), &input).end());
    }
    said
}

fn login(access: &str, refresh: &str, expires: i64) -> Value {
    json!({"provider": "anthropic", "type": "oauth", "access": access, "refresh": refresh,
           "expires": expires})
}

/// A world with a profile file, a provider that can be logged in to, and tasks.
fn world_of(profiles: &str, url: &dyn Fn(&str) -> String) -> World {
    let world = World::new();
    std::fs::create_dir_all(world.path("state")).unwrap();
    world.write("state/auth-profiles.json", profiles);
    world.write("tasks.jsonl", tasks(2));
    let oauth = json!({
        "clientId": "c", "authorizeUrl": url("/authorize"), "tokenUrl": url("/v1/oauth/token"),
        "redirectUri": url("/callback"), "tokenHeaders": {"x-gate": GATE},
    });
    let provider = json!({"baseUrl": url(""), "oauth": oauth});
    world.write("polpo.json", json!({"providers": {"anthropic": provider}}).to_string());
    world
}

#[test]
fn secrets_in_a_damaged_profile_file_are_not_seen() {
    let (access, refresh) = (marked("access"), marked("refresh"));
    let good = json!({"version": 1, "profiles": {"anthropic:a": login(&access, &refresh, 1)}});
    let good = good.to_string();
    let secret = &access;
    let server_world = World::new();
    let server = Server::start(&server_world, &scenario(json!({})));
    let tap = Tap::before(server.address());
    tap.quote(401);
    for profiles in [
        good[..good.len() - 3].to_owned(),
        format!("{good}{secret}"),
        secret.clone(),
        json!(secret).to_string(),
        json!([secret]).to_string(),
        json!({"version": secret}).to_string(),
        json!({"version": 2, "profiles": {"anthropic:a": login(secret, secret, 1)}}).to_string(),
        json!({"version": 1, "profiles": secret}).to_string(),
        json!({"version": 1, "profiles": {"anthropic:a": secret}}).to_string(),
        json!({"version": 1, "profiles": {"anthropic:a": {"type": secret}}}).to_string(),
        json!({"version": 1, "profiles": {"anthropic:a": {"provider": "anthropic",
            "type": "api_key", "access": {(secret): secret}}}})
        .to_string(),
        json!({"version": 1, "profiles": {"anthropic:a": {"provider": "anthropic",
            "type": "api_key", "access": format!("{secret} \n{secret}")}}})
        .to_string(),
        json!({"version": 1, "profiles": {}, "usageStats": secret}).to_string(),
        json!({"version": 1, "profiles": {"anthropic:a": login(secret, secret, 1)},
               "usageStats": {"anthropic:a": {"lastUsed": secret, "classes": secret}}})
        .to_string(),
    ] {
        let world = world_of(&profiles, &|path| tap.url(path));
        let said = all(&world, &marked("typed"));
        assert_hidden(&world, &said, &[]);
    }
}

#[test]
fn secrets_that_servers_quote_are_not_seen() {
    let server_world = World::new();
    let server = Server::start(&server_world, &scenario(json!({})));
    let tap = Tap::before(server.address());
    tap.quote(401);
    let (access, refresh) = (marked("access"), marked("refresh"));
    // One whose token is over, one whose token is not, and a key.
    let later = 4_000_000_000_000;
    let profiles = json!({
        "anthropic:a": login(&access, &refresh, 1),
        "anthropic:b": login(&access, &refresh, later),
        "anthropic:c": {"provider": "anthropic", "type": "api_key", "access": marked("stored")},
    });
    let file = json!({"version": 1, "profiles": profiles}).to_string();
    let world = world_of(&file, &|path| tap.url(path));
    let said = all(&world, &marked("typed"));
    for kind in ["access", "refresh", "stored", "typed"] {
        assert!(tap.secrets().contains(&marked(kind)), "{kind} was not sent");
    }
    let quotes = |ran: &&Ran| format!("{ran}").contains("What is");
    assert!(said.iter().filter(quotes).count() >= 2, "no refusal was told");
    assert_hidden(&world, &said, &tap.secrets());

    // A code that is refused; what looks like a key would not be sent.
    let code = marked("code").replacen("sk-", "code-", 1);
    let input = world.write("input", &code);
    let login = world.polpo(&["auth", "login", "anthropic", "-vv"]);
    let said = [Process::fed(login, &input).end().ended(1)];
    assert!(tap.secrets().contains(&code));
    assert_hidden(&world, &said, &tap.secrets());
}
