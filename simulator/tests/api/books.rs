//! What the books hold.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::Method;
use polpo_simulator::InMemory;
use polpo_upstream::transport::Transport as _;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::client::{KEY, post, request, saying, send, signed, simulator};

const HASH_OF_HELLO: &str = "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969";

fn at(method: Method, path: &str) -> polpo_upstream::transport::Call {
    let mut call = signed(KEY, &json!({}));
    (call.method, call.path) = (method, path.to_owned());
    call
}

#[tokio::test]
async fn money_is_the_sum_of_the_usages_that_clients_saw() {
    let simulator = simulator(json!({}));
    let (mut input, mut output, mut nanodollars) = (0, 0, 0);
    for n in 0..50 {
        let mut body = saying(&"word ".repeat(n + 1));
        body["stream"] = json!(n % 2 == 0);
        let heard = post(&simulator, &body).await;
        let usage = if n % 2 == 0 {
            let events = heard.events();
            events[events.len() - 2].1["usage"].clone()
        } else {
            heard.json()["usage"].clone()
        };
        let count = |name: &str| usage[name].as_u64().unwrap();
        input += count("input_tokens");
        output += count("output_tokens");
        // Opus 4.6: 5 and 25 dollars a million.
        nanodollars += count("input_tokens") * 5_000 + count("output_tokens") * 25_000;
    }
    let books = simulator.books();
    let account = &books.accounts["a"];
    assert_eq!((account.tokens.input, account.tokens.output), (input, output));
    assert_eq!(account.nanodollars, i64::try_from(nanodollars).unwrap());
    assert_eq!((account.requests, account.served, books.in_flight), (50, 50, 0));
    assert_eq!(books.total, *account);
    assert_eq!(books.accounts["b"], polpo_simulator::AccountBook::default());
}

#[tokio::test]
async fn whoever_has_read_the_end_of_a_stream_finds_it_in_the_books() {
    let simulator = simulator(json!({}));
    let body = request(json!({"stream": true}));
    let mut reply = InMemory::new(simulator.clone()).send(signed(KEY, &body)).await.unwrap();
    while let Some(chunk) = reply.body.next().await {
        let is_end = chunk.unwrap().windows(12).any(|window| window == b"message_stop");
        assert_eq!(simulator.books().in_flight, u64::from(!is_end));
    }
    assert!(simulator.books().total.tokens.output > 0, "the reply is not dropped yet");
}

#[tokio::test]
async fn terms_are_in_the_price() {
    let simulator = simulator(json!({}));
    let mut body = request(json!({"inference_geo": "us", "speed": "fast", "max_tokens": 0}));
    body["model"] = json!("claude-opus-5");
    let input = post(&simulator, &body).await.json()["usage"]["input_tokens"].as_i64().unwrap();
    assert_eq!(simulator.books().total.nanodollars, input * 11_000);
}

