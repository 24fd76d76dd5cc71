//! Profiles that are cleared, disabled, enabled and logged out, with no process running.

use serde_json::json;

use super::{KEY, OTHER_KEY, configure, file, listed, millis, remember, status, store};
use crate::support::World;

/// Two stored profiles.
fn two() -> World {
    let world = World::new();
    configure(&world, json!({"baseUrl": "http://127.0.0.1:9"}));
    store(&world, &[("a", KEY), ("b", OTHER_KEY)]);
    world
}

#[test]
fn a_disabled_profile_is_out_of_use_until_it_is_enabled() {
    let world = two();
    let ran = world.run(&["auth", "disable", "anthropic:a"]).ended(0);
    assert_eq!(ran.stdout, "disabled anthropic:a\n");
    let held = status(&world, "anthropic:a");
    assert_eq!((&held["state"], &held["reason"]), (&json!("disabled"), &json!("operator")));
    world.run(&["auth", "clear", "anthropic:a"]).ended(0);
    assert_eq!(status(&world, "anthropic:a")["state"], "disabled", "clearing gives nothing back");
    world.run(&["auth", "enable", "--all"]).ended(0);
    assert_eq!(status(&world, "anthropic:a")["state"], "ready");
}

#[test]
fn clearing_ends_windows_of_every_kind_and_forgives_a_refusal() {
    let world = two();
    remember(
        &world,
        "anthropic:a",
        json!({
            "cooldownUntil": millis(600), "errorCount": 2, "disabledUntil": millis(3600),
            "billingErrorCount": 1, "classes": {"sonnet-4": {"cooldownUntil": millis(600)}},
        }),
    );
    remember(&world, "anthropic:b", json!({"revokedAt": millis(-60)}));
    let states = || listed(&world, &[]).iter().map(|it| it["state"].clone()).collect::<Vec<_>>();
    assert_eq!(states(), ["disabled", "revoked"]);
    world.run(&["auth", "clear", "anthropic:a", "anthropic:b"]).ended(0);
    assert_eq!(states(), ["ready", "ready"]);
    assert!(file(&world)["usageStats"]["anthropic:a"]["clearedAt"].is_number());
}

#[test]
fn what_is_remembered_of_a_key_that_is_not_here_now_can_be_cleared() {
    let world = two();
    remember(&world, "anthropic:key-00000000", json!({"revokedAt": millis(-60)}));
    world.run(&["auth", "clear", "anthropic:key-00000000"]).ended(0);
    assert_eq!(file(&world)["usageStats"]["anthropic:key-00000000"].get("revokedAt"), None);
}

#[test]
fn a_profile_that_is_not_there_is_told_with_the_nearest_one() {
    let world = two();
    store(&world, &[("me@work.com", KEY)]);
    for command in ["clear", "disable", "enable", "logout"] {
        let ran = world.run(&["auth", command, "anthropic:me@wrk.com"]);
        ran.complained(2, &["anthropic:me@wrk.com", "did you mean anthropic:me@work.com?"]);
    }
    assert_eq!(file(&world)["usageStats"].get("anthropic:me@wrk.com"), None);
    world.run(&["auth", "clear"]).complained(2, &["PROFILE"]);
}

#[test]
fn logging_out_removes_what_is_stored_and_says_what_that_was() {
    let world = two();
    store(&world, &[("c", KEY)]);
    let ran = world.run(&["auth", "logout", "anthropic:b"]).ended(0);
    assert_eq!(ran.stdout, "removed anthropic:b\n");
    let ran = world.run(&["auth", "logout", "anthropic"]).ended(0);
    assert_eq!(ran.stdout, "removed anthropic:a\nremoved anthropic:c\n");
    let ran = world.run(&["auth", "logout", "--all"]).ended(0);
    assert_eq!(ran.stdout, "no profile is stored\n");
    assert_eq!(file(&world)["profiles"], json!({}));
}

#[test]
fn a_key_that_is_not_stored_cannot_be_logged_out() {
    let world = World::new();
    configure(&world, json!(KEY));
    let ran = world.run(&["auth", "logout", super::PROFILE]);
    ran.complained(2, &["not stored", "polpo.json", "remove it there"]);
    world.write("polpo.json", "{}");
    let mut command = world.polpo(&["auth", "logout", "anthropic"]);
    command.env("ANTHROPIC_API_KEY", KEY);
    let ran = crate::support::Process::start(command).end();
    ran.complained(2, &[super::PROFILE, "ANTHROPIC_API_KEY"]);
}
