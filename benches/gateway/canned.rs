//! What is asked and answered, byte for byte and with keys in the API's order.

use std::fmt::Write as _;

use chrono::{TimeDelta, Utc};

/// The one client key of polpo.
pub(crate) const KEY: &str = "polpo-bench-client-key";

/// As a body says it; nothing else of a request is looked at.
pub(crate) const STREAM: &[u8] = br#""stream":true"#;

const WORDS: &str =
    "how many apples are left when some are eaten and some are sold at the market? ";

const START: &str = r#""model":"claude-sonnet-4-6","id":"msg_01BenchAAAAAAAAAAAAAAAAAA","type":"message","role":"assistant","#;

const USAGE: &str =
    r#""input_tokens":250,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"#;

const USAGE_END: &str = r#""cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"service_tier":"standard","inference_geo":"global""#;

/// A request with a body of about `size` bytes, and the headers of an official SDK.
pub(crate) fn request(size: usize, stream: bool) -> Vec<u8> {
    let text = WORDS.repeat(size / WORDS.len());
    let body = format!(
        r#"{{"model":"claude-sonnet-4-6","max_tokens":1024,"messages":[{{"role":"user","content":"{text}"}}],"stream":{stream}}}"#
    );
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {KEY}\r\n\
         anthropic-version: 2023-06-01\r\nuser-agent: Anthropic/Python 0.86.0\r\n\
         accept: application/json\r\naccept-encoding: identity\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// A message of about 1 KiB.
pub(crate) fn message() -> String {
    let text = WORDS.repeat(7);
    format!(
        r#"{{{START}"content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{{USAGE}"output_tokens":140,{USAGE_END}}}}}"#
    )
}

/// The events of a stream, of which `deltas` carry text.
pub(crate) fn events(deltas: usize) -> Vec<String> {
    let start = format!(
        r#","message":{{{START}"content":[],"stop_reason":null,"stop_sequence":null,"usage":{{{USAGE}"output_tokens":1,{USAGE_END}}}}}"#
    );
    let mut events = vec![
        event("message_start", &start, 3),
        event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#, 9),
        "event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned(),
    ];
    events.extend((0..deltas).map(|at| {
        let delta = r#","index":0,"delta":{"type":"text_delta","text":" apples and"}"#;
        event("content_block_delta", delta, at * 7 % 13)
    }));
    let end = format!(
        r#","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{{USAGE}"output_tokens":{}}}"#,
        deltas * 2
    );
    events.extend([
        event("content_block_stop", r#","index":0"#, 5),
        event("message_delta", &end, 11),
        event("message_stop", "", 8),
    ]);
    events
}

/// With spaces before the last brace, as the API pads its events.
fn event(name: &str, rest: &str, padding: usize) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}{:padding$}}}\n\n", "")
}

/// The head of an answer, up to what frames its body.
pub(crate) fn head(content_type: &str) -> String {
    let mut head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nrequest-id: req_011CBench\r\n\
         date: {}\r\nanthropic-organization-id: 00000000-0000-4000-8000-000000000000\r\n",
        Utc::now().format("%a, %d %b %Y %H:%M:%S GMT")
    );
    // So much that nothing is ever used up.
    let limit = 4_000_000_000_u64;
    let reset = (Utc::now() + TimeDelta::minutes(1)).format("%Y-%m-%dT%H:%M:%SZ");
    for what in ["requests", "tokens", "input-tokens", "output-tokens"] {
        for (part, value) in
            [("limit", &limit as &dyn std::fmt::Display), ("remaining", &limit), ("reset", &reset)]
        {
            write!(head, "anthropic-ratelimit-{what}-{part}: {value}\r\n").unwrap();
        }
    }
    head
}
