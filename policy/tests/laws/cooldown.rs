//! How long a profile rests.

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::id::{LeaseId, LimitClass, ProfileId};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Event, Verdict};
use proptest::prelude::*;

use crate::driver::{QUEUE_LIMIT, World, join, settled};
use crate::quick;
use crate::reference::Answer;
use crate::transition::{CLASSES, Transition, after, run};

const LADDER_MINUTES: [i64; 4] = [1, 5, 25, 60];

/// How each profile stands for each class.
fn standings(world: &World) -> Vec<((ProfileId, LimitClass), Standing)> {
    let all = world.pool.seats().flat_map(|(name, _)| {
        CLASSES
            .map(|class| ((name.clone(), class.into()), world.pool.standing(name, &class.into())))
    });
    all.collect()
}

/// Whether a window may end early: by hand, or with the profile or the organisation it was of.
const fn may_move_back(event: &Event) -> bool {
    match event {
        Event::Left { .. }
        | Event::Recalled { .. }
        | Event::Cleared { .. }
        | Event::Released { .. }
        | Event::Answered { .. } => true,
        Event::Joined { .. }
        | Event::Held { .. }
        | Event::Requested { .. }
        | Event::Withdrawn { .. }
        | Event::Settled { .. }
        | Event::Woke => false,
    }
}

/// Windows that end within what the grants of one event take are over.
fn is_running(world: &World, until: Timestamp) -> bool {
    until > world.clock + TimeDelta::microseconds(1)
}

fn limited(until: Option<Timestamp>) -> Verdict {
    Verdict::Failed(Failure::Limited { until, dimension: None })
}

/// One profile with three places, all of one class.
struct Single(World);

impl Single {
    fn new() -> Self {
        let mut world = World::new(QUEUE_LIMIT);
        world.play(join("a:1", 3));
        Self(world)
    }

    fn lease(&mut self, class: &str) -> Option<LeaseId> {
        let ask = crate::transition::one(class);
        let event = self.0.event(&Transition::Ask(ask));
        match self.0.play(event).pop()?.1 {
            Answer::Granted { grant, .. } => Some(grant.lease),
            Answer::Refused { .. } => None,
        }
    }

    fn standing(&self, class: &str) -> Standing {
        self.0.pool.standing(&"a:1".into(), &class.into())
    }
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn no_return_moves_to_an_earlier_time_whatever_happens(run in run(120)) {
        let mut world = World::new(QUEUE_LIMIT);
        let mut latest = world.clock; // The time of the pool, whose clock does not step back.
        for transition in run {
            let before = standings(&world);
            let event = world.event(&transition);
            let moves = may_move_back(&event);
            world.play(event);
            latest = latest.max(world.clock);
            if moves {
                continue;
            }
            let now = standings(&world);
            for (whose, known) in before {
                let (_, standing) = now.iter().find(|(it, _)| *it == whose).expect("none leaves");
                match known {
                    Standing::Gone => prop_assert_eq!(*standing, Standing::Gone),
                    Standing::Back(until) if until > latest + TimeDelta::microseconds(1) => {
                        let is_kept = match standing {
                            Standing::Back(at) => *at >= until,
                            Standing::Gone => true,
                            Standing::Ready | Standing::Busy => false,
                        };
                        prop_assert!(is_kept, "{:?}: {:?} to {:?}", whose, known, standing);
                    }
                    Standing::Back(_) | Standing::Ready | Standing::Busy => {}
                }
            }
        }
    }

    #[test]
    fn a_success_or_a_fault_of_the_provider_changes_no_window(run in run(120)) {
        let mut world = World::new(QUEUE_LIMIT);
        for transition in run {
            let event = world.event(&transition);
            world.play(Event::Woke);
            let is_harmless = match &event {
                Event::Settled { verdict: Verdict::Failed(failure), .. } => failure.is_fault(),
                Event::Settled { verdict: Verdict::Success | Verdict::Abandoned, .. } => true,
                Event::Joined { .. }
                | Event::Left { .. }
                | Event::Recalled { .. }
                | Event::Cleared { .. }
                | Event::Held { .. }
                | Event::Released { .. }
                | Event::Answered { .. }
                | Event::Requested { .. }
                | Event::Withdrawn { .. }
                | Event::Woke => false,
            };
            let shut = |world: &World| -> Vec<_> {
                let all = standings(world).into_iter();
                all.filter(|(_, standing)| match standing {
                    Standing::Back(until) => is_running(world, *until),
                    Standing::Gone => true,
                    Standing::Ready | Standing::Busy => false,
                })
                .collect()
            };
            let before = shut(&world);
            world.play(event);
            if is_harmless {
                prop_assert_eq!(shut(&world), before, "{:?}", transition);
            }
        }
    }

    #[test]
    fn of_several_limits_the_latest_end_counts_and_each_class_has_its_own(
        ends in prop::collection::vec((0..2_usize, 1..5000_i64), 1..4),
    ) {
        let mut single = Single::new();
        let leases: Vec<_> = ends.iter().map(|&(class, _)| single.lease(CLASSES[class])).collect();
        let mut latest = [None, None];
        for (lease, (class, seconds)) in leases.into_iter().zip(ends) {
            let until = after(single.0.clock, seconds);
            single.0.play(settled(lease.expect("it has three places"), limited(Some(until))));
            latest[class] = latest[class].max(Some(until));
            for (class, latest) in CLASSES.iter().zip(latest) {
                let expected = latest.map_or(Standing::Ready, Standing::Back);
                let standing = single.standing(class);
                // With its other places taken it is busy at the most.
                let is_free = latest.is_none() && standing == Standing::Busy;
                prop_assert!(is_free || standing == expected, "{}: {:?}", class, standing);
            }
        }
    }

    #[test]
    fn limits_without_a_date_climb_the_ladder_and_only_a_success_from_after_the_window_resets_it(
        rounds in prop::collection::vec((any::<bool>(), any::<bool>()), 1..8),
    ) {
        let mut single = Single::new();
        let old = [single.lease("opus"), single.lease("opus")].map(|it| it.expect("free"));
        let mut old = old.into_iter();
        let mut rung = 0;
        for (has_late_success, has_success) in rounds {
            if has_success {
                let lease = single.lease("opus").expect("free");
                single.0.play(settled(lease, Verdict::Success));
                rung = 0;
            }
            let lease = single.lease("opus").expect("free");
            let until = |single: &Single| match single.standing("opus") {
                Standing::Back(until) => Some(until),
                Standing::Ready | Standing::Busy | Standing::Gone => None,
            };
            single.0.play(settled(lease, limited(None)));
            let window = until(&single).expect("it is limited") - single.0.clock;
            prop_assert_eq!(window.num_minutes(), LADDER_MINUTES[rung.min(3)]);
            rung += 1;
            let known = until(&single);
            // A call from before the first window: its end, whichever, is old news.
            if let Some(lease) = has_late_success.then(|| old.next()).flatten() {
                let verdict = if has_success { Verdict::Success } else { limited(None) };
                single.0.play(settled(lease, verdict));
                prop_assert_eq!(until(&single), known);
            }
            let event = single.0.event(&Transition::Sleep);
            single.0.play(event);
        }
    }
}
