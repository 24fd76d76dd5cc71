//! Conversations: heard while they come, at home where their cache is, faithful to a pin.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use polpo_agents::talk::{Delta, Talked, Unsaid, Why};
use polpo_policy::pool::Refusal;
use polpo_policy::pool::seat::ProfileState;
use polpo_policy::price::Nanodollars;
use polpo_simulator::{InMemory, Scenario, Simulator};
use polpo_store::journal::CallEnd;
use polpo_upstream::transport::Transport;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::conversation::Conversation;
use crate::reply::{
    Step, begins, error_event, limited, overloaded, refuses, says, starts, streams,
};
use crate::script::Script;
use crate::system::simulate;
use crate::world::{OPUS, SONNET, World, agent, pass, price, price_of};

const FOREIGN: &str = "messages.1.content.0: Invalid `signature` in `thinking` block";

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

/// Model, profile and reason of the last call.
#[track_caller]
fn served(talked: &Talked) -> (&str, &str, Why) {
    let served = talked.served.as_ref().unwrap();
    let (_, profile) = served.profile.as_str().split_once(':').unwrap();
    (served.model.model.as_str(), profile, served.why)
}

#[test]
fn what_the_model_says_is_heard_while_it_comes_and_its_thoughts_stay_as_they_were() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let thought = json!({"type": "thinking", "thinking": "", "signature": ""});
        let delta = |index: u32, delta: Value| {
            ("content_block_delta", json!({"index": index, "delta": delta}))
        };
        world.script.on(
            "a",
            [streams(&[
                ("content_block_start", json!({"index": 0, "content_block": thought})),
                delta(0, json!({"type": "thinking_delta", "thinking": "Hm \u{1f600} "})),
                delta(0, json!({"type": "thinking_delta", "thinking": "yes"})),
                delta(0, json!({"type": "signature_delta", "signature": "EqQB+/="})),
                (
                    "content_block_start",
                    json!({"index": 1, "content_block": {"type": "text", "text": ""}}),
                ),
                delta(1, json!({"type": "text_delta", "text": "It "})),
                delta(1, json!({"type": "text_delta", "text": "is."})),
            ])],
        );
        let (talked, heard) = Conversation::new(SONNET, &[]).say(&world, "Is it?").await;
        let thinking = |text: &str| Delta::Thinking(text.to_owned());
        assert_eq!(heard, [thinking("Hm \u{1f600} "), thinking("yes"), text("It "), text("is.")]);
        let content = &talked.result.as_ref().unwrap()["content"];
        assert_eq!(
            *content,
            json!([
                {"type": "thinking", "thinking": "Hm \u{1f600} yes", "signature": "EqQB+/="},
                {"type": "text", "text": "It is."},
            ])
        );
        assert_eq!(served(&talked), (SONNET, "a", Why::Requested));
        assert_eq!((talked.spent.calls, talked.spent.cost), (1, price(SONNET)));
        assert_eq!(world.rows()[0].start.task, "one-1");
    });
}

#[test]
fn a_piece_is_heard_before_the_next_one_comes() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let mut slow = says("fine");
        slow.steps.insert(3, Step::Sleep(Duration::from_secs(30)));
        world.script.on("a", [slow]);
        let (turn, mut heard) = Conversation::new(SONNET, &[]).turn(&world, "one");
        let listening = async {
            assert_eq!(heard.recv().await, Some(text("fine")));
            world.clock.now().timestamp()
        };
        let (talked, at) = tokio::join!(world.talk("agent", turn), listening);
        assert!(talked.result.is_ok());
        assert_eq!((at, world.clock.now().timestamp()), (0, 30));
    });
}

#[test]
fn an_answer_in_one_piece_is_heard_as_one() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let content = json!([{"type": "text", "text": "whole"}]);
        let usage = json!({"input_tokens": 1, "output_tokens": 1});
        let message = json!({"type": "message", "content": content, "usage": usage}).to_string();
        let mut whole = says("");
        (whole.headers, whole.steps) = (Vec::new(), vec![Step::Text(message)]);
        world.script.on("a", [whole]);
        let (talked, heard) = Conversation::new(SONNET, &[]).say(&world, "one").await;
        assert!(talked.result.is_ok());
        assert_eq!(heard, [text("whole")]);
    });
}

