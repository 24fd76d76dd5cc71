//! A client over the in-memory face, and the shapes that answers must have.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jsonschema::Validator;
use polpo_simulator::{InMemory, Scenario, Simulator};
use polpo_upstream::transport::{Call, Reply, SILENCE, Transport as _};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "sk-ant-api03-simulated-a";

/// A scenario without limits, latency and faults, with something laid over it.
pub(crate) fn simulator(more: Value) -> Simulator {
    let mut scenario = json!({
        "limits": {"requestsPerMinute": null, "inputTokensPerMinute": null, "outputTokensPerMinute": null},
        "latency": {"medianSeconds": 0},
        "faults": {"overloadedRate": 0},
    });
    scenario.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Simulator::new(Scenario::from_json(&scenario.to_string(), "test").unwrap())
}

/// A valid request with something laid over it; `null` takes a field away.
pub(crate) fn request(more: Value) -> Value {
    let mut body = json!({
        "model": "claude-opus-4-6",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "How many legs have three spiders?"}],
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    body
}

/// A valid request that begins with `text`.
pub(crate) fn saying(text: &str) -> Value {
    request(json!({"messages": [{"role": "user", "content": text}]}))
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) chunks: Vec<Bytes>,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.chunks.concat()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// The events of a stream: name and data.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let text = self.text();
        let events = text.strip_suffix("\n\n").unwrap().split("\n\n");
        let parse = |event: &str| {
            let (name, data) = event.split_once('\n').unwrap();
            let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            (name.strip_prefix("event: ").unwrap().to_owned(), data)
        };
        events.map(parse).collect()
    }

    pub(crate) async fn from_reply(reply: Reply) -> Self {
        let (status, headers) = (reply.status.as_u16(), reply.headers);
        let chunks = reply.body.map(Result::unwrap).collect().await;
        Self { status, headers, chunks }
    }
}

pub(crate) fn call(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Call {
    let header = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    Call {
        method: Method::POST,
        path: "/v1/messages".to_owned(),
        headers: headers.iter().map(header).collect(),
        body: body.into(),
        silence: SILENCE,
    }
}

pub(crate) fn signed(key: &str, body: &Value) -> Call {
    call(&[("x-api-key", key), ("anthropic-version", "2026-10-21")], body.to_string())
}

pub(crate) async fn send(simulator: &Simulator, call: Call) -> Heard {
    Heard::from_reply(InMemory::new(simulator.clone()).send(call).await.unwrap()).await
}

/// Posts a request with the first default account's key.
pub(crate) async fn post(simulator: &Simulator, body: &Value) -> Heard {
    send(simulator, signed(KEY, body)).await
}

pub(crate) fn schema(text: &str) -> Validator {
    jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
}

pub(crate) fn assert_is_message(value: &Value) {
    schema(include_str!("../schemas/message.json")).validate(value).unwrap();
}

/// An error answer: status, type and message, the envelope being in order.
pub(crate) fn error_of(heard: &Heard) -> (u16, String, String) {
    let body = heard.json();
    // The SDK's types know neither of the two.
    if ![409, 413].contains(&heard.status) {
        schema(include_str!("../schemas/error_response.json")).validate(&body).unwrap();
    }
    assert_eq!(heard.header("content-type"), Some("application/json"));
    assert_eq!(body["request_id"].as_str(), heard.header("request-id"));
    assert_eq!(heard.header("x-should-retry") == Some("false"), heard.status == 400);
    let text = |name: &str| body["error"][name].as_str().unwrap().to_owned();
    (heard.status, text("type"), text("message"))
}
