//! Requests that are wrong: no other profile would help.

use crate::reply::{refuses, says};
use crate::system::simulate;
use crate::world::{World, answer, error};

#[test]
fn a_request_that_upstream_calls_wrong_ends_its_task_at_once_and_costs_nothing() {
    let cases = [
        (400, "invalid_request_error", "messages: at least one message is required"),
        (400, "invalid_request_error", "prompt is too long: 1500 tokens > 429 maximum, billing"),
        (404, "not_found_error", "model: claude-nothing"),
        (413, "request_too_large", "Request exceeds the maximum size"),
    ];
    for (status, kind, message) in cases {
        simulate(async || {
            let world = World::new(&["a", "b"]).await;
            world.script.on("a", [refuses(status, kind, message)]);
            let outcome = world.ask_for("wrong", "fine").await;
            assert_eq!(error(&outcome), ("invalid_request", message));
            assert_eq!((outcome.attempts, outcome.spent.calls, outcome.spent.cost.0), (1, 1, 0));
            assert_eq!(world.trace(), [(0, "a".into())], "{status}");
            let end = world.rows()[0].end.clone().unwrap();
            assert_eq!((end.outcome, end.cost.0), ("invalid_request", 0));
            assert_eq!(world.observe().await.leased, 0);
        });
    }
}

#[test]
fn a_wrong_request_says_nothing_of_the_profile() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let wrong = refuses(400, "invalid_request_error", "max_tokens: too large");
        world.script.on("a", [wrong, says("fine")]);
        world.ask("wrong").await;
        assert_eq!(answer(&world.ask("right").await), "fine");
        assert_eq!(world.trace()[1], (0, "a".into()));
    });
}
