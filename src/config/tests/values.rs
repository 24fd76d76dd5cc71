//! What a good configuration means.

use std::time::Duration;

use polpo_policy::price::{Nanodollars, Rate};
use polpo_policy::quota::Limits;

use super::*;
use crate::config::{STARTER, Synchronous, json_schema, load, show};

const FULL: &str = r#"
// Everything that can be said.
{
  "$schema": "./polpo.schema.json",
  "providers": {
    "anthropic": "${KEY_A}",
    "poe": { "apiKey": "poe-key", "baseUrl": "https://api.poe.com/" },
    "team": { "apiKeys": ["${KEY_A}", "key-b"], "baseUrl": "http://127.0.0.1:8787/x", "maxConcurrency": 50 },
    "sso": {
      "baseUrl": "https://sso.example.com", "oauth": {
        "clientId": "client-1", "authorizeUrl": "https://id.example.com/authorize?code=true",
        "tokenUrl": "http://localhost:1/token", "redirectUri": "http://127.0.0.1:8085/callback", "scopes": ["read", "user:write"],
        "tokenHeaders": { "X-Gate": "${WHO}" }, "callHeaders": { "Anthropic-Beta": "some-beta", "x-gate": "open" }, "profileUrl": "https://id.example.com/me",
      },
    },
  },
  "agents": [
    {
      "name": "solver", "model": "anthropic/claude-sonnet-4.6@anthropic:me@example.com", "systemPrompt": "Cost: $${X} ${WHO}",
      "maxTokens": 100, "maxConcurrency": 64, "fallbacks": ["claude-haiku-4-5-20251001", "poe:x"],
      "retryPolicy": { "maxRetries": 0, "escalateModel": "claude-opus-4.6" },
    },
  ],
  "team": { "name": "t", "agents": [{ "name": "second" }] },
  "teams": [{ "agents": [{ "name": "third", "model": "poe:claude-sonnet-4.6" }] }],
  "settings": {
    "maxConcurrency": 7, "maxQueueSeconds": 8, "defaultRetryPolicy": { "maxRetries": 9, "escalateAfter": 2 },
    "modelAllowlist": { "claude-*": { "alias": "Claude" }, "poe:*": {} },
    "cooldown": { "stepsSeconds": [1, 2] },
    "billingDisable": { "billingBackoffHours": 0.5, "billingMaxHours": 1, "failureWindowHours": 2 },
    "prices": { "claude-opus-4.6": { "input": 5.0, "output": 25, "cacheWrite5m": 6.25 } },
    "journal": { "path": "j.db", "synchronous": "full" },
    "metrics": { "showProfileNames": true },
  },
  "gateway": {
    "bind": "[::1]:9000", "adminKey": "${KEY_ADMIN}", "maxHeldBytes": 33554432,
    "keys": [
      {
        "name": "alice", "key": "${KEY_ALICE}", "requestsPerMinute": 60, "tokensPerMinute": 100000, "maxCostUsdPerDay": 20.1,
        "maxCostUsd": 100, "maxConcurrency": 8, "models": ["claude-*"], "expires": "2026-12-31",
      },
      { "name": "bob", "key": "literal-key-of-bob", "expires": "2027-01-01T01:00:00+01:00" },
    ], /* the end */
  },
}
"#;
const VARIABLES: [(&str, &str); 4] = [
    ("KEY_A", "key-number-a"),
    ("WHO", "me"),
    ("KEY_ADMIN", "key-of-the-admin"),
    ("KEY_ALICE", "0123456789abcdef"),
];

#[test]
fn every_key_reaches_the_config() {
    let config = read(FULL, &VARIABLES).unwrap();
    let agent = config.agent("solver").unwrap();
    assert_eq!(agent.model.to_string(), "anthropic:claude-sonnet-4-6@anthropic:me@example.com");
    assert_eq!(agent.system_prompt.as_deref(), Some("Cost: ${X} me"));
    assert_eq!((agent.max_tokens, agent.max_concurrency), (100, Some(64)));
    assert_eq!(agent.fallbacks[1].to_string(), "poe:x", "fallbacks need no allowlist");
    assert_eq!((agent.retry.max_retries, agent.retry.escalate_after), (0, 2), "key by key");
    assert_eq!(agent.retry.escalate_model.to_string(), "anthropic:claude-opus-4-6");
    let third = config.agent("third").unwrap();
    assert_eq!(third.retry.escalate_model.to_string(), "poe:claude-opus-4-6", "at its provider");
    assert_eq!(config.agents.len(), 3);

    let settings = &config.settings;
    assert_eq!((settings.max_concurrency, settings.max_queue), (7, Duration::from_secs(8)));
    assert_eq!(settings.cooldown_steps, [1, 2].map(Duration::from_secs));
    assert_eq!(settings.billing.backoff, Duration::from_secs(1800));
    assert_eq!(settings.prices[0].1.cache_write_5m, Some(Rate(6_250_000_000)));
    assert_eq!(settings.journal.path, Some("j.db".into()));
    assert_eq!(settings.journal.synchronous, Synchronous::Full);
    assert!(settings.show_profile_names);

    let team = &config.providers[&"team".into()];
    assert_eq!((team.keys.len(), team.max_concurrency), (2, Some(50)));
    assert_eq!(config.providers[&"poe".into()].base_url.as_deref(), Some("https://api.poe.com"));

    let oauth = config.oauth(&"sso".into()).unwrap();
    assert_eq!(oauth.client_id, "client-1");
    assert_eq!(oauth.authorize_url, "https://id.example.com/authorize?code=true");
    assert_eq!(oauth.token_url, "http://localhost:1/token");
    assert_eq!(oauth.redirect_uri, "http://127.0.0.1:8085/callback");
    assert_eq!(oauth.scopes, ["read", "user:write"]);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(oauth.token_headers, [header("x-gate", "me")]);
    let call_headers = [header("anthropic-beta", "some-beta"), header("x-gate", "open")];
    assert_eq!(oauth.call_headers, call_headers);
    assert_eq!(oauth.profile_url.as_deref(), Some("https://id.example.com/me"));
    assert_eq!(config.oauth(&"team".into()).or(config.oauth(&"nobody".into())), None);
}