#[test]
fn a_fault_goes_to_another_profile_until_something_was_heard_and_ends_the_turn_after_that() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        world.script.on("a", [starts().then(error_event("overloaded_error"))]);
        let mut conversation = Conversation::new(SONNET, &[]);
        let (talked, heard) = conversation.say(&world, "one").await;
        assert_eq!((served(&talked).1, talked.spent.calls), ("b", 2));
        assert_eq!(heard, [text("fine")]);

        let cut = begins("fi").then(error_event("overloaded_error"));
        world.script.on("b", [cut]);
        let (talked, heard) = conversation.say(&world, "two").await;
        assert_eq!(heard, [text("fi")]);
        assert!(matches!(talked.result, Err(Unsaid::Failed { is_cut: true, .. })), "{talked:?}");
        assert_eq!(world.calls().len(), 3);
        assert_eq!(world.metric("requests_total", &[("outcome", "overloaded")]), 1.0);
    });
}

#[test]
fn a_turn_goes_where_the_last_one_went_though_another_profile_is_older() {
    simulate(async || {
        let world = World::new(&["a", "b", "c"]).await;
        let mut conversation = Conversation::new(SONNET, &[]);
        let (first, _) = conversation.say(&world, "one").await;
        assert_eq!(served(&first), (SONNET, "a", Why::Requested));
        for _ in 0..3 {
            let (next, _) = conversation.say(&world, "more").await;
            assert_eq!(served(&next), (SONNET, "a", Why::Home));
        }
        let mut other = Conversation { name: "two".to_owned(), ..Conversation::new(SONNET, &[]) };
        assert_eq!(served(&other.say(&world, "one").await.0), (SONNET, "b", Why::Requested));
        pass(301).await;
        let (cold, _) = conversation.say(&world, "much later").await;
        assert_eq!(served(&cold), (SONNET, "c", Why::Requested), "the cache is gone");
    });
}

#[test]
fn a_profile_that_never_answered_is_not_waited_for_and_one_that_did_stays_home() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        world.script.on("a", [limited(30)]);
        let mut conversation = Conversation::new(SONNET, &[]);
        let (talked, _) = conversation.say(&world, "one").await;
        assert_eq!((served(&talked).1, world.clock.now().timestamp()), ("b", 0));
        world.script.on("b", [overloaded()]);
        pass(40).await;
        assert_eq!(served(&conversation.say(&world, "two").await.0).1, "a");

        world.script.on("a", [limited(30)]);
        let (talked, _) = conversation.say(&world, "three").await;
        assert_eq!(served(&talked), (SONNET, "a", Why::Home), "its cache is worth the wait");
        assert!((70..90).contains(&world.clock.now().timestamp()));
    });
}

#[test]
fn a_fallback_says_why_and_the_model_that_was_asked_for_comes_first_again() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [limited(300)]);
        let mut conversation = Conversation::new(OPUS, &[SONNET]);
        let (talked, _) = conversation.say(&world, "one").await;
        let until = Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(300));
        let (model, profile, why) = served(&talked);
        let Why::Fallback { reason: "rate_limit", until: told } = why else { panic!("{why:?}") };
        assert_eq!((model, profile), (SONNET, "a"));
        assert!(told >= until && told < until.map(|it| it + TimeDelta::seconds(20)), "{told:?}");
        let moved = [("from_model", OPUS), ("to_model", SONNET), ("reason", "rate_limit")];
        assert_eq!(world.metric("fallbacks_total", &moved), 1.0);
        pass(400).await;
        let (talked, _) = conversation.say(&world, "two").await;
        assert_eq!(served(&talked).0, OPUS);
    });
}

#[test]
fn what_cannot_be_served_is_told_by_its_cause() {
    let cases = [
        (refuses(401, "authentication_error", "invalid x-api-key"), "auth"),
        (refuses(402, "billing_error", "Payment required"), "billing"),
        (refuses(403, "permission_error", "not for you"), "permission"),
    ];
    for (refusal, expected) in cases {
        simulate(async || {
            let world = World::new(&["a", "b"]).await;
            world.script.on("a", [refusal.clone()]);
            let pinned = format!("{OPUS}@anthropic:a");
            let (talked, _) = Conversation::new(&pinned, &[SONNET]).say(&world, "one").await;
            let Why::Fallback { reason, .. } = served(&talked).2 else { panic!("{talked:?}") };
            assert_eq!(reason, expected);
        });
    }
}

