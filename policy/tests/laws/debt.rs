//! Tokens a minute: what is used up has to come back first, however much it was.

use chrono::{DateTime, TimeDelta, Utc};
use polpo_policy::quota::{Demand, Limits, Used};
use proptest::prelude::*;

use crate::quick;
use crate::quota::{MINUTE, Step, World, plenty, start, wait};

/// How many nanoseconds lie between two times.
fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> i128 {
    i128::from((to - from).num_nanoseconds().expect("it is short"))
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn in_no_window_are_more_tokens_used_than_it_and_a_minute_have_room_for(
        per_minute in 1..1_000_u64,
        asks in prop::collection::vec((wait(), 0..1_000_u64), 1..100),
    ) {
        let limits = Limits { tokens_per_minute: Some(per_minute), ..plenty() };
        let mut world = World::new(limits);
        let mut used: Vec<(DateTime<Utc>, u64)> = Vec::new();
        for (time, tokens) in asks {
            world.play(Step::Wait(time))?;
            let tokens = tokens.min(per_minute);
            let demand = Demand { tokens, cost: None };
            world.look();
            if let Ok(admission) = world.quota.admit(world.now, &limits, &demand) {
                world.quota.settle(world.now, admission, Used { tokens, ..Used::default() });
                used.push((world.latest, tokens));
            }
        }
        for (first, (from, _)) in used.iter().enumerate() {
            let mut sum = 0;
            for (to, tokens) in &used[first..] {
                sum += i128::from(*tokens);
                let window = between(*from, *to);
                prop_assert!(sum * MINUTE <= i128::from(per_minute) * (window + MINUTE));
            }
        }
    }

    #[test]
    fn whoever_is_let_in_has_used_no_more_than_has_come_back_whatever_answers_turned_out_to_be(
        per_minute in 1..1_000_u64,
        asks in prop::collection::vec((0..600_i64, 0..1_000_u64, 0..100_000_u64), 1..60),
    ) {
        let limits = Limits { tokens_per_minute: Some(per_minute), ..plenty() };
        let mut world = World::new(limits);
        let mut all = 0;
        for (seconds, tokens, used) in asks {
            world.now += TimeDelta::seconds(seconds);
            let demand = Demand { tokens, cost: None };
            let Ok(admission) = world.quota.admit(world.now, &limits, &demand) else { continue };
            let passed = between(start(), world.now);
            prop_assert!(all * MINUTE <= i128::from(per_minute) * (passed + MINUTE));
            world.quota.settle(world.now, admission, Used { tokens: used, ..Used::default() });
            all += i128::from(used);
        }
    }
}
