//! What scenarios mean, and what is wrong with those that are refused.

use super::*;
use crate::allowance::Allowance;
use crate::catalogue;
use crate::clock::{Clock, SimTime};

fn refused(text: &str) -> String {
    Scenario::from_json(text, "scenario.json").unwrap_err().to_string()
}

#[test]
fn the_default_scenario_is_the_file_that_says_nothing() {
    let scenario = Scenario::from_json("{}", "x").unwrap();
    let names: Vec<_> =
        Scenario::default_scenario().accounts().iter().map(|a| a.name.clone()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(scenario.accounts()[1].api_keys, ["sk-ant-api03-simulated-b"]);
    let rates = scenario.limits.rates(&scenario.accounts()[0].limits, "opus-4");
    assert_eq!(rates.requests_per_minute, Some(300));
    assert_eq!(rates.input_tokens_per_minute, Some(40_000));
    assert_eq!(rates.output_tokens_per_minute, Some(80_000));
    assert_eq!(scenario.time_scale, 1000);
}

#[test]
fn the_documentation_shows_the_default_scenario() {
    let document = include_str!("../../../docs/simulator.md");
    let (_, rest) = document.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let shown = Scenario::from_json(example, "docs/simulator.md").unwrap();
    let default = Scenario::default_scenario();
    let rates = |scenario: &Scenario| {
        let rates = |class| scenario.limits.rates(&Limits::default(), class);
        catalogue::limit_classes().into_iter().map(rates).collect::<Vec<_>>()
    };
    assert_eq!(rates(&shown), rates(&default));
    let keys = |scenario: &Scenario| {
        scenario.accounts().iter().flat_map(|account| account.api_keys.clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&shown), keys(&default));
    // What is written out is the same as what is left out, in all but the limits' layers.
    let told =
        |scenario: Scenario| format!("{:?}", Scenario { limits: Limits::default(), ..scenario });
    assert_eq!(told(shown), told(default));
}

#[test]
fn limits_are_laid_over_each_other_and_null_lifts_one() {
    let scenario = Scenario::from_json(
        r#"{"limits": {"requestsPerMinute": 10, "inputTokensPerMinute": null,
                       "byLimitClass": {"opus-4": {"requestsPerMinute": 5}}},
            "accounts": [{"name": "x", "apiKey": "k", "limits": {"outputTokensPerMinute": 7}},
                         {"name": "y", "apiKeys": ["l", "m"],
                          "limits": {"byLimitClass": {"opus-4": {"requestsPerMinute": null}}}}]}"#,
        "x",
    )
    .unwrap();
    let rates = |account: usize, class| {
        let rates = scenario.limits.rates(&scenario.accounts()[account].limits, class);
        [rates.requests_per_minute, rates.input_tokens_per_minute, rates.output_tokens_per_minute]
    };
    assert_eq!(rates(0, "opus-4"), [Some(5), None, Some(7)]);
    assert_eq!(rates(0, "sonnet-4"), [Some(10), None, Some(7)]);
    assert_eq!(rates(1, "opus-4"), [None, None, Some(80_000)]);
}

