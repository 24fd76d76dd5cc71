//! What Poe's page promises of an API that is compatible with Anthropic's, kept by the gateway. Its
//! programs are run by `sdk/poe.rs`.

use serde_json::{Value, json};

use crate::http::{Answer, send};
use crate::schema::{MESSAGE, assert_are_events, assert_fits, error_of};
use crate::server::{KEY, scenario};
use crate::site::Site;
use crate::support::World;

/// The names in the page's list of models, and what they are called today; those of the models
/// that Anthropic has retired since are nobody's.
const NAMES: [(&str, Option<&str>); 18] = [
    ("claude-sonnet-4.5", Some("claude-sonnet-4-5-20250929")),
    ("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5-20250929")),
    ("claude-opus-4.5", Some("claude-opus-4-5-20251101")),
    ("claude-opus-4-5-20251101", Some("claude-opus-4-5-20251101")),
    ("claude-haiku-4.5", Some("claude-haiku-4-5-20251001")),
    ("claude-haiku-4-5-20251001", Some("claude-haiku-4-5-20251001")),
    ("claude-opus-4.1", None),
    ("claude-opus-4-1-20250805", None),
    ("claude-sonnet-4", Some("claude-sonnet-4-20250514")),
    ("claude-sonnet-4-20250514", Some("claude-sonnet-4-20250514")),
    ("claude-opus-4", None),
    ("claude-opus-4-20250514", None),
    ("claude-sonnet-3.7", Some("claude-3-7-sonnet-20250219")),
    ("claude-3-7-sonnet-20250219", Some("claude-3-7-sonnet-20250219")),
    ("claude-haiku-3.5", Some("claude-3-5-haiku-20241022")),
    ("claude-3-5-haiku-20241022", Some("claude-3-5-haiku-20241022")),
    ("claude-haiku-3", Some("claude-3-haiku-20240307")),
    ("claude-3-haiku-20240307", Some("claude-3-haiku-20240307")),
];

fn request(model: &str) -> Value {
    let question = json!({"role": "user", "content": "What are the top 3 things to do in NYC?"});
    json!({"model": model, "max_tokens": 1024, "messages": [question]})
}

/// Asks, and shows these headers with it.
fn ask(site: &Site, headers: &[(&str, &str)], body: &Value) -> Answer {
    let usual = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
    let headers = [&usual[..], headers].concat();
    send(site.address(), "POST /v1/messages", &headers, &body.to_string())
}

fn gateway(world: &World, client: Value) -> Site {
    Site::gateway_for(world, &scenario(json!({})), client)
}

#[test]
fn a_key_is_taken_from_either_header_and_x_api_key_takes_precedence() {
    let world = World::new();
    let site = gateway(&world, json!({}));
    let (key, bearer) = (site.key(), format!("Bearer {}", site.key()));
    for (headers, status) in [
        (vec![("x-api-key", key)], 200),
        (vec![("authorization", bearer.as_str())], 200),
        (vec![("authorization", "Bearer another"), ("x-api-key", key)], 200),
        (vec![("authorization", bearer.as_str()), ("x-api-key", "another")], 401),
        (vec![("authorization", "Bearer another")], 401),
        // What opens an account behind it does not open the gateway.
        (vec![("x-api-key", KEY)], 401),
        (vec![], 401),
    ] {
        let answer = ask(&site, &headers, &request("claude-sonnet-4"));
        assert_eq!(answer.status, status, "{headers:?}");
        if status == 200 {
            assert_fits(&MESSAGE, &answer.json());
        } else {
            let (_, kind, _) = error_of(&answer);
            assert_eq!(kind, "authentication_error");
            assert_eq!(answer.header("x-should-retry"), Some("false"));
        }
    }
}

#[test]
fn a_model_goes_by_the_bot_s_name_and_by_the_api_s() {
    let world = World::new();
    let site = gateway(&world, json!({}));
    let headers = [("x-api-key", site.key())];
    for (name, model) in NAMES {
        let answer = ask(&site, &headers, &request(name));
        match model {
            Some(model) => assert_eq!(answer.json()["model"], model, "{name}"),
            None => assert_eq!(error_of(&answer).1, "not_found_error", "{name}"),
        }
    }
    for name in ["GPT-5", "a-bot-of-mine"] {
        let (status, kind, _) = error_of(&ask(&site, &headers, &request(name)));
        assert_eq!((status, kind.as_str()), (404, "not_found_error"));
    }
}

#[test]
fn five_hundred_requests_a_minute_are_told_in_headers() {
    let world = World::new();
    let site = gateway(&world, json!({}));
    let answer = ask(&site, &[("x-api-key", site.key())], &request("claude-sonnet-4"));
    let told = |what: &str| answer.header(&format!("x-ratelimit-{what}-requests"));
    assert_eq!((told("limit"), told("remaining")), (Some("500"), Some("499")));
    assert!(told("reset").unwrap().parse::<u32>().is_ok());
}

#[test]
fn a_request_too_many_is_refused_until_the_time_that_is_told() {
    let world = World::new();
    let site = gateway(&world, json!({"requestsPerMinute": 2}));
    let ask = || ask(&site, &[("x-api-key", site.key())], &request("claude-sonnet-4"));
    assert_eq!([ask().status, ask().status], [200, 200]);
    let refused = ask();
    let (status, kind, _) = error_of(&refused);
    assert_eq!((status, kind.as_str()), (429, "rate_limit_error"));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
}

#[test]
fn a_streamed_answer_is_events_and_an_error_is_one_too() {
    let world = World::new();
    let rule = json!({"fault": "errorEvent", "afterEvents": 4, "skip": 1});
    let faults = json!({"faults": {"overloadedRate": 0, "rules": [rule]}});
    let site = Site::gateway(&world, &scenario(faults));
    let mut body = request("claude-sonnet-4");
    body["stream"] = json!(true);
    for last in ["message_stop", "error"] {
        let events = ask(&site, &[("x-api-key", site.key())], &body).events();
        assert_are_events(&events);
        assert_eq!(events.last().unwrap().0, last);
    }
}
