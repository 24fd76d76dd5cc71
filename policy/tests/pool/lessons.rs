//! Bugs that other pools of credentials have had, each a test that ours has not.

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Refusal, Request, Verdict};

use crate::{World, limited, sonnet, wanting};

fn turn(session: &str) -> Request {
    Request { session: Some(session.into()), ..sonnet() }
}

/// A request for one profile and no other.
fn only(profile: &str) -> Request {
    let mut request = sonnet();
    request.alternatives[0].pin = Some(profile.into());
    request
}

fn faulty() -> Verdict {
    Verdict::Failed(Failure::Overloaded)
}

#[test]
fn lesson_a1_a_second_429_with_a_longer_wait_extends_and_a_shorter_success_does_not_erase_it() {
    let mut world = World::new(&[("a:1", 9)]);
    for class in ["sonnet", "sonnet", "sonnet", "sonnet", "opus"] {
        world.ask(wanting(&[("a", class)]));
    }
    let start = world.now;
    for (seconds, expected) in [(60, 60), (300, 300), (10, 300)] {
        world.end(limited(&world, seconds));
        let until = start + chrono::TimeDelta::seconds(expected);
        assert_eq!(world.standing("a:1", "sonnet"), Standing::Back(until));
    }
    world.end(Verdict::Success); // Of the same class, granted before.
    world.end(Verdict::Success); // Of another class.
    let until = start + chrono::TimeDelta::seconds(300);
    assert_eq!(world.standing("a:1", "sonnet"), Standing::Back(until));
}

#[test]
fn lesson_a2_a_window_ends_with_one_request_whose_success_clears_it() {
    let mut world = World::new(&[("a:1", 99)]);
    world.ask(sonnet());
    world.end(limited(&world, 1800));
    for _ in 0..4 {
        world.ask(sonnet());
    }
    world.wait(1800);
    assert_eq!(world.held.len(), 1, "half open");
    world.end(Verdict::Success);
    world.end(Verdict::Success);
    assert_eq!(world.grants.len(), 5, "all are served");
}

#[test]
fn lesson_a3_cooldown_and_last_used_are_kept_over_a_restart() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9), ("a:3", 9)]);
    world.ask(sonnet());
    world.end(limited(&world, 600));
    world.ask(sonnet());
    world.wait(1);
    world.restart();
    for _ in 0..3 {
        world.ask(sonnet());
    }
    assert_eq!(world.granted()[2..], ["a:3", "a:2", "a:3"]);
}

#[test]
fn lesson_a4_a_429_without_a_date_cools_the_profile_and_goes_to_another() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    world.ask(sonnet());
    world.end(Verdict::Failed(Failure::Limited { until: None, dimension: None }));
    for _ in 0..3 {
        world.ask(sonnet());
    }
    assert_eq!(world.granted(), ["a:1", "a:2", "a:2", "a:2"]);
}

/// Whatever way a request comes to be served, it is not by a profile that is shut.
#[test]
fn lesson_a5_a_limited_profile_is_shut_to_new_pinned_waiting_and_retried_requests_alike() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 1)]);
    world.ask(turn("plot"));
    world.end(limited(&world, 600));
    let mut pinned = sonnet();
    pinned.alternatives[0].pin = Some("a:1".into());
    let mut retried = sonnet();
    retried.avoid.insert("a:3".into(), None);
    for request in [turn("plot"), sonnet(), pinned, retried, wanting(&[("a", "sonnet"); 2])] {
        world.ask(request);
    }
    for _ in 0..3 {
        world.wait(2);
        world.end(Verdict::Success);
    }
    assert_eq!(world.granted(), ["a:1", "a:2", "a:2", "a:2"], "one, its turn, and two more");
    assert!(world.pool.queued() >= 1, "the pinned one waits");
}

