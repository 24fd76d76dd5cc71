//! `polpo gateway key`: keys of clients, made, shown and taken back.

use std::os::unix::fs::MetadataExt as _;

use chrono::{DateTime, TimeDelta, Utc};
use polpo_store::journal::BookedCall;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::gateway_costs::{book, call};
use crate::support::{Ran, World};

fn key(world: &World, arguments: &[&str]) -> Ran {
    world.run(&[&["gateway", "key"], arguments].concat())
}

/// Makes a key, and says which.
fn add(world: &World, arguments: &[&str]) -> String {
    let ran = key(world, &[&["add"], arguments].concat()).ended(0);
    ran.stdout.trim_end().to_owned()
}

fn list(world: &World, arguments: &[&str]) -> Vec<Value> {
    let ran = key(world, &[&["list", "--json"], arguments].concat()).ended(0);
    ran.json().as_array().unwrap().clone()
}

fn file(world: &World) -> Value {
    serde_json::from_str(&world.read("state/gateway-keys.json")).unwrap()
}

/// A polpo.json with the client key of alice.
fn with_alice() -> World {
    let world = World::new();
    let alice =
        json!({"name": "alice", "key": "a-key-that-is-configured", "maxCostUsdPerDay": 1.5});
    world.write("polpo.json", json!({"gateway": {"keys": [alice]}}).to_string());
    world
}

#[test]
fn a_key_is_printed_alone_and_once_and_only_its_hash_is_kept() {
    let world = World::new();
    let ran = key(&world, &["add", "alice"]).complained(0, &["alice", "x-api-key"]);
    let random = ran.stdout.strip_prefix("sk-polpo-").unwrap().strip_suffix('\n').unwrap();
    assert_eq!(random.len(), 43);
    assert!(random.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{random}");
    assert!(!ran.stderr.contains(random));

    let path = world.path("state/gateway-keys.json");
    assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o7777, 0o600);
    for (path, bytes) in world.state() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains(&random[4..]), "{}", path.display());
    }
    let hash = Sha256::digest(ran.stdout.trim_end());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(file(&world)["keys"][0]["sha256"], hex.as_str());

    let other = add(&world, &["bob"]);
    assert_ne!(other, ran.stdout.trim_end());
    for arguments in [&["list"][..], &["list", "--json"], &["revoke", "bob"]] {
        let ran = key(&world, arguments).ended(0);
        assert!(!ran.to_string().contains(random) && !ran.to_string().contains(&other), "{ran}");
    }
}

#[test]
fn every_limit_is_kept_and_shown() {
    let world = with_alice();
    let limits = [
        "bob",
        "--models",
        "claude-*",
        "--models",
        "poe:*",
        "--requests-per-minute",
        "60",
        "--tokens-per-minute",
        "100000",
        "--max-cost-usd-per-day",
        "20.000000001",
        "--max-cost-usd",
        "100",
        "--max-concurrency",
        "8",
        "--expires",
        "2999-12-31",
    ];
    let bob = add(&world, &limits);
    let rows = list(&world, &[]);
    let [alice, row] = &rows[..] else { panic!("{rows:?}") };
    let expected = json!({
        "name": "bob", "startsWith": &bob[..13], "source": "stored", "state": "good",
        "requestsPerMinute": 60, "tokensPerMinute": 100_000, "maxCostUsdPerDay": 20.000_000_001,
        "maxCostUsd": 100, "maxConcurrency": 8, "models": ["claude-*", "poe:*"],
        "createdAt": row["createdAt"], "expires": "3000-01-01T00:00:00Z", "revokedAt": null,
        "spentTodayUsd": 0, "spentUsd": 0,
    });
    assert_eq!(row, &expected);
    assert_eq!(alice["source"], "config");
    assert_eq!((&alice["startsWith"], &alice["maxCostUsdPerDay"]), (&Value::Null, &json!(1.5)));
    assert_eq!((&alice["requestsPerMinute"], &alice["models"]), (&json!(500), &Value::Null));

    let table = key(&world, &["list"]).ended(0).stdout;
    let words = [
        "alice",
        "bob",
        &bob[..13],
        "60 requests a minute",
        "100000 tokens a minute",
        "$20.000000001 a day",
        "$100 in all",
        "8 at once",
        "claude-*, poe:*",
    ];
    for word in words {
        assert!(table.contains(word), "no {word} in\n{table}");
    }
    assert!(!table.contains("a-key-that-is-configured"), "{table}");
}

