//! Credit, spend limits and bills.

use http::Method;
use polpo_simulator::Simulator;
use serde_json::{Value, json};

use crate::client::{call, error_of, request, saying, send, signed, simulator};

const ORGANIZATION: &str = "3f0c9a2b-0000-4000-8000-000000000001";

/// Two workspaces of an organisation with this money.
fn organization(a: Value, b: Value) -> Simulator {
    simulator(json!({"accounts": [
        {"name": "a", "apiKey": "ka", "organizationId": ORGANIZATION, "money": a},
        {"name": "b", "apiKey": "kb", "organizationId": ORGANIZATION, "money": b},
    ]}))
}

async fn ask(simulator: &Simulator, key: &str) -> (u16, String) {
    let heard = send(simulator, signed(key, &saying("Hi"))).await;
    if heard.status == 200 {
        return (200, String::new());
    }
    let (status, _, message) = error_of(&heard);
    (status, message)
}

#[tokio::test]
async fn credit_runs_out_for_the_whole_organisation_and_the_last_request_overshoots() {
    let credit = json!({"creditUsd": 0.001});
    let simulator = organization(credit.clone(), credit);
    assert_eq!(ask(&simulator, "ka").await.0, 200);
    assert!(simulator.books().total.nanodollars > 1_000_000);
    for key in ["ka", "kb"] {
        let (status, message) = ask(&simulator, key).await;
        assert_eq!(status, 400);
        assert_eq!(
            message,
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & \
             Billing to upgrade or purchase credits."
        );
    }
    let books = simulator.books();
    assert_eq!((books.accounts["a"].unpaid, books.accounts["b"].unpaid), (1, 1));
    assert_eq!((books.total.served, books.total.requests), (1, 3));
}

#[tokio::test]
async fn a_workspace_s_limit_stops_that_workspace_alone_and_names_the_day() {
    let limited = json!({"workspaceSpendLimitUsd": 0.001, "regainAccess": "2026-12-24T06:30:00Z"});
    let simulator = organization(limited, json!({"regainAccess": "2026-12-24T06:30:00Z"}));
    assert_eq!(ask(&simulator, "ka").await.0, 200);
    let (status, message) = ask(&simulator, "ka").await;
    assert_eq!(status, 400);
    assert_eq!(
        message,
        "You have reached your specified workspace API usage limits. You will regain access on \
         2026-12-24 at 06:30 UTC."
    );
    assert_eq!(ask(&simulator, "kb").await.0, 200);
}

#[tokio::test]
async fn money_can_be_changed_while_it_runs() {
    let credit = json!({"creditUsd": 0});
    let simulator = organization(credit.clone(), credit);
    let put = async |body: Value| {
        let mut call = call(&[], body.to_string());
        (call.method, call.path) = (Method::PUT, "/_sim/money".into());
        send(&simulator, call).await
    };
    assert_eq!(ask(&simulator, "kb").await.0, 400);
    assert_eq!(put(json!({"a": {"creditUsd": 5}})).await.status, 204);
    assert_eq!(ask(&simulator, "kb").await.0, 200, "credit is the organisation's");
    assert_eq!(put(json!({"b": {"billingProblem": true}})).await.status, 204);
    assert_eq!(ask(&simulator, "ka").await.0, 402);
    let heard = put(json!({"c": {}})).await;
    assert_eq!(heard.json()["error"]["message"], "c: `c` is no account; there are a, b");
}

#[tokio::test]
async fn without_credit_no_tokens_are_counted_either() {
    let credit = json!({"creditUsd": 0});
    let simulator = organization(credit.clone(), credit);
    let mut count = signed("ka", &request(json!({"max_tokens": null})));
    count.path = "/v1/messages/count_tokens".into();
    let (status, _, message) = error_of(&send(&simulator, count).await);
    assert_eq!(status, 400);
    assert!(message.starts_with("Your credit balance is too low"), "{message}");
    assert_eq!(simulator.books().total.unpaid, 1);
}
