//! What a gateway must not let happen: to be open to others, to forget what was spent, to serve
//! what it cannot write down.

use serde_json::{Value, json};

use super::{BOB, Gateway, keys};
use crate::http::send;
use crate::results::cost_at;
use crate::schema::error_of;
use crate::server::{Server, scenario};
use crate::support::{World, wait_for};

const LINE: &str = "POST /v1/messages";

fn ask() -> String {
    let question = json!({"role": "user", "content": "What is 6 x 7?"});
    json!({"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [question]}).to_string()
}

#[test]
fn without_a_client_key_a_gateway_is_for_this_machine_only() {
    let world = World::new();
    for bind in ["0.0.0.0:0", "[::]:0"] {
        let ran = world.run(&["serve", "--simulate", "--bind", bind]);
        ran.complained(2, &["listens on this machine only", "polpo gateway key add"]);
    }
}

#[test]
fn what_a_client_has_spent_counts_after_the_gateway_was_killed() {
    let world = World::new();
    let gateway = Gateway::start(&world, json!({"maxCostUsd": 1.0}));
    for _ in 0..3 {
        assert_eq!(gateway.ask(BOB, LINE, &ask()).status, 200);
    }
    let spent = gateway.budget("spent");
    assert!(spent > 0.0);
    wait_for("the ledger is not written", || {
        let costs = world.run(&["cost", "--json", "--simulate"]).ended(0);
        ((cost_at(&costs.stdout, &["total"]) as f64 - spent * 1e9).abs() < 0.5).then_some(())
    });
    drop(gateway); // Killed.

    let gateway = Gateway::start(&world, json!({"maxCostUsd": spent}));
    assert_eq!(gateway.budget("spent"), spent);
    let (status, _, message) = error_of(&gateway.ask(BOB, LINE, &ask()));
    assert!(status == 429 && message.contains("in all"), "{message}");
}

#[test]
fn while_the_ledger_cannot_be_written_nobody_is_let_in() {
    let world = World::new();
    let config = json!({"gateway": {"keys": keys(json!({}))}});
    world.write("polpo.json", config.to_string());
    world.write("scenario.json", scenario(json!({})));
    // Room for the tables of the journal, and for some calls.
    let serve = ["serve", "--simulate", "--bind", "127.0.0.1:0", "--quiet"];
    let gateway = Gateway(Server::spawn(world.limited(600, &serve)));
    let refused = wait_for("all is written down", || {
        let answer = gateway.ask(BOB, LINE, &ask());
        (answer.status != 200).then_some(answer)
    });
    let (status, kind, message) = error_of(&refused);
    assert_eq!((status, &*kind), (503, "api_error"));
    assert!(message.contains("cannot write its ledger"), "{message}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let ready = send(gateway.address(), "GET /readyz", &[], "");
    assert_eq!((ready.status, &*ready.body), (503, "the ledger cannot be written\n"));
    let costs: Value = world.run(&["cost", "--json", "--simulate"]).ended(0).json();
    assert!(costs["total"]["calls"].as_u64().unwrap() > 0, "{costs}");
}
