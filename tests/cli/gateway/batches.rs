//! Message batches through the gateway.

mod lost;

use serde_json::{Value, json};

use super::upstream::{Upstream, answer};
use super::{ALICE, BOB, Gateway, keys};
use crate::http::{Answer, send};
use crate::results::cost_at;
use crate::schema::{BATCH, RESULT_LINE, assert_fits, error_of};
use crate::server::{Server, get, scenario};
use crate::support::{World, wait_for};

const PATH: &str = "/v1/messages/batches";

/// A scenario whose batches take a moment.
fn fast() -> Value {
    json!({"batches": {"medianSeconds": 0.2}})
}

fn request(id: &str, model: &str) -> Value {
    let question = json!({"role": "user", "content": "What is 6 x 7?"});
    json!({"custom_id": id, "params": {"model": model, "max_tokens": 50, "messages": [question]}})
}

fn batch(requests: &[Value]) -> String {
    json!({ "requests": requests }).to_string()
}

impl Gateway {
    fn create(&self, key: &str, requests: &[Value]) -> Answer {
        self.ask(key, &format!("POST {PATH}"), &batch(requests))
    }

    fn batch(&self, key: &str, rest: &str) -> Answer {
        self.ask(key, &format!("GET {PATH}{rest}"), "")
    }

