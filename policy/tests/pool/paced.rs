//! A request that would earn a refusal waits instead.

use chrono::TimeDelta;
use polpo_policy::id::LeaseId;
use polpo_policy::limits::{Dimension, LimitReading, Reading};
use polpo_policy::pool::seat::Ladders;
use polpo_policy::pool::{Event, Obstacle, Pool, Refusal, Request, Size, Throttle, Used, Verdict};

use crate::{World, sonnet, wanting};

const INPUT: Throttle = Throttle::Limit(Dimension::InputTokens);

fn paced(profiles: &[&str]) -> World {
    let mut world = World::new(&[]);
    world.pool = Pool::new(1000, Ladders::default()).paced();
    for profile in profiles {
        join(&mut world, profile);
    }
    world
}

fn join(world: &mut World, profile: &str) {
    world.play(Event::Joined {
        profile: profile.into(),
        provider: "a".into(),
        slots: 64,
        health: Box::default(),
    });
}

/// A request that is going to count as about so many tokens.
fn sized(tokens: u64) -> Request {
    Request { size: Size { bytes: tokens * 3, max_tokens: 1 }, ..sonnet() }
}

/// The answer to a lease tells of a minute's limit of 60,000 input tokens, a thousand a second.
fn told(world: &mut World, lease: LeaseId, remaining: u64, organization: Option<&str>) {
    let limit =
        LimitReading { dimension: Dimension::InputTokens, limit: 60_000, remaining, reset: None };
    let organization = organization.map(Into::into);
    let reading = Reading { organization, workspace: None, limits: vec![limit] };
    world.play(Event::Answered { lease, reading });
}

/// Serves one request for so many tokens, whose answer says how many are left.
fn serve(world: &mut World, tokens: u64, remaining: u64, organization: Option<&str>) {
    world.ask(sized(tokens));
    let lease = *world.held.keys().next_back().unwrap();
    told(world, lease, remaining, organization);
    world.held.remove(&lease);
    let used = Some(Used { input: tokens, output: 1 });
    world.play(Event::Settled { lease, verdict: Verdict::Success, used });
}

#[test]
fn a_request_that_its_limit_has_no_room_for_waits_until_there_is() {
    let mut world = paced(&["a:1"]);
    serve(&mut world, 10_000, 5_000, None);
    world.ask(sized(10_000));
    assert_eq!(world.granted().len(), 1);
    let wait = &world.pool.waits()[0];
    assert_eq!((wait.waiters, wait.throttle), (1, INPUT));
    let until = world.pool.next_deadline().unwrap();
    let seconds = (until - world.now).num_seconds();
    assert!((5..12).contains(&seconds), "5,000 are missing, and a margin: {seconds} s");
    world.now = until;
    world.play(Event::Woke);
    assert_eq!(world.granted().len(), 2);
    assert_eq!(world.waited[1].unwrap().0, INPUT);
}

#[test]
fn a_smaller_newcomer_does_not_overtake_one_that_waits_for_room() {
    let mut world = paced(&["a:1"]);
    serve(&mut world, 1_000, 5_000, None);
    let large = world.ask(sized(20_000));
    let small = world.ask(sized(100));
    assert!(!world.answers.contains_key(&large) && !world.answers.contains_key(&small));
    for _ in 0..3 {
        world.now = world.pool.next_deadline().unwrap();
        world.play(Event::Woke);
        if world.answers.contains_key(&large) {
            return;
        }
        assert!(!world.answers.contains_key(&small), "overtaken");
    }
    panic!("never served");
}

#[test]
fn who_waits_for_room_is_served_at_once_by_a_profile_that_joins() {
    let mut world = paced(&["a:1"]);
    serve(&mut world, 1_000, 0, None);
    let ticket = world.ask(sized(20_000));
    assert!(!world.answers.contains_key(&ticket));
    join(&mut world, "a:2");
    assert!(world.answers.contains_key(&ticket));
    assert_eq!(world.granted().last(), Some(&"a:2"));
}

