//! Faults of the provider: the next profile at once, the same one after a pause, an end to it.

use polpo_policy::pool::seat::ProfileState;
use polpo_upstream::error::TransportError;

use crate::reply::{
    Canned, Step, begins, error_event, limited, overloaded, refuses, starts, unreachable,
};
use crate::system::simulate;
use crate::world::{World, answer, error, pass};

fn faults() -> [(&'static str, Canned); 7] {
    [
        ("529", overloaded()),
        ("500", refuses(500, "api_error", "Internal server error")),
        ("no connection", unreachable(TransportError::Connect)),
        ("broken before a reply", unreachable(TransportError::Broken)),
        ("broken stream", begins("fi").then(Step::Fail(TransportError::Broken))),
        ("an error before content", starts().then(error_event("overloaded_error"))),
        ("an error after content", begins("fi").then(error_event("api_error"))),
    ]
}

#[test]
fn a_fault_goes_to_another_profile_at_once_and_cools_none() {
    for (what, fault) in faults() {
        simulate(async || {
            let world = World::new(&["a", "b"]).await;
            world.script.on("a", [fault.clone()]);
            let outcome = world.ask("one").await;
            assert_eq!((answer(&outcome).as_str(), outcome.attempts), ("fine", 1), "{what}");
            assert_eq!(world.trace(), [(0, "a".into()), (0, "b".into())], "{what}");
            assert_eq!(world.observe().await.profiles, [(ProfileState::Ready, 2)], "{what}");
            world.ask("two").await;
            assert_eq!(world.trace()[2], (0, "a".into()), "{what}: oldest first, as ever");
        });
    }
}

#[test]
fn a_stream_whose_last_events_never_come_is_left_at_its_error() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        let stuck = starts().then(error_event("overloaded_error")).then(Step::Silence);
        world.script.on("a", [stuck]);
        assert_eq!(answer(&world.ask("one").await), "fine");
        assert_eq!(world.script.open_bodies(), 0);
    });
}

#[test]
fn the_same_profile_is_asked_again_only_after_waits_that_double() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", (0..8).map(|_| overloaded()));
        assert_eq!(answer(&world.ask("one").await), "fine");
        let times: Vec<u64> = world.trace().iter().map(|(at, _)| *at).collect();
        let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let least = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
        for (wait, least) in waits.iter().zip(least) {
            assert!((least..=least * 5 / 4 + 2).contains(wait), "{waits:?}");
        }
        assert_eq!(waits.len(), least.len());
    });
}

#[test]
fn at_most_four_profiles_are_tried_at_once() {
    simulate(async || {
        let world = World::new(&["a", "b", "c", "d", "e", "f"]).await;
        for profile in ["a", "b", "c", "d", "e", "f"] {
            world.script.on(profile, [overloaded()]);
        }
        assert_eq!(answer(&world.ask("one").await), "fine");
        let trace = world.trace();
        assert!(trace[..4].iter().all(|(at, _)| *at == 0), "{trace:?}");
        assert!(trace[4].0 >= 4000, "{trace:?}");
    });
}

#[test]
fn after_ten_minutes_of_faults_the_task_ends_with_the_error_of_upstream() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        world.script.otherwise(overloaded());
        let outcome = world.ask("one").await;
        assert_eq!(error(&outcome), ("overloaded", "Overloaded"));
        let last = world.trace().last().unwrap().0 / 1000;
        assert!((540..=600).contains(&last), "{last}");
        assert!(outcome.spent.calls < 40, "{}", outcome.spent.calls);
        assert_eq!((outcome.attempts, outcome.spent.cost.0), (1, 0));
    });
}

#[test]
fn time_spent_waiting_for_a_limit_is_no_time_of_faults() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", [overloaded(), limited(3600), overloaded(), overloaded()]);
        let outcome = world.ask("one").await;
        assert_eq!((answer(&outcome).as_str(), outcome.spent.calls), ("fine", 5));
    });
}

#[test]
fn a_profile_that_works_is_used_by_others_while_one_request_pauses() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        world.script.on("a", (0..5).map(|_| overloaded()));
        let other = async {
            pass(3).await;
            world.script.on("a", []);
            world.observe().await
        };
        let (outcome, snapshot) = tokio::join!(world.ask("one"), other);
        assert_eq!(answer(&outcome), "fine");
        assert_eq!((snapshot.queued, snapshot.leased), (1, 0), "a pause holds no place");
    });
}