#[test]
fn lesson_a6_money_and_keys_fail_over_and_a_wrong_request_does_not_burn_the_pool() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9), ("a:3", 9)]);
    let failures = [Failure::Unfunded { until: None }, Failure::Revoked, Failure::Rejected];
    for failure in failures {
        world.ask(sonnet());
        world.end(Verdict::Failed(failure));
    }
    assert_eq!(world.granted(), ["a:1", "a:2", "a:3"]);
    let standings = ["a:1", "a:2", "a:3"].map(|it| world.standing(it, "opus"));
    assert!(matches!(standings, [Standing::Back(_), Standing::Gone, Standing::Ready]));
}

#[test]
fn lesson_a7_when_all_cool_a_request_waits_for_the_earliest_if_that_is_in_time() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    for seconds in [50, 20] {
        world.ask(sonnet());
        world.end(limited(&world, seconds));
    }
    world.ask(Request { deadline: Some(world.now + chrono::TimeDelta::seconds(10)), ..sonnet() });
    let first = Some(world.now + chrono::TimeDelta::seconds(20));
    assert_eq!(world.refusals, [Refusal::TimedOut { until: first }]);
    world.ask(sonnet());
    world.wait(10);
    let until = world.pool.waits()[0].until.unwrap();
    assert_eq!((until - world.now).num_milliseconds(), 9999, "the true time of return");
    world.wait(10);
    assert_eq!(world.granted()[2..], ["a:2"]);
}

#[test]
fn lesson_a8_an_incident_shuts_its_class_and_no_profile() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    for end in 0..9 {
        world.ask(sonnet());
        // A connection that broke says nothing of the service behind it.
        world.end(if end == 4 { Verdict::Failed(Failure::Network) } else { faulty() });
    }
    world.ask(sonnet());
    assert_eq!((world.grants.len(), world.pool.queued()), (9, 1), "the class rests");
    world.ask(wanting(&[("a", "opus")]));
    assert_eq!(world.grants.len(), 10, "another class is served");
    for profile in ["a:1", "a:2"] {
        assert_eq!(world.standing(profile, "sonnet"), Standing::Ready, "{profile}");
    }
    world.wait(1);
    assert_eq!(world.grants.len(), 11, "a second later it is tried");
}

#[test]
fn lesson_a9_profiles_of_one_organisation_share_a_limit_and_those_of_two_do_not() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9), ("a:3", 9)]);
    for organization in ["north", "north", "south"] {
        world.ask(sonnet());
        world.answer_last(organization, None);
    }
    world.end(limited(&world, 600));
    let standings = ["a:1", "a:2", "a:3"].map(|it| world.standing(it, "sonnet"));
    assert!(matches!(standings, [Standing::Back(_), Standing::Back(_), Standing::Ready]));
    assert_eq!(world.standing("a:2", "opus"), Standing::Ready);
}

#[test]
fn lesson_a10_the_very_next_request_knows_of_a_cooldown_and_of_its_end() {
    let mut world = World::new(&[("a:1", 9)]);
    world.ask(sonnet());
    world.end(limited(&world, 600));
    world.ask(sonnet());
    assert_eq!(world.grants.len(), 1);
    world.now += chrono::TimeDelta::seconds(600); // Nobody has woken the pool.
    world.ask(sonnet());
    assert_eq!(world.grants.len(), 2, "the one that waited is the probe");
}

#[test]
fn lesson_a11_a_profile_that_is_back_is_ramped_and_not_stormed() {
    let mut world = World::new(&[("a:1", 500)]);
    world.ask(sonnet());
    world.end(limited(&world, 600));
    for _ in 0..300 {
        world.ask(sonnet());
    }
    world.wait(600);
    let mut widths = vec![world.held.len()];
    for _ in 0..5 {
        world.end(Verdict::Success);
        widths.push(world.held.len());
    }
    assert_eq!(widths, [1, 2, 4, 8, 16, 32]);
}

#[test]
fn lesson_a12_a_thousand_at_once_take_each_of_ten_profiles_a_hundred_times() {
    let names: Vec<String> = (0..10).map(|n| format!("a:{n}")).collect();
    let profiles: Vec<_> = names.iter().map(|name| (name.as_str(), 100)).collect();
    let mut world = World::new(&profiles);
    for _ in 0..1000 {
        world.ask(sonnet());
    }
    for name in &names {
        assert_eq!(world.grants.iter().filter(|it| it.as_str() == name).count(), 100);
    }
}

