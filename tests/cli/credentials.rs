//! Keys that are missing, refused, or in more than one place.

use serde_json::json;

use crate::server::{KEY, Server, scenario, tasks};
use crate::support::{Process, World};

#[test]
fn without_a_credential_a_run_says_which_variable_to_set() {
    let world = World::new();
    world.write("tasks.jsonl", tasks(1));
    let ran = world.run(&["run", "tasks.jsonl"]);
    ran.complained(4, &["anthropic", "ANTHROPIC_API_KEY", "polpo.json", "--simulate"]);
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
