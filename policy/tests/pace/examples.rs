//! What pacing does, by example.

use chrono::TimeDelta;
use polpo_policy::limits::{Dimension, LimitReading, Timestamp};
use polpo_policy::pool::Throttle;
use polpo_policy::pool::Used;
use polpo_policy::pool::pace::{Headroom, Outcome, Pace, Refusal};

use crate::server::moment;

fn reading(dimension: Dimension, limit: u64, remaining: u64) -> LimitReading {
    LimitReading { dimension, limit, remaining, reset: None }
}

/// A pace that was told of a limit of input tokens by a call that is still under way.
fn told(limit: u64, remaining: u64) -> Pace {
    let mut pace = Pace::new();
    let mark = pace.granted(moment(0.0), 0);
    pace.read(moment(0.0), &mark, &[reading(Dimension::InputTokens, limit, remaining)]);
    pace
}

fn waits(pace: &Pace, now: f64, input: u64) -> Option<(Timestamp, Throttle)> {
    match pace.headroom(moment(now), input) {
        Headroom::Now => None,
        Headroom::At(at, throttle) => Some((at, throttle)),
        Headroom::Full(throttle) => panic!("full of {throttle:?}"),
    }
}

fn refused(dimension: Option<Dimension>, seconds: f64) -> Outcome {
    Outcome::Refused(Refusal { dimension, until: Some(moment(seconds)) })
}

#[test]
fn a_call_that_would_be_refused_waits_for_the_refill() {
    let pace = told(60_000, 30_000);
    assert_eq!(waits(&pace, 0.0, 20_000), None);
    let (at, throttle) = waits(&pace, 0.0, 40_000).unwrap();
    assert_eq!(throttle, Throttle::Limit(Dimension::InputTokens));
    let wait = (at - moment(0.0)).num_seconds();
    assert!((10..=15).contains(&wait), "a thousand a second, and a margin: {wait} s");
    assert_eq!(pace.headroom(at, 40_000), Headroom::Now);
}

#[test]
fn what_was_reserved_too_much_is_given_back() {
    let mut pace = told(60_000, 60_000);
    let mark = pace.granted(moment(1.0), 50_000);
    assert!(waits(&pace, 1.0, 20_000).is_some());
    pace.settled(moment(1.0), mark, Outcome::Used(Used { input: 10_000, output: 1 }));
    assert_eq!(waits(&pace, 1.0, 20_000), None);
}

#[test]
fn the_headers_of_an_old_call_do_not_undo_what_a_newer_one_told() {
    let mut pace = told(60_000, 60_000);
    let older = pace.granted(moment(1.0), 1000);
    let newer = pace.granted(moment(1.1), 1000);
    pace.read(moment(2.0), &newer, &[reading(Dimension::InputTokens, 60_000, 5000)]);
    pace.read(moment(2.1), &older, &[reading(Dimension::InputTokens, 60_000, 60_000)]);
    assert!(waits(&pace, 2.1, 20_000).is_some());
}

#[test]
fn a_prompt_larger_than_the_limit_is_sent_when_the_bucket_is_full() {
    let pace = told(60_000, 0);
    let (at, _) = waits(&pace, 0.0, 1_000_000).unwrap();
    let wait = at - moment(0.0);
    assert!(wait >= TimeDelta::seconds(59) && wait < TimeDelta::seconds(62), "{wait}");
}

#[test]
fn a_limit_of_zero_is_tried_once_a_minute() {
    let mut pace = told(0, 0);
    let (at, _) = waits(&pace, 0.0, 5000).unwrap();
    assert!(at >= moment(60.0) && at < moment(600.0), "{at}");
    let _mark = pace.granted(at, 5000);
    assert!(waits(&pace, 700.0, 5000).is_none_or(|(at, _)| at > moment(700.0)));
}

#[test]
fn without_headers_sixteen_calls_may_be_under_way_and_each_success_allows_one_more() {
    let mut pace = Pace::new();
    let marks: Vec<_> = (0..16).map(|_| pace.granted(moment(0.0), 1000)).collect();
    assert_eq!(pace.headroom(moment(0.0), 1), Headroom::Full(Throttle::Concurrency));
    pace.settled(moment(9.0), marks[0], Outcome::Used(Used { input: 1000, output: 9 }));
    for _ in 0..2 {
        assert_eq!(pace.headroom(moment(9.0), 1), Headroom::Now);
        let _mark = pace.granted(moment(9.0), 1000);
    }
    assert_eq!(pace.headroom(moment(9.0), 1), Headroom::Full(Throttle::Concurrency));
}

#[test]
fn a_refusal_holds_all_until_the_time_it_states_and_halves_the_window_once() {
    let mut pace = Pace::new();
    let marks: Vec<_> = (0..16).map(|_| pace.granted(moment(0.0), 1000)).collect();
    for mark in marks {
        pace.settled(moment(1.0), mark, refused(None, 5.0));
    }
    assert_eq!(waits(&pace, 1.0, 1), Some((moment(5.0), Throttle::Cooldown)));
    for _ in 0..8 {
        assert_eq!(pace.headroom(moment(5.0), 1), Headroom::Now);
        let _mark = pace.granted(moment(5.0), 1000);
    }
    assert_eq!(pace.headroom(moment(5.0), 1), Headroom::Full(Throttle::Concurrency));
}

#[test]
fn calls_that_write_more_than_is_refilled_are_kept_from_becoming_more() {
    let mut pace = Pace::new();
    let limit = reading(Dimension::OutputTokens, 60_000, 30_000);
    let mut granted = 0;
    while pace.headroom(moment(0.0), 1) == Headroom::Now {
        let mark = pace.granted(moment(0.0), 1);
        pace.read(moment(0.0), &mark, &[limit]);
        granted += 1;
        assert!(granted < 100);
    }
    // Ten write a thousand tokens a second, as is refilled, and the bucket is half full.
    assert_eq!(granted, 11);
    let full = Headroom::Full(Throttle::Limit(Dimension::OutputTokens));
    assert_eq!(pace.headroom(moment(0.0), 1), full);
}

#[test]
fn of_profiles_that_share_an_organisation_neither_forgets_what_the_other_has_under_way() {
    let (mut one, another) = (told(60_000, 60_000), told(60_000, 50_000));
    let mark = one.granted(moment(1.0), 20_000);
    let mut merged = one.merge(moment(1.0), another);
    assert!(waits(&merged, 1.0, 40_000).is_some());
    merged.settled(moment(1.0), mark, Outcome::Used(Used { input: 0, output: 0 }));
    assert_eq!(waits(&merged, 1.0, 40_000), None);
}
