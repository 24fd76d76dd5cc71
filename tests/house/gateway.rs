//! That `docs/gateway.md` says what is so: each rule of its last table is held by tests that exist,
//! or said not to be held, and each endpoint is there.

use std::collections::BTreeSet;

use crate::seeds::exists;
use crate::workspace::files;

const PAGE: &str = include_str!("../../docs/gateway.md");

/// The rows of the table below a heading.
fn rows(title: &str) -> Vec<(&'static str, &'static str)> {
    let (_, rest) = PAGE.split_once(&format!("\n## {title}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let inner = lines.map_while(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    inner.map(|row| row.split_once("| ").unwrap()).collect()
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_rule_is_held_by_tests_that_exist_or_said_not_to_be_offered() {
    let rules = rows("What it holds");
    assert!(rules.len() > 50, "{}", rules.len());
    for (rule, held) in rules {
        if held.starts_with("not offered") || rule.starts_with("**") && held.is_empty() {
            continue;
        }
        assert!(quoted(held).next().is_some(), "{rule}: nothing holds it");
        let missing: Vec<_> = quoted(held).filter(|name| !exists(name)).collect();
        assert!(missing.is_empty(), "{rule}: {missing:?}");
    }
}

#[test]
fn every_path_that_is_served_is_on_the_page() {
    let code = files("src/http/gateway.rs", "").remove(0).text;
    let strings = code.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/'));
    let served = strings.map(|path| {
        let parts = path.split('/').filter(|part| !part.starts_with('{'));
        // Those below a batch are named by what they do.
        parts.filter(|part| !["cancel", "results"].contains(part)).collect::<Vec<_>>().join("/")
    });
    let told: BTreeSet<_> = rows("Endpoints")
        .iter()
        .flat_map(|(endpoint, _)| quoted(endpoint))
        .map(|text| text.trim_start_matches("POST ").trim_start_matches("GET "))
        .collect();
    let missing: BTreeSet<_> =
        served.filter(|path| !told.iter().any(|it| it.starts_with(path.as_str()))).collect();
    assert_eq!(missing, BTreeSet::new());
    assert!(told.len() > 12, "{told:?}");
}