#[tokio::test]
async fn requests_are_counted_by_their_first_user_message_however_it_is_written() {
    let simulator = simulator(json!({}));
    let blocks = json!([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]);
    post(&simulator, &saying("Hello")).await;
    post(&simulator, &request(json!({"messages": [{"role": "user", "content": blocks}]}))).await;
    let more = json!({"role": "user", "content": "More?"});
    let body = request(
        json!({"messages": [{"role": "user", "content": "Hello"}, more], "model": "claude-haiku-4-5"}),
    );
    post(&simulator, &body).await;
    post(&simulator, &saying("Bye")).await;
    let books = simulator.books();
    assert_eq!(books.messages.len(), 2);
    assert_eq!(books.messages[HASH_OF_HELLO].served, 3);
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_pays_for_the_input_and_for_what_was_produced_until_then() {
    let simulator = simulator(json!({"latency": {"medianSeconds": 10}}));
    let body = request(json!({"stream": true}));
    let whole = post(&simulator, &body).await.events();
    let usage = whole[whole.len() - 2].1["usage"].clone();
    simulator.reset();

    let mut reply = InMemory::new(simulator.clone()).send(signed(KEY, &body)).await.unwrap();
    let mut text = String::new();
    for _ in 0..3 {
        text += std::str::from_utf8(&reply.body.next().await.unwrap().unwrap()).unwrap();
    }
    assert_eq!(simulator.books().in_flight, 1);
    assert_eq!(simulator.books().total.tokens.input, 0, "billed at the end");
    drop(reply);
    let books = simulator.books();
    assert_eq!(books.in_flight, 0);
    let delta = |event: &str| {
        let data: Value = serde_json::from_str(event.split_once("data: ").unwrap().1).unwrap();
        data["delta"]["text"].as_str().map_or(0, str::len)
    };
    let bytes: usize = text.split("\n\n").filter(|event| !event.is_empty()).map(delta).sum();
    assert!(bytes > 0);
    assert_eq!(json!(books.total.tokens.input), usage["input_tokens"]);
    assert_eq!(books.total.tokens.output, bytes.div_ceil(4) as u64);
    assert!(books.total.tokens.output < usage["output_tokens"].as_u64().unwrap());
    let expected = books.total.tokens.input * 5_000 + books.total.tokens.output * 25_000;
    assert_eq!(books.total.nanodollars, i64::try_from(expected).unwrap());
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_before_the_answer_pays_for_what_was_produced_unseen() {
    let simulator = simulator(json!({"latency": {"medianSeconds": 10}}));
    let transport = InMemory::new(simulator.clone());
    let early = transport.send(signed(KEY, &request(json!({"stream": true}))));
    timeout(Duration::from_millis(10), early).await.unwrap_err();
    let books = simulator.books();
    assert_eq!((books.in_flight, books.total.tokens.output), (0, 0));
    assert!(books.total.tokens.input > 0);

    let start = Instant::now();
    simulator.reset();
    transport.send(signed(KEY, &request(json!({})))).await.unwrap();
    let half = start.elapsed() / 2;
    simulator.reset();
    let whole = transport.send(signed(KEY, &request(json!({}))));
    timeout(half, whole).await.unwrap_err();
    let books = simulator.books();
    assert_eq!(books.in_flight, 0);
    assert!(books.total.tokens.output > 0, "generated though not sent");
}

#[tokio::test]
async fn the_books_can_be_read_over_the_api_with_sorted_keys() {
    let simulator = simulator(json!({}));
    post(&simulator, &saying("Hello")).await;
    let heard = send(&simulator, at(Method::GET, "/_sim/books")).await;
    assert_eq!((heard.status, heard.header("content-type")), (200, Some("application/json")));
    let text = heard.text();
    let books = heard.json();
    assert_eq!(books, serde_json::to_value(simulator.books()).unwrap());
    assert_eq!(books["messages"][HASH_OF_HELLO]["served"], 1);
    assert_eq!(books["accounts"]["a"]["tokens"]["input"], 5);
    // Whatever order a JSON library keeps, sorting the keys must not change the text.
    let sorted: std::collections::BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let keys: Vec<_> =
        sorted.keys().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(keys.is_sorted(), "{text}");
    let account = &text[text.find("\"a\":").unwrap()..];
    let names = [
        "faulted",
        "invalid",
        "nanodollars",
        "refused",
        "requests",
        "served",
        "tokens",
        "cacheRead",
        "cacheWrite1h",
        "cacheWrite5m",
        "input",
        "output",
    ];
    let places: Vec<_> =
        names.iter().map(|name| account.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{account}");
}

#[tokio::test(start_paused = true)]
async fn a_reset_empties_the_books_fills_the_buckets_and_disowns_what_is_in_flight() {
    let simulator = simulator(json!({
        "latency": {"medianSeconds": 10},
        "limits": {"requestsPerMinute": 1, "inputTokensPerMinute": null, "outputTokensPerMinute": 1},
    }));
    let body = request(json!({"stream": true}));
    let before = InMemory::new(simulator.clone()).send(signed(KEY, &body)).await.unwrap();
    assert_eq!(post(&simulator, &body).await.status, 429);
    assert_eq!(send(&simulator, at(Method::POST, "/_sim/reset")).await.status, 204);
    assert_eq!(simulator.books().messages.len(), 0);
    let chunks: Vec<_> = before.body.collect().await;
    assert!(chunks.len() > 3, "it goes on");
    let books = simulator.books();
    assert_eq!((books.in_flight, books.total.tokens.output), (0, 0));
    assert_eq!(post(&simulator, &body).await.status, 200, "its output is not charged either");
    assert_eq!(simulator.books().total.served, 1);
}
