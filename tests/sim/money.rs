//! Accounts without money, keys that are not accepted, models that are not allowed.

use polpo_agents::job::{Ending, Job};
use polpo_policy::pool::seat::ProfileState;

use crate::reply::{Canned, refuses, refuses_with_code};
use crate::system::simulate;
use crate::world::{OPUS, World, agent, answer, pass, spec};

const HOUR: u64 = 3600;

fn unfunded() -> [(&'static str, Canned); 3] {
    [
        (
            "400",
            refuses(400, "invalid_request_error", "Your credit balance is too low to access it"),
        ),
        ("402", refuses(402, "billing_error", "Payment required")),
        (
            "429",
            refuses_with_code(429, "rate_limit_error", "spent", "enforced_spend_limit_reached"),
        ),
    ]
}

#[test]
fn an_account_without_money_is_left_alone_for_five_hours_and_the_others_go_on() {
    for (what, refusal) in unfunded() {
        simulate(async || {
            let world = World::new(&["a", "b"]).await;
            world.script.on("a", [refusal.clone()]);
            let outcome = world.ask("one").await;
            assert_eq!((answer(&outcome).as_str(), outcome.attempts), ("fine", 1), "{what}");
            assert_eq!((outcome.spent.calls, world.rows()[0].end.as_ref().unwrap().cost.0), (2, 0));
            let profiles = world.observe().await.profiles;
            assert_eq!(profiles, [(ProfileState::Ready, 1), (ProfileState::Disabled, 1)]);
            pass(5 * HOUR - 1).await;
            world.ask("two").await;
            pass(2).await;
            world.ask("three").await;
            let used: Vec<String> = world.trace().into_iter().map(|(_, name)| name).collect();
            assert_eq!(used, ["a", "b", "b", "a"], "{what}");
        });
    }
}

#[test]
fn an_account_that_says_when_it_has_money_again_is_left_alone_until_then() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let message = "You have reached your API usage limits. You will regain access on 1970-01-03 at 06:00 UTC.";
        let code = "enforced_spend_limit_reached";
        world.script.on("a", [refuses_with_code(429, "rate_limit_error", message, code)]);
        assert_eq!(answer(&world.ask("one").await), "fine");
        assert_eq!(world.trace()[1].0 / 1000, 54 * HOUR);
    });
}

#[test]
fn an_account_that_names_a_date_in_the_past_is_not_asked_again_and_again() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let message = "You have reached your API usage limits. You will regain access on 1969-12-01 at 00:00 UTC.";
        let refusal = refuses(429, "rate_limit_error", message);
        world.script.on("a", (0..3).map(|_| refusal.clone()));
        assert_eq!(answer(&world.ask("one").await), "fine");
        let hours: Vec<u64> = world.trace().iter().map(|(at, _)| at / 1000 / HOUR).collect();
        assert_eq!(hours, [0, 5, 15, 35]);
    });
}

#[test]
fn billing_windows_double_up_to_a_day_and_begin_anew_after_a_day_without_one() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let [(_, credit), ..] = unfunded();
        world.script.on("a", (0..5).map(|_| credit.clone()));
        assert_eq!(answer(&world.ask("one").await), "fine");
        let hours: Vec<u64> = world.trace().iter().map(|(at, _)| at / 1000 / HOUR).collect();
        assert_eq!(hours, [0, 5, 15, 35, 59, 83]);
        pass(25 * HOUR).await;
        world.script.on("a", [credit.clone()]);
        world.ask("a day after the last window").await;
        let hours: Vec<u64> = world.trace().iter().map(|(at, _)| at / 1000 / HOUR).collect();
        assert_eq!(hours[6..], [108, 113]);
    });
}

#[test]
fn a_key_that_is_not_accepted_is_never_used_again() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        world.script.on("a", [refuses(401, "authentication_error", "invalid x-api-key")]);
        assert_eq!(answer(&world.ask("one").await), "fine");
        pass(1000 * HOUR).await;
        world.ask("two").await;
        let used: Vec<String> = world.trace().into_iter().map(|(_, name)| name).collect();
        assert_eq!(used, ["a", "b", "b"]);
        let profiles = world.observe().await.profiles;
        assert_eq!(profiles, [(ProfileState::Ready, 1), (ProfileState::Revoked, 1)]);
    });
}

#[test]
fn a_model_that_is_not_allowed_is_not_asked_again_there_but_others_are() {
    simulate(async || {
        let mut opus = agent("opus");
        opus.model = spec(OPUS);
        let world = World::of(vec![agent("agent"), opus], &["a", "b"], 64).await;
        world.script.on("a", [refuses(403, "permission_error", "model not available to you")]);
        assert_eq!(answer(&world.ask("one").await), "fine");
        world.ask("two").await;
        let job = Job { model: spec(OPUS), ..world.job("three") };
        assert_eq!(answer(&world.run("opus", job).await), "fine");
        let used: Vec<String> = world.trace().into_iter().map(|(_, name)| name).collect();
        assert_eq!(used, ["a", "b", "b", "a"]);
    });
}

#[test]
fn when_every_key_is_refused_tasks_stay_pending() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        world.script.otherwise(refuses(401, "authentication_error", "invalid x-api-key"));
        assert!(matches!(world.ask("one").await.ending, Ending::Pending));
        assert!(matches!(world.ask("two").await.ending, Ending::Pending));
        assert_eq!(world.calls().len(), 2, "nothing more is sent");
    });
}

#[test]
fn those_who_wait_when_the_last_key_is_refused_stay_pending_too() {
    simulate(async || {
        let world = World::of(vec![agent("agent")], &["a"], 1).await;
        world.script.on("a", [refuses(401, "authentication_error", "no").after(5)]);
        let (one, two) = tokio::join!(world.ask("one"), world.ask("two"));
        assert!(matches!((one.ending, two.ending), (Ending::Pending, Ending::Pending)));
        assert_eq!(world.calls().len(), 1);
    });
}

#[test]
fn a_request_that_no_profile_is_suited_for_fails_alone() {
    simulate(async || {
        let world = World::new(&["a", "b"]).await;
        let message = "Extra usage is required for long context requests.";
        let unsuited = refuses(429, "rate_limit_error", message);
        world.script.on("a", [unsuited.clone()]);
        world.script.on("b", [unsuited]);
        let outcome = world.ask("long").await;
        assert_eq!(crate::world::error(&outcome), ("unsuited", message));
        assert_eq!(answer(&world.ask("short").await), "fine");
    });
}
