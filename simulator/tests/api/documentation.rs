//! That `docs/simulator.md` says what is so: its tests exist, its faults answer as it says, its
//! scenarios are scenarios, and no key of the file is missing.

use std::collections::BTreeSet;
use std::fs;

use polpo_simulator::Scenario;
use serde_json::{Value, json};

use crate::client::{post, saying, simulator};

const PAGE: &str = include_str!("../../../docs/simulator.md");

/// What stands between a heading and the next one of its rank.
fn section(title: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n## {title}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The rows of the tables in a text, their headings left out.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect());
    let lines: Vec<Vec<_>> = cells.collect();
    let is_rule = |row: &Vec<&str>| row.iter().all(|cell| cell.starts_with("---"));
    let headings: BTreeSet<_> =
        (1..lines.len()).filter(|&at| is_rule(&lines[at])).flat_map(|at| [at - 1, at]).collect();
    let kept = lines.iter().enumerate().filter(|(at, _)| !headings.contains(at));
    kept.map(|(_, row)| row.clone()).collect()
}

/// Every second piece between backticks: what stands in them.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a file of this crate has such a test; a bad name has none.
fn exists(name: &str) -> bool {
    let Some((path, test)) = name.split_once(": ") else { return false };
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = fs::read_to_string(path) else { return false };
    let Some(at) = text.find(&format!("fn {test}(")) else { return false };
    text[..at].trim_end().trim_end_matches("async").trim_end().ends_with(']')
}

#[test]
fn every_fact_is_held_by_tests_that_exist_or_said_not_to_be_reproduced() {
    assert!(exists("tests/api/documentation.rs: every_key_of_a_scenario_is_explained"));
    for missing in ["tests/api/documentation.rs: nothing", "tests/api/documentation.rs: exists", ""]
    {
        assert!(!exists(missing), "{missing}");
    }
    let facts = rows(section("What it reproduces"));
    assert!(facts.len() > 100, "{}", facts.len());
    for row in facts {
        let [fact, held] = row[..] else { panic!("{row:?}") };
        if held.starts_with("not reproduced: ") || fact.starts_with("**") && held.is_empty() {
            continue;
        }
        assert!(quoted(held).next().is_some(), "{fact}: nothing holds it");
        let missing: Vec<_> = quoted(held).filter(|name| !exists(name)).collect();
        assert!(missing.is_empty(), "{fact}: {missing:?}");
    }
}

#[tokio::test]
async fn every_error_in_the_table_of_faults_is_answered_so() {
    let rows = rows(section("Faults"));
    let errors: Vec<_> = rows.iter().filter(|row| row.len() == 4 && row[1].len() == 3).collect();
    assert!(errors.len() > 20);
    for row in errors {
        let fault = row[0].trim_matches('`');
        let rules = json!([{"fault": fault}]);
        let simulator = simulator(json!({"faults": {"overloadedRate": 0, "rules": rules}}));
        let heard = post(&simulator, &saying("Hi")).await;
        let error = &heard.json()["error"];
        assert_eq!(heard.status.to_string(), row[1], "{fault}");
        assert_eq!(error["type"], row[2].trim_matches('`'), "{fault}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(row[3]), "{fault}: {message}");
    }
}

#[test]
fn every_scenario_that_is_shown_is_one() {
    let shown: Vec<_> = PAGE.split("```json\n").skip(1).collect();
    assert!(shown.len() > 5);
    for text in shown {
        let (text, _) = text.split_once("```").unwrap();
        Scenario::from_json(text, "docs/simulator.md").unwrap();
    }
}

/// The names that could stand where `nonsense` does.
fn expected(scenario: &Value) -> Vec<String> {
    let error = Scenario::from_json(&scenario.to_string(), "x").unwrap_err().reason;
    let (_, names) = error.split_once("`nonsense`, expected").unwrap_or_else(|| panic!("{error}"));
    quoted(names).map(str::to_owned).collect()
}

#[test]
fn every_key_of_a_scenario_is_explained() {
    let strange = json!({"nonsense": 1});
    let account = |key: &str| json!({"accounts": [{"name": "a", "apiKey": "k", (key): strange}]});
    for (scenario, title) in [
        (strange.clone(), "The scenario file"),
        (json!({"accounts": [strange]}), "The scenario file"),
        (account("money"), "The scenario file"),
        (account("subscription"), "The scenario file"),
        (account("poe"), "The scenario file"),
        (json!({"limits": strange}), "The scenario file"),
        (json!({"limits": {"acceleration": strange}}), "The scenario file"),
        (json!({"latency": strange}), "The scenario file"),
        (json!({"batches": strange}), "The scenario file"),
        (json!({"oauth": strange}), "The scenario file"),
        (json!({"faults": strange}), "Faults"),
        (json!({"faults": {"rules": [strange]}}), "Faults"),
        (json!({"faults": {"rules": [{"fault": "drop", "error": strange}]}}), "Faults"),
        (json!({"faults": {"rules": [{"fault": "nonsense"}]}}), "Faults"),
        (json!({"faults": {"rules": [{"fault": "drop", "endpoint": "nonsense"}]}}), "Faults"),
    ] {
        let explained: BTreeSet<_> =
            quoted(section(title)).flat_map(|name| name.split('.')).collect();
        for name in expected(&scenario) {
            assert!(explained.contains(&*name), "{name} of {scenario}");
        }
    }
}
