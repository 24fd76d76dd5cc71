//! The face of Poe.

use polpo_simulator::Simulator;
use serde_json::{Value, json};

use crate::client::{Heard, assert_is_message, call, request, send, simulator};
use crate::oauth::get;

fn poe(plan: Value) -> Simulator {
    simulator(json!({"accounts": [{"name": "p", "apiKey": "poe-key", "poe": plan}]}))
}

async fn ask(simulator: &Simulator, key: &str, more: Value) -> Heard {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("anthropic-version", "2023-06-01")];
    send(simulator, call(&headers, request(more).to_string())).await
}

#[tokio::test]
async fn poe_takes_its_own_names_and_tells_its_own_limits() {
    let simulator = poe(json!({}));
    for model in ["claude-sonnet-4.5", "claude-sonnet-4-5-20250929", "Claude-Opus-4.6"] {
        let heard = ask(&simulator, "poe-key", json!({"model": model})).await;
        assert_eq!(heard.status, 200, "{}", heard.text());
        assert_is_message(&heard.json());
        assert_eq!(heard.header("x-ratelimit-limit-requests"), Some("500"));
        assert!(!heard.headers.keys().any(|name| name.as_str().starts_with("anthropic")));
        assert_eq!(heard.header("request-id"), None);
    }
}

#[tokio::test]
async fn errors_are_poe_s_own_and_what_it_has_not_is_not_found() {
    let simulator = poe(json!({}));
    for (key, more, status, code) in [
        ("wrong", json!({}), 401, "invalid_api_key"),
        ("poe-key", json!({"model": "gpt-9"}), 400, "model_not_found"),
        ("poe-key", json!({"max_tokens": null}), 400, "missing_parameter"),
        (
            "poe-key",
            json!({"messages": [{"role": "system", "content": "x"}]}),
            400,
            "invalid_parameter",
        ),
    ] {
        let heard = ask(&simulator, key, more).await;
        let body = heard.json();
        assert_eq!((heard.status, &body["error"]["code"]), (status, &json!(code)), "{body}");
        assert!(body.get("type").is_none() && body.get("request_id").is_none());
        assert_eq!(heard.header("x-should-retry"), None);
    }
    let mut count = call(&[("x-api-key", "poe-key")], "{}");
    count.path = "/v1/messages/count_tokens".into();
    assert_eq!(send(&simulator, count).await.status, 404);
    assert_eq!(send(&simulator, get("/v1/models", &[("x-api-key", "poe-key")])).await.status, 404);
}

#[tokio::test]
async fn points_are_spent_and_run_out() {
    let simulator = poe(json!({"points": 50}));
    let balance = async || {
        let heard =
            send(&simulator, get("/usage/current_balance", &[("x-api-key", "poe-key")])).await;
        heard.json()["current_point_balance"].as_u64().unwrap()
    };
    assert_eq!(balance().await, 50);
    assert_eq!(ask(&simulator, "poe-key", json!({})).await.status, 200);
    let price = simulator.books().total.nanodollars as u64;
    assert_eq!(balance().await, 50_u64.saturating_sub(price.div_ceil(30_000)));
    let heard = ask(&simulator, "poe-key", json!({})).await;
    assert_eq!(
        (heard.status, &heard.json()["error"]["code"]),
        (402, &json!("insufficient_credits"))
    );
    let books = simulator.books();
    assert_eq!((books.total.unpaid, books.total.refused), (1, 0));
}

#[tokio::test]
async fn requests_beyond_the_limit_of_a_minute_are_refused() {
    let simulator = poe(json!({"requestsPerMinute": 2}));
    for expected in [200, 200, 429] {
        let heard = ask(&simulator, "poe-key", json!({})).await;
        assert_eq!(heard.status, expected);
        assert_eq!(heard.header("retry-after"), (expected == 429).then_some("30"));
        assert_eq!(heard.header("x-should-retry"), None);
    }
}

#[tokio::test]
async fn a_rule_can_send_headers_that_poe_does_not() {
    let error = json!({"headers": {"X-Should-Retry": "false"}});
    let simulator = simulator(json!({
        "accounts": [{"name": "p", "apiKey": "poe-key", "poe": {}}],
        "faults": {"rules": [{"fault": "rateLimit", "error": error}]},
    }));
    let heard = ask(&simulator, "poe-key", json!({})).await;
    assert_eq!((heard.status, heard.header("x-should-retry")), (429, Some("false")));
}
