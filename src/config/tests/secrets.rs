//! A secret appears nowhere, wherever it is typed.

use super::*;
use crate::config::{resolve_credentials, show};

/// A key with the usual prefix, and one without: that one is recognised by being a key elsewhere.
const MARKED: [&str; 2] = ["sk-ant-MARKED-0123456789abcdef", "MARKED0123456789abcdefMARKED"];

/// Every output that a configuration leads to.
fn outputs(text: &str, accounts: Accounts, variables: &[(&str, &str)]) -> String {
    match read_for(text, accounts, variables) {
        Err(error) => format!("{error}\n{error:?}\n{:?}", std::error::Error::source(&error)),
        Ok(config) => {
            let credentials = resolve_credentials(&config, &[], &env(variables));
            format!("{config:?}\n{}\n{credentials:?}", show(&config))
        }
    }
}

fn assert_silent(text: &str, variables: &[(&str, &str)]) {
    for accounts in [Accounts::Real, Accounts::Simulated] {
        let output = outputs(text, accounts, variables);
        assert!(!output.contains("MARKED"), "{text}\n{output}");
    }
}

/// Documents with `X` at every place there is, right and wrong.
const PLACES: &[&str] = &[
    "X",
    "[X]",
    "{ X: 1 }",
    "{ X: {}, X: {} }",
    "{ \"providers\": X }",
    "{ \"providers\": { X: \"k\" } }",
    "{ \"providers\": { X: { \"baseUrl\": 5 } } }",
    "{ \"providers\": { \"poe\": X } }",
    "{ \"providers\": { \"poe\": [X] } }",
    "{ \"providers\": { \"team\": X } }",
    "{ \"providers\": { \"poe\": { X: 1 } } }",
    "{ \"providers\": { \"poe\": { \"key\": X } } }",
    "{ \"providers\": { \"poe\": { \"apiKey\": X } } }",
    "{ \"providers\": { \"poe\": { \"apiKey\": [X] } } }",
    "{ \"providers\": { \"poe\": { \"apiKey\": { \"a\": X } } } }",
    "{ \"providers\": { \"poe\": { \"apiKey\": X, \"apiKeys\": [X] } } }",
    "{ \"providers\": { \"poe\": { \"apiKeys\": X } } }",
    "{ \"providers\": { \"poe\": { \"apiKeys\": [X, X] } } }",
    "{ \"providers\": { \"poe\": { \"apiKeys\": [X, 5] } } }",
    "{ \"providers\": { \"poe\": { \"baseUrl\": X } } }",
    "{ \"providers\": { \"poe\": { \"maxConcurrency\": X } } }",
    "{ \"providers\": { \"poe\": { \"oauth\": X } } }",
    "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": X, \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\" } } } }",
    "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": X, \"redirectUri\": \"http://localhost\" } } } }",
    "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": X } } } }",
    "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"scopes\": [X] } } } }",
    "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"callHeaders\": { X: \"b\" } } } } }",
    "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"tokenHeaders\": { \"x-a\": X } } } } }",
    "{ \"agents\": X }",
    "{ \"agents\": [X] }",
    "{ \"agents\": [{ X: 1 }] }",
    "{ \"agents\": [{ \"name\": X }] }",
    "{ \"agents\": [{ \"name\": X }, { \"name\": X }] }",
    "{ \"agents\": [{ \"name\": \"a\", \"model\": X }] }",
    "{ \"agents\": [{ \"name\": \"a\", \"fallbacks\": X }] }",
    "{ \"agents\": [{ \"name\": \"a\", \"fallbacks\": [X] }] }",
    "{ \"agents\": [{ \"name\": \"a\", \"systemPrompt\": X }] }",
    "{ \"agents\": [{ \"name\": \"a\", \"maxTokens\": X }] }",
    "{ \"agents\": [{ \"name\": \"a\", \"retryPolicy\": X }] }",
    "{ \"agents\": [{ \"name\": \"a\", \"retryPolicy\": { \"escalateModel\": X } }] }",
    "{ \"team\": X }",
    "{ \"team\": { \"name\": X } }",
    "{ \"teams\": [{ \"agents\": [{ \"name\": X }] }] }",
    "{ \"settings\": { X: 1 } }",
    "{ \"settings\": { \"maxConcurrency\": X } }",
    "{ \"settings\": { \"modelAllowlist\": X } }",
    "{ \"settings\": { \"modelAllowlist\": [X] } }",
    "{ \"settings\": { \"modelAllowlist\": { X: 1 } } }",
    "{ \"settings\": { \"cooldown\": { \"stepsSeconds\": [X] } } }",
    "{ \"settings\": { \"prices\": { X: 1 } } }",
    "{ \"settings\": { \"prices\": { X: { \"input\": -1, \"output\": 1 } } } }",
    "{ \"settings\": { \"prices\": { \"m\": { \"input\": X, \"output\": 1 } } } }",
    "{ \"settings\": { \"journal\": { \"path\": X } } }",
    "{ \"settings\": { \"journal\": { \"synchronous\": X } } }",
    "{ \"settings\": { \"metrics\": { \"showProfileNames\": X } } }",
    "{ \"gateway\": X }",
    "{ \"gateway\": { X: 1 } }",
    "{ \"gateway\": { \"adminKey\": X } }",
    "{ \"gateway\": { \"adminKey\": [X] } }",
    "{ \"gateway\": { \"bind\": X } }",
    "{ \"gateway\": { \"maxHeldBytes\": X } }",
    "{ \"gateway\": { \"keys\": [X] } }",
    "{ \"gateway\": { \"adminKey\": X, \"keys\": [{ \"name\": \"a\", \"key\": X }] } }",
    "{ \"gateway\": { \"keys\": [{ \"name\": X, \"key\": \"0123456789abcdef\" }] } }",
    "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": X }, { \"name\": \"b\", \"key\": X }] } }",
    "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"models\": [X] }] } }",
    "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"maxCostUsd\": X }] } }",
    "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"expires\": X }] } }",
    "{ \"$schema\": X }",
    "{ \"agents\": [] X }",
    "{ \"agents\": [], X",
    "// X\n{ X }",
];

