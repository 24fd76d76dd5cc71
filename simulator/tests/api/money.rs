//! Credit, spend limits and bills.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use http::Method;
use polpo_simulator::Simulator;
use serde_json::{Value, json};

use crate::client::{Heard, call, error_of, request, saying, send, signed, simulator};

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

/// The time a minute from now.
fn soon() -> DateTime<Utc> {
    Utc::now() + TimeDelta::minutes(1)
}

fn told(regain: DateTime<Utc>) -> String {
    format!("You will regain access on {}.", regain.format("%Y-%m-%d at %H:%M UTC"))
}

#[tokio::test(start_paused = true)]
async fn a_workspace_s_limit_stops_that_workspace_alone_and_names_the_day() {
    let regain = soon();
    let limited = json!({"workspaceSpendLimitUsd": 0.001, "regainAccess": regain});
    let simulator = organization(limited, json!({"regainAccess": regain}));
    assert_eq!(ask(&simulator, "ka").await.0, 200);
    let (status, message) = ask(&simulator, "ka").await;
    assert_eq!(status, 400);
    let expected = "You have reached your specified workspace API usage limits.";
    assert_eq!(message, format!("{expected} {}", told(regain)));
    assert_eq!(ask(&simulator, "kb").await.0, 200);
}

#[tokio::test]
async fn a_workspace_s_limit_counts_what_all_of_its_accounts_spend() {
    let account = |name: &str, workspace: &str, money: Value| {
        json!({"name": name, "apiKey": format!("k{name}"), "organizationId": ORGANIZATION,
               "workspaceId": workspace, "money": money})
    };
    let limited = json!({"workspaceSpendLimitUsd": 0.001});
    let simulator = simulator(json!({"accounts": [
        account("a", "wrkspc_1", limited.clone()),
        account("b", "wrkspc_1", limited),
        account("c", "wrkspc_2", json!({"workspaceSpendLimitUsd": 0.5})),
    ]}));
    assert_eq!(ask(&simulator, "ka").await.0, 200);
    assert_eq!(ask(&simulator, "kb").await.0, 400);
    assert_eq!(ask(&simulator, "kc").await.0, 200);
    put(&simulator, json!({"b": {"workspaceSpendLimitUsd": 0.6}})).await;
    assert_eq!(ask(&simulator, "ka").await.0, 200, "the limit is the workspace's");
    put(&simulator, json!({"a": {"workspaceSpendLimitUsd": 0}})).await;
    assert_eq!(ask(&simulator, "kb").await.0, 400);
    assert_eq!(ask(&simulator, "kc").await.0, 200);
}

/// The limits that end, and the status of what they refuse.
const LIMITS: [(&str, u16); 4] = [
    ("spendLimitUsd", 400),
    ("workspaceSpendLimitUsd", 400),
    ("monthlyCapUsd", 429),
    ("contractCapUsd", 429),
];

#[tokio::test(start_paused = true)]
async fn a_limit_ends_when_it_says() {
    for (limit, status) in LIMITS {
        let regain = soon();
        let simulator = organization(
            json!({(limit): 0.001, "regainAccess": regain}),
            if limit.starts_with("workspace") {
                json!({"regainAccess": regain})
            } else {
                json!({(limit): 0.001, "regainAccess": regain})
            },
        );
        assert_eq!(ask(&simulator, "ka").await.0, 200);
        tokio::time::advance(Duration::from_secs(50)).await;
        let refused = ask(&simulator, "ka").await;
        assert_eq!(refused.0, status, "{limit}");
        assert!(refused.1.ends_with(&told(regain)), "{limit}: {}", refused.1);
        tokio::time::advance(Duration::from_secs(11)).await;
        for _ in 0..3 {
            assert_eq!(ask(&simulator, "ka").await.0, 200, "{limit}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_does_not_say_ends_with_the_month_and_begins_with_the_next() {
    for (limit, status) in LIMITS {
        let limited = json!({(limit): 0.001});
        let other = if limit.starts_with("workspace") { json!({}) } else { limited.clone() };
        let simulator = organization(limited, other);
        let mut told = Vec::new();
        for _ in 0..2 {
            assert_eq!(ask(&simulator, "ka").await.0, 200, "{limit}");
            let refused = ask(&simulator, "ka").await;
            assert_eq!(refused.0, status, "{limit}");
            let (_, end) = refused.1.split_once("You will regain access on ").unwrap();
            told.push(end.to_owned());
            tokio::time::advance(Duration::from_secs(31 * 24 * 3600)).await;
        }
        let next = Utc::now().date_naive() + chrono::Months::new(1);
        let first = format!("{}-{:02}-01 at 00:00 UTC.", next.year(), next.month());
        assert_eq!(told[0], first);
        assert_ne!(told[0], told[1], "the next month has its own end");
    }
}

#[tokio::test(start_paused = true)]
async fn credit_does_not_come_back_with_the_month() {
    let credit = json!({"creditUsd": 0.001});
    let simulator = organization(credit.clone(), credit);
    assert_eq!(ask(&simulator, "ka").await.0, 200);
    tokio::time::advance(Duration::from_secs(32 * 24 * 3600)).await;
    assert_eq!(ask(&simulator, "ka").await.0, 400);
}

async fn put(simulator: &Simulator, body: Value) -> Heard {
    let mut call = call(&[], body.to_string());
    (call.method, call.path) = (Method::PUT, "/_sim/money".into());
    send(simulator, call).await
}

#[tokio::test]
async fn money_can_be_changed_while_it_runs() {
    let credit = json!({"creditUsd": 0});
    let simulator = organization(credit.clone(), credit);
    assert_eq!(ask(&simulator, "kb").await.0, 400);
    assert_eq!(put(&simulator, json!({"a": {"creditUsd": 5}})).await.status, 204);
    assert_eq!(ask(&simulator, "kb").await.0, 200, "credit is the organisation's");
    assert_eq!(put(&simulator, json!({"b": {"billingProblem": true}})).await.status, 204);
    assert_eq!(ask(&simulator, "ka").await.0, 402);
    let heard = put(&simulator, json!({"c": {}})).await;
    assert_eq!(
        heard.json()["error"]["message"],
        "c: `c` is no account that has money; there are a, b"
    );
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