#[test]
fn errors_name_the_file_the_place_and_the_reason() {
    let with_account = |entry: &str| format!(r#"{{"accounts": [{entry}]}}"#);
    for (text, expected) in [
        (r#"{"sead": 1}"#.to_owned(), "scenario.json: sead: unknown field `sead`"),
        (r#"{"seed": "x"}"#.to_owned(), "scenario.json: seed: invalid type: string"),
        ("{".to_owned(), "scenario.json: .: EOF while parsing"),
        ("{} {}".to_owned(), "scenario.json: .: trailing characters"),
        (r#"{"timeScale": 0}"#.to_owned(), "timeScale: 0 is not between 0.001 and 1000000"),
        (r#"{"accounts": []}"#.to_owned(), "accounts: at least one account is needed"),
        (with_account(r#"{"name": "x"}"#), "accounts[0]: an `apiKey` or `apiKeys` is needed"),
        (with_account(r#"{"apiKey": "k"}"#), "accounts[0]: missing field `name`"),
        (
            with_account(r#"{"name": "x", "apiKey": "k", "organizationId": "o"}"#),
            "accounts[0].organizationId: a UUID is needed",
        ),
        (
            with_account(r#"{"name": "x", "apiKey": "k"}, {"name": "y", "apiKey": "k"}"#),
            "accounts[1]: an API key is given twice",
        ),
        (
            with_account(r#"{"name": "x", "apiKey": "k"}, {"name": "x", "apiKey": "l"}"#),
            "accounts[1].name: `x` is taken",
        ),
        (
            r#"{"limits": {"requestsPerMinute": 0}}"#.to_owned(),
            "limits.requestsPerMinute: invalid value: integer `0`",
        ),
        (
            r#"{"limits": {"byLimitClass": {"opus": {}}}}"#.to_owned(),
            "limits.byLimitClass.opus: `opus` is no limit class",
        ),
        (
            r#"{"latency": {"byModel": {"gpt": 1}}}"#.to_owned(),
            "latency.byModel.gpt: `gpt` is neither",
        ),
        (
            r#"{"faults": {"overloadedRate": 0.6, "errorRate": 0.5}}"#.to_owned(),
            "faults.errorRate: 0.5 is not between 0 and 0.4",
        ),
        (r#"{"accuracy": {"opus": 1.5}}"#.to_owned(), "accuracy.opus: 1.5 is not between 0 and 1"),
        (r#"{"answers": {"abc": "4"}}"#.to_owned(), "answers.abc: the key must be a SHA-256"),
    ] {
        let error = refused(&text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn accounts_agree_on_what_they_share() {
    let organization = "3f0c9a2b-0000-4000-8000-000000000001";
    let both = |more: &str, other: &str| {
        let shared = format!(r#""organizationId": "{organization}", "workspaceId": "wrkspc_1""#);
        format!(
            r#"{{"accounts": [{{"name": "x", "apiKey": "k", {shared}, {more}}},
                {{"name": "y", "apiKey": "l", {shared}, {other}}}]}}"#
        )
    };
    for (key, one, other, expected) in [
        ("limits", r#"{"requestsPerMinute": 1}"#, "{}", "limits: `x` has other limits"),
        ("money", r#"{"creditUsd": 1}"#, "{}", "money: `x` has other money"),
        ("workspaceLimits", r#"{"burstSeconds": 1}"#, "{}", "workspaceLimits: `x` has another"),
        (
            "money",
            r#"{"workspaceSpendLimitUsd": 1}"#,
            r#"{"workspaceSpendLimitUsd": 2}"#,
            "money.workspaceSpendLimitUsd: `x` has another for the same workspace",
        ),
    ] {
        let given = |value: &str| format!(r#""{key}": {value}"#);
        let error = refused(&both(&given(one), &given(other)));
        assert!(error.contains(&format!("accounts[1].{expected}")), "{error}");
        assert!(Scenario::from_json(&both(&given(one), &given(one)), "x").is_ok());
    }
}

#[test]
fn an_account_has_only_what_its_kind_has() {
    for kind in ["subscription", "poe"] {
        for (key, value) in [
            ("limits", r#"{"requestsPerMinute": 1}"#),
            ("workspaceLimits", r#"{"requestsPerMinute": 1}"#),
            ("money", r#"{"creditUsd": 1}"#),
        ] {
            let account =
                format!(r#"{{"name": "x", "apiKey": "k", "{kind}": {{}}, "{key}": {value}}}"#);
            let error = refused(&format!(r#"{{"accounts": [{account}]}}"#));
            assert!(error.contains(&format!("accounts[0].{key}: a")), "{error}");
        }
    }
}

#[test]
fn limits_beyond_all_reason_are_refused_and_the_largest_ones_can_be_computed_with() {
    let most = 1_000_000_000_000_u64;
    for (path, value) in [
        ("requestsPerMinute", most + 1),
        ("inputTokensPerMinute", u64::MAX),
        ("outputTokensPerMinute", u64::MAX),
        ("countTokensPerMinute", u64::MAX),
        ("burstSeconds", 86_401),
    ] {
        let error = refused(&format!(r#"{{"limits": {{"{path}": {value}}}}}"#));
        assert!(error.contains(&format!("limits.{path}: {value} is more than")), "{error}");
    }
    let of_class =
        r#"{"limits": {"byLimitClass": {"opus-4": {"requestsPerMinute": 9000000000000}}}}"#;
    assert!(refused(of_class).contains("limits.byLimitClass.opus-4.requestsPerMinute: 9000"));
    let growth = r#"{"limits": {"acceleration": {"floorTokens": 9000000000000, "growth": 1}}}"#;
    assert!(refused(growth).contains("limits.acceleration.floorTokens: 9000"));
    let poe = r#"{"accounts": [{"name": "p", "apiKey": "k",
        "poe": {"requestsPerMinute": 9000000000000}}]}"#;
    assert!(refused(poe).contains("accounts[0].poe.requestsPerMinute: 9000"));

    let largest = format!(
        r#"{{"limits": {{"requestsPerMinute": {most}, "inputTokensPerMinute": {most},
            "outputTokensPerMinute": {most}, "burstSeconds": 86400}}}}"#
    );
    let scenario = Scenario::from_json(&largest, "x").unwrap();
    let rates = scenario.limits.rates(&Limits::default(), "opus-4");
    let mut allowance = Allowance::full(&rates, SimTime(0));
    assert_eq!(allowance.check(SimTime(u64::MAX), 1), Ok(()));
    assert_eq!(allowance.headers(&Clock::new(1000)).len(), 12);
}

#[test]
fn a_fault_is_told_only_what_it_looks_at() {
    for (rule, expected) in [
        (r#""fault": "error", "afterEvents": 3"#, "afterEvents: this fault does not come"),
        (r#""fault": "refusal", "afterEvents": 3"#, "afterEvents: this fault does not come"),
        (r#""fault": "error", "delaySeconds": 3"#, "delaySeconds: only `slowFirstToken` has"),
        (r#""fault": "drop", "delaySeconds": 3"#, "delaySeconds: only `slowFirstToken` has"),
        (r#""fault": "drop", "retryAfterSeconds": 3"#, "retryAfterSeconds: this fault is no"),
        (r#""fault": "stall", "retryAfterMs": 3"#, "retryAfterMs: this fault is no error"),
        (r#""fault": "drop", "error": {"status": 500}"#, "error: this fault is no error"),
        (r#""fault": "drop", "endpoint": "countTokens""#, "endpoint: this fault only ever"),
        (r#""fault": "errorEvent", "endpoint": "batches""#, "endpoint: this fault only ever"),
        (r#""fault": "error", "accounts": ["a", "z"]"#, "accounts[1]: `z` is no account"),
        (r#""fault": "error", "models": ["opus", "z"]"#, "models[1]: `z` is no model class"),
    ] {
        let error = refused(&format!(r#"{{"faults": {{"rules": [{{{rule}}}]}}}}"#));
        assert!(error.contains(&format!("faults.rules[0].{expected}")), "{error}");
    }
    let event = r#"{"faults": {"rules": [{"fault": "errorEvent", "afterEvents": 3,
        "retryAfterSeconds": 3, "error": {"status": 500}}]}}"#;
    assert!(Scenario::from_json(event, "x").is_ok());
}

#[test]
fn whoever_writes_rules_gets_no_other_faults_unless_asked_for() {
    let rate = |faults: &str| {
        let text = format!(r#"{{"faults": {faults}}}"#);
        Scenario::from_json(&text, "x").unwrap().faults.overloaded_rate
    };
    let rates = ["{}", r#"{"errorRate": 0.1}"#, r#"{"rules": []}"#].map(rate);
    assert_eq!(rates, [0.01, 0.01, 0.0]);
    assert_eq!(rate(r#"{"rules": [], "overloadedRate": 0.5}"#).to_string(), "0.5");
}

#[test]
fn keys_are_not_in_what_is_printed_for_debugging() {
    let text = r#"{"accounts": [{"name": "x", "apiKey": "secret", "apiKeys": ["secrets"]}]}"#;
    let scenario = Scenario::from_json(text, "x").unwrap();
    let printed = format!("{scenario:?} {:?}", crate::Simulator::new(scenario.clone()));
    assert!(printed.contains("api_keys: 2") && !printed.contains("secret"), "{printed}");
}
