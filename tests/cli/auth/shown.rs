//! What is said of profiles: the list, the explanation, the models.

use serde_json::{Value, json};

use super::{
    KEY, OTHER_KEY, PROFILE, configure, file, listed, millis, remember, served, status, store,
};
use crate::server::tasks;
use crate::support::World;

/// Profiles in every state, none of them used by a process.
fn states(world: &World) {
    configure(world, json!({"baseUrl": "http://127.0.0.1:9"}));
    store(world, &["cooling", "held", "poor", "ready", "refused"].map(|name| (name, KEY)));
    let later = millis(600);
    remember(world, "anthropic:cooling", json!({"cooldownUntil": later, "errorCount": 1}));
    remember(world, "anthropic:held", json!({"heldAt": millis(-60)}));
    let poor =
        json!({"disabledUntil": later, "billingErrorCount": 1, "lastErrorReason": "billing"});
    remember(world, "anthropic:poor", poor);
    remember(world, "anthropic:ready", json!({"lastUsed": millis(-3600)}));
    remember(world, "anthropic:refused", json!({"revokedAt": millis(-60)}));
    let mut file = file(world);
    file["profiles"]["anthropic:ended"] = json!({
        "provider": "anthropic", "type": "oauth", "access": "sk-ant-oat01-x",
        "expires": millis(-60), "email": "a@example.com",
    });
    world.write("state/auth-profiles.json", file.to_string());
}

#[test]
fn without_profiles_the_list_says_how_to_get_one() {
    let world = World::new();
    let ran = world.run(&["auth", "list"]).ended(0);
    assert!(ran.stdout.contains("polpo auth add anthropic"), "{ran}");
    assert_eq!(listed(&world, &[]), [] as [Value; 0]);
    world.run(&["auth", "list", "anthropic:a"]).complained(2, &["anthropic:a", "polpo auth add"]);
}

#[test]
fn the_list_tells_how_each_profile_stands_and_what_to_do() {
    let world = World::new();
    states(&world);
    let rows = listed(&world, &[]);
    let told: Vec<_> = rows.iter().map(|it| (&it["id"], &it["state"], &it["reason"])).collect();
    let expected = json!([
        ["anthropic:cooling", "cooling", "refresh_failed"],
        ["anthropic:ended", "expired", null],
        ["anthropic:held", "disabled", "operator"],
        ["anthropic:poor", "disabled", "billing"],
        ["anthropic:ready", "ready", null],
        ["anthropic:refused", "revoked", "auth"],
    ]);
    assert_eq!(json!(told), expected);
    let table = world.run(&["auth", "status", "anthropic"]).ended(0).stdout;
    for words in [
        "(in 9 min)",
        "60 min ago",
        "anthropic:held: to use it again: polpo auth enable anthropic:held",
        "anthropic:poor: once its account has money again: polpo auth clear anthropic:poor",
        "anthropic:refused: its key was refused; replace it",
        "anthropic:ended: its token is over; log in again: polpo auth login anthropic",
    ] {
        assert!(table.contains(words), "no {words} in:\n{table}");
    }
    world.run(&["auth", "list", "anthropic:hold"]).complained(2, &["mean anthropic:held?"]);
}

