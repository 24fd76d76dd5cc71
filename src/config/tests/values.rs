//! What a good configuration means.

use std::time::Duration;

use polpo_policy::price::Rate;

use super::*;
use crate::config::{STARTER, Synchronous, json_schema, load, resolve_credentials, show};

const FULL: &str = r#"
// Everything that can be said.
{
  "$schema": "./polpo.schema.json",
  "providers": {
    "anthropic": "${KEY_A}",
    "poe": { "apiKey": "poe-key", "baseUrl": "https://api.poe.com/" },
    "team": { "apiKeys": ["${KEY_A}", "key-b"], "baseUrl": "http://127.0.0.1:8787/x", "maxConcurrency": 50 },
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
    "metrics": { "showProfileNames": true }, /* the end */
  },
}
"#;
const VARIABLES: [(&str, &str); 2] = [("KEY_A", "key-number-a"), ("WHO", "me")];

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
fn keys_come_from_the_file_first_and_from_the_environment_else() {
    let variables = [
        ("KEY_A", "key-number-a"),
        ("WHO", "me"),
        ("ANTHROPIC_API_KEY", "shadowed"),
        ("ANTHROPIC_BASE_URL", "http://localhost:1/"),
    ];
    let config = read(FULL, &variables).unwrap();
    let found = resolve_credentials(&config, &env(&variables)).unwrap();
    let profiles: Vec<_> = found
        .profiles
        .iter()
        .map(|p| (p.id.as_str(), p.key.expose(), p.base_url.as_str(), p.max_concurrency))
        .collect();
    assert_eq!(
        profiles,
        [
            ("anthropic:key-65bef331", "key-number-a", "http://localhost:1", None),
            ("poe:key-287d3a08", "poe-key", "https://api.poe.com", None),
            ("team:key-65bef331", "key-number-a", "http://127.0.0.1:8787/x", Some(50)),
            ("team:key-a30534a5", "key-b", "http://127.0.0.1:8787/x", Some(50)),
        ]
    );
    assert!(found.warnings.is_empty());

    let variables = [("ANTHROPIC_API_KEY", "k1"), ("POE_API_KEY", "k2")];
    let text = r#"{ "providers": { "anthropic": { "baseUrl": "http://mine" } } }"#;
    let found = resolve_credentials(&read(text, &variables).unwrap(), &env(&variables)).unwrap();
    assert_eq!(found.profiles[0].base_url, "http://mine", "polpo.json beats the variable");
    assert_eq!(found.profiles[1].base_url, "https://api.poe.com");
}

#[test]
fn a_key_that_stands_twice_is_one_profile_and_a_warning() {
    let text = r#"{ "providers": { "poe": { "apiKeys": ["same-key", "same-key"] } } }"#;
    let found = resolve_credentials(&read(text, &[]).unwrap(), &env(&[])).unwrap();
    assert_eq!((found.profiles.len(), found.warnings.len()), (1, 1));
    assert!(!found.warnings[0].contains("same-key"), "{}", found.warnings[0]);
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
    let again = read(&shown, &[]).unwrap();
    assert_eq!(again.agents, config.agents);
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
    let variables = [("ANTHROPIC_KEY_A", "key-a"), ("POE_API_KEY", "key-p")];
    let config = load(Some(&file), Accounts::Real, &env(&variables)).unwrap();
    assert_eq!(config.providers[&"anthropic".into()].keys.len(), 2);
    assert_eq!(config.agents[0].fallbacks.len(), 1);
    assert!(config.settings.allowlist.is_some());
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
        r#"{ "gateway": {} }"#,
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
