//! Credentials that are tested.

use serde_json::json;

use super::{KEY, NOBODYS_KEY, OTHER_KEY, configure, fed, file, served, status, store};
use crate::server::{Server, scenario};
use crate::support::World;

#[test]
fn each_profile_is_tested_and_one_that_is_refused_is_said_to_be() {
    let (world, server) = served();
    store(&world, &[("a", KEY), ("b", OTHER_KEY)]);
    let ran = world.run(&["auth", "test"]).ended(0);
    assert_eq!(ran.stdout, "anthropic:a: works\nanthropic:b: works\n");
    assert_eq!(server.books()["total"]["served"], 0, "it costs nothing");

    store(&world, &[("c", NOBODYS_KEY)]);
    let ran = world.run(&["auth", "test"]).ended(4);
    assert!(ran.stdout.contains("anthropic:a: works\n"), "{ran}");
    assert!(ran.stdout.contains("anthropic:c: refused: invalid x-api-key (401)"), "{ran}");
    assert_eq!(status(&world, "anthropic:c")["state"], "revoked");
    world.run(&["auth", "test", "anthropic:a"]).ended(0);
}

#[test]
fn a_key_that_works_again_is_no_longer_revoked() {
    let (world, _server) = served();
    store(&world, &[("a", KEY)]);
    super::remember(&world, "anthropic:a", json!({"revokedAt": super::millis(-60)}));
    assert_eq!(status(&world, "anthropic:a")["state"], "revoked");
    world.run(&["auth", "test"]).ended(0);
    assert_eq!(status(&world, "anthropic:a")["state"], "ready");
}

#[test]
fn a_test_ends_no_window_of_a_limit() {
    let (world, _server) = served();
    store(&world, &[("a", KEY)]);
    let until = super::millis(600);
    super::remember(&world, "anthropic:a", json!({"cooldownUntil": until, "errorCount": 1}));
    world.run(&["auth", "test"]).ended(0);
    assert_eq!(file(&world)["usageStats"]["anthropic:a"]["cooldownUntil"], until);
}

#[test]
fn a_provider_that_cannot_be_reached_says_nothing_of_the_key() {
    let (world, server) = served();
    store(&world, &[("a", KEY)]);
    drop(server);
    let ran = world.run(&["auth", "test"]).ended(4);
    assert!(ran.stdout.contains("anthropic:a: unreachable: cannot connect"), "{ran}");
    assert_eq!(status(&world, "anthropic:a")["state"], "ready");
}

#[test]
fn a_key_of_poe_is_tested_without_counting_tokens() {
    let world = World::new();
    let accounts = json!([{"name": "p", "apiKey": "poe-key", "poe": {}}]);
    let server = Server::start(&world, &scenario(json!({"accounts": accounts})));
    let config = json!({"providers": {"poe": {"baseUrl": server.base_url()}}});
    world.write("polpo.json", config.to_string());
    fed(&world, "poe-key", &["auth", "add", "poe", "--name", "p"]).ended(0);
    assert_eq!(world.run(&["auth", "test", "poe"]).ended(0).stdout, "poe:p: works\n");
    fed(&world, "nobodys-key", &["auth", "add", "poe"]).complained(4, &["refused", "401"]);
}

#[test]
fn without_a_profile_there_is_nothing_to_test() {
    let world = World::new();
    world.run(&["auth", "test"]).complained(4, &["polpo auth add"]);
    configure(&world, json!({"baseUrl": "http://127.0.0.1:9"}));
    world.run(&["auth", "test", "poe"]).complained(2, &["poe"]);
}

#[test]
fn a_profile_that_is_not_in_use_is_told_why() {
    let (world, server) = served();
    store(&world, &[("a", OTHER_KEY)]);
    configure(&world, json!({"apiKey": KEY, "baseUrl": server.base_url()}));
    let why = ["anthropic:a is not in use: the key in polpo.json goes before it"];
    world.run(&["auth", "test", "anthropic:a"]).complained(4, &why);
}

#[test]
fn with_a_simulator_tokens_are_counted_for_a_model_of_poe_unless_the_account_is_there() {
    let world = World::new();
    let agent = json!({"name": "main", "model": "poe:claude-sonnet-4.5"});
    world.write("polpo.json", json!({"agents": [agent]}).to_string());
    for poe in [json!(null), json!({})] {
        let accounts = json!([{"name": "p", "apiKey": "some-key", "poe": poe}]);
        world.write("scenario.json", json!({"accounts": accounts}).to_string());
        world.run(&["auth", "test", "--simulate"]).ended(0);
    }
}

#[test]
fn a_variable_of_a_provider_that_nobody_uses_is_only_warned_of() {
    let world = World::new();
    store(&world, &[("a", KEY)]);
    let mut command = world.polpo(&["auth", "list"]);
    command.env("POE_API_KEY", "a b");
    let ran = crate::support::Process::start(command).end().ended(0);
    assert!(ran.stderr.contains("POE_API_KEY"), "{ran}");
}
