//! Latency in virtual time.

use std::time::Duration;

use futures_util::{StreamExt as _, future};
use polpo_simulator::{InMemory, Simulator};
use polpo_upstream::transport::Transport as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{KEY, post, request, saying, signed, simulator};

/// When the head came, and each chunk.
async fn timed(simulator: &Simulator, body: &Value) -> (Duration, Vec<Duration>) {
    let start = Instant::now();
    let reply = InMemory::new(simulator.clone()).send(signed(KEY, body)).await.unwrap();
    let head = start.elapsed();
    (head, reply.body.map(|_| start.elapsed()).collect().await)
}

#[tokio::test(start_paused = true)]
async fn a_stream_opens_after_a_third_of_its_time_and_spreads_the_rest_over_its_deltas() {
    let simulator = simulator(json!({"latency": {"medianSeconds": 10}}));
    let (head, chunks) = timed(&simulator, &request(json!({"stream": true}))).await;
    let total = chunks.last().unwrap().as_secs_f64();
    assert!((0.29..0.31).contains(&(head.as_secs_f64() / total)), "{head:?} of {total}");
    assert_eq!(chunks[0], head);
    let gaps: Vec<_> = chunks.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    let even = total * 0.7 / gaps.len() as f64;
    assert!(gaps.iter().all(|gap| (gap - even).abs() < 0.01), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_whole_message_takes_as_long_as_its_stream() {
    let scenario = json!({"latency": {"medianSeconds": 10}});
    let (_, streamed) =
        timed(&simulator(scenario.clone()), &request(json!({"stream": true}))).await;
    let (head, whole) = timed(&simulator(scenario), &request(json!({}))).await;
    assert_eq!((whole.len(), whole[0]), (1, head));
    assert!(head.abs_diff(*streamed.last().unwrap()) < Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn latency_lies_around_the_median_of_its_model() {
    let simulator = simulator(json!({
        "latency": {"medianSeconds": 4, "byModel": {"haiku": 1, "claude-opus-4-6": 16}},
    }));
    for (model, expected) in
        [("claude-haiku-4-5", 1.0), ("claude-sonnet-4-6", 4.0), ("claude-opus-4-6", 16.0)]
    {
        let bodies: Vec<_> = (0..201)
            .map(|n| json!({"messages": [{"role": "user", "content": format!("{n}")}], "model": model}))
            .map(request)
            .collect();
        let answers = bodies.iter().map(|body| timed(&simulator, body));
        let mut seconds: Vec<_> =
            future::join_all(answers).await.iter().map(|(head, _)| head.as_secs_f64()).collect();
        seconds.sort_by(f64::total_cmp);
        let median = seconds[100];
        assert!((expected * 0.9..expected * 1.1).contains(&median), "{model}: {median}");
        assert!(seconds[0] < expected * 0.7 && seconds[200] > expected * 1.4, "{model} varies");
    }
}

#[tokio::test(start_paused = true)]
async fn time_scale_divides_latency() {
    let at = async |scale: f64| {
        let scenario = json!({"latency": {"medianSeconds": 10}, "timeScale": scale});
        timed(&simulator(scenario), &request(json!({}))).await.0.as_secs_f64()
    };
    let (real, scaled) = (at(1.0).await, at(10.0).await);
    assert!((real / scaled - 10.0).abs() < 0.1, "{real} and {scaled}");
}

#[tokio::test(start_paused = true)]
async fn thousands_of_answers_are_made_at_once() {
    let simulator = simulator(json!({"latency": {"medianSeconds": 10}}));
    let bodies: Vec<_> = (0..3000).map(|n| saying(&format!("{n}"))).collect();
    let start = Instant::now();
    let answers = future::join_all(bodies.iter().map(|body| post(&simulator, body))).await;
    assert!(answers.iter().all(|heard| heard.status == 200));
    assert!(start.elapsed() < Duration::from_secs(30), "they do not queue");
    assert_eq!(simulator.books().total.served, 3000);
}
