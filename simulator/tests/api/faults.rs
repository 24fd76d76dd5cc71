//! Injected faults.

use serde_json::{Value, json};

use crate::client::{error_of, post, saying, simulator};

#[tokio::test]
async fn faults_come_at_their_rates_in_the_shape_of_the_api_and_charge_nothing() {
    let simulator = simulator(json!({
        "faults": {"overloadedRate": 0.1, "errorRate": 0.05},
        "limits": {"requestsPerMinute": 1_000_000, "inputTokensPerMinute": null, "outputTokensPerMinute": null},
    }));
    let (mut overloaded, mut failed) = (0, 0);
    for n in 0..2000 {
        let heard = post(&simulator, &saying(&format!("{n}"))).await;
        if heard.status == 200 {
            continue;
        }
        assert!(heard.header("anthropic-organization-id").is_some());
        assert!(!heard.headers.keys().any(|name| name.as_str().contains("ratelimit")));
        match error_of(&heard) {
            (529, kind, message) => {
                assert_eq!((kind.as_str(), message.as_str()), ("overloaded_error", "Overloaded"));
                overloaded += 1;
            }
            (status, kind, _) => {
                assert_eq!((status, kind.as_str()), (500, "api_error"));
                failed += 1;
            }
        }
    }
    assert!((160..240).contains(&overloaded), "{overloaded}");
    assert!((70..130).contains(&failed), "{failed}");
    let books = simulator.books();
    assert_eq!(
        (books.total.faulted, books.total.served),
        (overloaded + failed, 2000 - overloaded - failed)
    );
    let last = post(&simulator, &saying("0")).await;
    let remaining: u64 =
        last.header("anthropic-ratelimit-requests-remaining").unwrap().parse().unwrap();
    assert!(remaining >= 1_000_000 - 2001 + overloaded + failed);
}

#[tokio::test]
async fn the_same_request_again_draws_again() {
    let simulator = simulator(json!({"faults": {"overloadedRate": 0.5}}));
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(post(&simulator, &saying("Again")).await.status);
    }
    assert!(statuses.contains(&200) && statuses.contains(&529));
}

#[tokio::test]
async fn a_scenario_can_fail_every_request() {
    let simulator = simulator(json!({"faults": {"overloadedRate": 0, "errorRate": 1}}));
    for stream in [Value::Bool(true), Value::Null] {
        let mut body = saying("Hi");
        body["stream"] = stream;
        assert_eq!(post(&simulator, &body).await.status, 500);
    }
}
