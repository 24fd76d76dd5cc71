//! What a task asks for in the end, and when that is the same.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

fn body(effective: &Effective) -> serde_json::Value {
    serde_json::to_value(&effective.body).unwrap()
}

#[test]
fn a_prompt_becomes_a_request_under_its_agent() {
    let world = World::new();
    let request = world.effective(r#"{"id": "t1", "prompt": "Hi \u00e9", "metadata": {"k": [1]}}"#);
    assert_eq!(
        body(&request),
        json!({
            "model": "claude-sonnet-4-6",
            "max_tokens": 1000,
            "system": "Be brief.",
            "messages": [{ "role": "user", "content": "Hi é" }],
        })
    );
    assert_eq!((request.agent.as_str(), request.shape), ("solver", Shape::Prompt));
    assert_eq!(request.metadata.unwrap().get(), r#"{"k": [1]}"#);

    let request = world.effective(
        r#"{"id": "t1", "prompt": "Hi", "agent": "judge", "model": "claude-haiku-4.5", "maxTokens": 5}"#,
    );
    assert_eq!((request.agent.as_str(), request.max_tokens), ("judge", 5));
    assert_eq!(request.model.to_string(), "anthropic:claude-haiku-4-5-20251001");
    assert_eq!(body(&request).get("system"), None, "the other agent has no system prompt");
}

#[test]
fn a_foreign_request_is_untouched_but_for_stream_and_alias() {
    let world = World::new();
    let line = r#"{"custom_id": "t1", "params": {"model": "claude-opus-4.6", "max_tokens": 5,
        "messages": [ {"role":"user",  "content":"x"} ], "temperature": 1.0, "new": 18446744073709551617,
        "stream": true}}"#;
    for line in [line.to_owned(), line.replace("\"params\"", "\"body\"")] {
        let request = world.effective(&line);
        assert_eq!((request.agent.as_str(), request.shape), ("solver", Shape::Params));
        let fields: Vec<(&str, &str)> =
            request.body.iter().map(|(key, raw)| (key.as_str(), raw.get())).collect();
        assert_eq!(
            fields,
            [
                ("max_tokens", "5"),
                ("messages", r#"[ {"role":"user",  "content":"x"} ]"#),
                ("model", r#""claude-opus-4-6""#),
                ("new", "18446744073709551617"),
                ("temperature", "1.0"),
            ]
        );
        assert_eq!(request.max_tokens, 5);
    }
}

#[test]
fn the_hash_ignores_order_blanks_escapes_and_what_does_not_change_the_request() {
    let world = World::new();
    let lines = [
        r#"{"id": "t1", "prompt": "Hi é", "maxTokens": 9, "expect": {"contains": "x", "regex": "y"}}"#,
        r#"{"expect":{"regex":"y","contains":["x"]},"maxTokens":9,"prompt":"Hi \u00e9","id":"t2"}"#,
        r#"{"id": "t1", "prompt": "Hi é", "maxTokens": 9, "metadata": {"a": 1}, "expect": {"contains": "x", "regex": "y"}}"#,
        r#"{"id": "t1", "prompt": "Hi é", "maxTokens": 9, "model": "claude-sonnet-4.6", "expect": {"contains": "x", "regex": "y"}}"#,
        r#"{"id": "t1", "prompt": "Hi é", "maxTokens": 9, "model": "claude-sonnet-4-6@anthropic:me", "expect": {"contains": "x", "regex": "y"}}"#,
    ];
    let hashes: BTreeSet<String> = lines.iter().map(|line| world.effective(line).sha256).collect();
    assert_eq!(hashes.len(), 1);

    let foreign = [
        r#"{"custom_id": "a", "params": {"model": "claude-opus-4.6", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "stream": false}}"#,
        r#"{"custom_id": "b", "body": {"messages": [{"content":"x","role":"user"}], "max_tokens": 5, "model": "claude-opus-4-6"}}"#,
    ];
    let hashes: BTreeSet<String> =
        foreign.iter().map(|line| world.effective(line).sha256).collect();
    assert_eq!(hashes.len(), 1);
    assert!(hashes.iter().all(|hash| hash.len() == 64));
}

#[test]
fn the_hash_knows_every_part_of_the_request_and_the_retry_policy_is_none() {
    let mut world = World::new();
    let line = r#"{"id": "t1", "prompt": "Hi", "expect": {"regex": "y"}}"#;
    let mut hashes = vec![world.effective(line).sha256];
    for changed in [
        r#"{"id": "t1", "prompt": "Hi!", "expect": {"regex": "y"}}"#,
        r#"{"id": "t1", "prompt": "Hi", "expect": {"regex": "z"}}"#,
        r#"{"id": "t1", "prompt": "Hi", "expect": {"equals": "y"}}"#,
        r#"{"id": "t1", "prompt": "Hi", "expect": {"contains": "y"}}"#,
        r#"{"id": "t1", "prompt": "Hi", "expect": {"jsonSchema": {"type": "object"}}}"#,
        r#"{"id": "t1", "prompt": "Hi"}"#,
        r#"{"id": "t1", "prompt": "Hi", "maxTokens": 9, "expect": {"regex": "y"}}"#,
        r#"{"id": "t1", "prompt": "Hi", "model": "claude-opus-4-6", "expect": {"regex": "y"}}"#,
        r#"{"id": "t1", "prompt": "Hi", "agent": "judge", "expect": {"regex": "y"}}"#,
        r#"{"custom_id": "t1", "params": {"model": "claude-sonnet-4-6", "max_tokens": 1000, "messages": []}}"#,
        r#"{"custom_id": "t1", "params": {"model": "claude-sonnet-4-6", "max_tokens": 1000, "messages": [], "temperature": 0}}"#,
    ] {
        hashes.push(world.effective(changed).sha256);
    }
    let before = hashes[0].clone();
    world.config.agents[0].system_prompt = Some("Be long.".into());
    hashes.push(world.effective(line).sha256);
    world.config.agents[0].system_prompt = Some("Be brief.".into());
    world.config.agents[0].retry.max_retries = 77;
    assert_eq!(world.effective(line).sha256, before);
    let different: BTreeSet<&String> = hashes.iter().collect();
    assert_eq!(different.len(), hashes.len());
}

#[test]
fn the_hash_stays_the_same_from_one_version_to_the_next() {
    // Finished runs are told from it: a new value would run every task again.
    let request =
        World::new().effective(r#"{"id": "t1", "prompt": "Hi", "expect": {"regex": "y"}}"#);
    insta::assert_snapshot!(request.sha256);
}