#[test]
fn a_profile_in_json_has_these_keys() {
    let world = World::new();
    states(&world);
    let mut row = status(&world, "anthropic:cooling");
    assert!(row["until"].take().is_string());
    insta::assert_json_snapshot!(row, @r#"
    {
      "classes": {},
      "email": null,
      "estimated": false,
      "expires": null,
      "headroom": [],
      "id": "anthropic:cooling",
      "inFlight": 0,
      "lastError": null,
      "lastUsed": null,
      "organizationId": null,
      "pids": [],
      "provider": "anthropic",
      "reason": "refresh_failed",
      "source": "stored",
      "spentTodayUsd": 0,
      "state": "cooling",
      "type": "api_key",
      "until": null,
      "used": true
    }
    "#);
}

#[test]
fn what_a_profile_has_spent_today_is_told() {
    let (world, server) = served();
    configure(&world, json!({"apiKey": KEY, "baseUrl": server.base_url()}));
    world.write("tasks.jsonl", tasks(2));
    world.run(&["run", "tasks.jsonl"]).ended(0);
    let total = &world.run(&["cost", "--json"]).ended(0).json()["total"]["costUsd"];
    assert!(total.as_f64().unwrap() > 0.0);
    assert_eq!(&status(&world, PROFILE)["spentTodayUsd"], total);
}

#[test]
fn the_profiles_of_a_scenario_are_those_of_simulated_runs() {
    let world = World::new();
    let rows = listed(&world, &["--simulate"]);
    assert_eq!((rows.len(), &rows[0]["source"]), (3, &json!("scenario")));
    let accounts = json!({"accounts": [{"name": "a", "apiKey": KEY}]});
    world.write("scenario.json", accounts.to_string());
    assert_eq!(listed(&world, &["--simulate"]).len(), 1);
    world.run(&["auth", "test", "--simulate"]).ended(0);
    world.run(&["models", "status", "--check", "--simulate"]).ended(0);
    assert!(!world.path("state/auth-profiles.json").exists());
}

#[test]
fn an_explanation_ranks_the_profiles_as_the_scheduler_does() {
    let world = World::new();
    states(&world);
    store(&world, &[("fresh", OTHER_KEY)]);
    let ran = world.run(&["auth", "explain"]).ended(0);
    let first = "anthropic:claude-sonnet-4-6 would be served by anthropic:fresh: it is eligible";
    assert!(ran.stdout.starts_with(first), "{ran}");
    let views = world.run(&["auth", "explain", "--json"]).ended(0).json();
    let ranking = views[0]["ranking"].as_array().unwrap();
    let told: Vec<_> = ranking.iter().map(|it| (&it["profile"], &it["obstacle"])).collect();
    let expected = json!([
        ["anthropic:fresh", null],
        ["anthropic:ready", null],
        ["anthropic:cooling", "refresh_failed"],
        ["anthropic:poor", "billing"],
        ["anthropic:held", "operator"],
        ["anthropic:refused", "auth"],
        ["anthropic:ended", "expired"],
    ]);
    assert_eq!(json!(told), expected);
    assert_eq!((&views[0]["outcome"], &views[0]["model"]), (&json!("granted"), &json!(0)));
    let login = "not eligible: expired (log in again: polpo auth login anthropic)";
    assert!(ran.stdout.contains(login), "{ran}");

    let pinned = "anthropic:claude-opus-4-6@anthropic:cooling";
    let ran = world.run(&["auth", "explain", "--model", pinned]).ended(0);
    assert!(ran.stdout.contains("would wait: the first profile returns"), "{ran}");
    let pinned = "anthropic:claude-opus-4-6@anthropic:held";
    let ran = world.run(&["auth", "explain", "--model", pinned]).ended(0);
    assert!(ran.stdout.contains("no profile has a known return"), "{ran}");
    let ran = world.run(&["auth", "explain", "--model", "poe:claude-opus-4.5"]).ended(0);
    assert!(ran.stdout.contains("no profile serves poe:claude-opus-4-5-20251101"), "{ran}");
    let nobodys = ["auth", "explain", "--model", "anthropic:claude-opus-4-6@anthropic:readi"];
    world.run(&nobodys).complained(2, &["there is no profile", "did you mean anthropic:ready?"]);
    world.run(&["auth", "explain", "--model", "moon"]).complained(2, &["--model", "moon"]);
}

#[test]
fn a_fallback_is_not_asked_while_the_first_model_can_be_served_or_waited_for() {
    let world = World::new();
    states(&world);
    let agent = json!({"name": "main", "fallbacks": ["anthropic:claude-haiku-4-5"]});
    world.write("polpo.json", json!({"agents": [agent]}).to_string());
    let ran = world.run(&["auth", "explain"]).ended(0);
    let line = "anthropic:claude-haiku-4-5-20251001 on anthropic:ready: not asked while \
                anthropic:claude-sonnet-4-6 can still be served";
    assert!(ran.stdout.contains(line), "{ran}");
}

#[test]
fn a_pin_counts_only_its_profile_and_one_that_names_nobody_is_said_to() {
    let world = World::new();
    store(&world, &[("a", KEY), ("b", OTHER_KEY)]);
    for (pin, profiles, code) in
        [("anthropic:a", json!({"ready": 1}), 0), ("anthropic:x", json!({}), 1)]
    {
        let agent = json!({"name": "main", "model": format!("claude-opus-4-6@{pin}")});
        world.write("polpo.json", json!({"agents": [agent]}).to_string());
        let ran = world.run(&["models", "status", "--json", "--check"]).ended(code);
        assert_eq!(ran.json()[0]["profiles"], profiles);
    }
    let advice = "there is no profile anthropic:x: there are anthropic:a, anthropic:b";
    let ran = world.run(&["models", "status"]).ended(0);
    assert!(ran.stdout.contains(advice), "{ran}");
    world.write("tasks.jsonl", crate::server::tasks(1));
    world.run(&["run", "tasks.jsonl"]).complained(4, &[advice]);
}

#[test]
fn the_status_of_models_can_be_checked() {
    let world = World::new();
    let check = |code: i32| world.run(&["models", "status", "--check"]).ended(code).stdout;
    assert!(check(1).contains("none"));
    configure(&world, json!({"baseUrl": "http://127.0.0.1:9"}));
    store(&world, &[("a", KEY), ("b", OTHER_KEY)]);
    assert!(check(0).contains("2 ready"));
    remember(&world, "anthropic:b", json!({"cooldownUntil": millis(600), "errorCount": 1}));
    assert!(check(2).contains("1 cooling, 1 ready"));
    world.run(&["models", "status"]).ended(0);
    let rows = world.run(&["models", "status", "--json"]).ended(0).json();
    assert_eq!(rows[0]["model"], "claude-sonnet-4-6");
    assert_eq!(rows[0]["profiles"], json!({"cooling": 1, "ready": 1}));
    assert!(rows[0]["nextReturn"].is_string());
}

#[test]
fn a_login_that_ends_soon_and_cannot_be_renewed_fails_the_check() {
    let world = World::new();
    std::fs::create_dir_all(world.path("state")).unwrap();
    let url = "http://127.0.0.1:9/";
    let oauth = json!({
        "clientId": "c", "authorizeUrl": url, "tokenUrl": url, "redirectUri": url, "scopes": [],
    });
    for (hours, refresh, oauth, code) in [
        (23, None, Some(&oauth), 2),
        (23, Some("r"), Some(&oauth), 0),
        (23, Some("r"), None, 2),
        (25, None, None, 0),
        (-1, None, Some(&oauth), 2),
    ] {
        match oauth {
            Some(oauth) => configure(&world, json!({"oauth": oauth})),
            None => drop(world.write("polpo.json", "{}")),
        }
        let login = json!({
            "provider": "anthropic", "type": "oauth", "access": "sk-ant-oat01-x",
            "refresh": refresh, "expires": millis(hours * 3600),
        });
        let file = json!({"version": 1, "profiles": {"anthropic:a": login}});
        world.write("state/auth-profiles.json", file.to_string());
        let ran = world.run(&["models", "status", "--check"]);
        assert_eq!(ran.code, Some(code), "{hours} {refresh:?} {oauth:?}: {ran}");
    }
}
