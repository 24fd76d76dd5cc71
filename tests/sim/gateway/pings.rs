//! A client that waits hears from the gateway now and then, and never in the middle of an event.

use std::time::Duration;

use super::front::{Ask, Front, Heard};
use crate::reply::{Canned, Step, begins, event, refuses, says, says_whole};
use crate::system::simulate;
use crate::world::{SONNET, World, pass};
use serde_json::json;
use tokio::time::Instant;

pub(super) const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

fn sleep(seconds: u64) -> Step {
    Step::Sleep(Duration::from_secs(seconds))
}

/// Hears an answer to a request for a stream: all of it, and after how many seconds pings came.
fn pinged(reply: &Canned) -> (String, Vec<u64>) {
    let mut result = (String::new(), Vec::new());
    simulate(async || {
        let front = Front::new(&["a"]).await;
        front.world.script.on("a", [reply.clone()]);
        let began = Instant::now();
        let heard = front.hear(&Ask::stream("hi")).await;
        assert_eq!(heard.header("content-type"), "text/event-stream; charset=utf-8");
        result = (heard.text(), pings(&heard, began));
        front.close().await;
    });
    result
}

fn pings(heard: &Heard, began: Instant) -> Vec<u64> {
    let parts = heard.parts().iter().filter(|(_, part)| part == PING);
    parts.map(|(at, _)| (*at - began).as_secs()).collect()
}

/// A stream with these steps between its first content and the rest of it.
fn with(steps: impl IntoIterator<Item = Step>) -> Canned {
    let mut reply = says("fine").with("content-type", "text/event-stream; charset=utf-8");
    reply.headers.remove(0);
    let rest = reply.steps.split_off(begins("").steps.len());
    reply.steps.extend(steps);
    reply.steps.extend(rest);
    reply
}

#[test]
fn a_stream_that_does_not_begin_is_opened_after_45_seconds_and_pinged_every_15() {
    let late = with([]).after(100);
    let (text, pings) = pinged(&late);
    assert_eq!(pings, [60, 75, 90]);
    assert_eq!(text, [&PING.repeat(3), &*late.said(SONNET)].concat());
}

#[test]
fn the_head_of_a_late_stream_comes_after_45_seconds_with_the_request_s_own_id() {
    simulate(async || {
        let front = Front::new(&["a"]).await;
        front.world.script.on("a", [says("late").after(100).with("request-id", "req_up")]);
        let began = Instant::now();
        let mut heard = front.ask(&Ask::stream("hi")).await;
        assert_eq!((began.elapsed().as_secs(), heard.status), (45, 200));
        assert!(heard.header("request-id").starts_with("req_"));
        while heard.next().await.is_some() {}
        front.close().await;
    });
}

#[test]
fn silence_of_upstream_is_filled_between_its_events() {
    let silent = with([sleep(40)]);
    let given = begins("fine").said(SONNET);
    let (text, pings) = pinged(&silent);
    assert_eq!(pings, [15, 30]);
    assert_eq!(text.replace(PING, ""), silent.said(SONNET));
    assert!(text.starts_with(&[&given, PING, PING].concat()), "{text}");
}

#[test]
fn no_ping_comes_in_the_middle_of_an_event() {
    let (event, half) = (event("new_event", json!({"what": "ever"})), 20);
    let halves = [Step::Text(event[..half].into()), sleep(40), Step::Text(event[half..].into())];
    let (text, pings) = pinged(&with(halves));
    assert_eq!(pings, [15, 30]);
    assert!(text.contains(&[PING, PING, &event].concat()), "{text}");
}

#[test]
fn where_upstream_pings_nobody_else_need() {
    let steady = (0..6).flat_map(|_| [sleep(14), Step::Text(PING.into())]);
    let reply = with(steady);
    let (text, pings) = pinged(&reply);
    assert_eq!((text, pings.len()), (reply.said(SONNET), 6));
}

#[test]
fn an_answer_in_one_piece_is_waited_for_in_silence_for_an_hour() {
    for timeout in ["600", "3600"] {
        simulate(async || {
            let front = Front::new(&["a", "b"]).await;
            front.world.script.on("a", [says_whole("fine").after(3590)]);
            let ask = Ask::whole("hi").with("x-stainless-timeout", timeout);
            let heard = front.hear(&ask).await;
            assert_eq!((heard.status, heard.text()), (200, says_whole("fine").said(SONNET)));
            assert_eq!(front.close().await.len(), 1, "it is asked for once");
        });
    }
}

#[test]
fn a_stream_that_is_silent_for_ten_minutes_comes_from_another_profile() {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        front.world.script.on("a", [says("late").after(601)]);
        let heard = front.hear(&Ask::stream("hi")).await;
        assert_eq!(heard.text().replace(PING, ""), says("fine").said(SONNET));
        assert_eq!(front.world.trace()[1], (600_000, "b".to_owned()));
        front.close().await;
    });
}

#[test]
fn what_becomes_of_a_stream_after_it_was_opened_is_told_as_an_event() {
    let refusal = refuses(400, "invalid_request_error", "messages: Field required");
    for (what, slots, reply, outcome, kind) in [
        ("upstream refuses", 2, refusal.after(50), "invalid_request", "invalid_request_error"),
        ("no place", 1, says("never"), "timed_out", "rate_limit_error"),
        ("one piece", 2, says_whole("x").after(58), "unsuited", "api_error"),
    ] {
        simulate(async || {
            let front = Front::over(World::of(Vec::new(), &["a"], slots).await).await;
            front.world.script.on("a", [says("long").after(300), reply.clone()]);
            front.world.script.otherwise(reply.clone());
            let late = async {
                pass(1).await;
                let heard = front.hear(&Ask::stream("late")).await;
                assert_eq!(heard.status, 200, "{what}");
                let text = heard.text().replace(PING, "");
                let data = text.strip_prefix("event: error\ndata: ").expect(what);
                let data: serde_json::Value = serde_json::from_str(data).unwrap();
                assert_eq!(
                    (&data["type"], &data["error"]["type"]),
                    (&"error".into(), &kind.into())
                );
                assert!(data["request_id"].is_string());
            };
            tokio::join!(front.hear(&Ask::stream("long")), late);
            let labels = [("key", "local"), ("outcome", outcome)];
            assert_eq!(front.world.metric("gateway_requests_total", &labels), 1.0, "{what}");
            front.close().await;
        });
    }
}
