//! What a call is charged: each class of its tokens, by the last word on it, at its own price.

use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use serde_json::{Value, json};

use super::front::{Ask, Front};
use crate::reply::{Canned, says_json, starts, stop_event, streams};
use crate::reply::{Step, event, stream};
use crate::system::simulate;

const OPUS: &str = "claude-opus-4-8";

/// A request for a model.
fn of(model: &str, is_stream: bool) -> Ask {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let body = json!({"model": model, "max_tokens": 9, "stream": is_stream, "messages": messages});
    Ask::raw(&body.to_string())
}

/// A stream that begins with these figures and ends with those.
fn told(first: &Value, last: &Value) -> Canned {
    let message = json!({"model": OPUS, "content": [], "usage": first});
    let delta = json!({"delta": {"stop_reason": "end_turn"}, "usage": last});
    let block = json!({"index": 0, "content_block": {"type": "text", "text": ""}});
    stream()
        .then(Step::Text(event("message_start", json!({ "message": message }))))
        .then(Step::Text(event("content_block_start", block)))
        .then(Step::Text(event("message_delta", delta)))
        .then(stop_event())
}

#[test]
fn each_class_is_charged_at_its_own_price_and_the_last_word_on_it_counts() {
    let written = json!({"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 50});
    let first = json!({
        "input_tokens": 100, "output_tokens": 1, "cache_read_input_tokens": 700,
        "cache_creation_input_tokens": 350, "cache_creation": written,
        "inference_geo": "us", "speed": "fast",
    });
    // A zero that is said replaces what was known, and what is not said keeps it.
    let last = json!({
        "input_tokens": 120, "output_tokens": 40, "cache_read_input_tokens": 0,
        "server_tool_use": {"web_search_requests": 2},
    });
    let mut all = first.clone();
    all.as_object_mut().unwrap().extend(last.as_object().unwrap().clone());
    let whole = says_json(&json!({"model": OPUS, "content": [], "usage": all}));
    let used = Usage {
        input: 120,
        output: 40,
        cache_read: 0,
        cache_write_5m: 300,
        cache_write_1h: 50,
        web_searches: 2,
    };
    // 5, 25, 6.25 and 10 dollars for a million tokens, twice for speed, and a tenth more for the
    // place; a cent for a search.
    let cost = 120 * 11_000 + 40 * 55_000 + 300 * 13_750 + 50 * 22_000 + 2 * 10_000_000;
    for (is_stream, reply) in [(true, told(&first, &last)), (false, whole)] {
        simulate(async || {
            let front = Front::new(&["a"]).await;
            front.world.script.on("a", [reply.clone()]);
            let heard = front.hear(&of(OPUS, is_stream)).await;
            assert_eq!((heard.status, heard.text()), (200, reply.said(OPUS)));
            let rows = front.close().await;
            assert_eq!((rows[0].usage, rows[0].cost), (used, Nanodollars(cost)));
        });
    }
}

#[test]
fn a_model_without_a_price_is_counted_and_never_called_free() {
    let model = "claude-none-9";
    let usage = json!({"input_tokens": 100, "output_tokens": 40});
    let whole = says_json(&json!({"model": model, "content": [], "usage": usage}));
    for (is_stream, reply) in [(true, streams(&[])), (false, whole)] {
        simulate(async || {
            let front = Front::new(&["a"]).await;
            front.world.script.on("a", [reply.clone()]);
            let heard = front.hear(&of(model, is_stream)).await;
            assert_eq!(heard.status, 200);
            assert_eq!(heard.header("x-polpo-cost-usd"), "");
            assert_eq!(front.world.metric("unpriced_calls_total", &[]), 1.0);
            let rows = front.close().await;
            assert_eq!((rows[0].priced, rows[0].usage.input), (false, 100));
        });
    }
}

#[test]
fn names_that_clients_make_up_make_no_series() {
    simulate(async || {
        let front = Front::new(&["a"]).await;
        let series = || front.world.metrics.render().lines().count();
        let ask = async |name: &str| {
            front.world.script.on("a", [starts().then(stop_event())]);
            front.hear(&of(name, true).with("x-claude-code-agent-id", name)).await;
        };
        for name in ["claude-new-0", "gpt-0"] {
            ask(name).await;
        }
        let before = series();
        for number in 1..50 {
            ask(&format!("claude-new-{number}")).await;
            ask(&format!("gpt-{number}")).await;
        }
        assert_eq!(series(), before);
        front.end().await;
    });
}
