//! What one profile cannot serve, though nothing is wrong with it: another may.

use polpo_policy::pool::seat::ProfileState;

use super::front::{Ask, Front};
use crate::reply::{Canned, limited, refuses, says};
use crate::system::simulate;
use crate::world::{SONNET, World, keyed};

/// A refusal of thoughts that another organisation had.
fn foreign() -> Canned {
    let message = "messages.1.content.0: Invalid `signature` in `thinking` block";
    refuses(400, "invalid_request_error", message).with("x-should-retry", "false")
}

#[test]
fn a_thought_goes_to_a_profile_that_takes_it_and_the_others_stay_in_use() {
    simulate(async || {
        let front = Front::new(&["a", "b", "c"]).await;
        front.world.script.on("a", [foreign()]);
        front.world.script.on("b", [foreign()]);
        let heard = front.hear(&Ask::stream("hi")).await;
        assert_eq!((heard.status, heard.text()), (200, says("fine").said(SONNET)));
        let trace = [(0, "a".to_owned()), (0, "b".to_owned()), (0, "c".to_owned())];
        assert_eq!(front.world.trace(), trace);
        assert_eq!(front.world.observe().await.profiles, [(ProfileState::Ready, 3)]);
        assert_eq!(front.world.metric("failovers_total", &[("reason", "unsuited")]), 2.0);
        assert_eq!(front.close().await.len(), 3);
    });
}

#[test]
fn a_thought_that_nobody_takes_is_refused_in_the_words_of_upstream() {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        front.world.script.otherwise(foreign());
        let heard = front.hear(&Ask::stream("hi")).await;
        assert_eq!((heard.status, heard.text()), (400, foreign().said(SONNET)));
        assert_eq!(heard.header("x-should-retry"), "false");
        assert_eq!(front.close().await.len(), 2);
    });
}

#[test]
fn a_thought_waits_for_the_profile_that_had_it() {
    simulate(async || {
        let front = Front::new(&["a", "b"]).await;
        let turn = |text: &str| Ask::stream(text).with("x-claude-code-session-id", "plot");
        front.hear(&turn("one")).await;
        front.world.script.on("b", [says("of another"), foreign()]);
        front.hear(&Ask::stream("of another")).await;
        front.world.script.on("a", [limited(45)]);
        let heard = front.hear(&turn("two")).await;
        assert_eq!((heard.status, heard.text()), (200, says("fine").said(SONNET)));
        let trace = front.world.trace();
        let two: Vec<_> = trace[2..].iter().map(|(at, who)| (at / 1000, who.as_str())).collect();
        assert_eq!(two, [(0, "a"), (0, "b"), (45, "a")]);
        front.close().await;
    });
}

#[test]
fn a_model_that_one_provider_has_not_may_be_at_the_other() {
    simulate(async || {
        let world = World::new(&["a"]).await;
        let mut other = keyed("p", world.script.wire("p"), "sk-none", 64);
        (other.id, other.provider) = ("poe:p".into(), "poe".into());
        world.actors.join(other);
        let front = Front::of(world, &["anthropic", "poe"]).await;
        let unknown = refuses(404, "not_found_error", "model: claude-sonnet-4-6");
        front.world.script.on("a", [unknown.clone()]);
        let heard = front.hear(&Ask::stream("hi")).await;
        assert_eq!((heard.status, heard.text()), (200, says("fine").said(SONNET)));
        front.world.script.on("a", [unknown.clone()]);
        front.world.script.on("p", [unknown.clone()]);
        let heard = front.hear(&Ask::stream("hi")).await;
        assert_eq!((heard.status, heard.text()), (404, unknown.said(SONNET)));
        front.close().await;
    });
}
