//! How long failures keep a profile from being used, in virtual time.

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Event, Verdict};

use crate::{World, limited, sonnet};

const BILLING_HOURS: [i64; 5] = [5, 10, 20, 24, 24];
const COOLDOWN_MINUTES: [i64; 5] = [1, 5, 25, 60, 60];
const HOUR: i64 = 3600;
const MINUTE: i64 = 60;

fn unfunded() -> Verdict {
    Verdict::Failed(Failure::Unfunded { until: None })
}

fn open_limit() -> Verdict {
    Verdict::Failed(Failure::Limited { until: None, dimension: None })
}

/// Has a call end so, and returns for how many seconds the profile is shut then.
fn fail(world: &mut World, verdict: Verdict) -> i64 {
    let known = world.grants.len();
    world.ask(sonnet());
    assert_eq!(world.grants.len(), known + 1, "it is served");
    world.end(verdict);
    shut_for(world)
}

fn shut_for(world: &World) -> i64 {
    match world.standing("a:1", "sonnet") {
        Standing::Back(until) => (until - world.now + TimeDelta::milliseconds(1)).num_seconds(),
        Standing::Ready | Standing::Busy | Standing::Gone => 0,
    }
}

#[test]
fn billing_failures_shut_for_5_10_20_24_and_24_hours() {
    let mut world = World::new(&[("a:1", 9)]);
    for hours in BILLING_HOURS {
        assert_eq!(fail(&mut world, unfunded()), hours * HOUR);
        world.wait(hours * HOUR);
    }
}

#[test]
fn the_billing_ladder_is_kept_over_restarts_within_and_after_each_window() {
    for pause in [-1, 1] {
        let mut world = World::new(&[("a:1", 9)]);
        for hours in BILLING_HOURS {
            assert_eq!(fail(&mut world, unfunded()), hours * HOUR);
            world.wait(hours * HOUR + pause);
            world.restart();
            assert_eq!(shut_for(&world), (-pause).max(0));
            world.wait(1);
        }
    }
}

#[test]
fn a_day_without_a_billing_failure_starts_its_ladder_anew_and_a_success_does_not() {
    let mut world = World::new(&[("a:1", 9)]);
    assert_eq!(fail(&mut world, unfunded()), 5 * HOUR);
    world.wait(5 * HOUR);
    fail(&mut world, Verdict::Success);
    assert_eq!(fail(&mut world, unfunded()), 10 * HOUR, "a success is no money");
    world.wait(24 * HOUR - 1);
    assert_eq!(fail(&mut world, unfunded()), 20 * HOUR, "not quite a day");
    world.wait(24 * HOUR + 1);
    assert_eq!(fail(&mut world, unfunded()), 5 * HOUR);
}

#[test]
fn limits_without_a_date_shut_for_1_5_25_60_and_60_minutes_until_a_success() {
    let mut world = World::new(&[("a:1", 9)]);
    for minutes in COOLDOWN_MINUTES {
        assert_eq!(fail(&mut world, open_limit()), minutes * MINUTE);
        world.wait(minutes * MINUTE);
    }
    fail(&mut world, Verdict::Success);
    assert_eq!(fail(&mut world, open_limit()), MINUTE);
}

#[test]
fn the_cooldown_ladder_is_kept_over_restarts_within_and_after_each_window() {
    for pause in [-1, 1] {
        let mut world = World::new(&[("a:1", 9)]);
        for minutes in COOLDOWN_MINUTES {
            assert_eq!(fail(&mut world, open_limit()), minutes * MINUTE);
            world.wait(minutes * MINUTE + pause);
            world.restart();
            assert_eq!(shut_for(&world), (-pause).max(0));
            world.wait(1);
        }
    }
}

#[test]
fn a_token_that_cannot_be_renewed_rests_the_profile_for_every_class_by_the_same_ladder() {
    let mut world = World::new(&[("a:1", 9)]);
    for minutes in COOLDOWN_MINUTES {
        let failure = Failure::Unrefreshed { until: None };
        assert_eq!(fail(&mut world, Verdict::Failed(failure)), minutes * MINUTE);
        assert!(matches!(world.standing("a:1", "opus"), Standing::Back(_)));
        world.wait(minutes * MINUTE);
    }
}

#[test]
fn a_stated_date_wins_over_both_ladders_and_over_a_restart() {
    let mut world = World::new(&[("a:1", 9)]);
    let until = Some(world.now + TimeDelta::days(9));
    let stated = fail(&mut world, Verdict::Failed(Failure::Unfunded { until }));
    assert_eq!(stated, 9 * 24 * HOUR);
    world.restart();
    assert_eq!(shut_for(&world), stated);
    world.wait(stated);
    let seconds = limited(&world, 7);
    assert_eq!(fail(&mut world, seconds), 7);
}

