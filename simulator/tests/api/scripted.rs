//! Faults by script, by rate and by time.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::Method;
use polpo_simulator::{InMemory, Simulator};
use polpo_upstream::error::TransportError;
use polpo_upstream::transport::Transport as _;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::client::{
    Heard, KEY, call, error_of, post, request, saying, schema, send, signed, simulator,
};

fn with_rule(rule: Value) -> Simulator {
    simulator(json!({"faults": {"overloadedRate": 0, "rules": [rule]}}))
}

#[tokio::test]
async fn every_error_of_the_api_can_be_had_by_name() {
    for (fault, status, kind, message) in [
        ("invalidRequest", 400, "invalid_request_error", "The request is invalid."),
        ("creditTooLow", 400, "invalid_request_error", "Your credit balance is too low"),
        ("spendLimit", 400, "invalid_request_error", "You have reached your specified API usage"),
        ("workspaceSpendLimit", 400, "invalid_request_error", "You have reached your specified w"),
        ("thirdPartyApp", 400, "invalid_request_error", "Third-party apps now draw from your"),
        ("authentication", 401, "authentication_error", "invalid x-api-key"),
        ("tokenExpired", 401, "authentication_error", "OAuth token has expired"),
        ("tokenRevoked", 401, "authentication_error", "OAuth token has been revoked"),
        ("oauthNotSupported", 401, "authentication_error", "OAuth authentication is currently not"),
        ("cors", 401, "authentication_error", "CORS requests are not allowed for this Org"),
        ("billing", 402, "billing_error", "There is a problem with your payment method."),
        ("permission", 403, "permission_error", "Your API key does not have permission"),
        ("oauthNotAllowed", 403, "permission_error", "OAuth authentication is currently not all"),
        ("missingScope", 403, "permission_error", "OAuth token does not meet scope requirement"),
        ("notFound", 404, "not_found_error", "model: claude-opus-4-6"),
        ("requestTimeout", 408, "timeout_error", "Request timed out"),
        ("conflict", 409, "conflict_error", "The resource is being changed"),
        ("precondition", 412, "invalid_request_error", "A precondition of the request failed."),
        ("tooLarge", 413, "request_too_large", "Request exceeds the maximum size"),
        ("unprocessable", 422, "invalid_request_error", "The request cannot be processed."),
        ("rateLimit", 429, "rate_limit_error", "This request would exceed your organization's"),
        ("monthlyCap", 429, "rate_limit_error", "You have reached your API usage limits"),
        ("contractCap", 429, "rate_limit_error", "You have reached your API usage limits"),
        ("rampLimit", 429, "rate_limit_error", "This request would exceed your organization's"),
        ("throttled", 429, "rate_limit_error", "Rate limited"),
        ("longContext", 429, "rate_limit_error", "Extra usage is required for long context"),
        ("error", 500, "api_error", "Internal server error"),
        ("timeout", 504, "timeout_error", "Request timed out"),
        ("overloaded", 529, "overloaded_error", "Overloaded"),
    ] {
        let heard = post(&with_rule(json!({"fault": fault})), &saying("Hi")).await;
        let told = error_of(&heard);
        assert_eq!((told.0, told.1.as_str()), (status, kind), "{fault}");
        assert!(told.2.starts_with(message), "{fault}: {}", told.2);
        let after = (fault == "rampLimit").then_some("60");
        assert_eq!(heard.header("retry-after"), after, "{fault}");
    }
}

#[tokio::test]
async fn codes_details_and_the_edge_s_own_shape_are_as_the_api_has_them() {
    let body = async |fault: &str| {
        post(&with_rule(json!({"fault": fault})), &saying("Hi")).await.json()["error"].clone()
    };
    assert_eq!(body("monthlyCap").await["details"]["error_code"], "enforced_spend_limit_reached");
    assert_eq!(body("contractCap").await["details"]["error_code"], "contract_spend_limit_reached");
    assert_eq!(body("rampLimit").await["details"]["error_code"], "ramp_limit_exceeded");
    assert_eq!(body("missingScope").await["details"]["error_visibility"], "user_facing");
    let heard = post(&with_rule(json!({"fault": "forbidden"})), &saying("Hi")).await;
    let bare = json!({"error": {"type": "forbidden", "message": "Request not allowed"}});
    assert_eq!((heard.status, heard.json()), (403, bare));
}