#[test]
fn a_key_ends_after_a_span_or_with_a_date() {
    let world = World::new();
    for (name, typed, seconds) in
        [("a", "30d", 30 * 86_400), ("b", "12h", 43_200), ("c", "5m", 300)]
    {
        add(&world, &[name, "--expires", typed]);
        let row = list(&world, &[]).pop().unwrap();
        let time = |name: &str| row[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        assert_eq!(time("expires") - time("createdAt"), TimeDelta::seconds(seconds), "{typed}");
    }
    let mut file = file(&world);
    file["keys"][2]["expires"] = "2026-01-01T00:00:00.000Z".into();
    world.write("state/gateway-keys.json", file.to_string());
    assert_eq!(list(&world, &[])[2]["state"], "expired");
    for typed in ["yesterday", "2020-01-01", "0d", "-1d", "30", "2026-02-30"] {
        let ran = key(&world, &["add", "d", &format!("--expires={typed}")]).ended(2);
        assert!(ran.stderr.contains("--expires") && ran.stdout.is_empty(), "{ran}");
    }
    assert_eq!(list(&world, &[]).len(), 3);
}

#[test]
fn a_key_that_is_taken_back_frees_its_name_and_stays_known() {
    let world = World::new();
    add(&world, &["alice"]);
    key(&world, &["add", "alice"]).complained(2, &["alice already", "revoke alice"]);
    assert!(key(&world, &["revoke", "alice"]).ended(0).stdout.contains("revoked alice"));
    let row = &list(&world, &[])[0];
    assert_eq!(row["state"], "revoked");
    assert!(row["revokedAt"].is_string());
    assert!(key(&world, &["revoke", "alice"]).ended(0).stdout.contains("revoked before"));
    add(&world, &["alice"]);
    let states: Vec<_> = list(&world, &[]).iter().map(|row| row["state"].clone()).collect();
    assert_eq!(states, ["revoked", "good"]);
    key(&world, &["revoke", "alic"]).complained(2, &["`alic`", "did you mean alice?"]);
    key(&world, &["revoke", "zzz"]).complained(2, &["`zzz`", "key list"]);
}

#[test]
fn a_name_of_polpo_json_is_taken_and_its_key_is_taken_back_there() {
    let world = with_alice();
    key(&world, &["add", "alice"]).complained(2, &["polpo.json has a client key named alice"]);
    key(&world, &["revoke", "alice"]).complained(2, &["polpo.json", "remove it there"]);
    // One that was there before polpo.json had its name.
    world.write("polpo.json", "{}");
    add(&world, &["bob"]);
    let bob = json!({"name": "bob", "key": "a-key-that-is-configured"});
    world.write("polpo.json", json!({"gateway": {"keys": [bob]}}).to_string());
    let states: Vec<_> = list(&world, &[]).iter().map(|row| row["state"].clone()).collect();
    assert_eq!(states, ["good", "unused"]);
    let ran = key(&world, &["revoke", "bob"]).complained(2, &["polpo.json", "good still"]);
    assert!(ran.stdout.contains("revoked bob"), "{ran}");
}

#[test]
fn what_is_no_name_or_no_limit_makes_no_key() {
    let world = World::new();
    let typed = "sk-polpo-0123456789abcdef0123456789abcdef0123456789a";
    let long = "x".repeat(65);
    for arguments in [
        &["add", ""][..],
        &["add", "a b"],
        &["add", "é"],
        &["add", &long],
        &["add"],
        &["add", "a", "--max-cost-usd", "0"],
        &["add", "a", "--max-cost-usd=-1"],
        &["add", "a", "--max-cost-usd", "1e3"],
        &["add", "a", "--max-cost-usd-per-day", "0.0000000001"],
        &["add", "a", "--max-cost-usd-per-day", "1000000.000000001"],
        &["add", "a", "--requests-per-minute", "0"],
        &["add", "a", "--tokens-per-minute", "0"],
        &["add", "a", "--max-concurrency", "0"],
        &["add", "a", "--models", ""],
    ] {
        let ran = key(&world, arguments).ended(2);
        assert!(ran.stdout.is_empty(), "{ran}");
    }
    for command in ["add", "revoke"] {
        let ran = key(&world, &[command, typed]).complained(2, &["that is a key"]);
        assert!(!ran.to_string().contains(typed), "{ran}");
    }
    assert!(!world.path("state/gateway-keys.json").exists());
    assert!(key(&world, &["list"]).ended(0).stdout.contains("no client keys"));
}

#[test]
fn keys_of_simulated_gateways_have_a_file_of_their_own() {
    let world = World::new();
    add(&world, &["real"]);
    add(&world, &["simulated", "--simulate"]);
    let names = |arguments: &[&str]| -> Vec<Value> {
        list(&world, arguments).iter().map(|row| row["name"].clone()).collect()
    };
    assert_eq!(
        (names(&[]), names(&["--simulate"])),
        (vec!["real".into()], vec!["simulated".into()])
    );
    assert!(world.path("state/simulated/gateway-keys.json").exists());
    key(&world, &["revoke", "simulated"]).complained(2, &["no client key"]);
    key(&world, &["revoke", "simulated", "--simulate"]).ended(0);
}

#[test]
fn a_damaged_file_opens_nothing_and_a_new_key_moves_it_aside() {
    let world = World::new();
    add(&world, &["alice"]);
    world.write("state/gateway-keys.json", "damaged");
    key(&world, &["list"]).complained(2, &["gateway-keys.json is damaged"]);
    key(&world, &["revoke", "alice"]).complained(5, &["gateway-keys.json is damaged"]);
    assert_eq!(world.read("state/gateway-keys.json"), "damaged");
    let ran = key(&world, &["add", "bob"]).complained(0, &["moved to"]);
    assert!(ran.stdout.starts_with("sk-polpo-"), "{ran}");
    assert_eq!(list(&world, &[]).len(), 1);
}

#[test]
fn what_a_client_has_spent_is_shown_beside_its_key() {
    let world = with_alice();
    add(&world, &["bob"]);
    let now = Utc::now();
    let today = |name, cost| BookedCall { started_at: now, ended_at: now, ..call(name, cost) };
    book(&world, "", vec![call("alice", 250_000_000), today("bob", 1), call("bob", 2)], vec![]);
    let spent: Value = list(&world, &[])
        .iter()
        .map(|row| json!([row["name"], row["spentTodayUsd"], row["spentUsd"]]))
        .collect();
    assert_eq!(spent, json!([["alice", 0, 0.25], ["bob", 1e-9, 3e-9]]));
    let table = key(&world, &["list"]).ended(0).stdout;
    assert!(table.contains("$0.25") && table.contains("$0.000000003"), "{table}");
}