#[test]
fn after_a_long_window_one_probes_and_then_twice_as_many_also_after_a_restart() {
    for has_restarted in [false, true] {
        let mut world = World::new(&[("a:1", 99)]);
        assert_eq!(fail(&mut world, open_limit()), MINUTE);
        world.wait(30);
        if has_restarted {
            world.restart();
        }
        for _ in 0..20 {
            world.ask(sonnet());
        }
        world.wait(30);
        let mut widths = vec![world.held.len()];
        for _ in 0..3 {
            world.end(Verdict::Success);
            widths.push(world.held.len());
        }
        assert_eq!(widths, [1, 2, 4, 8], "restarted: {has_restarted}");
    }
}

#[test]
fn a_short_window_opens_for_all() {
    let mut world = World::new(&[("a:1", 99)]);
    let short = limited(&world, 29);
    fail(&mut world, short);
    for _ in 0..20 {
        world.ask(sonnet());
    }
    world.wait(29);
    assert_eq!(world.held.len(), 20);
}

#[test]
fn an_outage_shuts_for_1_2_4_8_16_and_30_seconds_with_one_probe_after_each() {
    let mut world = World::new(&[("a:1", 99), ("a:2", 99)]);
    for _ in 0..8 {
        world.ask(sonnet());
        world.end(Verdict::Failed(Failure::Overloaded));
    }
    assert_eq!(world.grants.len(), 8);
    for _ in 0..12 {
        world.ask(sonnet());
    }
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        world.wait(seconds - 1);
        assert_eq!(world.held.len(), 0, "not before {seconds} s");
        world.wait(1);
        assert_eq!(world.held.len(), 1, "one after {seconds} s");
        world.end(Verdict::Failed(Failure::Overloaded));
    }
    assert_eq!(world.standing("a:1", "sonnet"), Standing::Ready, "nothing against the profile");
    world.wait(30);
    world.end(Verdict::Success);
    assert_eq!(world.held.len(), 2, "one answer opens it");
}

#[test]
fn what_was_cleared_here_is_not_brought_back_by_who_still_remembers_it() {
    for failure in [
        Failure::Unfunded { until: None },
        Failure::Revoked,
        Failure::Forbidden,
        Failure::Limited { until: None, dimension: None },
        Failure::Unrefreshed { until: None },
    ] {
        let mut world = World::new(&[("a:1", 9)]);
        fail(&mut world, Verdict::Failed(failure));
        let known = world.pool.health(&"a:1".into()).unwrap();
        world.play(Event::Cleared { profile: "a:1".into() });
        let health = Box::new(known.clone());
        world.play(Event::Recalled { profile: "a:1".into(), health });
        assert_eq!(world.standing("a:1", "sonnet"), Standing::Ready, "{failure:?}");
        let merged = world.pool.health(&"a:1".into()).unwrap().merge(known);
        world.restart_with(|_| merged.clone());
        assert_eq!(world.standing("a:1", "sonnet"), Standing::Ready, "{failure:?} restarted");
    }
}

#[test]
fn a_newcomer_that_was_cleared_once_does_not_open_what_its_organisation_has_met_since() {
    let mut world = World::new(&[("a:1", 9), ("a:2", 9)]);
    world.play(Event::Cleared { profile: "a:2".into() });
    for profile in ["a:1", "a:2"] {
        world.ask(sonnet());
        world.answer_last("org", None);
        assert_eq!(world.grants.last().unwrap().as_str(), profile);
    }
    world.wait(1);
    world.end(limited(&world, 600));
    world.restart();
    for profile in ["a:1", "a:2"] {
        assert!(matches!(world.standing(profile, "sonnet"), Standing::Back(_)), "{profile}");
    }
}

#[test]
fn who_is_held_and_given_back_in_the_same_instant_is_given_back() {
    let mut world = World::new(&[("a:1", 9)]);
    world.play(Event::Held { profile: "a:1".into() });
    assert_eq!(world.standing("a:1", "sonnet"), Standing::Gone);
    world.play(Event::Released { profile: "a:1".into() });
    assert_eq!(world.standing("a:1", "sonnet"), Standing::Ready);
    world.restart();
    assert_eq!(world.standing("a:1", "sonnet"), Standing::Ready);
}

#[test]
fn a_call_of_a_profile_that_left_takes_no_place_from_its_successor_and_says_nothing_of_it() {
    let mut world = World::new(&[("a:1", 1)]);
    world.ask(sonnet());
    world.play(Event::Left { profile: "a:1".into() });
    world.join("a:1", 1, Box::default());
    world.ask(sonnet());
    assert_eq!(world.held.len(), 2);
    world.end(Verdict::Failed(Failure::Revoked));
    assert_eq!(world.standing("a:1", "sonnet"), Standing::Busy, "with its own call");
}
