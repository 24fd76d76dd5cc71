//! Results files and money, read digit by digit.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::server::scenario;
use crate::support::World;

/// A line of a results file.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) custom_id: String,
    pub(crate) result: Value,
    pub(crate) polpo: Polpo,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Polpo {
    cost_usd: Box<RawValue>,
    pub(crate) model: Option<String>,
    pub(crate) why: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) calls: u32,
    pub(crate) escalated_from: Option<String>,
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) simulated: bool,
}

impl Line {
    pub(crate) fn has_succeeded(&self) -> bool {
        self.result["type"] == "succeeded"
    }

    pub(crate) fn cost(&self) -> i64 {
        nanodollars(self.polpo.cost_usd.get())
    }
}

/// The lines of a results file, all of them whole.
#[track_caller]
pub(crate) fn lines(text: &str) -> Vec<Line> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is torn");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines by id; each id may be there once.
#[track_caller]
pub(crate) fn by_id(text: &str) -> BTreeMap<String, Line> {
    let mut found = BTreeMap::new();
    for line in lines(text) {
        let twice = found.insert(line.custom_id.clone(), line);
        assert!(twice.is_none(), "twice in the results: {twice:?}");
    }
    found
}

/// What the results cost together.
#[track_caller]
pub(crate) fn total(text: &str) -> i64 {
    lines(text).iter().map(Line::cost).sum()
}

/// An amount in dollars as written, in nanodollars.
#[track_caller]
pub(crate) fn nanodollars(text: &str) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    assert!(is_plain(whole) && is_plain(part) && part.len() <= 9, "not an amount: {text}");
    format!("{whole}{part:0<9}").parse().unwrap()
}

/// The `costUsd` at a path of objects in a JSON text, in nanodollars.
#[track_caller]
pub(crate) fn cost_at(json: &str, path: &[&str]) -> i64 {
    let mut text = json.to_owned();
    for key in path.iter().chain(&["costUsd"]) {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
        text = fields[*key].get().to_owned();
    }
    nanodollars(&text)
}

#[test]
fn amounts_are_read_digit_by_digit() {
    assert_eq!(nanodollars("0.004217"), 4_217_000);
    assert_eq!(nanodollars("12"), 12_000_000_000);
    assert_eq!(cost_at(r#"{"total": {"costUsd": 1.000000001}}"#, &["total"]), 1_000_000_001);
}

#[test]
fn a_result_says_why_a_fallback_served_it() {
    let world = World::new();
    let rule = json!({"fault": "rateLimit", "models": ["claude-opus-4-6"], "skip": 1,
                      "retryAfterSeconds": 600});
    world.write("scenario.json", scenario(json!({"faults": {"rules": [rule]}})));
    let agent = json!({"name": "solver", "model": "claude-opus-4-6",
                       "fallbacks": ["claude-haiku-4-5"]});
    world.write("polpo.json", json!({"agents": [agent]}).to_string());
    world
        .write("tasks.jsonl", "{\"id\":\"a\",\"prompt\":\"x\"}\n{\"id\":\"b\",\"prompt\":\"y\"}\n");
    world.run(&["run", "tasks.jsonl", "--simulate", "-q", "-o", "out.jsonl"]).ended(0);
    let lines = lines(&world.read("out.jsonl"));
    let mut whys: Vec<_> =
        lines.into_iter().map(|line| (line.polpo.model, line.polpo.why)).collect();
    whys.sort();
    let [(haiku, Some(why)), (opus, None)] = &whys[..] else { panic!("{whys:?}") };
    assert_eq!(haiku.as_deref(), Some("claude-haiku-4-5-20251001"));
    assert_eq!(opus.as_deref(), Some("claude-opus-4-6"));
    assert!(why.starts_with("fallback: claude-opus-4-6: rate_limit until "), "{why}");
}
