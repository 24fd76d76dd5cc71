//! Canned replies: what upstream says, when, and how it goes wrong.

use std::time::Duration;

use bytes::Bytes;
use polpo_upstream::error::TransportError;
use serde_json::json;

/// Stands for the model that was asked for.
pub(crate) const ASKED: &str = "$ASKED";

/// Tokens that every canned message reads.
pub(crate) const INPUT: u64 = 100;

/// Tokens that every canned message has written when it is whole.
pub(crate) const OUTPUT: u64 = 40;

/// What happens to a body next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Text(String),
    Bytes(Bytes),
    Sleep(Duration),
    Fail(TransportError),
    Silence,
    Panic,
}

/// A reply to one call.
#[derive(Clone, Debug)]
pub(crate) struct Canned {
    pub(crate) delay: Duration,
    pub(crate) head: Result<u16, TransportError>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) steps: Vec<Step>,
}

impl Canned {
    /// Gives it a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Lets it come after so many seconds.
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.delay = Duration::from_secs(seconds);
        self
    }

    /// All that it says to whoever asks for a model.
    pub(crate) fn said(&self, model: &str) -> String {
        let texts = self.steps.iter().filter_map(|step| match step {
            Step::Text(text) => Some(text.replace(ASKED, model)),
            Step::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Step::Sleep(_) | Step::Fail(_) | Step::Silence | Step::Panic => None,
        });
        texts.collect()
    }

    /// Goes on with a step after what there is.
    pub(crate) fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// A good answer.
pub(crate) fn says(text: &str) -> Canned {
    ends(text, "end_turn")
}

/// An answer with a stop reason.
pub(crate) fn ends(text: &str, stop_reason: &str) -> Canned {
    let delta = json!({"delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": OUTPUT}});
    begins(text)
        .then(Step::Text(event("content_block_stop", json!({"index": 0}))))
        .then(Step::Text(event("message_delta", delta)))
        .then(stop_event())
}

/// A good answer in one piece.
pub(crate) fn says_whole(text: &str) -> Canned {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": ASKED,
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
        "usage": {"input_tokens": INPUT, "output_tokens": OUTPUT},
    });
    says_json(&message)
}

/// A good answer that is this.
pub(crate) fn says_json(body: &serde_json::Value) -> Canned {
    let headers = vec![("content-type", "application/json".to_owned())];
    let steps = vec![Step::Text(body.to_string())];
    Canned { delay: Duration::ZERO, head: Ok(200), headers, steps }
}

/// The beginning of an answer, `text` included.
pub(crate) fn begins(text: &str) -> Canned {
    let block = json!({"index": 0, "content_block": {"type": "text", "text": ""}});
    // In the order in which the API writes it: what is said is counted without parsing it.
    let (quoted, name) = (json!(text), "content_block_delta");
    let delta = format!(r#"{{"type":"text_delta","text":{quoted}}}"#);
    let data = format!(r#"{{"type":"{name}","index":0,"delta":{delta}}}"#);
    starts()
        .then(Step::Text(event("content_block_start", block)))
        .then(Step::Text(format!("event: {name}\ndata: {data}\n\n")))
}

/// The beginning of an answer before its content.
pub(crate) fn starts() -> Canned {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": ASKED, "content": [],
        "stop_reason": null, "usage": {"input_tokens": INPUT, "output_tokens": 1},
    });
    stream().then(Step::Text(event("message_start", json!({"message": message}))))
}

/// A stream of these events, and the end of the message.
pub(crate) fn streams(events: &[(&str, serde_json::Value)]) -> Canned {
    let delta = json!({"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": OUTPUT}});
    let steps = events.iter().map(|(name, data)| Step::Text(event(name, data.clone())));
    let mut canned = starts();
    canned.steps.extend(steps);
    canned.then(Step::Text(event("message_delta", delta))).then(stop_event())
}

/// A stream in which nothing has come yet.
pub(crate) fn stream() -> Canned {
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Canned { delay: Duration::ZERO, head: Ok(200), headers, steps: Vec::new() }
}

/// The end of a stream.
pub(crate) fn stop_event() -> Step {
    Step::Text(event("message_stop", json!({})))
}

/// An error in a stream.
pub(crate) fn error_event(kind: &str) -> Step {
    Step::Text(event("error", json!({"error": {"type": kind, "message": "says the stream"}})))
}

/// An error answer.
pub(crate) fn refuses(status: u16, kind: &str, message: &str) -> Canned {
    refuses_with_code(status, kind, message, "")
}

/// An error answer with an error code.
pub(crate) fn refuses_with_code(status: u16, kind: &str, message: &str, code: &str) -> Canned {
    let error = json!({"type": kind, "message": message, "details": {"error_code": code}});
    let body = json!({"type": "error", "error": error, "request_id": "req_1"}).to_string();
    let headers = vec![("content-type", "application/json".to_owned())];
    Canned { delay: Duration::ZERO, head: Ok(status), headers, steps: vec![Step::Text(body)] }
}

/// A 429 that says when to come back.
pub(crate) fn limited(seconds: u64) -> Canned {
    limited_without_end().with("retry-after", seconds)
}

/// A 429 that does not.
pub(crate) fn limited_without_end() -> Canned {
    let message =
        "This request would exceed your organization's rate limit of 50 requests per minute";
    refuses(429, "rate_limit_error", message)
}

/// A 529.
pub(crate) fn overloaded() -> Canned {
    refuses(529, "overloaded_error", "Overloaded")
}

/// No reply at all.
pub(crate) fn unreachable(error: TransportError) -> Canned {
    Canned { delay: Duration::ZERO, head: Err(error), headers: Vec::new(), steps: Vec::new() }
}

pub(crate) fn event(name: &str, mut data: serde_json::Value) -> String {
    data["type"] = name.into();
    format!("event: {name}\ndata: {data}\n\n")
}
