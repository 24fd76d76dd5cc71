//! Rate limits: cooldowns, the next profile, the next model, the wait.

use futures_util::future::join_all;
use polpo_policy::pool::Throttle;
use polpo_policy::pool::seat::ProfileState;

use crate::reply::{limited, limited_without_end, says};
use crate::system::simulate;
use crate::world::{HAIKU, OPUS, SONNET, World, agent, answer, pass, spec};

#[test]
fn a_limited_call_goes_to_another_profile_at_once_and_the_limited_one_rests() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        world.script.on("a", [limited(60)]);
        let outcome = world.ask("one").await;
        assert_eq!(answer(&outcome), "fine");
        assert_eq!((outcome.attempts, outcome.spent.calls), (1, 2));
        pass(59).await;
        world.ask("two").await;
        assert_eq!(world.trace(), [(0, "a".into()), (0, "b".into()), (59_000, "b".into())]);
        pass(2).await;
        world.ask("three").await;
        assert_eq!(world.trace()[3], (61_000, "a".into()), "the oldest again after its window");
    });
}

#[test]
fn a_limit_is_of_one_class_of_models() {
    simulate(async || {
        let mut opus = agent("opus");
        opus.model = spec(OPUS);
        let world = World::of(vec![agent("agent"), opus], &["a"], 64).await;
        world.script.on("a", [limited(60)]);
        let limited = world.ask("waits");
        let free = async {
            pass(1).await;
            let job = polpo_agents::job::Job { model: spec(OPUS), ..world.job("does not") };
            world.run("opus", job).await
        };
        tokio::join!(limited, free);
        assert_eq!(world.models(), [SONNET, OPUS, SONNET]);
        assert_eq!(world.trace()[1].0, 1000);
    });
}

#[test]
fn a_second_limit_with_a_longer_wait_extends_the_first_and_a_shorter_one_does_not() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [limited(60), limited(600).after(1), limited(30).after(2)]);
        let outcomes = join_all(["one", "two", "three"].map(|prompt| world.ask(prompt))).await;
        assert!(outcomes.iter().all(|outcome| answer(outcome) == "fine"));
        let times: Vec<u64> = world.trace().iter().map(|(at, _)| *at).collect();
        assert_eq!(times[..3], [0, 0, 0]);
        assert!(times[3..].iter().all(|at| (601_000..601_010).contains(at)), "{times:?}");
    });
}

#[test]
fn when_every_profile_is_limited_the_next_model_is_asked() {
    simulate(async || {
        let mut sonnet = agent("agent");
        sonnet.fallbacks = vec![spec(HAIKU)];
        let world = World::of(vec![sonnet], &["a", "b"], 64).await;
        world.script.on("a", [limited(60)]);
        world.script.on("b", [limited(60)]);
        let outcome = world.ask("one").await;
        assert_eq!(world.models(), [SONNET, SONNET, HAIKU]);
        assert_eq!((outcome.attempts, outcome.model.unwrap().as_str()), (1, HAIKU));
        assert_eq!(world.trace()[2].0, 0);
        let moved = [("from_model", SONNET), ("to_model", HAIKU)];
        assert_eq!(world.metric("fallbacks_total", &moved), 1.0);
    });
}

#[test]
fn without_a_fallback_it_waits_for_the_soonest_and_is_served_then() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        world.script.on("a", [limited(300)]);
        world.script.on("b", [limited(60)]);
        let look = async {
            pass(1).await;
            let snapshot = world.observe().await;
            assert_eq!((snapshot.queued, snapshot.leased), (1, 0));
            assert_eq!(snapshot.profiles, [(ProfileState::Cooling, 2)]);
            assert_eq!(snapshot.first_ends_in.unwrap().as_secs(), 59);
            assert!(matches!(snapshot.waits[0].throttle, Throttle::Limit(_)));
        };
        let (outcome, ()) = tokio::join!(world.ask("one"), look);
        assert_eq!((answer(&outcome).as_str(), outcome.attempts), ("fine", 1));
        assert_eq!(world.trace()[2], (60_000, "b".into()));
        let waited = world.metric("throttled_seconds_total", &[("reason", "requests")]);
        assert!((59.9..60.1).contains(&waited), "{waited}");
    });
}

#[test]
fn after_the_window_one_call_tries_it_and_each_success_doubles_how_many() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [limited(60)]);
        world.script.otherwise(says("fine").after(1));
        let prompts: Vec<String> = (0..16).map(|n| n.to_string()).collect();
        let first = world.ask("is limited");
        let crowd = async {
            pass(1).await;
            join_all(prompts.iter().map(|prompt| world.ask(prompt))).await;
        };
        tokio::join!(first, crowd);
        let mut waves: Vec<usize> = vec![0; 9];
        for (at, _) in world.trace() {
            waves[(at / 1000).saturating_sub(59) as usize] += 1;
        }
        // The ramp would let through 2, 8 and the rest, the window on a limit without headers a few
        // more with each wave.
        assert_eq!(waves, [1, 1, 2, 4, 5, 5, 0, 0, 0]);
    });
}

#[test]
fn limits_without_an_end_climb_from_a_minute_to_an_hour_and_a_success_begins_anew() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", (0..6).map(|_| limited_without_end()));
        let outcome = world.ask("patient").await;
        assert_eq!((answer(&outcome).as_str(), outcome.attempts), ("fine", 1));
        let minutes: Vec<u64> = world.trace().iter().map(|(at, _)| at / 60_000).collect();
        assert_eq!(minutes, [0, 1, 6, 31, 91, 151, 211]);
        world.script.on("a", [limited_without_end()]);
        world.ask("after a success").await;
        let minutes: Vec<u64> = world.trace().iter().map(|(at, _)| at / 60_000).collect();
        assert_eq!(minutes[7..], [211, 212]);
    });
}