#[tokio::test]
async fn a_rule_says_what_the_answer_says_and_how_long_to_wait() {
    let simulator = with_rule(json!({
        "fault": "rateLimit", "retryAfterSeconds": 604_800, "retryAfterMs": 1500,
        "error": {"status": 503, "type": "api_error", "message": "Go away", "code": "cmek_key_unreachable",
                  "headers": {"X-Should-Retry": "false"}},
    }));
    let heard = post(&simulator, &saying("Hi")).await;
    let error = &heard.json()["error"];
    assert_eq!((heard.status, &error["type"]), (503, &json!("api_error")));
    assert_eq!(error["message"], "Go away");
    assert_eq!(error["details"]["error_code"], "cmek_key_unreachable");
    assert_eq!(heard.header("retry-after"), Some("604800"));
    assert_eq!(heard.header("retry-after-ms"), Some("1500"));
    assert_eq!(heard.header("x-should-retry"), Some("false"));

    let dated = with_rule(json!({"fault": "overloaded", "retryAfterDateSeconds": 60}));
    let heard = post(&dated, &saying("Hi")).await;
    let date = chrono::DateTime::parse_from_rfc2822(heard.header("retry-after").unwrap()).unwrap();
    let wait = (date.to_utc() - chrono::Utc::now()).num_seconds();
    assert!((55..=60).contains(&wait), "{wait}");
}