#[test]
fn every_key_of_the_gateway_reaches_the_config() {
    let gateway = read(FULL, &VARIABLES).unwrap().gateway;
    assert_eq!(gateway.bind.to_string(), "[::1]:9000");
    assert_eq!(gateway.admin_key.unwrap().expose(), "key-of-the-admin");
    assert_eq!(gateway.max_held_bytes, 32 << 20);
    let [alice, bob] = &gateway.keys[..] else { panic!("{:?}", gateway.keys) };
    assert_eq!((alice.name.as_str(), alice.key.expose()), ("alice", "0123456789abcdef"));
    let limits = Limits {
        requests_per_minute: 60,
        tokens_per_minute: Some(100_000),
        cost_per_day: Some(Nanodollars(20_100_000_000)),
        cost_total: Some(Nanodollars(100_000_000_000)),
        concurrency: Some(8),
    };
    assert_eq!(alice.limits, limits);
    assert_eq!(alice.models.as_ref().unwrap().patterns(), ["claude-*"]);
    let new_year = "2027-01-01T00:00:00Z".parse().ok();
    assert_eq!((alice.expires, bob.expires), (new_year, new_year), "a date is good to its end");
    assert_eq!((bob.limits, &bob.models), (Limits::default(), &None));
}

#[test]
fn a_provider_that_is_known_needs_neither_key_nor_url() {
    let text = r#"{ "providers": {
        "poe": { "maxConcurrency": 5 },
        "anthropic": { "oauth": { "clientId": "c", "authorizeUrl": "https://a.example.com",
            "tokenUrl": "https://t.example.com", "redirectUri": "http://localhost/" } }
    } }"#;
    let config = read(text, &[]).unwrap();
    assert_eq!(config.providers[&"poe".into()].max_concurrency, Some(5));
    let oauth = config.oauth(&"anthropic".into()).unwrap();
    assert_eq!((oauth.scopes.len(), &oauth.profile_url), (0, &None));
}

#[test]
fn nothing_configured_is_one_agent_named_default() {
    let config = load(None, Accounts::Real, &env(&[])).unwrap();
    assert_eq!(config.agents.len(), 1);
    let agent = config.agent("default").unwrap();
    assert_eq!(agent.model.to_string(), "anthropic:claude-sonnet-4-6");
    assert_eq!((agent.retry.max_retries, agent.retry.escalate_after), (2, 1));
    assert_eq!(agent.retry.escalate_model.to_string(), "anthropic:claude-opus-4-6");
    assert_eq!(agent.max_tokens, 8192);
    assert_eq!(config.settings.max_concurrency, 256);
    assert_eq!(config.settings.max_queue, Duration::from_secs(60));
    assert_eq!(config.settings.cooldown_steps, [60, 300, 1500, 3600].map(Duration::from_secs));
    assert_eq!(config.settings.billing.max, Duration::from_secs(24 * 3600));
    let gateway = config.gateway;
    assert_eq!(gateway.bind.to_string(), "127.0.0.1:8787");
    assert_eq!((gateway.admin_key, gateway.keys.len()), (None, 0));
    assert_eq!(gateway.max_held_bytes, 1 << 30);
    assert_eq!((config.origin, config.settings.allowlist), (None, None));
}

#[test]
fn polpo_model_serves_agents_without_a_model_only() {
    let text = r#"{ "agents": [{ "name": "a" }, { "name": "b", "model": "claude-opus-4-6" }] }"#;
    let config = read(text, &[("POLPO_MODEL", "poe:claude-haiku-4.5")]).unwrap();
    assert_eq!(config.agents[0].model.provider.as_str(), "poe");
    assert_eq!(config.agents[1].model.to_string(), "anthropic:claude-opus-4-6");
}

#[test]
fn a_default_escalation_that_the_allowlist_forbids_is_none() {
    let text = r#"{ "settings": { "modelAllowlist": ["*sonnet*"] } }"#;
    let agent = &read(text, &[]).unwrap().agents[0];
    assert_eq!(agent.retry.escalate_model, agent.model);
}