#[test]
fn a_pinned_profile_that_fails_gives_way_to_the_next_model_and_never_to_another_profile() {
    for failure in [limited(60), overloaded(), refuses(401, "authentication_error", "no")] {
        simulate(async || {
            let world = World::new(&["a", "b"]).await;
            let pinned = format!("{OPUS}@anthropic:b");
            let mut conversation = Conversation::new(&pinned, &[SONNET]);
            let (talked, _) = conversation.say(&world, "one").await;
            assert_eq!(served(&talked), (OPUS, "b", Why::Pinned));
            world.script.on("b", [failure.clone()]);
            let (talked, _) = conversation.say(&world, "two").await;
            assert_eq!(served(&talked).0, SONNET);
            assert!(matches!(served(&talked).2, Why::Fallback { .. }));
            let calls = world.calls();
            let opus = calls.iter().filter(|call| call.model() == OPUS);
            assert!(opus.map(|call| call.profile.as_str()).eq(["b", "b"]), "{calls:?}");
        });
    }
}

#[test]
fn a_pinned_profile_without_a_fallback_is_waited_for_if_it_is_back_in_time_and_else_not_at_all() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        world.script.on("b", [limited(300), says("back"), limited(50), says("again")]);
        let mut conversation = Conversation::new(&format!("{OPUS}@anthropic:b"), &[]);
        let (talked, heard) = conversation.say(&world, "one").await;
        let Err(Unsaid::Refused { refusal: Refusal::TimedOut { until }, last: Some(problem) }) =
            &talked.result
        else {
            panic!("{talked:?}")
        };
        assert_eq!((problem.status, heard.len()), (429, 0));
        assert_eq!(world.clock.now().timestamp(), 0, "a turn has a minute");
        assert_eq!(until.map(|until| until.timestamp()), Some(300));
        assert_eq!(world.metric("requests_total", &[("outcome", "timed_out")]), 1.0);
        pass(301).await;
        let (talked, _) = conversation.say(&world, "again").await;
        assert_eq!(served(&talked), (OPUS, "b", Why::Pinned));
        let (talked, _) = conversation.say(&world, "and again").await;
        assert_eq!(served(&talked), (OPUS, "b", Why::Pinned));
        assert_eq!(conversation.messages.len(), 4, "what failed is not kept");
    });
}

#[test]
fn a_turn_that_nobody_can_ever_serve_is_refused_at_once() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [refuses(401, "authentication_error", "invalid x-api-key")]);
        let (talked, _) = Conversation::new(SONNET, &[]).say(&world, "one").await;
        let Err(Unsaid::Refused { refusal: Refusal::NoCredential, last: Some(problem) }) =
            talked.result
        else {
            panic!("{talked:?}")
        };
        assert_eq!((problem.status, world.clock.now().timestamp()), (401, 0));
    });
}

#[test]
fn a_turn_that_is_dropped_is_cancelled_and_gives_its_place_back() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [begins("fi").then(Step::Silence)]);
        let mut conversation = Conversation::new(SONNET, &[]);
        let cut = timeout(Duration::from_secs(5), conversation.say(&world, "one")).await;
        assert!(cut.is_err());
        pass(1).await;
        let snapshot = world.observe().await;
        assert_eq!((snapshot.leased, world.script.open_bodies()), (0, 0));
        assert_eq!(snapshot.profiles, [(ProfileState::Ready, 1)]);
        assert_eq!(world.metric("agents_running", &[]), 0.0);
    });
}

/// What is recorded of a turn whose listener goes after five seconds, with the profile given back.
async fn cancelled(world: &World) -> (Talked, CallEnd) {
    let (turn, heard) = Conversation::new(SONNET, &[]).turn(world, "one");
    let leaving = async {
        pass(5).await;
        drop(heard);
    };
    let (talked, ()) = tokio::join!(world.talk("agent", turn), leaving);
    assert!(matches!(talked.result, Err(Unsaid::Cancelled)), "{talked:?}");
    pass(1).await;
    assert_eq!((world.observe().await.leased, world.script.open_bodies()), (0, 0));
    (talked, world.rows()[0].end.clone().unwrap())
}

