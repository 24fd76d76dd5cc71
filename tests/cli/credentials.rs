//! Keys that are missing, refused, or in more than one place.

use serde_json::{Value, json};

use crate::server::{KEY, Server, scenario, tasks};
use crate::support::{Process, World};

#[test]
fn without_a_credential_a_run_says_which_variable_to_set() {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    let ran = world.run(&["run", "tasks.jsonl"]);
    let ways = ["ANTHROPIC_API_KEY", "polpo auth add anthropic", "polpo.json", "--simulate"];
    ran.complained(4, &ways);
    assert!(!world.path("tasks.results.jsonl").exists());
}

#[test]
fn when_every_key_is_refused_the_tasks_stay_pending() {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({})));
    world.write("tasks.jsonl", tasks(20));
    let run = |key: &str| {
        let mut command = server.client(&world, &["run", "tasks.jsonl", "--json"]);
        command.env("ANTHROPIC_API_KEY", key);
        Process::start(command).end()
    };
    let ran = run("sk-ant-api03-nobody").complained(4, &["refused", "pending", "continues"]);
    assert_eq!(ran.json()["pending"], 20, "{ran}");
    assert_eq!(world.read("tasks.results.jsonl"), "");
    assert!(server.books()["unauthenticated"].as_u64().unwrap() > 0);

    let ran = run(KEY).ended(0);
    assert_eq!(ran.json()["succeeded"], 20, "{ran}");
}

#[test]
fn one_refused_key_of_two_leaves_the_work_to_the_other() {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({})));
    world.write("tasks.jsonl", tasks(20));
    let provider = json!({"apiKeys": ["sk-ant-api03-nobody", KEY], "baseUrl": server.base_url()});
    world.write("polpo.json", json!({"providers": {"anthropic": provider}}).to_string());
    world.run(&["run", "tasks.jsonl"]).ended(0);
    assert_eq!(server.books()["total"]["served"], 20);
}

#[test]
fn a_key_in_a_file_is_used() {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({})));
    world.write("tasks.jsonl", tasks(2));
    world.write("key", format!("{KEY}\n"));
    let provider = json!({"apiKey": "file:key", "baseUrl": server.base_url()});
    world.write("polpo.json", json!({"providers": {"anthropic": provider}}).to_string());
    world.run(&["run", "tasks.jsonl"]).ended(0);
}

#[test]
fn a_key_of_polpo_json_is_used_before_the_one_of_the_environment() {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({})));
    world.write("tasks.jsonl", tasks(2));
    world.write("polpo.json", json!({"providers": {"anthropic": KEY}}).to_string());
    let mut command = server.client(&world, &["run", "tasks.jsonl"]);
    command.env("ANTHROPIC_API_KEY", "sk-ant-api03-nobody");
    Process::start(command).end().ended(0);
    assert_eq!(server.books()["unauthenticated"], 0);
}

/// A server with these accounts at Poe, and a polpo.json that knows where it is.
fn poe(world: &World, accounts: Value, provider: Value) -> Server {
    let server = Server::start(world, &scenario(json!({"accounts": accounts})));
    let mut poe = json!({"baseUrl": server.base_url()});
    poe.as_object_mut().unwrap().extend(provider.as_object().unwrap().clone());
    let agent = json!({"name": "a", "model": "poe:claude-sonnet-4.5"});
    let config = json!({"providers": {"poe": poe}, "agents": [agent]});
    world.write("polpo.json", config.to_string());
    server
}

#[test]
fn poe_serves_claude_by_its_own_names_and_the_costs_are_called_estimates() {
    let world = World::new();
    let accounts = json!([{"name": "p", "apiKey": "poe-key", "poe": {}}]);
    let server = poe(&world, accounts, json!({}));
    let names = [
        "claude-sonnet-4.5",
        "claude-sonnet-4-5-20250929",
        "claude-opus-4.5",
        "claude-haiku-4.5",
        "claude-sonnet-4",
        "claude-sonnet-3.7",
        "claude-haiku-3.5",
        "claude-3-5-haiku",
        "claude-haiku-3",
    ];
    let task = |(at, name): (usize, &&str)| json!({"id": format!("t{at}"), "prompt": "hello", "model": format!("poe:{name}")});
    let text: Vec<_> = names.iter().enumerate().map(task).map(|it| it.to_string()).collect();
    world.write("tasks.jsonl", text.join("\n"));
    let run = |arguments: &[&str]| {
        let mut command = world.polpo(arguments);
        command.env("POE_API_KEY", "poe-key");
        Process::start(command).end().ended(0)
    };
    let ran = run(&["run", "tasks.jsonl", "--json"]);
    assert_eq!((&ran.json()["succeeded"], &ran.json()["estimated"]), (&json!(9), &json!(true)));
    assert_eq!(server.books()["total"]["served"], 9);
    assert!(run(&["run", "tasks.jsonl"]).stdout.contains("Poe bills points"));

    let costs = world.run(&["cost", "--by", "profile", "--json"]).ended(0).json();
    assert_eq!((&costs["estimated"], &costs["rows"][0]["estimated"]), (&json!(true), &json!(true)));
    assert!(costs["rows"][0]["key"].as_str().unwrap().starts_with("poe:key-"));
    let by_model = world.run(&["cost", "--by", "model", "--json"]).ended(0).json();
    assert_eq!(
        (&by_model["estimated"], by_model["rows"][0].get("estimated")),
        (&json!(true), None)
    );
    assert!(world.run(&["cost"]).ended(0).stdout.contains("Poe bills points"));
}

#[test]
fn costs_at_anthropic_are_no_estimates() {
    let world = World::new();
    let server = Server::start(&world, &scenario(json!({})));
    world.write("tasks.jsonl", tasks(1));
    let ran = Process::start(server.client(&world, &["run", "tasks.jsonl", "--json"])).end();
    assert_eq!(ran.ended(0).json()["estimated"], false);
    let costs = world.run(&["cost", "--by", "profile", "--json"]).ended(0).json();
    assert_eq!(
        (&costs["estimated"], &costs["rows"][0]["estimated"]),
        (&json!(false), &json!(false))
    );
    assert!(!world.run(&["cost"]).ended(0).stdout.contains("Poe"));
}

#[test]
fn a_poe_key_without_points_leaves_the_work_to_the_other() {
    for shape in ["poe", "anthropic"] {
        let world = World::new();
        let accounts = json!([
            {"name": "poor", "apiKey": "poor-key", "poe": {"points": 0, "errorShape": shape}},
            {"name": "rich", "apiKey": "rich-key", "poe": {"errorShape": shape}},
        ]);
        let keys = json!({"apiKeys": ["nobodys-key", "poor-key", "rich-key"]});
        let server = poe(&world, accounts, keys);
        world.write("tasks.jsonl", tasks(20));
        world.run(&["run", "tasks.jsonl", "--concurrency", "1"]).ended(0);
        let books = server.books();
        assert_eq!(
            (&books["total"]["served"], &books["total"]["refused"]),
            (&json!(20), &json!(0))
        );
        assert_eq!(books["unauthenticated"], 1, "a refused key is not tried again");
        assert_eq!(books["total"]["unpaid"], 1, "and so is one that cannot pay");
    }
}
