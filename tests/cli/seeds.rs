//! What the page that the project began from promises, as far as it is not shown elsewhere.

use serde_json::{Value, json};

use crate::server::{KEY, Server, scenario, tasks};
use crate::support::{Process, World};

#[test]
fn what_the_page_has_of_a_polpo_json_is_valid() {
    for config in [
        r#"{ "providers": { "anthropic": "${ANTHROPIC_API_KEY}" } }"#,
        r#"{ "providers": { "anthropic": "sk-ant-..." } }"#,
        r#"{ "providers": { "anthropic": { "apiKey": "sk-ant-..." } } }"#,
        r#"{ "agents": [ { "name": "coder", "model": "anthropic:claude-sonnet-4-5-20250929" } ] }"#,
        r#"{ "agents": [ { "name": "coder", "model": "claude-sonnet-4-5-20250929" } ] }"#,
        r#"{ "agents": [ { "name": "coder", "model": "claude-sonnet-4-6",
                           "retryPolicy": { "escalateModel": "claude-opus-4-6" } } ] }"#,
    ] {
        let world = World::new();
        world.write("polpo.json", config);
        let mut command = world.polpo(&["config", "show"]);
        command.env("ANTHROPIC_API_KEY", KEY);
        let shown = Process::start(command).end().ended(0);
        let agents: Value = shown.json()["agents"].take();
        let model = &agents[0]["model"];
        let expected = if config.contains("4-5") { "4-5-20250929" } else { "4-6" };
        assert_eq!(model, &json!(format!("anthropic:claude-sonnet-{expected}")), "{config}");
    }
}

/// Writes a profile file with these profiles.
fn store(world: &World, profiles: Value) {
    std::fs::create_dir_all(world.path("state")).unwrap();
    let file = json!({"version": 1, "profiles": profiles});
    world.write("state/auth-profiles.json", file.to_string());
}

/// A login whose token was over long ago, and cannot be renewed.
fn ended() -> Value {
    json!({"provider": "anthropic", "type": "oauth", "access": "sk-ant-oat01-x", "expires": 1})
}

#[test]
fn a_key_of_the_file_goes_before_the_environment_and_both_before_what_is_stored() {
    let world = World::new();
    let config = json!({"providers": {"anthropic": {"apiKey": "a-key-of-the-file"}}}).to_string();
    store(&world, json!({"anthropic:me@example.com": ended()}));
    for (config, variable, used) in
        [(config.as_str(), Some(KEY), "config"), ("{}", Some(KEY), "env"), ("{}", None, "stored")]
    {
        world.write("polpo.json", config);
        let mut command = world.polpo(&["auth", "list", "--json"]);
        command.envs(variable.map(|key| ("ANTHROPIC_API_KEY", key)));
        let rows = Process::start(command).end().ended(0).json();
        let rows = rows.as_array().unwrap().iter().filter(|row| row["used"] == true);
        let sources: Vec<_> = rows.map(|row| row["source"].as_str().unwrap()).collect();
        assert_eq!(sources, [used]);
    }
}

#[test]
fn a_login_that_is_over_leaves_the_work_to_other_credentials() {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({})));
    let key = json!({"provider": "anthropic", "type": "api_key", "access": KEY});
    store(&world, json!({"anthropic:a@example.com": ended(), "anthropic:b": key}));
    let provider = json!({"baseUrl": server.base_url()});
    world.write("polpo.json", json!({"providers": {"anthropic": provider}}).to_string());
    world.write("tasks.jsonl", tasks(5));
    let ran = world.run(&["run", "tasks.jsonl"]).ended(0);
    assert!(ran.stderr.contains("anthropic:a@example.com"), "it is told: {ran}");
    let books = server.books();
    assert_eq!((&books["total"]["served"], &books["unauthenticated"]), (&json!(5), &json!(0)));
}
