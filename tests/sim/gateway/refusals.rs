//! What is wrong with a request is said in upstream's own words, once, and harms nobody else.

use polpo_policy::pool::seat::ProfileState;
use serde_json::json;

use super::front::{Ask, Front};
use crate::reply::{Canned, Step, refuses, says, says_whole};
use crate::system::simulate;
use crate::world::SONNET;

/// Refusals of a request in the API's own words.
fn refusals() -> Vec<Canned> {
    let text = |status, kind: &str, body: &str| {
        let steps = vec![Step::Text(body.to_owned())];
        Canned {
            headers: vec![("content-type", kind.to_owned())],
            steps,
            ..refuses(status, "", "")
        }
    };
    let odd = "{ \"type\":\"error\",  \"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 208310 tokens > 200000 maximum\",\"new\":[1, 2]},\n\"request_id\":\"req_up\"}\n";
    vec![
        refuses(400, "invalid_request_error", "messages: Field required"),
        text(400, "application/json; charset=utf-8", odd),
        refuses(404, "not_found_error", "model: claude-sonnet-4-6"),
        refuses(412, "invalid_request_error", "precondition"),
        refuses(422, "invalid_request_error", "cannot be processed"),
    ]
}

#[test]
fn what_is_not_the_api_s_own_words_is_told_in_them() {
    let page = |status, kind: &str, body: &str| Canned {
        headers: vec![("content-type", kind.to_owned())],
        steps: vec![Step::Text(body.to_owned())],
        ..refuses(status, "", "")
    };
    let poe = r#"{"error":{"code":"model_not_found","message":"Model 'x' does not exist"}}"#;
    for (refusal, status, kind) in [
        (page(413, "text/html", "<html>413</html>"), 413, "request_too_large"),
        (page(418, "text/plain", ""), 418, "invalid_request_error"),
        (page(400, "application/json", poe), 404, "not_found_error"),
        (page(302, "text/html", "<html>moved</html>"), 502, "api_error"),
    ] {
        simulate(async || {
            let front = Front::new(&["a"]).await;
            let replies = std::iter::repeat_n(refusal.clone().with("request-id", "req_up"), 20);
            front.world.script.on("a", replies);
            let heard = front.hear(&Ask::whole("hi")).await;
            let body: serde_json::Value = serde_json::from_str(&heard.text()).unwrap();
            assert_eq!((heard.status, body["error"]["type"].as_str()), (status, Some(kind)));
            assert_eq!(body["type"], "error");
            assert_eq!(heard.header("request-id"), "req_up");
            assert_eq!(body["request_id"], "req_up");
        });
    }
}

#[test]
fn a_request_that_is_wrong_is_refused_word_for_word_and_rotates_nothing() {
    for refusal in refusals() {
        for (ask, good) in
            [(Ask::stream("hi"), says("fine")), (Ask::whole("hi"), says_whole("fine"))]
        {
            simulate(async || {
                let front = Front::new(&["a", "b"]).await;
                let reply = refusal.clone().with("x-should-retry", "false");
                front.world.script.on("a", [reply.with("request-id", "req_up")]);
                let heard = front.hear(&ask).await;
                let status = refusal.head.unwrap();
                assert_eq!((heard.status, heard.text()), (status, refusal.said(SONNET)));
                assert_eq!(heard.header("content-type"), refusal.headers[0].1);
                assert_eq!(heard.header("x-should-retry"), "false");
                assert_eq!(heard.header("request-id"), "req_up");
                assert_eq!(front.world.calls().len(), 1);
                assert_eq!(front.world.observe().await.profiles, [(ProfileState::Ready, 2)]);
                assert_eq!(front.world.metric("failovers_total", &[]), 0.0);
                front.world.script.otherwise(good.clone());
                assert_eq!(front.hear(&ask).await.status, 200);
                let rows = front.close().await;
                assert_eq!((rows[0].outcome, rows[0].cost.0), ("invalid_request", 0));
            });
        }
    }
}

#[test]
fn what_is_no_request_is_refused_before_anyone_is_asked() {
    simulate(async || {
        let front = Front::new(&["a"]).await;
        for (body, status, kind) in [
            (json!([]), 400, "invalid_request_error"),
            (json!({"max_tokens": 1}), 400, "invalid_request_error"),
            (json!({"model": 1}), 400, "invalid_request_error"),
            (json!({"model": "gpt-5"}), 404, "not_found_error"),
        ] {
            let heard = front.hear(&Ask::raw(&body.to_string())).await;
            let (got, got_kind, message) = heard.error();
            assert_eq!((got, got_kind.as_str()), (status, kind), "{message}");
            assert_eq!(heard.header("x-should-retry"), "false");
            assert!(heard.header("request-id").starts_with("req_"));
        }
        assert!(front.world.calls().is_empty());
        assert!(front.close().await.is_empty());
    });
}