#[test]
fn lesson_f1_a_conversation_is_not_trapped_with_a_home_that_is_dead_or_busy() {
    let mut world = World::new(&[("a:1", 1), ("a:2", 9)]);
    world.ask(turn("plot"));
    world.end(Verdict::Success);
    world.ask(only("a:1"));
    world.ask(turn("plot"));
    world.wait(59);
    assert_eq!(world.granted(), ["a:1"; 2], "its home is merely busy");
    world.wait(1);
    assert_eq!(world.granted()[2..], ["a:2"], "after a minute it goes elsewhere");
    (0..2).for_each(|_| world.end(Verdict::Success));
    world.ask(turn("plot"));
    assert_eq!(world.granted()[3..], ["a:2"], "and is at home there");
    world.end(Verdict::Failed(Failure::Revoked));
    world.ask(turn("plot"));
    assert_eq!(world.granted()[4..], ["a:1"], "a dead one is left at once");
}

#[test]
fn lesson_f1_those_who_wait_for_a_home_leave_as_it_dies() {
    for failure in [Failure::Revoked, Failure::Unfunded { until: None }] {
        let mut world = World::new(&[("a:1", 1), ("a:2", 9)]);
        world.ask(turn("plot"));
        world.end(Verdict::Success);
        world.ask(only("a:1"));
        world.ask(turn("plot"));
        world.end(Verdict::Failed(failure));
        assert_eq!(world.granted(), ["a:1", "a:1", "a:2"], "{failure:?}");
    }
}

#[test]
fn lesson_f1_a_home_that_is_back_within_a_minute_is_waited_for_and_a_later_one_is_not() {
    for (seconds, profile) in [(60, "a:1"), (61, "a:2")] {
        let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
        world.ask(turn("plot"));
        world.end(Verdict::Success);
        // Another's call meets the limit, which the home is under.
        world.ask(only("a:1"));
        world.end(limited(&world, seconds));
        world.ask(turn("plot"));
        world.wait(60);
        assert_eq!(world.granted(), ["a:1", "a:1", profile], "{seconds} s");
    }
}

#[test]
fn lesson_f1_a_turn_leaves_a_busy_home_while_half_of_its_time_is_left() {
    let mut world = World::new(&[("a:1", 1), ("a:2", 9)]);
    world.ask(turn("plot"));
    world.end(Verdict::Success);
    world.ask(only("a:1"));
    let deadline = Some(world.now + TimeDelta::seconds(60));
    world.ask(Request { deadline, ..turn("plot") });
    world.wait(29);
    assert_eq!(world.granted(), ["a:1"; 2]);
    world.wait(1);
    assert_eq!(world.granted()[2..], ["a:2"]);
    assert!(world.refusals.is_empty());
}

#[test]
fn lesson_f2_conversations_have_each_its_own_home_and_keep_it_while_they_go_on() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9), ("a:3", 9)]);
    for _ in 0..4 {
        for session in ["plot", "proof"] {
            world.ask(turn(session));
            world.end(Verdict::Success);
        }
        world.wait(299); // The cache lives from the last turn on.
    }
    assert_eq!(world.granted(), ["a:1", "a:2"].repeat(4));
    world.wait(1);
    world.ask(turn("plot"));
    assert_eq!(world.granted()[8..], ["a:3"], "after five minutes it is cold");
}

#[test]
fn lesson_f2_a_workspace_shares_its_cache_and_an_organisation_does_not() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9), ("a:3", 9)]);
    for workspace in [Some("one"), None, Some("one")] {
        world.ask(sonnet());
        world.answer_last("org", workspace);
    }
    (0..3).for_each(|_| world.end(Verdict::Success));
    for _ in 0..4 {
        world.ask(turn("plot"));
        world.end(Verdict::Success);
    }
    assert_eq!(world.granted()[3..], ["a:1", "a:3", "a:1", "a:3"]);
}

