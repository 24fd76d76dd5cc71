//! What holds whatever the numbers are.

use proptest::prelude::*;

use chrono::TimeDelta;
use polpo_policy::limits::{Dimension, LimitReading, Timestamp};
use polpo_policy::pool::Used;
use polpo_policy::pool::pace::{Headroom, Mark, Outcome, Pace, Refusal};

use crate::server::moment;

#[derive(Clone, Debug)]
enum Act {
    Pass(i64),
    Grant(u64),
    Read(usize, Vec<LimitReading>),
    Settle(usize, Outcome),
    Merge,
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..200_000_u64, 1 => Just(0), 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (-10.0..200.0).prop_map(moment),
        1 => Just(Timestamp::MIN_UTC),
        1 => Just(Timestamp::MAX_UTC),
    ]
}

fn reading() -> impl Strategy<Value = LimitReading> {
    let dimension = prop::sample::select(&Dimension::ALL[..]);
    (dimension, count(), count(), prop::option::of(time())).prop_map(
        |(dimension, limit, remaining, reset)| LimitReading { dimension, limit, remaining, reset },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let dimension = prop::option::of(prop::sample::select(&Dimension::ALL[..]));
    prop_oneof![
        (count(), count()).prop_map(|(input, output)| Outcome::Used(Used { input, output })),
        (dimension, prop::option::of(time()))
            .prop_map(|(dimension, until)| Outcome::Refused(Refusal { dimension, until })),
        Just(Outcome::Lost),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (-5000..30_000_i64).prop_map(Act::Pass),
        4 => count().prop_map(Act::Grant),
        3 => (0..8_usize, prop::collection::vec(reading(), 0..3)).prop_map(|(i, r)| Act::Read(i, r)),
        3 => (0..8_usize, outcome()).prop_map(|(i, o)| Act::Settle(i, o)),
        1 => Just(Act::Merge),
    ]
}

/// Plays anything; gives the pace, the time, and the calls under way.
fn played(acts: Vec<Act>) -> (Pace, Timestamp, Vec<Mark>) {
    let (mut pace, mut now, mut marks) = (Pace::new(), moment(0.0), Vec::<Mark>::new());
    for act in acts {
        match act {
            Act::Pass(millis) => now += TimeDelta::milliseconds(millis),
            Act::Grant(input) => marks.push(pace.granted(now, input)),
            Act::Read(index, limits) => {
                if let Some(mark) = marks.get(index) {
                    pace.read(now, mark, &limits);
                }
            }
            Act::Settle(index, outcome) if index < marks.len() => {
                pace.settled(now, marks.swap_remove(index), outcome);
            }
            Act::Settle(..) => {}
            Act::Merge => {
                let mut other = Pace::new();
                marks.push(other.granted(now, 10));
                pace = pace.merge(now, other);
            }
        }
        let _ = pace.headroom(now, 1);
    }
    (pace, now, marks)
}

/// As a number: the seconds to wait, or without end.
fn wait(pace: &Pace, now: Timestamp, input: u64) -> f64 {
    match pace.headroom(now, input) {
        Headroom::Now => 0.0,
        Headroom::At(at, _) => (at - now).as_seconds_f64(),
        Headroom::Full(_) => f64::INFINITY,
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 0..40)
}

proptest! {
    #[test]
    fn more_tokens_never_wait_less(acts in acts(), one in count(), other in count()) {
        let (pace, now, _) = played(acts);
        let (less, more) = (one.min(other), one.max(other));
        prop_assert!(wait(&pace, now, less) <= wait(&pace, now, more));
    }

    #[test]
    fn a_wait_lies_ahead_and_ends_when_it_says_if_nothing_is_under_way(
        acts in acts(), input in count(),
    ) {
        let (mut pace, now, marks) = played(acts);
        if let Headroom::At(at, _) = pace.headroom(now, input) {
            prop_assert!(at > now);
        }
        for mark in marks {
            pace.settled(now, mark, Outcome::Lost);
        }
        match pace.headroom(now, input) {
            Headroom::Now => {}
            Headroom::At(at, _) => {
                let is_capped = at - now >= TimeDelta::hours(1);
                let then = pace.headroom(at, input);
                prop_assert!(is_capped || then == Headroom::Now, "{then:?} at {at}");
            }
            Headroom::Full(throttle) => prop_assert!(false, "for ever full: {throttle:?}"),
        }
    }

    #[test]
    fn headers_never_promise_more_than_they_say(
        acts in acts(), remaining in 0..100_000_u64, more in 1..100_000_u64,
    ) {
        let (mut pace, _, _) = played(acts);
        let now = moment(1e6); // Later than all that happened.
        let mark = pace.granted(now, 0);
        let dimension = Dimension::InputTokens;
        let limit = LimitReading { dimension, limit: 500_000, remaining, reset: None };
        pace.read(now, &mark, &[limit]);
        prop_assert!(wait(&pace, now, remaining + 500 + more) > 0.0);
    }

    #[test]
    fn a_call_that_used_what_was_reserved_changes_nothing_more(
        acts in acts(), used in 0..200_000_u64, input in 0..200_000_u64,
    ) {
        let (mut pace, now, _) = played(acts);
        pace.settled(now, pace.clone().granted(now, 0), Outcome::Lost);
        let mark = pace.granted(now, used);
        let before = wait(&pace, now, input);
        pace.settled(now, mark, Outcome::Used(Used { input: used, output: 0 }));
        let after = wait(&pace, now, input);
        prop_assert!(after <= before, "{after} after {before}");
    }
}