#[test]
fn a_turn_that_nobody_hears_any_more_is_charged_what_had_arrived() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [begins("fifteen letters").then(Step::Silence)]);
        let (talked, end) = cancelled(&world).await;
        assert_eq!((end.outcome, end.usage.output), ("cancelled", 8));
        assert_eq!((end.cost, talked.spent.cost), (price_of(SONNET, 8), price_of(SONNET, 8)));
        assert_eq!(served(&talked), (SONNET, "a", Why::Requested));
        assert_eq!(world.metric("requests_total", &[("outcome", "cancelled")]), 1.0);
    });
}

#[test]
fn a_turn_cancelled_before_any_figure_came_is_charged_at_most_and_one_that_waits_nothing() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [says("late").after(30)]);
        let (talked, end) = cancelled(&world).await;
        assert_eq!((end.outcome, end.cost), ("cancelled", world.rows()[0].start.reserved));
        assert_eq!(talked.spent.cost, end.cost);

        let world = World::new(&["a"]).await;
        world.script.on("a", [limited(50)]);
        let (talked, end) = cancelled(&world).await;
        assert_eq!((end.outcome, talked.spent.cost), ("rate_limit", Nanodollars::default()));
        assert_eq!(world.rows().len(), 1);
    });
}

#[test]
fn thoughts_of_another_organisation_are_left_out_and_asked_for_once_more() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let mut conversation = Conversation::new(SONNET, &[]);
        conversation.say(&world, "one").await;
        let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "EqQB"});
        conversation.messages[1]["content"].as_array_mut().unwrap().insert(0, thought);
        world.script.on("a", [refuses(400, "invalid_request_error", FOREIGN)]);
        let (talked, _) = conversation.say(&world, "two").await;
        assert!(talked.result.is_ok() && talked.has_forgotten);
        let calls = world.calls();
        let kinds = |call: usize| calls[call].body["messages"][1]["content"].to_string();
        assert!(kinds(1).contains("thinking") && !kinds(2).contains("thinking"));
        assert_eq!((talked.spent.calls, calls.len()), (2, 3));
        assert_eq!(world.metric("requests_total", &[]), 2.0, "a turn is counted once");
        conversation.say(&world, "three").await;
        assert!(!world.calls()[3].body["messages"].to_string().contains("thinking"));

        world.script.on("a", [refuses(400, "invalid_request_error", FOREIGN)]);
        let (talked, _) = conversation.say(&world, "four").await;
        assert!(talked.result.is_err(), "there is nothing left to leave out");
        assert_eq!(world.calls().len(), 5);
    });
}

#[test]
fn a_conversation_survives_the_loss_of_the_organisation_that_has_its_thoughts() {
    simulate(async || {
        let account = |name: &str| json!({"name": name, "apiKey": format!("sk-{name}")});
        let scenario = json!({
            "accounts": [account("a"), account("b")], "latency": {"medianSeconds": 1},
            "faults": {"rules": [
                {"fault": "authentication", "accounts": ["a"], "skip": 1},
            ]},
        });
        let scenario = Scenario::from_json(&scenario.to_string(), "scenario").unwrap();
        let simulator = Simulator::new(scenario);
        let wire = |name| {
            let wire: Arc<dyn Transport> = Arc::new(InMemory::new(simulator.clone()));
            (name, wire, format!("sk-{name}"))
        };
        let wires = vec![wire("a"), wire("b")];
        let world = World::with(vec![agent("agent")], wires, 4, Script::new()).await;
        let mut conversation = Conversation::new("claude-opus-5-5", &[]);
        let (first, _) = conversation.say(&world, "Hello").await;
        assert_eq!(served(&first).1, "a");
        assert_eq!(conversation.messages[1]["content"][0]["type"], "thinking");
        let (second, heard) = conversation.say(&world, "And now?").await;
        assert_eq!(served(&second).1, "b");
        assert!(second.has_forgotten && second.result.is_ok() && !heard.is_empty());
        let (third, _) = conversation.say(&world, "Then?").await;
        assert!(third.result.is_ok() && !third.has_forgotten, "b has thoughts of its own");
        let outcomes: Vec<_> =
            world.rows().into_iter().map(|row| row.end.unwrap().outcome).collect();
        assert_eq!(outcomes, ["succeeded", "auth", "invalid_request", "succeeded", "succeeded"]);
    });
}
