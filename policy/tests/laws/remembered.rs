//! What outlives a process, and what an operator ends.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::health::Health;
use polpo_policy::id::{LeaseId, LimitClass, OrganizationId, ProfileId};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Event, Verdict};
use proptest::prelude::*;

use crate::driver::{QUEUE_LIMIT, World};
use crate::quick;
use crate::reference::Answer;
use crate::transition::{CLASSES, PROFILES, Transition, run};

/// The windows that run, by profile and class, and who is gone.
fn shut(world: &World) -> Vec<(ProfileId, LimitClass, Standing)> {
    let names = world.pool.seats().map(|(name, _)| name.clone());
    let all = names.flat_map(|name| {
        CLASSES.map(|class| (name.clone(), class.into(), world.pool.standing(&name, &class.into())))
    });
    // Grants take their nanoseconds, in which a window may have ended.
    let soon = world.latest + TimeDelta::microseconds(1);
    all.filter(|(_, _, standing)| match standing {
        Standing::Back(until) => *until > soon,
        Standing::Gone => true,
        Standing::Ready | Standing::Busy => false,
    })
    .collect()
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn a_restart_at_any_moment_keeps_every_deadline(run in run(120)) {
        let mut world = World::new(QUEUE_LIMIT);
        for transition in run {
            let event = world.event(&transition);
            world.play(event);
            while !world.play(Event::Woke).is_empty() {}
            let mut restarted = World::new(QUEUE_LIMIT);
            restarted.clock = world.latest;
            for joined in world.remembered() {
                restarted.play(joined);
            }
            prop_assert_eq!(shut(&restarted), shut(&world), "{:?}", transition);
        }
    }

    #[test]
    fn a_profile_of_which_there_is_more_to_remember_is_stale(run in run(120)) {
        let mut world = World::new(QUEUE_LIMIT);
        let mut kept: BTreeMap<ProfileId, Health> = BTreeMap::new();
        for transition in run {
            let event = world.event(&transition);
            // What was remembered elsewhere is kept already.
            let is_known = matches!(event, Event::Joined { .. } | Event::Recalled { .. })
                || matches!(transition, Transition::Restart);
            world.play(event);
            let stale = world.pool.take_stale();
            for profile in PROFILES.map(ProfileId::from) {
                let Some(health) = world.pool.health(&profile) else { continue };
                let known = kept.remove(&profile).unwrap_or_default();
                let merged = known.clone().merge(health);
                if merged != known && !is_known {
                    prop_assert!(stale.contains(&profile), "{}: {:?}", profile, transition);
                }
                kept.insert(profile, merged);
            }
        }
    }

    #[test]
    fn what_was_cleared_stays_so_whoever_remembers_it_and_after_a_restart(
        run in run(120), which in 0..PROFILES.len(),
    ) {
        let mut world = World::new(QUEUE_LIMIT);
        for transition in run {
            let event = world.event(&transition);
            world.play(event);
        }
        let profile = ProfileId::from(PROFILES[which]);
        world.play(Event::Released { profile: profile.clone() });
        let known = world.pool.health(&profile);
        world.play(Event::Cleared { profile: profile.clone() });
        let is_open = |world: &World| shut(world).iter().all(|(it, ..)| *it != profile);
        prop_assert!(is_open(&world));
        let Some(known) = known else { return Ok(()) };
        world.play(Event::Recalled { profile: profile.clone(), health: Box::new(known.clone()) });
        prop_assert!(is_open(&world), "another process remembers it");
        let mut remembered = world.remembered();
        for event in &mut remembered {
            if let Event::Joined { profile: it, health, .. } = event
                && *it == profile
            {
                **health = known.clone().merge((**health).clone());
            }
        }
        let mut restarted = World::new(QUEUE_LIMIT);
        restarted.clock = world.latest;
        for joined in remembered {
            restarted.play(joined);
        }
        prop_assert!(is_open(&restarted), "after a restart");
    }

    #[test]
    fn no_profile_is_granted_what_another_of_its_organisation_was_limited_in(run in run(150)) {
        let mut world = World::new(QUEUE_LIMIT);
        let mut leases: BTreeMap<LeaseId, (ProfileId, LimitClass)> = BTreeMap::new();
        let mut limits: BTreeMap<(OrganizationId, LimitClass), Timestamp> = BTreeMap::new();
        let organization = |world: &World, profile: &ProfileId| {
            let (_, seat) = world.pool.seats().find(|(it, _)| *it == profile)?;
            seat.organization.clone()
        };
        for transition in run {
            let event = world.event(&transition);
            match &event {
                // What ends a limit early has laws of its own.
                Event::Left { .. } | Event::Recalled { .. } | Event::Cleared { .. } => continue,
                Event::Answered { lease, reading } => {
                    let known = leases.get(lease).and_then(|it| organization(&world, &it.0));
                    if known.is_some() && known != reading.organization {
                        continue;
                    }
                }
                Event::Settled { lease, verdict: Verdict::Failed(Failure::Limited { until: Some(until), .. }), .. } => {
                    if let Some((profile, class)) = leases.get(lease)
                        && let Some(organization) = organization(&world, profile)
                    {
                        let known = limits.entry((organization, class.clone())).or_insert(*until);
                        *known = (*known).max(*until);
                    }
                }
                Event::Joined { .. } | Event::Held { .. } | Event::Released { .. }
                | Event::Requested { .. } | Event::Withdrawn { .. } | Event::Settled { .. }
                | Event::Woke => {}
            }
            if let Transition::Restart = transition {
                leases.clear();
            }
            for (request, answer) in world.play(event) {
                let Answer::Granted { grant, .. } = answer else { continue };
                let class = request.alternatives[grant.alternative].class.clone();
                if let Some(organization) = organization(&world, &grant.profile) {
                    let until = limits.get(&(organization, class.clone()));
                    let soon = world.latest + TimeDelta::microseconds(1);
                    prop_assert!(until.is_none_or(|until| *until <= soon), "{:?}", grant);
                }
                leases.insert(grant.lease, (grant.profile, class));
            }
        }
    }
}
