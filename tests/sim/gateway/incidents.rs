//! Who rests after what: a fault is the provider's, a limit an organisation's, and all is remembered.

use futures_util::future::join_all;
use polpo_policy::pool::seat::ProfileState;

use super::front::{Ask, Front};
use crate::memory::restarted;
use crate::reply::{limited, overloaded, refuses, says};
use crate::system::simulate;
use crate::world::pass;

/// Which profiles were asked since the n-th call.
fn used(front: &Front, since: usize) -> Vec<String> {
    front.world.trace().into_iter().skip(since).map(|(_, who)| who).collect()
}

#[test]
fn an_incident_of_the_provider_takes_no_profile_out_of_use() {
    simulate(async || {
        let front = Front::new(&["a", "b", "c"]).await;
        front.world.script.otherwise(overloaded());
        let asks: Vec<_> = (0..10).map(|n| Ask::whole(&n.to_string())).collect();
        for heard in join_all(asks.iter().map(|ask| front.hear(ask))).await {
            assert_eq!(heard.status, 529);
        }
        assert_eq!(front.world.observe().await.profiles, [(ProfileState::Ready, 3)]);
        front.world.script.otherwise(says("fine"));
        pass(30).await;
        let second = || front.world.clock.now().timestamp();
        let asked = second();
        assert_eq!(front.hear(&Ask::stream("hi")).await.status, 200);
        assert_eq!(second(), asked, "at once");
        front.close().await;
    });
}

#[test]
fn profiles_of_one_organisation_rest_together_and_no_other_does() {
    simulate(async || {
        let front = Front::new(&["a", "b", "c"]).await;
        let of = |organisation: &str| says("fine").with("anthropic-organization-id", organisation);
        for (name, organisation) in [("a", "one"), ("b", "one"), ("c", "other")] {
            front.world.script.on(name, [of(organisation)]);
            front.hear(&Ask::stream(name)).await;
        }
        front.world.script.on("a", [limited(300).with("anthropic-organization-id", "one")]);
        for prompt in ["one", "two"] {
            assert_eq!(front.hear(&Ask::stream(prompt)).await.status, 200);
        }
        assert_eq!(used(&front, 3), ["a", "c", "c"]);
        front.close().await;
    });
}

#[test]
fn a_gateway_that_starts_again_knows_who_rests_and_who_was_used_last() {
    simulate(async || {
        let profiles = ["a", "b", "c"];
        let old = Front::new(&profiles).await;
        pass(10).await;
        old.world.script.on("a", [limited(300)]);
        old.hear(&Ask::stream("one")).await;
        assert_eq!(used(&old, 0), ["a", "b"]);
        let new = Front::over(restarted(&old.world, &profiles, &old.world.file).await).await;
        for prompt in ["two", "three", "four"] {
            pass(1).await;
            new.hear(&Ask::stream(prompt)).await;
        }
        assert_eq!(used(&new, 0), ["c", "b", "c"]);
        pass(300).await;
        new.hear(&Ask::stream("five")).await;
        assert_eq!(used(&new, 3), ["a"]);
        new.close().await;
    });
}

#[test]
fn a_conversation_leaves_a_profile_that_is_out_and_stays_where_it_went() {
    simulate(async || {
        let front = Front::new(&["a", "b", "c"]).await;
        let turn = |text: &str| Ask::stream(text).with("x-claude-code-session-id", "plot");
        front.hear(&turn("one")).await;
        front.hear(&turn("two")).await;
        front.world.script.on("a", [refuses(401, "authentication_error", "invalid x-api-key")]);
        for text in ["three", "four", "five"] {
            assert_eq!(front.hear(&turn(text)).await.status, 200);
        }
        assert_eq!(used(&front, 0), ["a", "a", "a", "b", "b", "b"]);
        front.close().await;
    });
}

#[test]
fn conversations_of_a_profile_that_rests_are_spread_and_all_others_stay() {
    simulate(async || {
        let front = Front::new(&["a", "b", "c", "d", "e"]).await;
        let turns: Vec<_> = (0..20)
            .map(|number| {
                let session = format!("session-{number}");
                Ask::stream(&session).with("x-claude-code-session-id", &session)
            })
            .collect();
        for _ in 0..2 {
            for heard in join_all(turns.iter().map(|turn| front.hear(turn))).await {
                assert_eq!(heard.status, 200);
            }
            // The next time four of them are at home here.
            front.world.script.on("a", (0..4).map(|_| limited(300)));
            pass(1).await;
        }
        let calls = |name: &str| used(&front, 0).iter().filter(|it| *it == name).count();
        assert_eq!(["a", "b", "c", "d", "e"].map(calls), [8, 9, 9, 9, 9]);
        front.close().await;
    });
}
