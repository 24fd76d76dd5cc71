//! Chance comes from the seed, never from the order of arrival.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future;
use polpo_simulator::Simulator;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::{Heard, post, saying, simulator};

const FAULTS: f64 = 0.3;

fn what_was_said(heard: &Heard) -> Value {
    if heard.status == 200 { heard.json() } else { json!(heard.status) }
}

/// Asks a question until it is answered; all that came back but refusals.
async fn ask(simulator: &Simulator, n: u32) -> Vec<Value> {
    let mut story = Vec::new();
    loop {
        let heard = post(simulator, &saying(&format!("question {n}"))).await;
        if heard.status == 429 {
            let seconds = heard.header("retry-after").unwrap().parse().unwrap();
            sleep(Duration::from_secs(seconds)).await;
            continue;
        }
        story.push(what_was_said(&heard));
        if heard.status == 200 {
            return story;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_of_arrival_changes_nothing_nor_do_latency_and_limits() {
    let faults = json!({"overloadedRate": FAULTS});
    let mut stories = Vec::new();
    let in_order = simulator(json!({"faults": faults}));
    for n in 0..60 {
        stories.push(ask(&in_order, n).await);
    }
    assert!(stories.iter().any(|story| story.len() > 1), "some were faulted");

    let backwards = simulator(json!({"faults": faults}));
    for n in (0..60).rev() {
        assert_eq!(ask(&backwards, n).await, stories[n as usize]);
    }

    let slow_and_limited = simulator(json!({
        "faults": faults,
        "latency": {"medianSeconds": 3},
        "limits": {"requestsPerMinute": 10, "inputTokensPerMinute": null, "outputTokensPerMinute": null},
    }));
    let at_once = future::join_all((0..60).map(|n| ask(&slow_and_limited, n))).await;
    assert!(slow_and_limited.books().total.refused > 0);
    assert_eq!(at_once, stories);
}

#[tokio::test]
async fn another_seed_is_another_world() {
    let outcomes = async |seed: u64| {
        let simulator = simulator(json!({"seed": seed, "faults": {"overloadedRate": FAULTS}}));
        let mut outcomes = Vec::new();
        for n in 0..40 {
            outcomes.push(post(&simulator, &saying(&format!("{n}"))).await.status);
        }
        outcomes
    };
    assert_eq!(outcomes(1).await, outcomes(1).await);
    assert_ne!(outcomes(1).await, outcomes(2).await);
}

#[tokio::test]
async fn answers_are_right_as_often_as_the_class_is_accurate() {
    use sha2::{Digest as _, Sha256};
    let hex =
        |text: &str| Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let book: BTreeMap<_, _> = (0..500).map(|n| (hex(&format!("q{n}")), n.to_string())).collect();
    let simulator = simulator(json!({"answers": book, "accuracy": {"haiku": 0.5}}));
    for (model, low, high) in [("claude-haiku-4-5", 220, 280), ("claude-opus-4-6", 480, 499)] {
        let mut right = 0;
        for n in 0..500 {
            let mut body = saying(&format!("q{n}"));
            body["model"] = json!(model);
            let message = post(&simulator, &body).await.json();
            let text = message["content"][0]["text"].as_str().unwrap().to_owned();
            let (_, number) = text.rsplit_once("\n#### ").unwrap();
            right += usize::from(number == n.to_string());
        }
        assert!((low..=high).contains(&right), "{model}: {right} of 500");
    }
}
