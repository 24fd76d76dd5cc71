//! Who has a deadline, and is not kept waiting in vain.

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::{Outcome, Refusal, Request, Verdict};

use crate::{World, limited, sonnet, wanting};

fn within(world: &World, seconds: i64, request: Request) -> Request {
    Request { deadline: Some(after(world, seconds)), ..request }
}

fn after(world: &World, seconds: i64) -> Timestamp {
    world.now + TimeDelta::seconds(seconds)
}

const fn timed_out(until: Option<Timestamp>) -> Refusal {
    Refusal::TimedOut { until }
}

/// Serves a request with a limit that ends so much later.
fn limit(world: &mut World, class: &str, seconds: i64) {
    world.ask(wanting(&[("a", class)]));
    world.end(limited(world, seconds));
}

#[test]
fn who_would_wait_in_vain_is_refused_at_once_with_the_first_return() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    limit(&mut world, "sonnet", 90);
    limit(&mut world, "sonnet", 70);
    let first = after(&world, 70);
    world.ask(within(&world, 69, sonnet()));
    assert_eq!(world.refusals, [timed_out(Some(first))]);
    world.ask(within(&world, 70, sonnet()));
    world.ask(sonnet());
    assert_eq!(
        world.pool.queued(),
        2,
        "a return in time is waited for, and any without a deadline"
    );
}

#[test]
fn the_first_of_all_alternatives_counts() {
    let mut world = World::new(&[("a:1", 9)]);
    limit(&mut world, "sonnet", 90);
    limit(&mut world, "haiku", 70);
    let first = after(&world, 70);
    let both = wanting(&[("a", "sonnet"), ("a", "haiku"), ("b", "haiku")]);
    world.ask(within(&world, 60, both.clone()));
    assert_eq!(world.refusals, [timed_out(Some(first))]);
    world.ask(within(&world, 80, both));
    assert_eq!(world.pool.queued(), 1);
}

#[test]
fn who_waits_for_a_place_is_kept_until_the_deadline_and_told_that_it_may_be_any_time() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 1)]);
    limit(&mut world, "sonnet", 90);
    world.ask(sonnet());
    world.ask(within(&world, 10, sonnet()));
    world.wait(9);
    assert_eq!((world.refusals.len(), world.pool.queued()), (0, 1));
    world.wait(1);
    assert_eq!(world.refusals, [timed_out(None)]);
}

#[test]
fn who_waits_is_refused_as_soon_as_it_waits_in_vain() {
    let mut world = World::new(&[("a:1", 1)]);
    world.ask(sonnet());
    world.ask(within(&world, 60, sonnet()));
    world.ask(within(&world, 90, sonnet()));
    let until = after(&world, 61);
    world.end(limited(&world, 61));
    assert_eq!(world.refusals, [timed_out(Some(until))]);
    assert_eq!(world.pool.queued(), 1);
}

#[test]
fn a_deadline_that_is_past_is_none_for_who_can_be_served() {
    let mut world = World::new(&[("a:1", 1)]);
    for _ in 0..2 {
        world.ask(within(&world, -5, sonnet()));
    }
    assert_eq!((world.granted(), world.refusals.clone()), (vec!["a:1"], vec![timed_out(None)]));
}

#[test]
fn pauses_and_profiles_to_pass_over_count_too() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    let (soon, late) = (after(&world, 20), after(&world, 30));
    let avoid = [("a:1".into(), Some(late)), ("a:2".into(), None)];
    let request = Request { avoid: avoid.into(), ..sonnet() };
    world.ask(within(&world, 10, request));
    let later = Request { not_before: Some(soon), ..sonnet() };
    world.ask(within(&world, 10, later.clone()));
    limit(&mut world, "sonnet", 5);
    limit(&mut world, "sonnet", 5);
    world.ask(within(&world, 10, later));
    assert_eq!(world.refusals, [Some(late), Some(soon), Some(soon)].map(timed_out));
}

#[test]
fn a_provider_that_is_out_of_service_is_not_waited_for_in_vain_either() {
    let mut world = World::new(&[("a:1", 9)]);
    for _ in 0..8 {
        world.ask(sonnet());
        world.end(Verdict::Failed(Failure::Overloaded));
    }
    let until = world.now + TimeDelta::seconds(1);
    let deadline = Some(world.now + TimeDelta::milliseconds(500));
    world.ask(Request { deadline, ..sonnet() });
    let [Refusal::TimedOut { until: Some(told) }] = world.refusals[..] else {
        panic!("{:?}", world.refusals)
    };
    assert_eq!((told - until).num_milliseconds(), 0, "but for the nanoseconds of grants");
}

#[test]
fn who_can_never_be_served_is_told_so_and_a_refusal_is_explained_as_it_is() {
    let mut world = World::new(&[("a:1", 9)]);
    limit(&mut world, "sonnet", 90);
    let request = within(&world, 9, sonnet());
    let until = after(&world, 90);
    assert_eq!(world.pool.explain(&request).outcome, Outcome::Refused(timed_out(Some(until))));
    world.ask(within(&world, 9, wanting(&[("b", "sonnet")])));
    assert_eq!(world.refusals, [Refusal::NoCredential]);
}

#[test]
fn a_limit_that_profiles_of_two_providers_share_reaches_those_who_wait_for_either() {
    let mut world = World::new(&[("a:1", 1), ("b:1", 1)]);
    for provider in ["a", "b"] {
        world.ask(wanting(&[(provider, "sonnet")]));
        world.answer_last("north", None);
    }
    world.ask(within(&world, 10, wanting(&[("b", "sonnet")])));
    let until = after(&world, 20);
    world.end(limited(&world, 20));
    assert_eq!(world.refusals, [timed_out(Some(until))]);
}