#[test]
fn a_simulated_run_needs_no_variable_and_reads_no_key_file() {
    let text = r#"{ "providers": { "anthropic": "${UNSET}", "team": "file:no/such/file" } }"#;
    assert!(read(text, &[]).is_err());
    assert!(read_for(text, Accounts::Simulated, &[]).unwrap().providers.is_empty());
}

#[test]
fn a_simulation_has_the_client_keys_that_stand_in_the_file_itself() {
    let text = r#"{ "gateway": { "adminKey": "${UNSET}", "bind": "${BIND}", "keys": [
        { "name": "a", "key": "file:no/such/file" }, { "name": "b", "key": "x${UNSET}" },
        { "name": "c", "key": "literal-key-of-c" }
    ] } }"#;
    let variables = [("BIND", "127.0.0.1:1")];
    assert!(read(text, &variables).is_err());
    let gateway = read_for(text, Accounts::Simulated, &variables).unwrap().gateway;
    assert_eq!((gateway.bind.port(), gateway.admin_key), (1, None));
    let names: Vec<_> = gateway.keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["c"]);
}

#[test]
fn a_key_file_is_trimmed_and_found_beside_the_config() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key.txt"), "  the-key\n").unwrap();
    let file = directory.path().join("polpo.json");
    std::fs::write(&file, r#"{ "providers": { "poe": "file:key.txt" } }"#).unwrap();
    let config = load(Some(&file), Accounts::Real, &env(&[])).unwrap();
    assert_eq!(config.providers[&"poe".into()].keys[0].expose(), "the-key");
    assert_eq!(config.origin, Some(file));
}

#[test]
fn what_show_prints_is_the_same_config_without_its_keys() {
    let config = read(FULL, &VARIABLES).unwrap();
    let shown = show(&config);
    insta::assert_snapshot!(shown);
    let error = read(&shown, &[]).unwrap_err().to_string();
    assert!(error.contains("can be guessed"), "nobody runs a gateway with masks for keys: {error}");
    let mut filled: serde_json::Value = serde_json::from_str(&shown).unwrap();
    filled["gateway"]["adminKey"] = "key-of-the-admin".into();
    for (at, key) in filled["gateway"]["keys"].as_array_mut().unwrap().iter_mut().enumerate() {
        key["key"] = format!("0123456789abcdef-{at}").into();
    }
    let again = read(&filled.to_string(), &[]).unwrap();
    assert_eq!(again.agents, config.agents);
    assert_eq!(again.gateway.keys[0].limits, config.gateway.keys[0].limits);
    assert_eq!(show(&again), shown);
}

#[test]
fn the_starter_is_valid_and_so_is_what_it_has_in_comments() {
    let config = read(STARTER, &[]).unwrap();
    assert_eq!(config.agents[0].name.as_str(), "solver");
    let all: String = STARTER
        .lines()
        .map(|line| match line.trim_start().strip_prefix("// ") {
            Some(code) if code.starts_with(['"', '}', ' ']) => format!("{code}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("keys")).unwrap();
    std::fs::write(directory.path().join("keys/b.txt"), "key-b").unwrap();
    let file = directory.path().join("polpo.json");
    std::fs::write(&file, all).unwrap();
    let variables = [
        ("ANTHROPIC_KEY_A", "key-a"),
        ("POE_API_KEY", "key-p"),
        ("POLPO_ADMIN_KEY", "key-of-the-admin"),
        ("ALICE_KEY", "0123456789abcdef"),
    ];
    let config = load(Some(&file), Accounts::Real, &env(&variables)).unwrap();
    assert_eq!(config.providers[&"anthropic".into()].keys.len(), 2);
    assert_eq!(config.agents[0].fallbacks.len(), 1);
    assert!(config.settings.allowlist.is_some());
    assert!(config.gateway.admin_key.is_some() && config.gateway.keys.len() == 1);
}

#[test]
fn the_schema_takes_what_the_loader_takes_and_refuses_unknown_keys() {
    let text = json_schema();
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut full = FULL.to_owned();
    json_strip_comments::strip(&mut full).unwrap();
    let full: serde_json::Value = serde_json::from_str(&full).unwrap();
    let errors: Vec<String> = validator.iter_errors(&full).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    for bad in [
        r#"{ "gateway": { "keys": [{ "name": "a" }] } }"#,
        r#"{ "agents": [{ "name": "a b" }] }"#,
        r#"{ "settings": { "maxConcurrency": 0 } }"#,
        r#"{ "providers": { "poe": { "key": "x" } } }"#,
    ] {
        assert!(!validator.is_valid(&serde_json::from_str(bad).unwrap()), "{bad}");
    }
}

#[test]
fn every_key_of_the_schema_has_a_description() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    let definitions = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for object in definitions.filter_map(|d| d["properties"].as_object()) {
        for (key, value) in object {
            assert!(value["description"].is_string(), "{key}");
        }
    }
}
