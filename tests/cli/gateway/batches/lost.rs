//! Batches of which something is lost on the way.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use super::*;

const MADE: &str = concat!(
    r#"{"id":"msgbatch_1","type":"message_batch","processing_status":"ended","request_counts":"#,
    r#"{"processing":0,"succeeded":2,"errored":0,"canceled":0,"expired":0},"#,
    r#""created_at":"2026-11-22T12:00:00Z","expires_at":"2026-11-23T12:00:00Z","#,
    r#""results_url":"https://api.example.com/x"}"#,
);

fn gateway(world: &World, upstream: &Upstream) -> Gateway {
    let provider =
        json!({"apiKeys": ["sk-ant-api03-a", "sk-ant-api03-b"], "baseUrl": upstream.base_url()});
    let bob = json!({"maxCostUsd": 1.0});
    let config = json!({"providers": {"anthropic": provider}, "gateway": {"keys": keys(bob)}});
    Gateway::before(world, config)
}

#[test]
fn a_batch_that_may_have_been_made_is_not_made_again_and_is_charged_at_its_bound() {
    let world = World::new();
    let broken = Upstream::start(|_| String::new());
    let gateway = gateway(&world, &broken);
    let answer = gateway.create(BOB, &[request("a", "claude-opus-5")]);
    assert_eq!(error_of(&answer).0, 500);
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(broken.asked().len(), 1);
    assert_eq!(gateway.budget("reserved"), 0.0);
    let spent = gateway.budget("spent");
    assert!(spent > 0.0);
    let booked = wait_for("the ledger is not written", || {
        let costs = world.run(&["cost", "--json"]).ended(0);
        (costs.json()["total"]["lostCalls"] == 1).then_some(costs)
    });
    assert!((cost_at(&booked.stdout, &["total"]) as f64 - spent * 1e9).abs() < 0.5);
}

#[test]
fn a_batch_that_upstream_refused_is_made_by_another_profile() {
    let world = World::new();
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#;
    let asked = Arc::<Mutex<usize>>::default();
    let upstream = Upstream::start(move |_| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        if *asked == 1 { answer(529, overloaded) } else { answer(200, MADE) }
    });
    let gateway = gateway(&world, &upstream);
    assert_eq!(gateway.made(BOB, &[request("a", "claude-opus-5")]), "msgbatch_1");
    assert_eq!(upstream.asked().len(), 2);
    assert_eq!(upstream.asked()[0].body, upstream.asked()[1].body);
}

#[test]
fn a_batch_is_kept_whose_client_hung_up_before_it_was_made() {
    let world = World::new();
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let upstream = Upstream::start(move |_| {
        let _ = gate.lock().unwrap().recv();
        answer(200, MADE)
    });
    let gateway = gateway(&world, &upstream);
    let body = batch(&[request("a", "claude-opus-5")]);
    let mut client = TcpStream::connect(gateway.address()).unwrap();
    let length = body.len();
    write!(client, "POST {PATH} HTTP/1.1\r\nhost: x\r\nx-api-key: {BOB}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    wait_for("upstream is not asked", || upstream.asked().pop());
    drop(client);
    release.send(()).unwrap();
    let kept = wait_for("the batch is not kept", || {
        let list = gateway.batch(BOB, "").json();
        list["data"].get(0).cloned()
    });
    assert_eq!(kept["id"], "msgbatch_1");
}

#[test]
fn results_that_are_cut_off_or_not_all_there_are_not_charged() {
    let world = World::new();
    let line = |id: &str| {
        let usage = json!({"input_tokens": 10, "output_tokens": 20});
        let message = json!({"model": "claude-opus-5", "usage": usage});
        let result = json!({"type": "succeeded", "message": message});
        format!("{}\n", json!({"custom_id": id, "result": result}))
    };
    let (both, one) = (format!("{}{}", line("a"), line("b")), line("a"));
    let cut = answer(200, &both)[..].strip_suffix('\n').unwrap().to_owned();
    let answers = Mutex::new(vec![answer(200, &both), answer(200, &one), cut]);
    let upstream = Upstream::start(move |asked| match asked.line.ends_with("/results") {
        true => answers.lock().unwrap().pop().unwrap(),
        false => answer(200, MADE),
    });
    let gateway = gateway(&world, &upstream);
    gateway.made(BOB, &[request("a", "claude-opus-5"), request("b", "claude-opus-5")]);
    let held = gateway.budget("reserved");
    let results = || gateway.batch(BOB, "/msgbatch_1/results");
    assert!(!results().is_whole);
    assert_eq!((gateway.budget("reserved"), gateway.budget("spent")), (held, 0.0));
    assert_eq!(results().body, one);
    assert_eq!((gateway.budget("reserved"), gateway.budget("spent")), (held, 0.0));
    assert_eq!(results().body, both);
    // Five and twenty-five dollars for a million tokens, half of it, twice.
    assert_eq!((gateway.budget("reserved"), gateway.budget("spent")), (0.0, 0.000_55));
}
