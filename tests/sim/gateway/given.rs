//! What a client has been given is never said twice: a failure after the first content ends the
//! stream.

use polpo_policy::usage::Usage;
use polpo_upstream::error::TransportError;
use serde_json::json;

use super::front::{Ask, Front};
use crate::reply::{Canned, INPUT, Step, begins, error_event, event, says, starts};
use crate::system::simulate;
use crate::world::SONNET;

/// How many tokens a text is taken for that upstream gave no figure of.
fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(polpo_policy::budget::BYTES_PER_TOKEN)
}

/// What a client hears of a stream that fails, and what is booked: outcome and output tokens.
fn heard(reply: Canned, outcome: &'static str, output: u64) -> String {
    let mut text = String::new();
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        front.world.script.on("a", [reply.clone()]);
        let heard = front.hear(&Ask::stream("hi")).await;
        assert_eq!(heard.status, 200);
        text = heard.text();
        assert_eq!(front.world.trace().len(), 1, "it is not asked again");
        assert_eq!(front.world.metric("failovers_total", &[]), 0.0);
        let labels = [("key", "local"), ("outcome", outcome)];
        assert_eq!(front.world.metric("gateway_requests_total", &labels), 1.0);
        assert_eq!(front.world.metric("calls_total", &[("outcome", outcome)]), 1.0);
        let rows = front.close().await;
        let usage = Usage { input: INPUT, output, ..Usage::default() };
        assert_eq!((rows.len(), rows[0].outcome, rows[0].usage), (1, outcome, usage));
        assert!(!rows[0].is_lost);
    });
    text
}

const SAID: &str = "Sunny with a chance of rain, and then of rain again";

#[test]
fn an_error_of_upstream_in_the_middle_of_a_stream_is_passed_as_it_is() {
    let reply = begins(SAID).then(error_event("overloaded_error"));
    assert_eq!(heard(reply.clone(), "overloaded", tokens(SAID)), reply.said(SONNET));
    let stuck = reply.clone().then(Step::Silence);
    assert_eq!(heard(stuck, "overloaded", tokens(SAID)), reply.said(SONNET), "it is the end");
}

#[test]
fn a_stream_that_breaks_or_stops_short_ends_with_an_error_of_ours() {
    let half = Step::Text("event: content_block_delta\ndata: {\"ty".into());
    for (what, end) in [
        ("a drop", vec![Step::Fail(TransportError::Broken)]),
        ("silence", vec![Step::Fail(TransportError::Idle)]),
        ("an end", vec![]),
        ("half an event", vec![half.clone(), Step::Fail(TransportError::Broken)]),
        ("half an event, and an end", vec![half]),
    ] {
        let mut reply = begins(SAID);
        let given = reply.said(SONNET);
        reply.steps.extend(end);
        let text = heard(reply.with("request-id", "req_up"), "network", tokens(SAID));
        let error = text.strip_prefix(&given).unwrap_or_else(|| panic!("{what}: {text}"));
        let data = error.strip_prefix("event: error\ndata: ").unwrap().strip_suffix("\n\n");
        let data: serde_json::Value = serde_json::from_str(data.unwrap()).unwrap();
        assert_eq!((&data["type"], &data["error"]["type"]), (&json!("error"), &json!("api_error")));
        assert_eq!(data["request_id"], "req_up", "{what}");
    }
}

#[test]
fn an_error_of_ours_has_an_id_where_upstream_gave_none() {
    let text =
        heard(begins(SAID).then(Step::Fail(TransportError::Broken)), "network", tokens(SAID));
    assert!(text.contains("\"request_id\":\"req_"), "{text}");
}

#[test]
fn a_stream_is_known_by_its_media_type_which_has_no_case() {
    let mut reply = says("fine");
    reply.headers = vec![("content-type", "Text/Event-Stream; Charset=UTF-8".to_owned())];
    assert_eq!(heard(reply.clone(), "succeeded", crate::reply::OUTPUT), reply.said(SONNET));
}

#[test]
fn a_block_that_begins_is_content_and_so_is_an_event_that_nobody_knows() {
    for (name, data) in [
        ("content_block_start", json!({"index": 0, "content_block": {"type": "new_block"}})),
        ("new_event", json!({"what": "ever"})),
    ] {
        let reply = starts().then(Step::Text(event(name, data))).then(error_event("api_error"));
        assert_eq!(heard(reply.clone(), "server_error", 1), reply.said(SONNET), "{name}");
    }
}

#[test]
fn a_stream_that_lacks_only_its_last_event_is_whole_unless_it_broke() {
    let mut short = says("fine");
    short.steps.pop();
    assert_eq!(heard(short.clone(), "succeeded", crate::reply::OUTPUT), short.said(SONNET));
    let broken = short.clone().then(Step::Fail(TransportError::Broken));
    let text = heard(broken, "network", crate::reply::OUTPUT);
    assert!(text.starts_with(&short.said(SONNET)) && text.contains("event: error\n"), "{text}");
}

#[test]
fn a_body_that_does_not_end_after_its_last_event_is_left() {
    let reply = says("fine").then(Step::Silence);
    assert_eq!(heard(reply.clone(), "succeeded", crate::reply::OUTPUT), reply.said(SONNET));
}
