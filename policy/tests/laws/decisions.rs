//! Who gets what: every decision of the pool, against the books and against the naive model.

use polpo_policy::pool::Event;
use polpo_policy::pool::Verdict;
use polpo_policy::pool::seat::Standing;
use proptest::prelude::*;

use crate::driver::{QUEUE_LIMIT, Watched, World, join, settled};
use crate::quick;
use crate::reference::{Answer, Reference};
use crate::transition::{CLASSES, PROFILES, Transition, run};

/// Enough wakings for every window that a run can leave behind.
const PATIENCE: usize = 1000;

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn the_pool_decides_as_the_naive_model_does(run in run(120)) {
        let (mut world, mut reference) = (World::new(QUEUE_LIMIT), Reference::new(QUEUE_LIMIT));
        for transition in run {
            let remembered = world.remembered();
            let event = world.event(&transition);
            if let Transition::Restart = transition {
                reference = Reference::new(QUEUE_LIMIT);
                for joined in remembered {
                    reference.apply(world.clock, joined);
                }
            }
            let expected = reference.apply(world.clock, event.clone());
            let answers: Vec<_> = world.play(event).into_iter().map(|(_, answer)| answer).collect();
            prop_assert_eq!(answers, expected, "{:?}", transition);
            prop_assert_eq!(world.pool.next_deadline(), reference.next_deadline());
            prop_assert_eq!(world.pool.queued(), reference.queued());
            prop_assert_eq!(world.pool.leased(), reference.books.leases.len());
            for profile in PROFILES.map(Into::into) {
                let known = reference.books.profile(&profile);
                for class in CLASSES.map(Into::into) {
                    let expected =
                        known.map_or(Standing::Gone, |it| reference.books.standing(it, &class));
                    let standing = world.pool.standing(&profile, &class);
                    prop_assert_eq!(standing, expected, "{} {}", profile, class);
                }
            }
        }
    }

    #[test]
    fn every_request_is_answered_once_or_withdrawn_and_none_is_forgotten(run in run(120)) {
        let mut world = World::new(QUEUE_LIMIT); // Panics when it answers what it does not owe.
        for transition in run {
            let event = world.event(&transition);
            world.play(event);
            prop_assert_eq!(world.waiting.len(), world.pool.queued());
            prop_assert_eq!(world.leases.len(), world.pool.leased());
        }
        for profile in PROFILES {
            world.play(join(profile, 1)); // None waits for a profile without any place.
        }
        for _ in 0..PATIENCE {
            if world.pool.next_deadline().is_none() && world.leases.is_empty() {
                break;
            }
            for lease in world.leases.clone() {
                world.play(settled(lease, Verdict::Success));
            }
            let event = world.event(&Transition::Sleep);
            world.play(event);
        }
        prop_assert!(world.waiting.is_empty(), "forgotten: {:?}", world.waiting);
        prop_assert_eq!(world.pool.next_deadline(), None, "woken for nothing");
    }

    #[test]
    fn no_slot_is_oversold(run in run(120)) {
        let mut watched = Watched::new();
        for transition in run {
            for grant in watched.play(&transition) {
                prop_assert!(grant.held < grant.slots, "{:?}", grant);
            }
        }
    }

    #[test]
    fn no_more_calls_are_on_trial_after_a_window_than_have_shown_that_it_is_over(run in run(120)) {
        let mut watched = Watched::new();
        for transition in run {
            for grant in watched.play(&transition) {
                prop_assert!(grant.standing != Standing::Busy, "{:?}", grant);
                prop_assert!(grant.service != Standing::Busy, "{:?}", grant);
            }
        }
    }

    #[test]
    fn no_eligible_profile_that_was_used_longer_ago_is_passed_over(run in run(120)) {
        let mut watched = Watched::new();
        for transition in run {
            for grant in watched.play(&transition) {
                let expected = grant.warm.first().or_else(|| grant.eligible.first());
                // The home may have moved while it waited for the one that it had.
                let is_right = grant.has_served || Some(&grant.profile) == expected;
                prop_assert!(is_right, "{:?}", grant);
            }
        }
    }

    #[test]
    fn a_profile_that_is_shut_or_avoided_or_not_the_pinned_one_is_never_granted(run in run(120)) {
        let mut watched = Watched::new();
        for transition in run {
            for grant in watched.play(&transition) {
                for standing in [grant.standing, grant.service] {
                    let is_shut = matches!(standing, Standing::Back(_) | Standing::Gone);
                    prop_assert!(!is_shut, "{:?}", grant);
                }
                let avoid = grant.request.avoid.get(&grant.profile);
                let is_over = avoid.is_none_or(|it| it.is_some_and(|at| at <= watched.books.now));
                prop_assert!(is_over, "{:?}", grant);
                prop_assert!(grant.wanted.pin.as_ref().is_none_or(|pin| *pin == grant.profile));
                let early = grant.request.not_before.is_some_and(|at| at > watched.books.now);
                prop_assert!(!early, "{:?}", grant);
            }
        }
    }

    #[test]
    fn a_clock_that_steps_back_is_a_clock_that_stands(run in run(120)) {
        let (mut world, mut steady) = (World::new(QUEUE_LIMIT), World::new(QUEUE_LIMIT));
        for transition in run {
            if let Transition::Restart = transition {
                steady.restart();
            }
            let event = world.event(&transition);
            steady.clock = steady.clock.max(world.clock);
            let (stepped, stood) = (world.play(event.clone()), steady.play(event));
            let only_answers = |played: Vec<(_, Answer)>| {
                played.into_iter().map(|(_, answer)| answer).collect::<Vec<_>>()
            };
            prop_assert_eq!(only_answers(stepped), only_answers(stood), "{:?}", transition);
            prop_assert_eq!(world.pool.next_deadline(), steady.pool.next_deadline());
        }
    }
}

#[test]
fn waking_twice_is_waking_once() {
    let mut world = World::new(QUEUE_LIMIT);
    world.play(join("a:1", 1));
    assert!(world.play(Event::Woke).is_empty() && world.play(Event::Woke).is_empty());
}