    /// Makes a batch, and says its id.
    #[track_caller]
    fn made(&self, key: &str, requests: &[Value]) -> String {
        let made = self.create(key, requests);
        assert_eq!(made.status, 200, "{made:?}");
        assert_fits(&BATCH, &made.json());
        made.json()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a batch has ended.
    fn ended(&self, key: &str, id: &str) -> Value {
        wait_for("the batch does not end", || {
            let batch = self.batch(key, &format!("/{id}")).json();
            assert_fits(&BATCH, &batch);
            (batch["processing_status"] == "ended").then_some(batch)
        })
    }

    /// What is told of one of Bob's budgets, in dollars.
    pub(super) fn budget(&self, name: &str) -> f64 {
        let metrics = get(self.address(), "/metrics");
        let wanted = format!("polpo_budget_{name}_usd{{scope=\"bob/total\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&wanted)).unwrap();
        line.parse().unwrap()
    }
}

/// A gateway before a simulator that goes on without it, with a key for each of its accounts.
fn before(world: &World, api: &Server, bob: Value) -> Gateway {
    let accounts = ["sk-ant-api03-simulated-a", "sk-ant-api03-simulated-b"];
    let provider = json!({"apiKeys": accounts, "baseUrl": api.base_url()});
    let config = json!({"providers": {"anthropic": provider}, "gateway": {"keys": keys(bob)}});
    Gateway::before(world, config)
}

#[test]
fn a_batch_is_made_watched_and_read_and_costs_half() {
    let world = World::new();
    let config = json!({"gateway": {"keys": keys(json!({"maxCostUsd": 1.0}))}});
    let gateway = Gateway::serve(&world, config, fast());
    let mut refused = request("no", "claude-opus-5");
    refused["params"]["messages"] = json!([]);
    let id = gateway.made(BOB, &[request("yes", "claude-haiku-4.5"), refused]);
    let bound = gateway.budget("reserved");
    assert!(bound > 0.0 && gateway.budget("spent") == 0.0);

    let ended = gateway.ended(BOB, &id);
    assert_eq!(ended["request_counts"]["succeeded"], 1);
    let url = format!("http://{}{PATH}/{id}/results", gateway.address());
    assert_eq!(ended["results_url"], url.as_str());
    assert_eq!(gateway.budget("reserved"), bound, "until the results are read");

    let results = gateway.batch(BOB, &format!("/{id}/results"));
    assert_eq!(results.header("content-type"), Some("application/x-jsonl"));
    assert!(results.header("x-ratelimit-remaining-requests").is_some());
    let lines: Vec<Value> =
        results.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter().for_each(|line| assert_fits(&RESULT_LINE, line));
    let answer = lines.iter().find(|line| line["custom_id"] == "yes").unwrap();
    let usage = &answer["result"]["message"]["usage"];
    let tokens = |name: &str| usage[name].as_i64().unwrap();
    // One and five dollars for a million tokens, half of it.
    let cost = tokens("input_tokens") * 500 + tokens("output_tokens") * 2_500;
    assert!(cost > 0);

    let costs = world.run(&["cost", "--json", "--simulate", "--by", "metadata.key"]).ended(0);
    assert_eq!(cost_at(&costs.stdout, &["total"]), cost);
    assert_eq!(costs.json()["rows"][0]["key"], "bob");
    assert_eq!(costs.json()["total"]["calls"], 1);
    assert_eq!(gateway.budget("reserved"), 0.0);
    let spent = gateway.budget("spent") * 1e9;
    assert!((spent - cost as f64).abs() < 0.5, "{spent} {cost}");
    let metrics = get(gateway.address(), "/metrics");
    let output = format!(
        "model=\"claude-haiku-4-5-20251001\",type=\"output\"}} {}",
        tokens("output_tokens")
    );
    assert!(metrics.contains(&output), "{output} in {metrics}");

    // Again, and it costs nothing more.
    assert_eq!(gateway.batch(BOB, &format!("/{id}/results")).body, results.body);
    assert_eq!(gateway.budget("spent") * 1e9, spent);
}

#[test]
fn a_batch_is_there_for_its_client_only_and_only_where_it_was_made() {
    let world = World::new();
    let api = Server::start(&world, &scenario(fast()));
    let gateway = before(&world, &api, json!({}));
    // As every profile is asked in turn, some of these are of each.
    let ids: Vec<_> = (0..4).map(|_| gateway.made(BOB, &[request("a", "claude-opus-5")])).collect();
    for id in &ids {
        let theirs = |line: &str| error_of(&gateway.ask(ALICE, line, ""));
        let missing = format!("Message Batch {id} not found.");
        let missing = (404, "not_found_error".to_owned(), missing);
        for line in [
            format!("GET {PATH}/{id}"),
            format!("GET {PATH}/{id}/results"),
            format!("POST {PATH}/{id}/cancel"),
            format!("DELETE {PATH}/{id}"),
        ] {
            assert_eq!(theirs(&line), missing, "{line}");
        }
        assert_eq!(gateway.ended(BOB, id)["id"], id.as_str());
    }
    assert_eq!(gateway.batch(ALICE, "").json()["data"], json!([]));
    assert_eq!(gateway.batch(BOB, "/msgbatch_none").status, 404);
}

#[test]
fn batches_are_listed_by_pages_the_newest_first_and_as_they_are_now() {
    let world = World::new();
    let gateway = Gateway::serve(&world, json!({}), fast());
    let ids: Vec<_> =
        (0..3).map(|_| gateway.made("any", &[request("a", "claude-opus-5")])).collect();
    let listed = |query: &str| {
        let list = gateway.batch("any", query).json();
        let data = list["data"].as_array().unwrap().clone();
        data.iter().for_each(|batch| assert_fits(&BATCH, batch));
        let ids: Vec<_> = data.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(list["first_id"].as_str(), ids.first().map(String::as_str));
        (ids, list["has_more"] == true)
    };
    assert_eq!(listed(""), (vec![ids[2].clone(), ids[1].clone(), ids[0].clone()], false));
    assert_eq!(listed("?limit=2"), (vec![ids[2].clone(), ids[1].clone()], true));
    assert_eq!(listed(&format!("?limit=2&after_id={}", ids[1])), (vec![ids[0].clone()], false));
    assert_eq!(listed(&format!("?limit=1&before_id={}", ids[0])), (vec![ids[1].clone()], true));
    let (status, _, message) = error_of(&gateway.batch("any", "?after_id=msgbatch_none"));
    assert_eq!((status, &*message), (400, "after_id: no such id in this list: msgbatch_none"));

    let ended = wait_for("the batches do not end", || {
        let list = gateway.batch("any", "").json();
        let mut batches = list["data"].as_array().unwrap().clone().into_iter();
        batches.all(|it| it["processing_status"] == "ended").then_some(list)
    });
    let url = format!("http://{}{PATH}/{}/results", gateway.address(), ids[2]);
    assert_eq!(ended["data"][0]["results_url"], url.as_str());
}

#[test]
fn batches_and_what_is_held_for_them_outlive_the_gateway() {
    let world = World::new();
    let api = Server::start(&world, &scenario(fast()));
    let bob = json!({"maxCostUsd": 0.001});
    let gateway = before(&world, &api, bob.clone());
    let requests = [request("a", "claude-haiku-5-5")];
    let id = gateway.made(BOB, &requests);
    let held = gateway.budget("reserved");
    drop(gateway); // Killed.

    let gateway = before(&world, &api, bob);
    assert_eq!(gateway.budget("reserved"), held);
    assert!(gateway.create(BOB, &[request("b", "claude-opus-5")]).status == 429, "{held}");
    gateway.ended(BOB, &id);
    assert_eq!(gateway.batch(BOB, &format!("/{id}/results")).body.lines().count(), 1);
    assert_eq!(gateway.budget("reserved"), 0.0);
    assert!(gateway.budget("spent") > 0.0);
}

#[test]
fn a_batch_is_canceled_and_deleted_and_what_it_did_is_charged_before() {
    let world = World::new();
    let config = json!({"gateway": {"keys": keys(json!({"maxCostUsd": 1.0}))}});
    let slow = json!({"batches": {"medianSeconds": 1.0}});
    let gateway = Gateway::serve(&world, config, slow);
    let id = gateway.made(BOB, &[request("a", "claude-opus-5"), request("b", "claude-opus-5")]);
    let (status, _, message) = error_of(&gateway.ask(BOB, &format!("DELETE {PATH}/{id}"), ""));
    assert!(status == 400 && message.contains("canceling the batch"), "{message}");
    let canceling = gateway.ask(BOB, &format!("POST {PATH}/{id}/cancel"), "{}");
    assert_eq!(canceling.json()["processing_status"], "canceling");
    let ended = gateway.ended(BOB, &id);
    let (held, none) = (gateway.budget("reserved"), ended["request_counts"]["succeeded"] == 0);
    assert_eq!(held == 0.0, none, "what has no answer costs nothing: {ended}");

    let deleted = gateway.ask(BOB, &format!("DELETE {PATH}/{id}"), "").json();
    assert_eq!(deleted, json!({"id": id, "type": "message_batch_deleted"}));
    assert_eq!(gateway.budget("reserved"), 0.0);
    assert_eq!(gateway.budget("spent") == 0.0, none);
    assert_eq!(gateway.batch(BOB, &format!("/{id}")).status, 404);
    assert_eq!(gateway.batch(BOB, "").json()["data"], json!([]));
}

#[test]
fn what_a_batch_asks_for_is_checked_as_messages_are() {
    let world = World::new();
    let bob = json!({"models": ["claude-haiku-*"], "maxCostUsd": 0.01});
    let gateway = Gateway::start(&world, bob);
    let refused = |body: &str| {
        let answer = gateway.ask(BOB, &format!("POST {PATH}"), body);
        let (status, kind, message) = error_of(&answer);
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{message}");
        (status, kind, message)
    };
    let haiku = request("a", "claude-haiku-4-5");
    let of = |model| refused(&batch(&[haiku.clone(), request("b", model)]));
    assert_eq!(of("claude-opus-5").0, 403);
    assert_eq!(of("gpt-5"), (404, "not_found_error".to_owned(), "model: gpt-5".to_owned()));
    assert_eq!(refused("{").0, 400);
    assert_eq!(refused(r#"{"requests": [{}]}"#).2, "requests.0.params: Field required");
    let dear = json!({"params": {"model": "claude-haiku-4-5", "max_tokens": 64000}});
    let (status, kind, message) = refused(&batch(&[dear]));
    assert_eq!((status, &*kind), (429, "rate_limit_error"));
    assert!(message.contains("this key has spent $0 of its $0.01 in all"), "{message}");
    // By the API.
    let twice = refused(&batch(&[haiku.clone(), haiku]));
    assert!(twice.0 == 400 && twice.2.contains("must be unique"), "{twice:?}");
    assert_eq!(gateway.budget("reserved"), 0.0);
}

#[test]
fn upstream_gets_the_body_as_it_is_but_for_the_models_and_the_client_our_own_url() {
    let world = World::new();
    let told = concat!(
        r#"{"id":"msgbatch_1","type":"message_batch", "new":1.0,"processing_status":"ended","#,
        r#""request_counts":{"succeeded":1},"results_url":"https://api.example.com/x"}"#,
    );
    let upstream = Upstream::start(|_| answer(200, told));
    let provider = json!({"apiKey": "sk-ant-api03-upstream", "baseUrl": upstream.base_url()});
    let gateway = Gateway::before(&world, json!({"providers": {"anthropic": provider}}));
    let body = concat!(
        r#"{ "requests":[{"custom_id":"a", "params":{"model":"claude-opus-4.5","x":1.50,"#,
        r#""messages":[{"content":"\u00e9 \"model\":\"claude-opus-4.5\""}]},"y":null}] }"#,
    );
    let mut headers = vec![("x-api-key", "any"), ("anthropic-version", "2026-10-21")];
    let line = format!("POST {PATH}?beta=true");
    let made = send(gateway.address(), &line, &headers, body);
    let asked = &upstream.asked()[0];
    assert_eq!(asked.line, line);
    let named = r#""model":"claude-opus-4-5-20251101""#;
    assert_eq!(asked.body, body.replacen(r#""model":"claude-opus-4.5""#, named, 1));
    let here = format!("http://{}{PATH}/msgbatch_1/results", gateway.address());
    assert_eq!(made.body, told.replace("https://api.example.com/x", &here));

    headers.extend([("x-forwarded-proto", "https"), ("x-forwarded-host", "gate.example.com")]);
    let seen = send(gateway.address(), &format!("GET {PATH}/msgbatch_1"), &headers, "");
    let there = format!("https://gate.example.com{PATH}/msgbatch_1/results");
    assert_eq!(seen.json()["results_url"], there.as_str());
    assert_eq!(upstream.asked().len(), 1, "of what has ended there is nothing new");
}

#[test]
fn where_no_provider_has_batches_another_way_is_named() {
    let world = World::new();
    let upstream = Upstream::start(|_| answer(500, "{}"));
    let provider = json!({"apiKey": "a-key-of-poe", "baseUrl": upstream.base_url()});
    let gateway = Gateway::before(&world, json!({"providers": {"poe": provider}}));
    for refused in
        [gateway.create("any", &[request("a", "claude-opus-5")]), gateway.batch("any", "")]
    {
        let (status, kind, message) = error_of(&refused);
        assert_eq!((status, &*kind), (404, "not_found_error"));
        assert!(message.contains("`polpo run`"), "{message}");
    }
    assert!(upstream.asked().is_empty());
}
