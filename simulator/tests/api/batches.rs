//! Message batches as a client sees them.

use std::time::Duration;

use http::Method;
use polpo_simulator::Simulator;
use polpo_upstream::transport::Call;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::{
    Heard, KEY, assert_is_message, call, error_of, post, request, saying, schema, send, signed,
    simulator,
};

const BATCHES: &str = "/v1/messages/batches";

fn at(method: Method, path: &str, body: &Value) -> Call {
    let mut call = signed(KEY, body);
    (call.method, call.path) = (method, path.to_owned());
    call
}

async fn get(simulator: &Simulator, path: &str) -> Heard {
    send(simulator, at(Method::GET, path, &Value::Null)).await
}

/// Submits requests by their ids and parameters.
async fn submit(simulator: &Simulator, requests: &[(&str, Value)]) -> Value {
    let one = |(id, params): &(&str, Value)| json!({"custom_id": id, "params": params});
    let body = json!({"requests": requests.iter().map(one).collect::<Vec<_>>()});
    let heard = send(simulator, at(Method::POST, BATCHES, &body)).await;
    assert_eq!(heard.status, 200, "{}", heard.text());
    assert_is_batch(&heard.json());
    heard.json()
}

fn assert_is_batch(value: &Value) {
    schema(include_str!("../schemas/message_batch.json")).validate(value).unwrap();
}

/// Longer than any batch takes at the default pace.
async fn wait() {
    sleep(Duration::from_mins(4)).await;
}

