//! The prompt cache, as usage, limits and bills tell of it.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use polpo_simulator::{InMemory, Simulator};
use polpo_upstream::transport::Transport as _;
use serde_json::{Value, json};

use crate::client::{KEY, assert_is_message, post, request, send, signed, simulator};

/// A conversation of so many turns, cached up to its last.
fn conversation(turns: usize, ttl: &str) -> Value {
    let long = |n: usize| format!("Turn {n}. {}", "word ".repeat(4_000));
    let turn = |n: usize| match n % 2 {
        0 => json!({"role": "user", "content": long(n)}),
        _ => json!({"role": "assistant", "content": long(n)}),
    };
    let mut messages: Vec<_> = (0..turns - 1).map(turn).collect();
    messages.push(json!({"role": "user", "content": [{
        "type": "text", "text": long(turns - 1), "cache_control": {"type": "ephemeral", "ttl": ttl},
    }]}));
    request(json!({"messages": messages}))
}

/// Read, written for five minutes, written for an hour, and the rest.
fn usage(message: &Value) -> [u64; 4] {
    let usage = &message["usage"];
    let count = |value: &Value| value.as_u64().unwrap();
    let parts = [
        count(&usage["cache_read_input_tokens"]),
        count(&usage["cache_creation"]["ephemeral_5m_input_tokens"]),
        count(&usage["cache_creation"]["ephemeral_1h_input_tokens"]),
        count(&usage["input_tokens"]),
    ];
    assert_eq!(count(&usage["cache_creation_input_tokens"]), parts[1] + parts[2]);
    parts
}

async fn say(simulator: &Simulator, body: &Value) -> [u64; 4] {
    let message = post(simulator, body).await.json();
    assert_is_message(&message);
    usage(&message)
}

#[tokio::test(start_paused = true)]
async fn the_next_turn_reads_what_the_turn_before_has_written() {
    let simulator = simulator(json!({}));
    let [read, written, _, input] = say(&simulator, &conversation(1, "5m")).await;
    assert!(read == 0 && written > 5_000 && input == 0, "{written}");
    let [read, more, _, _] = say(&simulator, &conversation(3, "5m")).await;
    assert_eq!(read, written);
    assert!(more > 10_000);
    let books = simulator.books();
    assert_eq!(books.total.tokens.cache_read, written);
    assert_eq!(books.total.tokens.cache_write_5m, written + more);
    let price = (written + more) * 6250 + written * 500 + books.total.tokens.output * 25_000;
    assert_eq!(books.total.nanodollars, i64::try_from(price).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_prefix_lives_five_minutes_or_an_hour_from_when_it_was_last_used() {
    for (ttl, seconds) in [("5m", 300), ("1h", 3600)] {
        let simulator = simulator(json!({}));
        let body = conversation(1, ttl);
        let all = say(&simulator, &body).await.iter().sum::<u64>();
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(seconds - 1)).await;
            assert_eq!(say(&simulator, &body).await[0], all, "{ttl}");
        }
        tokio::time::advance(Duration::from_secs(seconds)).await;
        assert_eq!(say(&simulator, &body).await[0], 0, "{ttl}");
    }
}

#[tokio::test]
async fn another_workspace_shares_nothing_but_another_key_of_this_one_does() {
    let simulator = simulator(json!({"accounts": [
        {"name": "a", "apiKeys": ["k1", "k2"], "organizationId": "3f0c9a2b-0000-4000-8000-000000000001"},
        {"name": "b", "apiKey": "k3", "organizationId": "3f0c9a2b-0000-4000-8000-000000000001"},
    ]}));
    let body = conversation(1, "5m");
    let mut read = Vec::new();
    for key in ["k1", "k2", "k3", "k3"] {
        read.push(usage(&send(&simulator, signed(key, &body)).await.json())[0] > 0);
    }
    assert_eq!(read, [false, true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn requests_in_parallel_miss_until_the_first_answer_begins() {
    let simulator = simulator(json!({"latency": {"medianSeconds": 10}}));
    let body = conversation(1, "5m");
    let send = || InMemory::new(simulator.clone()).send(signed(KEY, &body));
    for reply in join_all([send(), send()]).await {
        let chunks: Vec<_> = reply.unwrap().body.map(Result::unwrap).collect().await;
        assert_eq!(usage(&serde_json::from_slice(&chunks.concat()).unwrap())[0], 0);
    }
    assert!(say(&simulator, &body).await[0] > 0);
}

#[tokio::test]
async fn what_is_read_from_the_cache_does_not_count_against_the_limit() {
    let simulator = simulator(json!({"limits": {"requestsPerMinute": null,
        "inputTokensPerMinute": 8_000, "outputTokensPerMinute": null}}));
    let body = conversation(1, "5m");
    for _ in 0..5 {
        assert_eq!(post(&simulator, &body).await.status, 200);
    }
    assert_eq!(post(&simulator, &conversation(2, "5m")).await.status, 429);
}

#[tokio::test]
async fn automatic_caching_marks_the_last_block_and_a_warm_up_writes_without_an_answer() {
    let simulator = simulator(json!({}));
    let mut body = conversation(1, "5m");
    body["messages"][0]["content"] = body["messages"][0]["content"][0]["text"].clone();
    body["cache_control"] = json!({"type": "ephemeral"});
    body["max_tokens"] = json!(0);
    let warm = post(&simulator, &body).await.json();
    assert_eq!((&warm["content"], &warm["stop_reason"]), (&json!([]), &json!("max_tokens")));
    let [_, written, ..] = usage(&warm);
    body["max_tokens"] = json!(100);
    assert_eq!(say(&simulator, &body).await, [written, 0, 0, 0]);
}

#[tokio::test]
async fn a_client_can_ask_why_its_cache_was_missed() {
    let simulator = simulator(json!({}));
    let mut body = conversation(1, "5m");
    body["diagnostics"] = json!({"previous_message_id": null});
    let first = post(&simulator, &body).await.json();
    assert_is_message(&first);
    assert_eq!(first["diagnostics"], json!({"cache_miss_reason": null}));
    body["diagnostics"]["previous_message_id"] = first["id"].clone();
    body["system"] = "Be kind.".into();
    let second = post(&simulator, &body).await.json();
    assert_is_message(&second);
    assert_eq!(second["diagnostics"]["cache_miss_reason"]["type"], "system_changed");
}
