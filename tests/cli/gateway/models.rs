//! The list of models.

use serde_json::{Value, json};

use super::{ALICE, BOB, Gateway};
use crate::http::{Answer, send};
use crate::schema::{MODEL, assert_fits, error_of};
use crate::server::{KEY, Server, scenario};
use crate::support::World;

fn ids(list: &Answer) -> Vec<String> {
    let list = list.json();
    let ids = list["data"].as_array().unwrap().iter().map(|model| &model["id"]);
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[test]
fn models_are_listed_as_the_api_lists_them() {
    let world = World::new();
    let api = Server::start(&world, &scenario(json!({})));
    let gateway = Gateway::open(&world);
    for query in [
        "?limit=1000",
        "",
        "?limit=3",
        "?limit=3&after_id=claude-opus-5",
        "?limit=2&before_id=claude-opus-5",
        "?limit=1000&lifecycle%5B%5D=retired",
        "?lifecycle[]=active&lifecycle[]=deprecated&lifecycle[]=retired&limit=9",
        "?limit=0",
        "?limit=1001",
        "?after_id=claude-none",
        "?lifecycle[]=active&lifecycle[]=old",
        "?lifecycle[]=active&lifecycle[]=active&lifecycle[]=active&lifecycle[]=active",
        "/claude-opus-5-5",
        "/claude-haiku-4-5",
        "/claude-opus-4-1",
        "/claude-none",
    ] {
        let line = format!("GET /v1/models{query}");
        let headers = [("x-api-key", KEY), ("anthropic-version", "2026-10-21")];
        let (theirs, ours) =
            (send(api.address(), &line, &headers, ""), gateway.ask(KEY, &line, ""));
        assert_eq!(ours.status, theirs.status, "{line}");
        assert_eq!(ours.header("content-type"), theirs.header("content-type"));
        if ours.status == 200 {
            assert_eq!(ours.body, theirs.body, "{line}");
        } else {
            assert_eq!(error_of(&ours), error_of(&theirs), "{line}");
        }
    }
}

#[test]
fn a_client_sees_the_models_that_it_may_use_and_no_others() {
    let world = World::new();
    let gateway = Gateway::start(&world, json!({"models": ["claude-haiku-*", "claude-opus-4.5"]}));
    let all = ids(&gateway.ask(ALICE, "GET /v1/models?limit=1000", ""));
    let some = ids(&gateway.ask(BOB, "GET /v1/models?limit=1000", ""));
    let expected = ["claude-haiku-5-5", "claude-opus-4-5-20251101", "claude-haiku-4-5-20251001"];
    assert_eq!(some[..3], expected);
    assert!(some.iter().all(|id| all.contains(id)) && all.len() > 15, "{all:?}");

    let model = gateway.ask(BOB, "GET /v1/models/claude-haiku-4.5", "").json();
    assert_fits(&MODEL, &model);
    assert_eq!(model["id"], "claude-haiku-4-5-20251001");
    let hidden = gateway.ask(BOB, "GET /v1/models/claude-opus-5", "");
    let expected = (404, "not_found_error".to_owned(), "model: claude-opus-5".to_owned());
    assert_eq!(error_of(&hidden), expected);
    assert_eq!(hidden.header("x-should-retry"), Some("false"));
}

#[test]
fn a_list_of_models_needs_a_key_and_counts_as_a_request() {
    let world = World::new();
    let gateway = Gateway::start(&world, json!({"requestsPerMinute": 2}));
    assert_eq!(error_of(&gateway.ask("nobody's key", "GET /v1/models", "")).0, 401);
    let first = gateway.ask(BOB, "GET /v1/models?limit=1", "");
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert!(first.header("request-id").unwrap().starts_with("req_01"));
    assert_eq!(gateway.ask(BOB, "GET /v1/models/claude-opus-5", "").status, 200);
    let refused = gateway.ask(BOB, "GET /v1/models", "");
    assert_eq!(error_of(&refused).1, "rate_limit_error");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(gateway.ask(ALICE, "GET /v1/models", "").json()["has_more"], Value::Bool(true));
}