fn path_of(batch: &Value) -> String {
    format!("{BATCHES}/{}", batch["id"].as_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_created_processed_read_and_deleted() {
    let simulator = simulator(json!({}));
    let requests = [
        ("ok", saying("Hello")),
        ("no-model", request(json!({"model": "claude-none"}))),
        ("no-tokens", request(json!({"max_tokens": 0}))),
        ("stream", request(json!({"stream": true}))),
        ("nothing", json!({})),
    ];
    let batch = submit(&simulator, &requests).await;
    let id = batch["id"].as_str().unwrap();
    assert!(id.starts_with("msgbatch_01") && id.len() == "msgbatch_01".len() + 22, "{id}");
    assert_eq!(batch["processing_status"], "in_progress");
    let time =
        |name: &str| chrono::DateTime::parse_from_rfc3339(batch[name].as_str().unwrap()).unwrap();
    assert_eq!(time("expires_at") - time("created_at"), chrono::TimeDelta::hours(24));
    let results = format!("{}/results", path_of(&batch));
    let (status, kind, _) = error_of(&get(&simulator, &results).await);
    assert_eq!((status, kind.as_str()), (404, "not_found_error"));

    wait().await;
    let heard = get(&simulator, &path_of(&batch)).await;
    assert!(heard.header("anthropic-workspace-id").is_some());
    let ended = heard.json();
    assert_is_batch(&ended);
    assert_eq!(ended["processing_status"], "ended");
    assert_eq!(ended["results_url"], format!("https://api.anthropic.com{results}"));
    assert_eq!(
        ended["request_counts"],
        json!({"processing": 0, "succeeded": 1, "errored": 4, "canceled": 0, "expired": 0})
    );
    let heard = get(&simulator, &results).await;
    assert_eq!(heard.header("content-type"), Some("application/x-jsonl"));
    let validator = schema(include_str!("../schemas/batch_result_line.json"));
    let mut failures = Vec::new();
    for line in heard.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        validator.validate(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let result = &line["result"];
        match result["type"].as_str().unwrap() {
            "succeeded" => assert_is_message(&result["message"]),
            _ => failures.push((
                line["custom_id"].as_str().unwrap().to_owned(),
                result["error"]["error"]["message"].as_str().unwrap().to_owned(),
            )),
        }
    }
    failures.sort();
    let failures: Vec<_> = failures.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        failures,
        [
            ("no-model", "model: claude-none"),
            ("no-tokens", "max_tokens: must be greater than or equal to 1"),
            ("nothing", "max_tokens: Field required"),
            ("stream", "\"stream=True\" is not supported in the Message Batches API"),
        ]
    );
    let deleted = send(&simulator, at(Method::DELETE, &path_of(&batch), &Value::Null)).await;
    assert_eq!(deleted.json(), json!({"id": id, "type": "message_batch_deleted"}));
    assert_eq!(get(&simulator, &path_of(&batch)).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn the_books_have_each_request_once_even_if_nobody_looks_at_the_batch() {
    let simulator = simulator(json!({}));
    let requests: Vec<_> = (0..30).map(|n| (format!("r{n}"), saying(&format!("{n}")))).collect();
    let requests: Vec<_> = requests.iter().map(|(id, body)| (id.as_str(), body.clone())).collect();
    let batch = submit(&simulator, &requests).await;
    assert_eq!(simulator.books().total.requests, 0);
    wait().await;
    let books = get(&simulator, "/_sim/books").await.json();
    assert_eq!((&books["total"]["served"], &books["total"]["requests"]), (&json!(30), &json!(30)));
    assert_eq!(books["messages"].as_object().unwrap().len(), 30);
    get(&simulator, &path_of(&batch)).await;
    wait().await;
    assert_eq!(serde_json::to_value(simulator.books()).unwrap(), books);
}

#[tokio::test(start_paused = true)]
async fn a_batch_costs_half_of_what_its_messages_cost() {
    let (batched, single) = (simulator(json!({})), simulator(json!({})));
    let path = path_of(&submit(&batched, &[("a", saying("Hello"))]).await);
    post(&single, &saying("Hello")).await;
    wait().await;
    let line = get(&batched, &format!("{path}/results")).await.json();
    assert_eq!(line["result"]["message"]["usage"]["service_tier"], "batch");
    let (batched, single) = (batched.books().total, single.books().total);
    assert_eq!(batched.tokens, single.tokens);
    assert_eq!(batched.nanodollars * 2, single.nanodollars);
}

#[tokio::test(start_paused = true)]
async fn a_batch_canceled_in_the_middle_has_been_answered_in_part() {
    let simulator = simulator(json!({}));
    let requests: Vec<_> = (0..200).map(|n| (format!("r{n}"), saying(&format!("{n}")))).collect();
    let requests: Vec<_> = requests.iter().map(|(id, body)| (id.as_str(), body.clone())).collect();
    let path = path_of(&submit(&simulator, &requests).await);
    sleep(Duration::from_secs(10)).await;
    let cancel = at(Method::POST, &format!("{path}/cancel"), &Value::Null);
    let canceling = send(&simulator, cancel.clone()).await.json();
    assert_is_batch(&canceling);
    assert_eq!(canceling["processing_status"], "canceling");
    wait().await;
    let counts = get(&simulator, &path).await.json()["request_counts"].clone();
    let (done, canceled) = (&counts["succeeded"], &counts["canceled"]);
    assert!(done.as_u64().unwrap() > 5 && canceled.as_u64().unwrap() > 5, "{counts}");
    assert_eq!(done.as_u64().unwrap() + canceled.as_u64().unwrap(), 200);
    assert_eq!(json!(simulator.books().total.served), *done);
    let lines = get(&simulator, &format!("{path}/results")).await.text();
    let validator = schema(include_str!("../schemas/batch_result_line.json"));
    for line in lines.lines() {
        validator.validate(&serde_json::from_str(line).unwrap()).unwrap();
    }
    assert_eq!(error_of(&send(&simulator, cancel).await).0, 400);
}

#[tokio::test]
async fn a_batch_belongs_to_its_workspace_and_a_creation_that_is_refused_leaves_none() {
    let simulator = simulator(json!({}));
    let path = path_of(&submit(&simulator, &[("a", saying("Hello"))]).await);
    let mut other = signed("sk-ant-api03-simulated-b", &Value::Null);
    (other.method, other.path) = (Method::GET, path.clone());
    assert_eq!(error_of(&send(&simulator, other).await).0, 404);
    let twice = json!({"custom_id": "a", "params": {}});
    let refused = at(Method::POST, BATCHES, &json!({"requests": [twice, twice]}));
    assert_eq!(error_of(&send(&simulator, refused).await).0, 400);
    let mut anonymous = call(&[], "");
    anonymous.path = BATCHES.to_owned();
    assert_eq!(error_of(&send(&simulator, anonymous).await).0, 401);
    let list = get(&simulator, BATCHES).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_is_batch(&list["data"][0]);
    simulator.reset();
    assert_eq!(get(&simulator, &path).await.status, 404);
}

#[tokio::test]
async fn a_fault_for_batches_meets_their_creation_and_nothing_else() {
    let rule = json!({"fault": "overloaded", "endpoint": "batches"});
    let simulator = simulator(json!({"faults": {"overloadedRate": 0, "rules": [rule]}}));
    let body = json!({"requests": [{"custom_id": "a", "params": saying("Hello")}]});
    for path in [BATCHES, "/v1/messages/batches?beta=true"] {
        let heard = send(&simulator, at(Method::POST, path, &body)).await;
        assert_eq!(error_of(&heard).0, 529, "{path}");
    }
    assert_eq!(get(&simulator, BATCHES).await.json()["data"], json!([]));
    assert_eq!(post(&simulator, &saying("Hello")).await.status, 200);
    let total = simulator.books().total;
    assert_eq!((total.faulted, total.served, total.requests), (2, 1, 3));
}
