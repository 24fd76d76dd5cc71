//! Rate limits in virtual time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::{Heard, KEY, error_of, post, request, saying, send, signed, simulator};

const OTHER_KEY: &str = "sk-ant-api03-simulated-b";

fn limited(requests: Value, input: Value, output: Value) -> Value {
    json!({"requestsPerMinute": requests, "inputTokensPerMinute": input, "outputTokensPerMinute": output})
}

fn retry_after(heard: &Heard) -> u64 {
    heard.header("retry-after").unwrap().parse().unwrap()
}

fn number(heard: &Heard, name: &str) -> u64 {
    heard.header(&format!("anthropic-ratelimit-{name}")).unwrap().parse().unwrap()
}

fn reset(heard: &Heard, name: &str) -> f64 {
    let stamp = heard.header(&format!("anthropic-ratelimit-{name}-reset")).unwrap();
    assert!(stamp.ends_with('Z') && stamp.len() == 20, "{stamp}");
    let at: DateTime<Utc> = stamp.parse().unwrap();
    (at - Utc::now()).as_seconds_f64()
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_requests_refuses_names_itself_and_admits_after_the_time_it_told() {
    let simulator = simulator(json!({"limits": limited(json!(4), Value::Null, Value::Null)}));
    for left in [3, 2, 1, 0] {
        let heard = post(&simulator, &request(json!({}))).await;
        assert_eq!(heard.status, 200);
        assert_eq!(
            (number(&heard, "requests-limit"), number(&heard, "requests-remaining")),
            (4, left)
        );
    }
    let refused = post(&simulator, &request(json!({}))).await;
    let (status, kind, message) = error_of(&refused);
    assert_eq!((status, kind.as_str()), (429, "rate_limit_error"));
    let organization = &simulator.scenario().accounts()[0].organization_id;
    let expected = format!(
        "This request would exceed your organization's rate limit of 4 requests per minute (org: {organization}, model: claude-opus-4-6). For details, "
    );
    assert!(message.starts_with(&expected), "{message}");
    assert_eq!(refused.header("x-should-retry"), Some("true"));
    assert_eq!((retry_after(&refused), number(&refused, "requests-remaining")), (15, 0));
    assert!((58.0..61.5).contains(&reset(&refused, "requests")));

    sleep(Duration::from_millis(14_900)).await;
    assert_eq!(retry_after(&post(&simulator, &request(json!({}))).await), 1);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(post(&simulator, &request(json!({}))).await.status, 200);
    let books = simulator.books();
    assert_eq!((books.total.served, books.total.refused, books.total.requests), (5, 2, 7));
}

#[tokio::test(start_paused = true)]
async fn input_is_charged_on_arrival_and_told_in_thousands() {
    let simulator = simulator(json!({"limits": limited(Value::Null, json!(10_000), Value::Null)}));
    let body = saying(&"x".repeat(4 * 3_597));
    let heard = post(&simulator, &body).await;
    assert_eq!(heard.json()["usage"]["input_tokens"], 3_600);
    assert_eq!(
        (number(&heard, "input-tokens-limit"), number(&heard, "input-tokens-remaining")),
        (10_000, 6_000)
    );
    assert!((20.0..23.5).contains(&reset(&heard, "input-tokens")), "21.6 s to full");
    assert_eq!(heard.header("anthropic-ratelimit-tokens-limit"), None, "output is unlimited");
    assert_eq!(post(&simulator, &body).await.status, 200);
    let refused = post(&simulator, &body).await;
    assert!(error_of(&refused).2.contains("rate limit of 10,000 input tokens per minute"));
    // 800 short at 166.7 a second.
    assert_eq!(retry_after(&refused), 5);
    assert_eq!(post(&simulator, &saying("Hi")).await.status, 200, "a small one still fits");
}

#[tokio::test(start_paused = true)]
async fn output_is_charged_as_produced_and_refuses_once_it_is_overdrawn() {
    let simulator = simulator(json!({"limits": limited(Value::Null, Value::Null, json!(60))}));
    let first = post(&simulator, &request(json!({"max_tokens": 100}))).await;
    assert_eq!(number(&first, "output-tokens-remaining"), 0, "60 rounds to no thousand");
    let produced = first.json()["usage"]["output_tokens"].as_u64().unwrap();
    assert!(produced > 62, "the default answer is longer than the bucket");
    let refused = post(&simulator, &request(json!({"max_tokens": 1}))).await;
    assert!(error_of(&refused).2.contains("rate limit of 60 output tokens per minute"));
    assert_eq!(retry_after(&refused), produced - 60 + 1, "above zero, not zero");
    sleep(Duration::from_secs(retry_after(&refused))).await;
    assert_eq!(post(&simulator, &request(json!({"max_tokens": 1}))).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_as_long_as_told_is_admitted_at_any_time_scale() {
    for scale in [0.3, 1.0, 7.0, 60.0] {
        let limits = limited(json!(7), json!(1_111), Value::Null);
        let simulator = simulator(json!({"limits": limits, "timeScale": scale}));
        let mut refusals = 0;
        for length in 0..60 {
            let body = saying(&"x".repeat(length * 61));
            let heard = post(&simulator, &body).await;
            if heard.status == 429 {
                refusals += 1;
                sleep(Duration::from_secs(retry_after(&heard))).await;
                assert_eq!(
                    post(&simulator, &body).await.status,
                    200,
                    "scale {scale}, length {length}"
                );
            }
        }
        assert!(refusals > 5, "scale {scale}: {refusals}");
    }
}

#[tokio::test(start_paused = true)]
async fn time_scale_divides_the_refill_and_clients_are_told_real_seconds() {
    let refused_at = async |scale: f64| {
        let limits = limited(json!(1), Value::Null, Value::Null);
        let simulator = simulator(json!({"limits": limits, "timeScale": scale}));
        post(&simulator, &request(json!({}))).await;
        let heard = post(&simulator, &request(json!({}))).await;
        (retry_after(&heard), reset(&heard, "requests"))
    };
    let (after, reset) = refused_at(1.0).await;
    assert!(after == 60 && (58.0..61.5).contains(&reset));
    let (after, reset) = refused_at(10.0).await;
    assert!(after == 6 && (4.0..7.5).contains(&reset));
    assert_eq!(refused_at(1000.0).await.0, 1, "rounded up");
}

#[tokio::test(start_paused = true)]
async fn limits_are_of_an_organization_and_a_limit_class() {
    let limits = limited(json!(1), Value::Null, Value::Null);
    let simulator = simulator(json!({"limits": limits}));
    let ask = async |key: &str, model: &str| {
        send(&simulator, signed(key, &request(json!({"model": model})))).await.status
    };
    assert_eq!(ask(KEY, "claude-opus-4-6").await, 200);
    assert_eq!(ask(KEY, "claude-opus-4-5").await, 429, "one class");
    assert_eq!(ask(KEY, "claude-sonnet-4-6").await, 200, "another class");
    assert_eq!(ask(OTHER_KEY, "claude-opus-4-6").await, 200, "another organization");
}

#[tokio::test(start_paused = true)]
async fn accounts_of_one_organization_share_its_buckets() {
    let organization = "3f0c9a2b-0000-4000-8000-000000000001";
    let account =
        |name: &str| json!({"name": name, "apiKey": name, "organizationId": organization});
    let limits = limited(json!(1), Value::Null, Value::Null);
    let simulator = simulator(json!({"limits": limits, "accounts": [account("x"), account("y")]}));
    assert_eq!(send(&simulator, signed("x", &request(json!({})))).await.status, 200);
    assert_eq!(send(&simulator, signed("y", &request(json!({})))).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn the_default_limits_are_told_in_four_groups_and_no_limits_in_none() {
    let simulator = polpo_simulator::Simulator::new(polpo_simulator::Scenario::default_scenario());
    let mut heard = post(&simulator, &request(json!({}))).await;
    for n in 0.. {
        if heard.status == 200 {
            break;
        }
        heard = post(&simulator, &saying(&format!("another {n}"))).await;
    }
    assert_eq!(number(&heard, "requests-limit"), 300);
    assert_eq!(number(&heard, "input-tokens-limit"), 40_000);
    assert_eq!(number(&heard, "output-tokens-limit"), 80_000);
    assert_eq!(
        (number(&heard, "tokens-limit"), number(&heard, "tokens-remaining")),
        (120_000, 120_000)
    );

    let unlimited = post(&crate::client::simulator(json!({})), &request(json!({}))).await;
    assert!(!unlimited.headers.keys().any(|name| name.as_str().contains("ratelimit")));
}

#[tokio::test(start_paused = true)]
async fn sixty_a_minute_can_be_one_a_second() {
    let mut limits = limited(json!(60), Value::Null, Value::Null);
    limits["burstSeconds"] = json!(1);
    let simulator = simulator(json!({"limits": limits}));
    assert_eq!(post(&simulator, &saying("Hi")).await.status, 200);
    assert_eq!(retry_after(&post(&simulator, &saying("Hi")).await), 1);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(post(&simulator, &saying("Hi")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_workspace_may_have_less_than_its_organization() {
    let organization = "3f0c9a2b-0000-4000-8000-000000000001";
    let account = |name: &str, limits: Value| json!({"name": name, "apiKey": name, "organizationId": organization, "workspaceLimits": limits});
    let less = account("x", json!({"requestsPerMinute": 1}));
    let simulator = simulator(json!({"accounts": [less, account("y", json!({}))]}));
    let ask = async |key: &str| send(&simulator, signed(key, &saying("Hi"))).await;
    assert_eq!(ask("x").await.status, 200);
    let refused = ask("x").await;
    assert_eq!((error_of(&refused).0, retry_after(&refused)), (429, 60));
    assert_eq!(refused.header("anthropic-ratelimit-requests-limit"), None, "no header tells");
    assert_eq!(ask("y").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn accounts_of_one_workspace_share_its_limits() {
    let organization = "3f0c9a2b-0000-4000-8000-000000000001";
    let account = |name: &str, workspace: &str| {
        json!({"name": name, "apiKey": name, "organizationId": organization,
        "workspaceId": workspace, "workspaceLimits": {"requestsPerMinute": 1}})
    };
    let accounts = [account("x", "wrkspc_1"), account("y", "wrkspc_1"), account("z", "wrkspc_2")];
    let simulator = simulator(json!({"accounts": accounts}));
    let ask = async |key: &str| send(&simulator, signed(key, &saying("Hi"))).await.status;
    assert_eq!(ask("x").await, 200);
    assert_eq!(ask("y").await, 429);
    assert_eq!(ask("z").await, 200);
}

#[tokio::test(start_paused = true)]
async fn the_growth_of_an_account_s_own_limits_can_be_lifted() {
    let mut limits = limited(Value::Null, Value::Null, Value::Null);
    limits["acceleration"] = json!({"floorTokens": 10, "growth": 1});
    let accounts = json!([{"name": "x", "apiKey": "x"},
        {"name": "y", "apiKey": "y", "limits": {"acceleration": null}}]);
    let simulator = simulator(json!({"limits": limits, "accounts": accounts}));
    let ask = async |key: &str| send(&simulator, signed(key, &saying("Hello there"))).await.status;
    assert_eq!((ask("x").await, ask("x").await, ask("x").await), (200, 429, 429));
    assert_eq!((ask("y").await, ask("y").await, ask("y").await), (200, 200, 200));
}

#[tokio::test(start_paused = true)]
async fn input_may_only_grow_so_fast() {
    let mut limits = limited(Value::Null, Value::Null, Value::Null);
    limits["acceleration"] = json!({"floorTokens": 1_000, "growth": 2});
    let simulator = simulator(json!({"limits": limits}));
    let body = saying(&"x".repeat(4 * 797));
    assert_eq!(post(&simulator, &body).await.status, 200);
    let refused = post(&simulator, &body).await;
    assert_eq!(error_of(&refused).0, 429);
    assert_eq!(refused.json()["error"]["details"]["error_code"], "ramp_limit_exceeded");
    sleep(Duration::from_secs(retry_after(&refused))).await;
    for expected in [200, 200, 429] {
        assert_eq!(post(&simulator, &body).await.status, expected, "twice 800 tokens");
    }
}
