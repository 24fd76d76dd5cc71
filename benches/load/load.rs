//! What is asked: the same requests of every process, and how long the simulator takes for them.

use std::fmt::Write as _;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use polpo_simulator::{InMemory, Scenario, Simulator};
use polpo_upstream::transport::{Call, SILENCE, Transport};
use serde_json::json;
use tokio::time::Instant;

/// The key of the simulator's first account.
pub(crate) const KEY: &str = "sk-ant-api03-simulated-a";

const PATH: &str = "/v1/messages";

/// Requests, and how many of them at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) tasks: usize,
    pub(crate) concurrency: usize,
    /// The simulator's median, in seconds.
    pub(crate) latency: f64,
}

impl Load {
    pub(crate) const fn new(tasks: usize, concurrency: usize, latency: f64) -> Self {
        Self { tasks, concurrency, latency }
    }

    /// A scenario in which nothing but latency happens.
    pub(crate) fn scenario(&self) -> String {
        let none = json!({
            "requestsPerMinute": null, "inputTokensPerMinute": null, "outputTokensPerMinute": null,
        });
        let latency = json!({"medianSeconds": self.latency});
        json!({"limits": none, "latency": latency, "faults": {"overloadedRate": 0}}).to_string()
    }

    /// The task file.
    pub(crate) fn task_file(&self) -> String {
        (0..self.tasks).fold(String::new(), |mut text, task| {
            let (model, messages) = (MODEL, messages(task));
            let params = json!({"max_tokens": 1024, "messages": messages, "model": model});
            let line = json!({"custom_id": format!("t{task}"), "params": params});
            writeln!(text, "{line}").unwrap();
            text
        })
    }

    /// The request of a task, the credential aside.
    pub(crate) fn call(task: usize) -> Call {
        let body = json!({
            "max_tokens": 1024, "messages": messages(task), "model": MODEL, "stream": true,
        });
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static(KEY));
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from(body.to_string());
        Call { method: Method::POST, path: PATH.to_owned(), headers, body, silence: SILENCE }
    }

    /// Mean latency of these very requests in seconds: they are answered in virtual time.
    pub(crate) fn mean_latency(&self) -> f64 {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let scenario = Scenario::from_json(&self.scenario(), "scenario").unwrap();
        let took = |task| {
            let transport = InMemory::new(Simulator::forgetful(scenario.clone()));
            async move {
                let began = Instant::now();
                let reply = transport.send(Self::call(task)).await.unwrap();
                reply.body.for_each(async |chunk| drop(chunk.unwrap())).await;
                began.elapsed().as_secs_f64()
            }
        };
        let took = futures_util::stream::iter((0..self.tasks).map(took));
        let took = took.buffer_unordered(self.tasks);
        runtime.block_on(took.fold(0.0, async |sum, took| sum + took)) / self.tasks as f64
    }
}

const MODEL: &str = "claude-sonnet-4-6";

fn messages(task: usize) -> serde_json::Value {
    let question = "how many apples are left when some are eaten and some are sold at the market?";
    json!([{"role": "user", "content": format!("Question number {task}: {question}")}])
}