#[tokio::test(start_paused = true)]
async fn a_rule_meets_only_what_it_is_for_as_often_and_as_long_as_it_says() {
    let simulator = simulator(json!({
        "accounts": [{"name": "a", "apiKey": "ka"}, {"name": "b", "apiKey": "kb"}],
        "faults": {"overloadedRate": 0, "rules": [
            {"fault": "timeout", "accounts": ["b"], "models": ["haiku"], "skip": 1, "times": 2},
            {"fault": "error", "fromSeconds": 10, "untilSeconds": 20},
            {"fault": "overloaded", "endpoint": "countTokens"},
        ]},
    }));
    let status = async |key: &str, model: &str| {
        let body = request(json!({"model": model}));
        send(&simulator, signed(key, &body)).await.status
    };
    for (key, model, expected) in [
        ("kb", "claude-haiku-4-5", 200),
        ("ka", "claude-haiku-4-5", 200),
        ("kb", "claude-opus-4-6", 200),
        ("kb", "claude-haiku-4-5", 504),
        ("kb", "claude-haiku-5-5", 504),
        ("kb", "claude-haiku-4-5", 200),
    ] {
        assert_eq!(status(key, model).await, expected, "{key} {model}");
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(status("ka", "claude-opus-4-6").await, 500);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(status("ka", "claude-opus-4-6").await, 200);
    let mut count = signed("ka", &request(json!({"max_tokens": null})));
    count.path = "/v1/messages/count_tokens".into();
    assert_eq!(send(&simulator, count).await.status, 529);
}

#[tokio::test]
async fn a_rate_meets_its_share_whatever_the_order() {
    let statuses = async |order: &mut dyn Iterator<Item = u32>| {
        let simulator = with_rule(json!({"fault": "error", "rate": 0.2}));
        let mut failed = Vec::new();
        for n in order {
            if post(&simulator, &saying(&n.to_string())).await.status == 500 {
                failed.push(n);
            }
        }
        failed.sort_unstable();
        failed
    };
    let forwards = statuses(&mut (0..500)).await;
    assert!((70..130).contains(&forwards.len()), "{}", forwards.len());
    assert_eq!(statuses(&mut (0..500).rev()).await, forwards);
}

#[tokio::test]
async fn which_counts_fail_depends_on_what_is_counted_and_on_nothing_else() {
    let outcomes = async |disturbs: bool, order: &mut dyn Iterator<Item = u32>| {
        let simulator =
            with_rule(json!({"fault": "error", "endpoint": "countTokens", "rate": 0.3}));
        let mut outcomes = BTreeMap::new();
        for n in order {
            let mut body = saying(&n.to_string());
            body.as_object_mut().unwrap().remove("max_tokens");
            let mut story = Vec::new();
            for _ in 0..3 {
                let mut count = signed(KEY, &body);
                count.path = "/v1/messages/count_tokens".into();
                story.push(send(&simulator, count).await.status);
                if disturbs {
                    let mut books = call(&[], "");
                    (books.method, books.path) = (Method::GET, "/_sim/books".into());
                    send(&simulator, books).await;
                }
            }
            outcomes.insert(n, story);
        }
        outcomes
    };
    let forwards = outcomes(false, &mut (0..60)).await;
    let mut firsts = forwards.values().filter(|story| story[0] == 500);
    assert!(firsts.clone().count() > 5);
    assert!(firsts.any(|story| story.contains(&200)), "another count draws again");
    assert_eq!(outcomes(true, &mut (0..60).rev()).await, forwards);
}

/// A streamed answer up to where it breaks.
async fn streamed(simulator: &Simulator) -> (Vec<u8>, Option<TransportError>) {
    let body = request(json!({"stream": true}));
    let sent = InMemory::new(simulator.clone()).send(signed(KEY, &body)).await;
    let mut reply = match sent {
        Ok(reply) => reply,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = reply.body.next().await {
        match chunk {
            Ok(chunk) => bytes.extend(chunk),
            Err(error) => return (bytes, Some(error)),
        }
    }
    (bytes, None)
}

fn names(bytes: &[u8]) -> Vec<String> {
    let lines = String::from_utf8_lossy(bytes);
    lines.lines().filter_map(|line| line.strip_prefix("event: ").map(str::to_owned)).collect()
}

#[tokio::test]
async fn an_error_event_comes_before_or_after_content_and_ends_the_stream() {
    for (after, before) in [
        (0, vec![]),
        (1, vec!["message_start"]),
        (3, vec!["message_start", "content_block_start", "ping", "content_block_delta"]),
    ] {
        let simulator = with_rule(json!({"fault": "errorEvent", "afterEvents": after,
            "error": {"type": "api_error", "message": "Oh no"}}));
        let heard = post(&simulator, &request(json!({"stream": true}))).await;
        assert_eq!(heard.status, 200);
        let mut events = heard.events();
        let (name, data) = events.pop().unwrap();
        assert_eq!(events.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), before);
        assert_eq!(name, "error");
        schema(include_str!("../schemas/error_response.json")).validate(&data).unwrap();
        assert_eq!(
            (&data["error"]["type"], &data["error"]["message"]),
            (&json!("api_error"), &json!("Oh no"))
        );
        assert_eq!(data["request_id"].as_str(), heard.header("request-id"));
        assert_eq!(simulator.books().total.served, 1, "what was generated is billed");
    }
    let simulator = with_rule(json!({"fault": "errorEvent"}));
    assert_eq!(post(&simulator, &request(json!({}))).await.status, 529, "no stream, no event");
}

#[tokio::test(start_paused = true)]
async fn a_connection_drops_stalls_or_ends_early_where_the_rule_says() {
    let fault = |name: &str, after: u32| with_rule(json!({"fault": name, "afterEvents": after}));
    assert_eq!(streamed(&fault("drop", 0)).await, (vec![], Some(TransportError::Broken)));
    let (bytes, error) = streamed(&fault("drop", 2)).await;
    assert_eq!(names(&bytes), ["message_start", "content_block_start", "ping"]);
    assert_eq!(error, Some(TransportError::Broken));
    let (bytes, error) = streamed(&fault("truncated", 1)).await;
    assert_eq!((names(&bytes), error), (vec!["message_start".to_owned()], None));
    for after in [0, 2] {
        let simulator = fault("stall", after);
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, streamed(&simulator)).await.is_err(), "it never ends");
        assert_eq!(simulator.books().in_flight, 0, "whoever gives up settles it");
    }
}

