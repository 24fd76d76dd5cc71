//! What those who wait, and conversations, make of profiles that change.

use polpo_policy::failure::Failure;
use polpo_policy::health::Health;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Event, Refusal, Request, Verdict};

use crate::{World, sonnet, wanting};

#[test]
fn who_waits_with_a_fallback_takes_it_as_the_class_goes_out_of_service() {
    let mut world = World::new(&[("a:1", 1), ("b:1", 1)]);
    for _ in 0..7 {
        world.ask(sonnet());
        world.end(Verdict::Failed(Failure::Overloaded));
    }
    world.ask(sonnet());
    world.ask(wanting(&[("a", "sonnet"), ("b", "haiku")]));
    world.end(Verdict::Failed(Failure::Overloaded));
    assert_eq!(world.granted()[7..], ["a:1", "b:1"]);
}

#[test]
fn who_waits_for_a_profile_that_joins_again_out_of_use_is_refused() {
    let mut world = World::new(&[("a:1", 1)]);
    world.ask(sonnet());
    world.ask(sonnet());
    let health = Health { held_at: Some(world.now), ..Health::default() };
    world.join("a:1", 1, Box::new(health));
    assert_eq!(world.refusals, [Refusal::NoCredential]);
}

#[test]
fn a_profile_that_left_a_workspace_has_none_of_its_cache_when_it_joins_again() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    for _ in 0..2 {
        world.ask(sonnet());
        world.answer_last("org", Some("one"));
    }
    let turn = || Request { session: Some("plot".into()), ..sonnet() };
    world.ask(turn());
    (0..3).for_each(|_| world.end(Verdict::Success));
    world.play(Event::Left { profile: "a:2".into() });
    world.join("a:2", 9, Box::default());
    world.ask(turn());
    assert_eq!(world.granted()[2..], ["a:1", "a:1"]);
}

#[test]
fn what_was_cleared_twice_in_an_instant_stays_cleared() {
    let mut world = World::new(&[("a:1", 9)]);
    let clear = || Event::Cleared { profile: "a:1".into() };
    world.play(clear());
    world.ask(sonnet());
    world.end(Verdict::Failed(Failure::Unfunded { until: None }));
    let health = Box::new(world.pool.health(&"a:1".into()).unwrap());
    world.play(clear());
    world.play(Event::Recalled { profile: "a:1".into(), health });
    assert_eq!(world.standing("a:1", "sonnet"), Standing::Ready);
}
