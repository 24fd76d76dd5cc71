//! Requests for what there is not, and for heads alone.

use serde_json::json;

use super::{ALICE, Gateway};
use crate::http::send;
use crate::schema::error_of;
use crate::support::World;

#[test]
fn where_there_is_nothing_it_is_said_in_the_words_of_the_api() {
    let world = World::new();
    let gateway = Gateway::start(&world, json!({}));
    for path in ["/v1", "/v1/complete", "/v1/models/a/b", "/v1/messages/", "/api/v1", "/%00"] {
        let answer = send(gateway.address(), &format!("GET {path}"), &[], "");
        let (status, kind, message) = error_of(&answer);
        assert_eq!((status, &*kind), (404, "not_found_error"), "{path}");
        assert!(message.contains(path.split('%').next().unwrap()), "{message}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(answer.header("x-ratelimit-limit-requests"), None);
    }
    let known = gateway.ask(ALICE, "POST /v1/complete", "{}");
    assert_eq!((known.status, known.header("x-ratelimit-limit-requests")), (404, Some("500")));
    assert_eq!(known.header("x-ratelimit-remaining-requests"), Some("500"), "it costs nothing");
}

#[test]
fn where_there_is_something_the_methods_are_told_that_it_has() {
    let world = World::new();
    let gateway = Gateway::start(&world, json!({}));
    for (line, methods) in [
        ("GET /v1/messages", "POST"),
        ("GET /v1/messages/count_tokens", "POST"),
        ("PUT /v1/messages/batches", "GET, HEAD, POST"),
        ("POST /v1/messages/batches/msgbatch_1", "DELETE, GET, HEAD"),
        ("GET /v1/messages/batches/msgbatch_1/cancel", "POST"),
        ("DELETE /v1/messages/batches/msgbatch_1/results", "GET, HEAD"),
        ("POST /v1/models", "GET, HEAD"),
        ("DELETE /v1/models/claude-opus-5", "GET, HEAD"),
        ("POST /metrics", "GET, HEAD"),
        ("POST /readyz", "GET, HEAD"),
        ("GET /api/v1/profiles/a/clear", "POST"),
    ] {
        let answer = gateway.ask(ALICE, line, "");
        let (status, kind, _) = error_of(&answer);
        assert_eq!((status, &*kind), (405, "invalid_request_error"), "{line}");
        assert_eq!(answer.header("allow"), Some(methods), "{line}");
        let is_api = line.contains(" /v1/");
        assert_eq!(answer.header("x-ratelimit-limit-requests").is_some(), is_api, "{line}");
    }
}

#[test]
fn a_head_comes_without_its_body() {
    let world = World::new();
    let gateway = Gateway::start(&world, json!({}));
    for path in ["/v1/models", "/v1/models/claude-opus-5", "/v1/messages/batches", "/metrics"] {
        let whole = gateway.ask(ALICE, &format!("GET {path}"), "");
        let head = gateway.ask(ALICE, &format!("HEAD {path}"), "");
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-type"), whole.header("content-type"));
    }
    for line in ["HEAD /api/hello", "GET /api/hello", "HEAD /healthz", "GET /readyz"] {
        assert_eq!(send(gateway.address(), line, &[], "").status, 200, "{line}");
    }
    assert_eq!(send(gateway.address(), "HEAD /v1/models", &[], "").status, 401);
}
