//! Subscriptions: windows instead of limits, and the headers that tell of them.

use std::time::Duration;

use polpo_simulator::Simulator;
use serde_json::json;

use crate::client::{Heard, call, error_of, saying, send, simulator};
use crate::oauth::{get, sign_in};

/// A simulator with one subscription, and the headers of someone who has signed in to it.
pub(crate) async fn signed_in(five_hour_tokens: u64) -> (Simulator, [(&'static str, String); 3]) {
    let plan = json!({"fiveHourTokens": five_hour_tokens});
    let simulator = simulator(json!({"accounts": [{"name": "a", "subscription": plan}],
        "limits": {"requestsPerMinute": 1}}));
    let tokens = sign_in(&simulator).await;
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let headers = [
        ("authorization", bearer),
        ("anthropic-version", "2023-06-01".to_owned()),
        ("anthropic-beta", "oauth-2025-04-20".to_owned()),
    ];
    (simulator, headers)
}

async fn ask(simulator: &Simulator, headers: &[(&'static str, String); 3]) -> Heard {
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    send(simulator, call(&headers, saying("Hi").to_string())).await
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_used_up_refuses_until_it_ends_and_says_so_in_unified_headers() {
    let (simulator, headers) = signed_in(20).await;
    let unified = |heard: &Heard, name: &str| {
        heard.header(&format!("anthropic-ratelimit-unified-{name}")).map(str::to_owned)
    };
    let first = ask(&simulator, &headers).await;
    assert_eq!(first.status, 200);
    assert_eq!(unified(&first, "status").as_deref(), Some("allowed"));
    assert_eq!(unified(&first, "representative-claim").as_deref(), Some("five_hour"));
    assert_eq!(first.header("anthropic-ratelimit-requests-limit"), None, "no ordinary limits");

    let refused = ask(&simulator, &headers).await;
    let (status, kind, message) = error_of(&refused);
    assert_eq!((status, kind.as_str()), (429, "rate_limit_error"));
    let expected = "This request would exceed your account's rate limit. Please try again later.";
    assert_eq!(message, expected);
    assert_eq!(unified(&refused, "status").as_deref(), Some("rejected"));
    let reset: i64 = unified(&refused, "reset").unwrap().parse().unwrap();
    let wait = reset - chrono::Utc::now().timestamp();
    assert!((5 * 3600 - 30..=5 * 3600 + 2).contains(&wait), "{wait}");
    assert_eq!(simulator.books().total.refused, 1);

    tokio::time::advance(Duration::from_secs(5 * 3600 + 1)).await;
    let bearer = headers[0].1.as_str();
    let beta = [("authorization", bearer), ("anthropic-beta", "oauth-2025-04-20")];
    let usage = send(&simulator, get("/api/oauth/usage", &beta)).await.json();
    assert_eq!(usage["five_hour"]["utilization"], 0, "{usage}");
    assert_eq!(ask(&simulator, &headers).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_window_without_tokens_is_used_up_from_the_start() {
    let (simulator, headers) = signed_in(0).await;
    let refused = ask(&simulator, &headers).await;
    assert_eq!(error_of(&refused).0, 429);
    assert_eq!(refused.header("retry-after"), Some("18000"));
    let utilization = refused.header("anthropic-ratelimit-unified-5h-utilization");
    assert_eq!(utilization, Some("1.00"));
}