#[test]
fn the_profiles_of_one_organisation_share_its_room() {
    let mut world = paced(&["a:1", "a:2", "a:3"]);
    serve(&mut world, 1_000, 30_000, Some("org-7f"));
    serve(&mut world, 1_000, 1_000, Some("org-7f"));
    world.ask(sized(20_000));
    assert_eq!(world.granted(), ["a:1", "a:2", "a:3"], "of the third nobody knows whose it is");
    world.ask(sized(40_000));
    world.play(Event::Left { profile: "a:3".into() });
    world.ask(sized(20_000));
    assert_eq!(world.granted().len(), 4, "neither the first nor the second has room");
}

#[test]
fn a_long_wait_for_room_falls_back_and_a_short_one_does_not() {
    for (tokens, falls_back) in [(8_000, false), (40_000, true)] {
        let mut world = paced(&["a:1"]);
        serve(&mut world, 1_000, 5_000, None);
        let both = wanting(&[("a", "sonnet"), ("a", "haiku")]);
        let ticket = world.ask(Request { size: sized(tokens).size, ..both });
        assert_eq!(world.answers.contains_key(&ticket), falls_back, "{tokens}");
    }
}

#[test]
fn what_has_no_room_is_explained_with_the_limit_that_binds() {
    let mut world = paced(&["a:1"]);
    serve(&mut world, 1_000, 0, None);
    let explanation = world.pool.explain(&sized(30_000));
    assert_eq!(explanation.choice(), None);
    let ranked = &explanation.ranking[0];
    assert_eq!(ranked.obstacle, Some(Obstacle::NoRoom(INPUT)));
    assert!(ranked.until.unwrap() > world.now + TimeDelta::seconds(20));
}

#[test]
fn who_waits_for_room_in_vain_is_refused_at_once_with_the_time_of_room() {
    let mut world = paced(&["a:1", "a:2"]);
    serve(&mut world, 1_000, 0, None);
    serve(&mut world, 1_000, 0, None);
    let within = |world: &World, seconds| Request {
        deadline: Some(world.now + TimeDelta::seconds(seconds)),
        ..sized(20_000)
    };
    world.ask(within(&world, 10));
    let [Refusal::TimedOut { until: Some(until) }] = world.refusals[..] else {
        panic!("{:?}", world.refusals)
    };
    let waited = world.ask(within(&world, 40));
    assert_eq!(world.pool.queued(), 1);
    assert_eq!(world.pool.next_deadline(), Some(until), "then there is room");
    world.now = until;
    world.play(Event::Woke);
    assert!(world.answers.contains_key(&waited));
}

#[test]
fn who_waits_for_room_that_an_answer_says_is_not_there_in_time_lets_those_behind_it_go_first() {
    let mut world = paced(&["a:1"]);
    serve(&mut world, 1_000, 10_000, None);
    world.ask(sized(1_000));
    let lease = *world.held.keys().next().unwrap();
    let deadline = Some(world.now + TimeDelta::seconds(30));
    let large = world.ask(Request { deadline, ..sized(30_000) });
    let small = world.ask(sized(2_000));
    assert!(world.refusals.is_empty() && !world.answers.contains_key(&small));
    told(&mut world, lease, 0, None);
    world.now = world.pool.next_deadline().unwrap(); // When there was to be room.
    world.play(Event::Woke);
    assert!(Some(world.now) < deadline && world.answers.contains_key(&small));
    assert!(world.answers.contains_key(&large) && world.refusals.len() == 1);
}

#[test]
fn who_waits_for_a_call_to_end_is_kept_however_short_its_time_is() {
    let mut world = paced(&["a:1"]);
    // Nothing tells its limits, so that only so many calls may be under way.
    while world.pool.queued() == 0 {
        world.ask(sonnet());
    }
    world.ask(Request { deadline: Some(world.now + TimeDelta::milliseconds(1)), ..sonnet() });
    assert_eq!((world.pool.queued(), world.refusals.len()), (2, 0));
    world.wait(1);
    assert_eq!(world.refusals, [Refusal::TimedOut { until: None }]);
}

#[test]
fn who_avoids_a_profile_gets_one_that_has_room_though_another_was_used_longer_ago() {
    let mut world = paced(&["a:1", "a:2", "a:3"]);
    serve(&mut world, 1_000, 60_000, None);
    serve(&mut world, 1_000, 0, None);
    serve(&mut world, 1_000, 60_000, None);
    world.ask(Request { avoid: [("a:1".into(), None)].into(), ..sized(20_000) });
    assert_eq!(world.granted()[3..], ["a:3"]);
}
