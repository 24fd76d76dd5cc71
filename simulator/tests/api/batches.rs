//! Message batches as a client sees them.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use polpo_simulator::Simulator;
use polpo_upstream::transport::Call;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::{
    Heard, KEY, assert_is_message, call, error_of, post, request, saying, schema, send, signed,
    simulator,
};
use crate::subscription::signed_in;

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
    assert_eq!(ended["results_url"], format!("http://simulator.invalid{results}"));
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
    let refused = send(&simulator, at(Method::POST, BATCHES, &json!({}))).await;
    assert_eq!(error_of(&refused).0, 400, "what it says is looked at first");
    let total = simulator.books().total;
    assert_eq!((total.faulted, total.served, total.requests), (2, 1, 3));
}

/// A request with a long beginning that is cached for five minutes.
fn cached(text: &str) -> Value {
    let marker = json!({"type": "ephemeral"});
    let long = json!({"type": "text", "text": "word ".repeat(6_000), "cache_control": marker});
    let content = json!([long, {"type": "text", "text": text}]);
    request(json!({"messages": [{"role": "user", "content": content}]}))
}

/// What the books and two batches say in the end, all of whose requests have cached the same prompt,
/// as has another one, when somebody has looked so often, every few seconds.
async fn watched(looks: usize) -> (Value, [String; 2]) {
    let simulator =
        simulator(json!({"batches": {"medianSeconds": 3000}, "latency": {"medianSeconds": 1000}}));
    let requests = ["a", "b", "c", "d", "e", "f", "g"].map(|id| (id, cached(id)));
    let first = submit(&simulator, &requests).await;
    sleep(Duration::from_secs(100)).await;
    let second = submit(&simulator, &requests).await;
    let live = async {
        sleep(Duration::from_secs(500)).await;
        assert_eq!(post(&simulator, &cached("now")).await.status, 200);
        sleep(Duration::from_hours(4)).await;
    };
    let look = async {
        for _ in 0..looks {
            get(&simulator, "/_sim/books").await;
            sleep(Duration::from_secs(5)).await;
        }
    };
    tokio::join!(live, look);
    let results =
        async |batch: &Value| get(&simulator, &format!("{}/results", path_of(batch))).await.text();
    let results = [results(&first).await, results(&second).await];
    (serde_json::to_value(simulator.books()).unwrap(), results)
}

#[tokio::test(start_paused = true)]
async fn results_and_bills_are_the_same_whether_somebody_looks_or_not() {
    let (books, results) = watched(0).await;
    assert_eq!(watched(2_000).await, (books.clone(), results));
    let tokens = |name: &str| books["total"]["tokens"][name].as_u64().unwrap();
    assert_eq!(books["total"]["served"], 15);
    assert!(tokens("cacheRead") > 0, "some came within five minutes: {books}");
    assert!(tokens("cacheWrite5m") > 2 * 6_000, "some came later: {books}");
}

#[tokio::test(start_paused = true)]
async fn a_request_reads_nothing_from_the_cache_that_came_there_after_it_ran() {
    // The answer begins after some ten minutes, when the batch has long been processed.
    let simulator = simulator(json!({"latency": {"medianSeconds": 2000}}));
    let path = path_of(&submit(&simulator, &[("a", cached("batched"))]).await);
    assert_eq!(post(&simulator, &cached("now")).await.status, 200);
    let line = get(&simulator, &format!("{path}/results")).await.json();
    assert_eq!(line["result"]["message"]["usage"]["cache_read_input_tokens"], 0);
}

#[tokio::test(start_paused = true)]
async fn many_who_look_at_once_see_all_that_has_come_due_and_each_request_answered_once() {
    let simulator = simulator(json!({}));
    let requests: Vec<_> = (0..300).map(|n| (format!("r{n}"), saying(&format!("{n}")))).collect();
    let requests: Vec<_> = requests.iter().map(|(id, body)| (id.as_str(), body.clone())).collect();
    submit(&simulator, &requests).await;
    wait().await;
    for heard in join_all((0..4).map(|_| get(&simulator, "/_sim/books"))).await {
        assert_eq!(heard.json()["total"]["served"], 300);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_needs_credit_when_it_is_created_and_what_it_cost_is_missing_afterwards() {
    let simulator = simulator(json!({"accounts": [
        {"name": "a", "apiKey": KEY, "money": {"creditUsd": 0.0001}},
    ]}));
    let path = path_of(&submit(&simulator, &[("a", saying("1")), ("b", saying("2"))]).await);
    wait().await;
    // Nobody has looked at the batch.
    let (status, _, message) = error_of(&post(&simulator, &saying("Hello")).await);
    assert!(status == 400 && message.starts_with("Your credit balance is too low"), "{message}");
    let counts = get(&simulator, &path).await.json()["request_counts"].clone();
    assert_eq!(counts["succeeded"], 2, "what was accepted goes on: {counts}");
    let body = json!({"requests": [{"custom_id": "a", "params": saying("Hello")}]});
    let refused = error_of(&send(&simulator, at(Method::POST, BATCHES, &body)).await);
    assert_eq!(refused, (400, "invalid_request_error".to_owned(), message));
    assert_eq!(get(&simulator, BATCHES).await.json()["data"].as_array().unwrap().len(), 1);
    let total = simulator.books().total;
    assert_eq!((total.served, total.unpaid, total.requests), (2, 2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_batch_uses_the_windows_of_a_subscription_and_is_refused_when_they_are_used_up() {
    let (simulator, headers) = signed_in(20).await;
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let body = json!({"requests": [{"custom_id": "a", "params": saying("Hello")}]});
    let create = || {
        let mut call = call(&headers, body.to_string());
        call.path = BATCHES.to_owned();
        send(&simulator, call)
    };
    assert_eq!(create().await.status, 200);
    wait().await;
    let refused = create().await;
    assert_eq!(error_of(&refused).0, 429);
    assert_eq!(refused.header("anthropic-ratelimit-unified-status"), Some("rejected"));
    let total = simulator.books().total;
    assert_eq!((total.served, total.refused), (1, 1));
}

#[tokio::test]
async fn organizations_with_workspaces_of_one_id_do_not_share_batches() {
    let account = |name: &str, key: &str, last: u64| {
        json!({"name": name, "apiKey": key, "workspaceId": "wrkspc_same",
            "organizationId": format!("3f0c9a2b-0000-4000-8000-00000000000{last}")})
    };
    let accounts = [account("a", KEY, 1), account("b", "kb", 2)];
    let simulator = simulator(json!({"accounts": accounts}));
    let path = path_of(&submit(&simulator, &[("a", saying("Hello"))]).await);
    let mut other = signed("kb", &Value::Null);
    (other.method, other.path) = (Method::GET, path.clone());
    assert_eq!(error_of(&send(&simulator, other).await).0, 404);
    assert_eq!(get(&simulator, &path).await.status, 200);
}
