//! What a small run leaves in the metrics.

use crate::reply::{limited, overloaded, refuses, says};
use crate::system::simulate;
use crate::world::{HAIKU, OPUS, SONNET, World, agent, answer, pass, spec};

#[test]
fn a_small_run_is_counted_in_full() {
    simulate(async || {
        let mut falling = agent("falling");
        falling.fallbacks = vec![spec(HAIKU)];
        let world = World::of(vec![agent("agent"), falling], &["a", "b", "c"], 4).await;
        world.script.on("a", [overloaded(), limited(60)]);
        world.script.on("b", [says("wrong"), limited(90)]);
        world.script.on("c", [says("42"), refuses(401, "authentication_error", "no")]);
        let outcome = world.ask_for("one", "42").await;
        assert_eq!(
            (answer(&outcome).as_str(), world.models().as_slice()),
            ("42", &[SONNET, SONNET, OPUS].map(String::from)[..])
        );
        let outcome = world.run("falling", world.job("two")).await;
        assert_eq!((answer(&outcome).as_str(), outcome.model.unwrap().as_str()), ("fine", HAIKU));
        let outcome = world.ask("three").await;
        assert_eq!(answer(&outcome), "fine");
        pass(10).await;
        world.observe().await;
        for (name, labels, value) in [
            ("calls_total", vec![("profile", "anthropic:a"), ("outcome", "overloaded")], 1.0),
            ("calls_total", vec![("profile", "anthropic:a"), ("outcome", "rate_limit")], 1.0),
            ("calls_total", vec![("profile", "anthropic:c"), ("outcome", "auth")], 1.0),
            ("calls_total", vec![("outcome", "succeeded")], 4.0),
            ("calls_total", vec![], 8.0),
            ("requests_total", vec![("outcome", "succeeded")], 4.0),
            (
                "retries_total",
                vec![("agent", "agent"), ("model", OPUS), ("reason", "expectation")],
                1.0,
            ),
            ("escalations_total", vec![("from_model", SONNET), ("to_model", OPUS)], 1.0),
            ("fallbacks_total", vec![("agent", "falling"), ("to_model", HAIKU)], 1.0),
            ("failovers_total", vec![("profile", "anthropic:a"), ("reason", "overloaded")], 1.0),
            ("failovers_total", vec![("reason", "rate_limit")], 2.0),
            ("failovers_total", vec![("profile", "anthropic:c"), ("reason", "auth")], 1.0),
            ("queue_wait_seconds_count", vec![("surface", "batch")], 8.0),
            ("profile_state", vec![("profile", "anthropic:a"), ("state", "ready")], 0.0),
            ("profile_state", vec![("profile", "anthropic:a"), ("state", "probing")], 1.0),
            ("profile_state", vec![("profile", "anthropic:b"), ("state", "cooling")], 1.0),
            ("profile_state", vec![("profile", "anthropic:c"), ("state", "revoked")], 1.0),
            ("profile_in_flight", vec![], 0.0),
            ("leases_in_flight", vec![], 0.0),
            ("queue_depth", vec![], 0.0),
        ] {
            assert_eq!(world.metric(name, &labels), value, "{name} {labels:?}");
        }
        let waited = world.metric("throttled_seconds_total", &[("reason", "requests")]);
        assert!((59.9..60.1).contains(&waited), "{waited}");
        assert_eq!(world.metric("throttled_seconds_total", &[]), waited);
    });
}
