//! Which credential serves a provider.

use super::*;
use crate::config::{Credentials, Found, FoundSecret, resolve_credentials};

/// Resolves a text with these variables, and with these profiles in the profile file.
fn resolve(text: &str, variables: &[(&str, &str)], stored: &[&str]) -> Credentials {
    let config = read(text, variables).unwrap();
    let stored: Vec<_> =
        stored.iter().map(|id| ((*id).into(), id.split_once(':').unwrap().0.into())).collect();
    resolve_credentials(&config, &stored, &env(variables)).unwrap()
}

fn secret(found: &Found) -> &str {
    match &found.secret {
        FoundSecret::Key(key) => key.expose(),
        FoundSecret::Stored => "(stored)",
    }
}

/// Every profile with what it signs with.
fn secrets(found: &Credentials) -> Vec<(&str, &str)> {
    found.profiles.iter().map(|profile| (profile.id.as_str(), secret(profile))).collect()
}

const TEAM: &str = r#"{ "providers": {
    "anthropic": "key-number-a",
    "poe": { "apiKey": "poe-key", "baseUrl": "https://api.poe.com/" },
    "team": { "apiKeys": ["key-number-a", "key-b"], "baseUrl": "http://127.0.0.1:8787/x", "maxConcurrency": 50 }
} }"#;

#[test]
fn keys_come_from_the_file_first_and_from_the_environment_else() {
    let variables =
        [("ANTHROPIC_API_KEY", "shadowed"), ("ANTHROPIC_BASE_URL", "http://localhost:1/")];
    let found = resolve(TEAM, &variables, &[]);
    let profiles: Vec<_> = found
        .profiles
        .iter()
        .map(|p| (p.id.as_str(), secret(p), p.base_url.as_str(), p.max_concurrency))
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
    let text = r#"{ "providers": {
        "anthropic": { "baseUrl": "http://mine" }, "poe": { "maxConcurrency": 5 }
    } }"#;
    let found = resolve(text, &variables, &[]);
    assert_eq!(found.profiles[0].base_url, "http://mine", "polpo.json beats the variable");
    assert_eq!(found.profiles[1].base_url, "https://api.poe.com");
    assert_eq!((secret(&found.profiles[1]), found.profiles[1].max_concurrency), ("k2", Some(5)));
}

#[test]
fn a_base_url_for_anthropic_in_the_environment_is_not_poe_s() {
    let variables = [("POE_API_KEY", "k"), ("ANTHROPIC_BASE_URL", "http://localhost:1")];
    let found = resolve("{}", &variables, &["anthropic:me@example.com"]);
    let urls: Vec<_> = found.profiles.iter().map(|profile| profile.base_url.as_str()).collect();
    assert_eq!(urls, ["http://localhost:1", "https://api.poe.com"]);
}

#[test]
fn stored_profiles_serve_where_there_is_no_key() {
    let stored = ["anthropic:b@example.com", "anthropic:a@example.com", "team:x"];
    let text = r#"{ "providers": { "team": { "baseUrl": "http://team", "maxConcurrency": 7 } } }"#;
    let found = resolve(text, &[("POE_API_KEY", "k")], &stored);
    assert_eq!(
        secrets(&found),
        [
            ("anthropic:b@example.com", "(stored)"),
            ("anthropic:a@example.com", "(stored)"),
            ("poe:key-8254c329", "k"),
            ("team:x", "(stored)"),
        ]
    );
    assert_eq!(found.profiles[0].base_url, "https://api.anthropic.com");
    let team = &found.profiles[3];
    assert_eq!((team.base_url.as_str(), team.max_concurrency), ("http://team", Some(7)));
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
}

#[test]
fn a_key_shadows_the_stored_profiles_of_its_provider_and_says_which() {
    let stored = ["anthropic:a@example.com", "poe:me", "anthropic:b@example.com"];
    let found = resolve("{}", &[("ANTHROPIC_API_KEY", "from-the-variable")], &stored);
    let ids: Vec<_> = found.profiles.iter().map(|profile| profile.id.as_str()).collect();
    assert_eq!(ids, ["anthropic:key-85f702df", "poe:me"]);
    let in_file = r#"{ "providers": { "anthropic": "from-the-file" } }"#;
    let both = resolve(in_file, &[("ANTHROPIC_API_KEY", "from-the-variable")], &stored[..1]);
    assert_eq!(secrets(&both), [("anthropic:key-163d12d0", "from-the-file")]);
    let warnings = [found.warnings, both.warnings].concat();
    insta::assert_snapshot!(warnings.join("\n"));
}

#[test]
fn a_stored_profile_of_a_provider_without_a_url_is_left_out_and_said_so() {
    let stored = ["team:a", "team:b", "poe:me"];
    let found = resolve("{}", &[], &stored);
    assert_eq!(secrets(&found), [("poe:me", "(stored)")]);
    insta::assert_snapshot!(found.warnings.join("\n"));
}

#[test]
fn without_any_credential_there_is_no_profile() {
    let text = r#"{ "providers": { "anthropic": { "maxConcurrency": 5 } } }"#;
    let found = resolve(text, &[("ANTHROPIC_API_KEY", " ")], &[]);
    assert!(found.profiles.is_empty() && found.warnings.is_empty());
}

#[test]
fn a_key_that_stands_twice_is_one_profile_and_a_warning() {
    let text = r#"{ "providers": { "poe": { "apiKeys": ["same-key", "same-key"] } } }"#;
    let found = resolve(text, &[], &[]);
    assert_eq!((found.profiles.len(), found.warnings.len()), (1, 1));
    assert!(!found.warnings[0].contains("same-key"), "{}", found.warnings[0]);
}