/// [`PLACES`] with `value` there.
fn places(value: &str) -> Vec<String> {
    PLACES.iter().map(|place| place.replace('X', value)).collect()
}

#[test]
fn a_key_typed_anywhere_appears_in_no_error_no_debug_and_no_show() {
    let quoted = format!("\"{}\"", MARKED[0]);
    for text in places(&quoted).into_iter().chain(places(MARKED[0])) {
        assert_silent(&text, &[]);
    }
    // With quotes, escapes and the library's own words inside, which a naive filter trips over.
    for inner in [
        "sk-ant-MARKED\\\", expected MARKED",
        "sk-ant-`, expected `MARKED`, expected one of `MARKED`",
        "sk-ant-\\u004dARKED at line 1 column MARKED",
        "sk-ant-MARKED\\nMARKED",
        "file:sk-ant-MARKED",
        "${sk-ant-MARKED}",
        "anthropic:sk-ant-MARKED",
        "claude-opus-4-6@anthropic:sk-ant-MARKED",
        "https://sk-ant-MARKED@host",
        "https://host/sk-ant-MARKED",
    ] {
        for text in places(&format!("\"{inner}\"")) {
            assert_silent(&text, &[]);
        }
    }
}

#[test]
fn a_key_of_the_environment_put_anywhere_appears_nowhere() {
    for key in MARKED {
        let variables = [("ANTHROPIC_API_KEY", key), ("POE_API_KEY", "other-key")];
        for text in places("\"${ANTHROPIC_API_KEY}\"") {
            let output = outputs(&text, Accounts::Real, &variables);
            assert!(!output.contains("MARKED"), "{text}\n{output}");
        }
        let strange =
            [("POLPO_MODEL", key), ("ANTHROPIC_BASE_URL", key), ("ANTHROPIC_API_KEY", key)];
        assert_silent("{}", &strange);
    }
}

#[test]
fn a_key_that_stands_where_it_belongs_is_refused_elsewhere_whatever_it_looks_like() {
    let text = |place: &str| {
        format!("{{ \"providers\": {{ \"poe\": \"{key}\" }}, {place} }}", key = MARKED[1])
            .replace('X', &format!("say {}", MARKED[1]))
    };
    for place in [
        "\"agents\": [{ \"name\": \"a\", \"systemPrompt\": \"X\" }]",
        "\"settings\": { \"modelAllowlist\": [\"claude-*\", \"X\"] }",
        "\"settings\": { \"prices\": { \"X\": { \"input\": 1, \"output\": 1 } } }",
    ] {
        let error = read(&text(place), &[]).unwrap_err().to_string();
        assert!(error.contains("credential") && !error.contains("MARKED"), "{error}");
    }
}

#[test]
fn the_value_of_a_header_is_not_shown_whatever_it_looks_like() {
    let login = r#""clientId": "c", "authorizeUrl": "https://a", "tokenUrl": "https://t", "redirectUri": "https://r""#;
    for headers in ["tokenHeaders", "callHeaders"] {
        let oauth = format!(r#"{{ {login}, "{headers}": {{ "x-gate": "MARKED" }} }}"#);
        let text = format!(r#"{{ "providers": {{ "poe": {{ "oauth": {oauth} }} }} }}"#);
        assert!(read(&text, &[]).is_ok());
        assert_silent(&text, &[]);
    }
}

#[test]
fn a_key_file_that_is_no_key_is_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    for content in ["MARKED MARKED".to_owned(), String::new(), "MARKED".repeat(10_000)] {
        std::fs::write(&key, content).unwrap();
        let text = format!("{{ \"providers\": {{ \"poe\": \"file:{}\" }} }}", key.display());
        let error = read(&text, &[]).unwrap_err().to_string();
        assert!(error.contains("key file") && !error.contains("MARKED"), "{error}");
    }
}

#[test]
fn random_damage_to_a_config_with_keys_never_panics_and_never_shows_them() {
    let text = format!(
        r#"{{ "providers": {{ "poe": {{ "apiKeys": ["{}", "${{KEY}}"] }} }}, "agents": [{{ "name": "a" }}] }}"#,
        MARKED[0]
    );
    let mut seed = 42_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..3000 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            // Only where it does not break the marked words, which would no longer be recognised.
            if bytes[at].is_ascii_alphanumeric() || bytes[at] == b'-' {
                continue;
            }
            bytes[at] = b"{}[]\",:/* \\$x0"[random(14)];
        }
        let damaged = String::from_utf8(bytes).unwrap();
        assert_silent(&damaged, &[("KEY", MARKED[1])]);
    }
}