#[test]
fn lesson_f3_agents_of_their_own_conversations_are_spread_over_all_profiles() {
    let names: Vec<String> = (0..10).map(|n| format!("a:{n}")).collect();
    let profiles: Vec<_> = names.iter().map(|name| (name.as_str(), 50)).collect();
    let mut world = World::new(&profiles);
    for agent in 0..50 {
        world.ask(turn(&format!("session {agent}")));
    }
    for name in &names {
        assert_eq!(world.grants.iter().filter(|it| it.as_str() == name).count(), 5);
    }
}

#[test]
fn lesson_f3_what_comes_beside_a_turn_is_spread_and_the_conversation_stays_at_home() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9), ("a:3", 9)]);
    world.ask(turn("plot"));
    world.end(Verdict::Success);
    for _ in 0..6 {
        world.ask(turn("plot"));
    }
    assert_eq!(world.granted()[1..], ["a:1", "a:2", "a:3", "a:1", "a:2", "a:3"]);
    world.end(Verdict::Success);
    world.ask(turn("plot"));
    assert_eq!(world.granted()[7..], ["a:1"], "its own turn goes home while the others go on");
    while !world.held.is_empty() {
        world.end(Verdict::Success);
    }
    world.ask(turn("plot"));
    assert_eq!(world.granted()[8..], ["a:1"]);
}

#[test]
fn lesson_f3_who_waits_for_a_home_beside_a_turn_that_got_there_first_is_spread_too() {
    let mut world = World::new(&[("a:1", 1), ("a:2", 9)]);
    world.ask(turn("plot"));
    world.end(Verdict::Success);
    world.ask(only("a:1"));
    world.ask(turn("plot"));
    world.ask(turn("plot"));
    world.end(Verdict::Success);
    assert_eq!(world.granted(), ["a:1"; 3]);
    world.join("a:1", 2, Box::default());
    assert_eq!(world.granted()[3..], ["a:2"], "it was used longer ago");
}

#[test]
fn who_waits_for_a_home_takes_a_profile_that_shares_its_cache_and_is_free_first() {
    let mut world = World::new(&[("a:1", 1), ("a:2", 1), ("a:3", 1)]);
    for workspace in ["one", "one", "two"] {
        world.ask(sonnet());
        world.answer_last("org", Some(workspace));
    }
    world.end(Verdict::Success);
    world.ask(turn("plot"));
    let (own, sibling) =
        (*world.held.last_key_value().unwrap().0, *world.held.keys().next().unwrap());
    world.settle(own, Verdict::Success);
    world.ask(only("a:1"));
    world.ask(turn("plot"));
    assert_eq!(world.granted()[3..], ["a:1", "a:1"], "all are busy");
    world.settle(sibling, Verdict::Success);
    assert_eq!(world.granted()[5..], ["a:2"]);
}

#[test]
fn a_pinned_turn_stays_with_its_profile_wherever_its_conversation_is_at_home() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    world.ask(turn("plot"));
    world.end(Verdict::Success);
    world.ask(Request { session: Some("plot".into()), ..only("a:2") });
    assert_eq!(world.granted(), ["a:1", "a:2"]);
}

#[test]
fn a_pinned_request_leaves_a_profile_that_failed_but_waits_for_one_that_is_busy() {
    let mut world = World::new(&[("a:1", 1)]);
    world.ask(sonnet());
    let mut request = wanting(&[("a", "sonnet"), ("b", "haiku")]);
    request.alternatives[0].pin = Some("a:1".into());
    let soon = Some(world.now + chrono::TimeDelta::seconds(9));
    world.join("b:1", 9, Box::default());
    world.ask(Request { avoid: [("b:2".into(), soon)].into(), ..request.clone() });
    assert_eq!(world.granted(), ["a:1"], "it is merely busy");
    world.ask(Request { avoid: [("a:1".into(), soon)].into(), ..request });
    assert_eq!(world.granted(), ["a:1", "b:1"]);
}