#[tokio::test]
async fn bodies_that_are_not_streamed_break_too() {
    let whole = post(&with_rule(json!({"fault": "error", "rate": 0})), &saying("Hi")).await;
    let heard = async |fault: &str| -> Heard {
        post(&with_rule(json!({"fault": fault})), &saying("Hi")).await
    };
    let truncated = heard("truncated").await;
    assert_eq!(truncated.status, 200);
    assert!(whole.text().starts_with(&truncated.text()) && truncated.text().len() > 10);
    assert!(truncated.text().len() < whole.text().len());
    let malformed = heard("malformedJson").await;
    assert!(serde_json::from_str::<Value>(&malformed.text()).is_err());
    let page = heard("wrongContentType").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn an_event_with_malformed_json_is_followed_by_the_rest() {
    let (bytes, _) =
        streamed(&with_rule(json!({"fault": "malformedJson", "afterEvents": 2}))).await;
    let text = String::from_utf8(bytes).unwrap();
    let broken = |line: &&str| {
        line.strip_prefix("data: ").is_some_and(|d| serde_json::from_str::<Value>(d).is_err())
    };
    assert_eq!(text.lines().filter(broken).count(), 1);
    assert_eq!(names(text.as_bytes()).last().unwrap(), "message_stop");
}

#[tokio::test(start_paused = true)]
async fn a_first_token_can_be_slow() {
    let simulator = with_rule(json!({"fault": "slowFirstToken", "delaySeconds": 90}));
    let start = tokio::time::Instant::now();
    let heard = post(&simulator, &saying("Hi")).await;
    assert_eq!((heard.status, start.elapsed().as_secs()), (200, 90));
}

#[tokio::test]
async fn a_model_can_refuse() {
    let heard =
        post(&with_rule(json!({"fault": "refusal"})), &request(json!({"stream": true}))).await;
    let events = heard.events();
    let (_, data) = &events[events.len() - 2];
    assert_eq!(data["delta"]["stop_reason"], "refusal");
    assert_eq!(data["delta"]["stop_details"]["type"], "refusal");
}

#[tokio::test]
async fn faults_can_be_changed_while_it_runs_and_a_bad_change_changes_nothing() {
    let simulator = simulator(json!({}));
    let put = async |body: Value| {
        let mut call = call(&[], body.to_string());
        (call.method, call.path) = (Method::PUT, "/_sim/faults".into());
        send(&simulator, call).await
    };
    let always = json!({"overloadedRate": 0, "rules": [{"fault": "error"}]});
    assert_eq!(put(always).await.status, 204);
    assert_eq!(post(&simulator, &saying("Hi")).await.status, 500);
    for (body, place) in [
        (json!({"overloadedRate": 2}), "overloadedRate: 2 is not between 0 and 1"),
        (json!({"rules": [{"fault": "nonsense"}]}), "rules[0].fault: unknown variant `nonsense`"),
        (
            json!({"rules": [{"fault": "drop", "accounts": ["z"]}]}),
            "rules[0].accounts[0]: `z` is no",
        ),
        (
            json!({"rules": [{"fault": "drop", "models": ["gpt"]}]}),
            "rules[0].models[0]: `gpt` is no",
        ),
    ] {
        let heard = put(body).await;
        let message = heard.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(heard.status == 400 && message.starts_with(place), "{message}");
    }
    assert_eq!(post(&simulator, &saying("Hi")).await.status, 500);
    let none = json!({"rules": []});
    assert_eq!(put(none).await.status, 204);
    for n in 0..500 {
        assert_eq!(post(&simulator, &saying(&n.to_string())).await.status, 200, "no 529 either");
    }
    assert_eq!(put(json!({"overloadedRate": 0})).await.status, 204);
    assert_eq!(post(&simulator, &saying("Hi")).await.status, 200);
}

#[tokio::test]
async fn a_run_that_remembers_no_messages_meets_a_fault_no_more_often() {
    let rule = json!({"fault": "truncated", "rate": 0.5});
    let simulator = Simulator::forgetful(with_rule(rule).scenario().clone());
    let mut whole = Vec::new();
    for _ in 0..40 {
        let text = post(&simulator, &saying("Again")).await.text();
        whole.push(serde_json::from_str::<Value>(&text).is_ok());
    }
    assert!(whole.contains(&true) && whole.contains(&false), "{whole:?}");
}

#[tokio::test]
async fn a_mishap_waits_for_a_request_that_is_not_refused() {
    let simulator = simulator(json!({
        "limits": {"requestsPerMinute": 1, "inputTokensPerMinute": null, "outputTokensPerMinute": null},
        "faults": {"overloadedRate": 0, "rules": [{"fault": "wrongContentType", "skip": 1, "times": 1}]},
    }));
    tokio::time::pause();
    let mut seen = Vec::new();
    for seconds in [0, 1, 60, 60] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let heard = post(&simulator, &saying("Hi")).await;
        seen.push((heard.status, heard.header("content-type") == Some("text/html; charset=utf-8")));
    }
    assert_eq!(seen, [(200, false), (429, false), (200, true), (200, false)]);
}
