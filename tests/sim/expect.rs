//! Results that are no good: again, on which model, with what to say about it, and when not.

use polpo_agents::job::Ending;
use polpo_policy::model::Catalogue;
use polpo_upstream::wire::assemble::text;
use serde_json::{Value, json};

use crate::reply::{ends, limited, says};
use crate::system::simulate;
use crate::world::{OPUS, SONNET, World, agent, answer, error, price};

#[test]
fn a_wrong_answer_is_shown_to_opus_with_what_is_wrong_about_it() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [says("wrong"), says("still wrong "), says("right: 42")]);
        let outcome = world.ask_for("6 x 7?", "42").await;
        assert_eq!(answer(&outcome), "right: 42");
        assert_eq!(world.models(), [SONNET, OPUS, OPUS]);
        assert_eq!((outcome.attempts, outcome.spent.calls), (3, 3));
        assert_eq!(outcome.escalated_from.unwrap().as_str(), SONNET);
        assert_eq!(outcome.spent.cost, price(SONNET) + price(OPUS) + price(OPUS));
        let calls = world.calls();
        let messages = calls[2].body["messages"].as_array().unwrap();
        assert_eq!(messages[0], json!({"role": "user", "content": "6 x 7?"}));
        assert_eq!(messages[0], calls[0].body["messages"][0], "the prompt is never touched");
        assert_eq!(messages[1], json!({"role": "assistant", "content": "wrong"}));
        assert!(
            messages[2]["content"]
                .as_str()
                .unwrap()
                .contains("something that it must contain is missing")
        );
        assert_eq!(messages[3], json!({"role": "assistant", "content": "still wrong"}));
        assert_eq!((&messages[4]["role"], messages.len()), (&json!("user"), 5));
    });
}

#[test]
fn the_second_retry_escalates_if_the_agent_says_so() {
    simulate(async || {
        let mut patient = agent("agent");
        patient.retry.escalate_after = 2;
        let world = World::of(vec![patient], &["a"], 64).await;
        world.ask_for("one", "never").await;
        assert_eq!(world.models(), [SONNET, SONNET, OPUS]);
    });
}

#[test]
fn a_task_whose_answers_are_never_good_ends_with_its_story_and_its_last_message() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [says("first"), says("second"), says("third")]);
        let outcome = world.ask_for("one", "42").await;
        let (reason, story) = error(&outcome);
        assert_eq!(reason, "expectation");
        for part in [
            "attempt 1 on claude-sonnet-4-6: it does not contain `42`",
            "attempt 2 on claude-opus-4-6",
            "attempt 3 on claude-opus-4-6",
        ] {
            assert!(story.contains(part), "{story}");
        }
        assert_eq!(last_message(&outcome.ending), "third");
        assert_eq!(outcome.attempts, 3);
    });
}

#[test]
fn an_outage_after_a_wrong_answer_keeps_the_answer_that_was_paid_for() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [says("wrong")]);
        world.script.otherwise(crate::reply::overloaded());
        let outcome = world.ask_for("one", "42").await;
        assert_eq!(error(&outcome).0, "overloaded");
        assert_eq!(last_message(&outcome.ending), "wrong");
        assert_eq!(outcome.spent.cost, price(SONNET));
    });
}

#[test]
fn without_an_expectation_a_refusal_or_a_truncated_answer_is_the_result() {
    for reason in ["refusal", "max_tokens"] {
        simulate(async || {
            let world = World::new(&["a"]).await;
            world.script.on("a", [ends("so far", reason)]);
            let outcome = world.ask("one").await;
            assert_eq!(answer(&outcome), "so far");
            assert!(matches!(outcome.ending, Ending::Succeeded(it) if it["stop_reason"] == reason));
            assert_eq!(world.calls().len(), 1);
        });
    }
}

#[test]
fn with_one_a_refusal_is_tried_again_and_in_the_end_is_the_reason() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.otherwise(ends("", "refusal"));
        let outcome = world.ask_for("one", "42").await;
        assert_eq!((error(&outcome).0, outcome.attempts), ("refusal", 3));
        let messages = &world.calls()[1].body["messages"];
        assert_eq!(messages.as_array().unwrap().len(), 2, "an empty answer is no turn");
        assert!(messages[1]["content"].as_str().unwrap().contains("it was refused"));
        let retried = [("agent", "agent"), ("reason", "refusal")];
        assert_eq!(world.metric("retries_total", &retried), 2.0);
    });
}

#[test]
fn a_truncated_answer_first_gets_more_room_on_the_same_model_as_the_same_attempt() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [ends("cut", "max_tokens"), says("it is 42")]);
        let outcome = world.ask_for("one", "42").await;
        assert_eq!((answer(&outcome).as_str(), outcome.attempts), ("it is 42", 1));
        assert_eq!(rooms(&world), [(SONNET.to_owned(), 1000), (SONNET.to_owned(), 4000)]);
        assert_eq!(world.calls()[1].body["messages"].as_array().unwrap().len(), 1);
        assert_eq!(outcome.spent.cost, price(SONNET) + price(SONNET));
    });
}

#[test]
fn room_is_added_a_few_times_and_only_then_the_task_is_tried_again() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.otherwise(ends("cut", "max_tokens"));
        let outcome = world.ask_for("one", "42").await;
        assert_eq!((error(&outcome).0, outcome.attempts), ("expectation", 3));
        let most = Catalogue::get().find(OPUS).unwrap().max_output_tokens;
        let rooms = rooms(&world);
        let sonnet: Vec<u64> = rooms.iter().filter(|it| it.0 == SONNET).map(|it| it.1).collect();
        let opus: Vec<u64> = rooms.iter().filter(|it| it.0 == OPUS).map(|it| it.1).collect();
        assert_eq!(sonnet, [1000, 4000, 16_000]);
        assert_eq!(opus, [16_000, 64_000, most, most], "the last attempt has nothing to add");
    });
}

#[test]
fn a_truncated_answer_that_is_good_is_good() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [ends("42, and the rest is", "max_tokens")]);
        assert_eq!(answer(&world.ask_for("one", "42").await), "42, and the rest is");
        assert_eq!(world.calls().len(), 1);
    });
}

#[test]
fn waits_for_limits_spend_no_attempt() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let limits = (0..10).map(|_| limited(60));
        world.script.on("a", limits.chain([says("wrong"), says("42")]));
        let outcome = world.ask_for("one", "42").await;
        assert_eq!((outcome.attempts, outcome.spent.calls), (2, 12));
        assert_eq!(answer(&outcome), "42");
        assert_eq!(world.trace()[10].0 / 1000, 600);
    });
}

fn rooms(world: &World) -> Vec<(String, u64)> {
    let room = |body: &Value| body["max_tokens"].as_u64().unwrap();
    world.calls().iter().map(|sent| (sent.model().to_owned(), room(&sent.body))).collect()
}

fn last_message(ending: &Ending) -> String {
    let Ending::Errored { last_message: Some(message), .. } = ending else { panic!("{ending:?}") };
    text(message)
}
