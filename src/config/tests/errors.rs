//! Every error says where, what and what to do.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::config::{Search, discover, load};

const BAD: [(&str, &str); 101] = [
    ("empty file", ""),
    ("not an object", "[1]"),
    ("array for settings", "{ \"settings\": [5, 60] }"),
    ("array for an agent", "{ \"agents\": [[\"a\"]] }"),
    ("array for a price", "{ \"settings\": { \"prices\": { \"m\": [1, 2] } } }"),
    ("unclosed", "{\n  \"agents\": [\n"),
    ("missing comma", "{\n  \"agents\": []\n  \"settings\": {}\n}"),
    ("stray slash", "{\n  \"settings\": { \"maxConcurrency\": / 3 }\n}"),
    ("two documents", "{} {}"),
    ("key twice", "{ \"agents\": [], \"agents\": [] }"),
    ("provider twice", "{ \"providers\": { \"poe\": \"a\",\n  \"poe\": \"b\" } }"),
    ("unknown key", "{ \"agent\": [] }"),
    ("unknown key below", "{\n  \"agents\": [{ \"name\": \"a\", \"max_tokens\": 5 }]\n}"),
    ("unknown key unlike any", "{ \"settings\": { \"metrics\": { \"zzz\": 1 } } }"),
    ("unknown key too long", "{ \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee\": 1 }"),
    ("key for a secret", "{ \"providers\": { \"poe\": { \"key\": \"x\" } } }"),
    ("array for the gateway", "{ \"gateway\": [] }"),
    ("array for a client key", "{ \"gateway\": { \"keys\": [[\"a\"]] } }"),
    ("gateway at no address", "{ \"gateway\": { \"bind\": \"localhost:8787\" } }"),
    ("gateway that holds nothing", "{ \"gateway\": { \"maxHeldBytes\": 1000 } }"),
    ("gateway that holds a word", "{ \"gateway\": { \"maxHeldBytes\": \"1 GiB\" } }"),
    ("client key without a key", "{ \"gateway\": { \"keys\": [{ \"name\": \"a\" }] } }"),
    (
        "client key with an unknown key",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"maxCost\": 1 }] } }",
    ),
    (
        "bad name of a client key",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a b\", \"key\": \"0123456789abcdef\" }] } }",
    ),
    (
        "client key name twice",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\" },\n{ \"name\": \"a\", \"key\": \"fedcba9876543210\" }] } }",
    ),
    (
        "client key twice",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\" },\n{ \"name\": \"b\", \"key\": \"0123456789abcdef\" }] } }",
    ),
    (
        "client key that is the admin key",
        "{ \"gateway\": { \"adminKey\": \"0123456789abcdef\", \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\" }] } }",
    ),
    (
        "short client key",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcde\" }] } }",
    ),
    ("short admin key", "{ \"gateway\": { \"adminKey\": \"0123456789abcde\" } }"),
    (
        "unset client key",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"${NO_SUCH_KEY}\" }] } }",
    ),
    (
        "client key in a missing file",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"file:no/such/file\" }] } }",
    ),
    (
        "no requests a minute",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"requestsPerMinute\": 0 }] } }",
    ),
    (
        "no tokens a minute",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"tokensPerMinute\": 0 }] } }",
    ),
    (
        "no money a day",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"maxCostUsdPerDay\": 0 }] } }",
    ),
    (
        "negative money",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"maxCostUsd\": -1 }] } }",
    ),
    (
        "too much money",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"maxCostUsd\": 1000000.01 }] } }",
    ),
    (
        "parts of a nanodollar",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"maxCostUsd\": 0.0000000001 }] } }",
    ),
    (
        "no models for a client",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"models\": [] }] } }",
    ),
    (
        "no request at once",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"maxConcurrency\": 0 }] } }",
    ),
    (
        "no date to end at",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"expires\": \"tomorrow\" }] } }",
    ),
    (
        "no day to end at",
        "{ \"gateway\": { \"keys\": [{ \"name\": \"a\", \"key\": \"0123456789abcdef\", \"expires\": \"2026-02-30\" }] } }",
    ),
    (
        "reserved in an agent",
        "{ \"team\": { \"agents\": [{ \"name\": \"a\", \"reasoning\": \"off\" }] } }",
    ),
    ("reserved in settings", "{ \"settings\": { \"maxCostUsd\": 1 } }"),
    ("array for OAuth", "{ \"providers\": { \"poe\": { \"oauth\": [\"c\"] } } }"),
    (
        "OAuth without a client id",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"authorizeUrl\": \"https://a\" } } } }",
    ),
    (
        "OAuth with an unknown key",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"clientSecret\": \"s\" } } } }",
    ),
    (
        "empty client id",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\" } } } }",
    ),
    (
        "token URL in the clear",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"http://id.example.com/token\", \"redirectUri\": \"http://localhost\" } } } }",
    ),
    (
        "authorize URL that is none",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"id.example.com\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\" } } } }",
    ),
    (
        "redirect URI with a fragment",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost/#x\" } } } }",
    ),
    (
        "profile URL with credentials",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"profileUrl\": \"https://u:p@host\" } } } }",
    ),
    (
        "scopes in one string",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"scopes\": [\"read write\"] } } } }",
    ),
    (
        "header that is ours",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"callHeaders\": { \"X-Api-Key\": \"x\" } } } } }",
    ),
    (
        "header with a bad name",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"tokenHeaders\": { \"a b\": \"x\" } } } } }",
    ),
    (
        "header with a bad value",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"tokenHeaders\": { \"x-a\": \"b\\nc\" } } } } }",
    ),
    (
        "header twice",
        "{ \"providers\": { \"poe\": { \"oauth\": { \"clientId\": \"c\", \"authorizeUrl\": \"https://a\", \"tokenUrl\": \"https://t\", \"redirectUri\": \"http://localhost\", \"callHeaders\": { \"x-a\": \"b\", \"X-A\": \"c\" } } } } }",
    ),
    ("string for a number", "{ \"settings\": { \"maxConcurrency\": \"many, expected few\" } }"),
    ("fraction", "{ \"settings\": { \"maxConcurrency\": 1.5 } }"),
    ("negative", "{ \"settings\": { \"maxConcurrency\": -1 } }"),
    ("zero", "{ \"settings\": { \"maxConcurrency\": 0 } }"),
    ("null", "{ \"agents\": null }"),
    ("object for an array", "{ \"agents\": {} }"),
    ("agent is a string", "{ \"agents\": [\"solver\"] }"),
    ("agent without a name", "{ \"agents\": [{ \"model\": \"claude-opus-4-6\" }] }"),
    ("agent with a bad name", "{ \"agents\": [{ \"name\": \"a b\" }] }"),
    (
        "agents with one name",
        "{ \"agents\": [{ \"name\": \"a\" }],\n \"teams\": [{ \"agents\": [{ \"name\": \"a\" }] }] }",
    ),
    ("model without a provider", "{ \"agents\": [{ \"name\": \"a\", \"model\": \"llama\" }] }"),
    ("empty model", "{ \"agents\": [{ \"name\": \"a\", \"model\": \"\" }] }"),
    ("foreign pin", "{ \"agents\": [{ \"name\": \"a\", \"model\": \"claude-opus-4-6@poe:me\" }] }"),
    (
        "bad fallback",
        "{ \"agents\": [{ \"name\": \"a\", \"fallbacks\": [\"claude-opus-4-6\", \"x\"] }] }",
    ),
    (
        "model not allowed",
        "{ \"agents\": [{ \"name\": \"a\", \"model\": \"claude-opus-4-6\" }], \"settings\": { \"modelAllowlist\": [\"*sonnet*\"] } }",
    ),
    (
        "escalation not allowed",
        "{ \"agents\": [{ \"name\": \"a\", \"retryPolicy\": { \"escalateModel\": \"claude-opus-4-6\" } }], \"settings\": { \"modelAllowlist\": [\"*sonnet*\"] } }",
    ),
    (
        "default escalation not allowed",
        "{ \"settings\": { \"modelAllowlist\": [\"*sonnet*\"], \"defaultRetryPolicy\": { \"escalateModel\": \"claude-opus-4-6\" } } }",
    ),
    ("default model not allowed", "{ \"settings\": { \"modelAllowlist\": [\"*haiku*\"] } }"),
    (
        "default model of an agent not allowed",
        "{ \"agents\": [{ \"name\": \"a\" }], \"settings\": { \"modelAllowlist\": [\"*haiku*\"] } }",
    ),
    ("empty allowlist", "{ \"settings\": { \"modelAllowlist\": [] } }"),
    ("allowlist is a string", "{ \"settings\": { \"modelAllowlist\": \"claude-*\" } }"),
    (
        "escalateAfter zero",
        "{ \"agents\": [{ \"name\": \"a\", \"retryPolicy\": { \"escalateAfter\": 0 } }] }",
    ),
    (
        "default escalateAfter zero",
        "{ \"settings\": { \"defaultRetryPolicy\": { \"escalateAfter\": 0 } } }",
    ),
    (
        "too many retries",
        "{ \"agents\": [{ \"name\": \"a\", \"retryPolicy\": { \"maxRetries\": 101 } }] }",
    ),
    ("maxTokens zero", "{ \"agents\": [{ \"name\": \"a\", \"maxTokens\": 0 }] }"),
    ("maxTokens above the model", "{ \"agents\": [{ \"name\": \"a\", \"maxTokens\": 9000000 }] }"),
    ("provider with a bad name", "{ \"providers\": { \"My Team\": \"k\" } }"),
    ("provider without a URL", "{ \"providers\": { \"team\": \"k\" } }"),
    ("provider is a number", "{ \"providers\": { \"poe\": 5 } }"),
    ("empty key", "{ \"providers\": { \"poe\": \"\" } }"),
    ("key with a newline", "{ \"providers\": { \"poe\": { \"apiKeys\": [\"a\", \"b\\nc\"] } } }"),
    (
        "two kinds of keys",
        "{ \"providers\": { \"poe\": { \"apiKey\": \"a\", \"apiKeys\": [\"b\"] } } }",
    ),
    ("no keys", "{ \"providers\": { \"poe\": { \"apiKeys\": [] } } }"),
    ("key file missing", "{ \"providers\": { \"poe\": \"file:no/such/key\" } }"),
    ("URL with a query", "{ \"providers\": { \"poe\": { \"baseUrl\": \"https://host/?a=b\" } } }"),
    (
        "URL with credentials",
        "{ \"providers\": { \"poe\": { \"baseUrl\": \"https://u:p@host\" } } }",
    ),
    ("URL of another kind", "{ \"providers\": { \"poe\": { \"baseUrl\": \"ftp://host\" } } }"),
    (
        "unset variable",
        "{\n  \"providers\": {\n    \"poe\": { \"apiKeys\": [\"a\", \"${NO_KEY}\"] } } }",
    ),
    ("open variable", "{ \"agents\": [{ \"name\": \"a\", \"systemPrompt\": \"say ${X\" }] }"),
    (
        "negative price",
        "{ \"settings\": { \"prices\": { \"claude-opus-4.6\": { \"input\": -1, \"output\": 2 } } } }",
    ),
    (
        "price twice",
        "{ \"settings\": { \"prices\": { \"claude-opus-4.6\": { \"input\": 1, \"output\": 2 },\n \"claude-opus-4-6\": { \"input\": 1, \"output\": 2 } } } }",
    ),
    ("half a price", "{ \"settings\": { \"prices\": { \"m\": { \"input\": 1 } } } }"),
    ("synchronous", "{ \"settings\": { \"journal\": { \"synchronous\": \"off\" } } }"),
    ("cooldown step", "{ \"settings\": { \"cooldown\": { \"stepsSeconds\": [60, 0] } } }"),
    (
        "billing hours",
        "{ \"settings\": { \"billingDisable\": { \"billingBackoffHours\": 5, \"billingMaxHours\": 2 } } }",
    ),
];

