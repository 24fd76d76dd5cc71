//! The same rules on every path: streams, answers in one piece, token counts, message batches.

use futures_util::future::join_all;
use polpo_policy::pool::seat::ProfileState;
use serde_json::json;

use super::failover::{Cost, refusals};
use super::front::{Ask, Front};
use crate::reply::{Canned, limited, refuses, refuses_with_code, says, says_json, says_whole};
use crate::system::simulate;
use crate::world::{SONNET, pass};

/// What can be asked, and the n-th good answer to it.
struct Path {
    name: &'static str,
    ask: Ask,
    good: fn(u32) -> Canned,
    /// Which limits it is under.
    class: u8,
}

/// A batch that was made.
pub(super) fn made(number: u32) -> Canned {
    let counts = json!({"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0});
    says_json(&json!({
        "id": format!("msgbatch_{number}"), "type": "message_batch",
        "processing_status": "in_progress", "request_counts": counts, "results_url": null,
    }))
}

fn paths() -> [Path; 4] {
    let count = |number| says_json(&json!({"input_tokens": number}));
    [
        Path { name: "stream", ask: Ask::stream("hi"), good: |_| says("fine"), class: 0 },
        Path { name: "whole", ask: Ask::whole("hi"), good: |_| says_whole("fine"), class: 0 },
        Path { name: "count", ask: Ask::count(), good: count, class: 1 },
        Path { name: "batch", ask: Ask::batch(), good: made, class: 2 },
    ]
}

/// What says something of the profile, whatever was asked.
fn of_the_profile() -> [Canned; 5] {
    let (wrong, credit) = ("invalid_request_error", "Your credit balance is too low");
    let limit = "You have reached your specified API usage limits.";
    [
        refuses(401, "authentication_error", "invalid x-api-key"),
        refuses(402, "billing_error", "Payment required"),
        refuses(400, wrong, credit),
        refuses(400, wrong, limit),
        refuses_with_code(429, "rate_limit_error", "spent", "enforced_spend_limit_reached"),
    ]
}

#[test]
fn a_token_count_or_a_batch_that_is_refused_comes_from_another_profile() {
    for Path { name, ask, good, .. } in &paths()[2..] {
        for (what, bad, outcome, cost) in refusals() {
            if *name == "batch" && cost == Cost::Most {
                continue; // It may have been made.
            }
            simulate(async || {
                let front = Front::new(&["a", "b"]).await;
                front.world.script.on("a", [bad.clone()]);
                front.world.script.on("b", [good(1)]);
                let heard = front.hear(ask).await;
                assert_eq!((heard.status, heard.text()), (200, good(1).said("")), "{name}, {what}");
                assert_eq!(front.world.calls().len(), 2, "{name}, {what}");
                let labels = [("profile", "anthropic:a"), ("reason", outcome)];
                assert_eq!(front.world.metric("failovers_total", &labels), 1.0, "{name}, {what}");
                assert!(front.end().await.is_empty(), "{name}, {what}: it costs nothing");
            });
        }
    }
}

/// That `other` is not asked of a profile of which `first` has learned something.
fn learns(first: &Path, bad: &Canned, other: &Path) {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        front.world.script.on("a", [bad.clone()]);
        front.world.script.on("b", [(first.good)(1)]);
        assert_eq!(front.hear(&first.ask).await.status, 200);
        front.world.script.otherwise((other.good)(2));
        assert_eq!(front.hear(&other.ask).await.status, 200);
        let used: Vec<_> = front.world.trace().into_iter().map(|(_, who)| who).collect();
        assert_eq!(used, ["a", "b", "b"], "{}, {}: {bad:?}", first.name, other.name);
        front.end().await;
    });
}

#[test]
fn what_one_path_learns_of_a_profile_holds_on_every_other() {
    for first in &paths() {
        for other in &paths() {
            for bad in of_the_profile() {
                learns(first, &bad, other);
            }
            if first.class == other.class {
                learns(first, &limited(300), other);
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_request_rotates_nothing_on_any_path() {
    let refusal = refuses(400, "invalid_request_error", "messages: Field required");
    for Path { name, ask, .. } in &paths() {
        simulate(async || {
            let front = Front::new(&["a", "b"]).await;
            front.world.script.otherwise(refusal.clone());
            let heard = front.hear(ask).await;
            assert_eq!((heard.status, heard.text()), (400, refusal.said(SONNET)), "{name}");
            assert_eq!(front.world.calls().len(), 1, "{name}");
            assert_eq!(front.world.observe().await.profiles, [(ProfileState::Ready, 2)], "{name}");
            front.end().await;
        });
    }
}

#[test]
fn when_all_profiles_rest_every_path_is_told_until_when_and_asks_nobody_in_vain() {
    for Path { name, ask, .. } in &paths() {
        simulate(async || {
            let front = Front::new(&["a", "b"]).await;
            front.world.script.on("a", [limited(300)]);
            front.world.script.on("b", [limited(200)]);
            for after in ["200", "150"] {
                let heard = front.hear(ask).await;
                assert_eq!((heard.error().0, heard.header("retry-after")), (429, after), "{name}");
                assert_eq!(heard.header("x-should-retry"), "false", "{name}");
                assert_eq!(front.world.calls().len(), 2, "{name}");
                pass(50).await;
            }
            front.end().await;
        });
    }
}

#[test]
fn of_several_limits_the_latest_end_counts_and_then_one_call_goes_first_on_every_path() {
    for Path { name, ask, good, .. } in &paths() {
        simulate(async || {
            let front = Front::new(&["a"]).await;
            let limits = [limited(30).after(1), limited(50).after(2), limited(10).after(3)];
            front.world.script.on("a", limits);
            front.world.script.on("a", (1..=3).map(|number| good(number).after(2)));
            let heard = [front.hear(ask), front.hear(ask), front.hear(ask)];
            let heard = join_all(heard).await;
            let statuses: Vec<_> = heard.iter().map(|heard| heard.status).collect();
            assert_eq!(statuses, [200; 3], "{name}");
            let times: Vec<_> = front.world.trace().iter().map(|(at, _)| at / 1000).collect();
            assert_eq!(times, [0, 0, 0, 52, 54, 54], "{name}");
            front.end().await;
        });
    }
}

#[test]
fn requests_that_come_at_once_are_spread_evenly() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    for Path { name, ask, good, .. } in &paths()[..3] {
        simulate(async || {
            let front = Front::new(&names).await;
            front.world.script.otherwise(good(1).after(1));
            // Fewer than may be under way while no header tells of limits.
            let heard = join_all((0..150).map(|_| front.hear(ask))).await;
            assert_eq!(heard.iter().filter(|heard| heard.status == 200).count(), 150, "{name}");
            for name in names {
                let calls = front.world.calls();
                assert_eq!(calls.iter().filter(|call| call.profile == name).count(), 15);
            }
            front.end().await;
        });
    }
}
