//! Counting tokens.

use serde_json::{Value, json};

use super::upstream::{Upstream, answer};
use super::{ALICE, BOB, Gateway};
use crate::http::send;
use crate::results::cost_at;
use crate::schema::{COUNT, assert_fits, error_of};
use crate::server::{KEY, Server, get, scenario};
use crate::support::World;

const LINE: &str = "POST /v1/messages/count_tokens";

fn request(model: &str) -> String {
    let question = json!({"role": "user", "content": "What are the top 3 things to do in NYC?"});
    json!({"model": model, "messages": [question]}).to_string()
}

#[test]
fn tokens_are_counted_by_the_api_and_cost_nothing() {
    let world = World::new();
    let api = Server::start(&world, &scenario(json!({})));
    let gateway = Gateway::start(&world, json!({"maxCostUsd": 0.000_001}));
    let headers = [("x-api-key", KEY), ("anthropic-version", "2026-10-21")];
    let theirs = send(api.address(), LINE, &headers, &request("claude-haiku-4-5"));
    let ours = gateway.ask(BOB, LINE, &request("claude-haiku-4.5"));
    assert_fits(&COUNT, &ours.json());
    assert_eq!((ours.status, &ours.body), (200, &theirs.body));
    assert_eq!(ours.header("x-polpo-estimated"), None);
    assert_eq!(ours.header("x-ratelimit-remaining-requests"), Some("499"));

    let metrics = get(gateway.address(), "/metrics");
    for line in [
        r#"polpo_gateway_requests_total{key="bob",outcome="succeeded"} 1"#,
        r#"polpo_requests_total{surface="gateway",agent="gateway",model="claude-haiku-4-5-20251001","#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("polpo_cost_usd_total{"), "{metrics}");
    let costs = world.run(&["cost", "--json", "--simulate"]).ended(0);
    assert_eq!(costs.json()["total"]["calls"], 0);
    assert_eq!(cost_at(&costs.stdout, &["total"]), 0);
}

#[test]
fn counting_is_refused_as_messages_are() {
    let world = World::new();
    let gateway =
        Gateway::start(&world, json!({"models": ["claude-haiku-*"], "requestsPerMinute": 1}));
    let refused = |key, body: &str| error_of(&gateway.ask(key, LINE, body)).0;
    assert_eq!(refused("nobody's key", &request("claude-opus-5")), 401);
    assert_eq!(refused(BOB, &request("claude-opus-5")), 403);
    assert_eq!(refused(ALICE, &request("gpt-5")), 404);
    assert_eq!(refused(ALICE, &request("claude-none-9")), 404, "by the API");
    assert_eq!(refused(ALICE, "{"), 400);
    assert_eq!(refused(ALICE, &json!({"model": "claude-opus-5"}).to_string()), 400, "likewise");
    assert_eq!(gateway.ask(BOB, LINE, &request("claude-haiku-5-5")).status, 200);
    assert_eq!(refused(BOB, &request("claude-haiku-5-5")), 429);
}

#[test]
fn where_nobody_counts_tokens_they_are_estimated() {
    let world = World::new();
    let upstream = Upstream::start(|_| answer(404, r#"{"error":"no such page"}"#));
    let key = "sk-ant-api03-an-upstream-key";
    let proxy = json!({"anthropic": {"apiKey": key, "baseUrl": upstream.base_url()}});
    let poe = json!({"poe": {"apiKey": key, "baseUrl": upstream.base_url()}});
    for (providers, asks) in [(poe, 0), (proxy, 1)] {
        let gateway = Gateway::before(&world, json!({ "providers": providers }));
        let told = gateway.ask("any", LINE, &request("claude-opus-5"));
        assert_eq!((told.status, told.header("x-polpo-estimated")), (200, Some("true")));
        assert_fits(&COUNT, &told.json());
        let tokens = told.json()["input_tokens"].as_u64().unwrap();
        assert!((10..20).contains(&tokens), "{tokens}");
        assert!(told.header("request-id").is_some());
        assert_eq!(upstream.asked().len(), asks);
    }
    assert_eq!(upstream.asked()[0].line, LINE);
    let body: Value = serde_json::from_str(&upstream.asked()[0].body).unwrap();
    assert_eq!(body["model"], "claude-opus-5");
}