#[test]
fn every_bad_config_is_told_with_its_place_its_reason_and_a_way_out() {
    let mut told = String::new();
    for (name, text) in BAD {
        let error = read(text, &[]).err();
        let error = error.map_or_else(|| panic!("{name} is accepted"), |error| error.to_string());
        assert!(error.starts_with("polpo.json:") && error.contains("; "), "{name}: {error}");
        writeln!(told, "{name}\n    {error}").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn the_place_of_an_error_survives_comments_of_every_kind() {
    let text = "// é\n/* one\n two */ {\n  \"settings\": { /* é */ \"maxConcurrency\": 0, },\n}";
    let error = read(text, &[]).unwrap_err().to_string();
    assert!(error.starts_with("polpo.json:4:43: settings.maxConcurrency: "), "{error}");
}

#[test]
fn bad_variables_are_named_and_not_quoted() {
    let told = |text: &str, variables: &[(&str, &str)]| {
        let config = read(text, variables);
        let error = match config {
            Ok(config) => {
                crate::config::resolve_credentials(&config, &[], &env(variables)).unwrap_err()
            }
            Err(error) => error,
        };
        error.to_string()
    };
    let errors = [
        told("{}", &[("POLPO_MODEL", "llama")]),
        told(
            "{ \"settings\": { \"modelAllowlist\": [\"*sonnet*\"] } }",
            &[("POLPO_MODEL", "claude-opus-4-6")],
        ),
        told(r#"{"providers": {"poe": {}}}"#, &[("POE_API_KEY", "a b")]),
        told("{}", &[("ANTHROPIC_API_KEY", "k"), ("ANTHROPIC_BASE_URL", "http://u:p@host")]),
    ];
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let in_it = |name: &str| directory.path().join(name);
    std::fs::write(in_it("latin1.json"), b"{ \"x\": \"\xe9\" }").unwrap();
    std::fs::create_dir(in_it("dir")).unwrap();
    let told = |name: &str| {
        let error = load(Some(&in_it(name)), Accounts::Real, &env(&[])).unwrap_err();
        error.to_string().replace(directory.path().to_str().unwrap(), "DIR")
    };
    insta::assert_snapshot!([told("missing.json"), told("latin1.json"), told("dir")].join("\n"));
}

#[test]
fn the_first_config_on_the_way_is_found_and_a_named_one_must_be_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let found = |explicit: Option<&Path>, variables: &[(&str, &str)]| {
        let tasks = path("jobs/tasks.jsonl");
        let search = Search { explicit, tasks: Some(&tasks), directory: directory.path() };
        discover(&search, &env(variables))
    };
    assert_eq!(found(None, &[]), Ok(None));
    for name in [".polpo/polpo.json", "polpo.json", "jobs/polpo.json", "other.json", "mine.json"] {
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        std::fs::write(path(name), "{}").unwrap();
        let (other, mine) = (path("other.json"), path("mine.json"));
        let variables = [("POLPO_CONFIG", other.to_str().unwrap())];
        let variables = if other.exists() { &variables[..] } else { &[] };
        let explicit = mine.exists().then_some(mine.as_path());
        assert_eq!(found(explicit, variables), Ok(Some(path(name))), "each beats the one before");
    }
    let named = found(Some(Path::new("no.json")), &[]).unwrap_err().to_string();
    assert!(named.contains("no.json") && named.contains("--config"), "{named}");
    let named = found(None, &[("POLPO_CONFIG", "no.json")]).unwrap_err().to_string();
    assert!(named.contains("no.json") && named.contains("POLPO_CONFIG"), "{named}");
}
