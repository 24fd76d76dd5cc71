//! What a provider that fails does to its class of models, and to no other.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::id::{LeaseId, LimitClass, ProviderId};
use polpo_policy::pool::gate::Cause;
use polpo_policy::pool::{Event, Obstacle, Verdict};
use proptest::prelude::*;

use crate::driver::{QUEUE_LIMIT, World};
use crate::quick;
use crate::reference::Answer;
use crate::transition::{CLASSES, Transition, one, run_in_a_storm};

type Service = (ProviderId, LimitClass);

#[derive(Default)]
struct Faults {
    in_a_row: u32,
    has_failed: bool,
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn a_class_that_fails_is_tried_every_half_minute_and_no_other_is_shut(
        run in run_in_a_storm(200),
    ) {
        let mut world = World::new(QUEUE_LIMIT);
        let mut leases: BTreeMap<LeaseId, Service> = BTreeMap::new();
        let mut faults: BTreeMap<Service, Faults> = BTreeMap::new();
        for transition in run {
            let event = world.event(&transition);
            if let Transition::Restart = transition {
                (leases, faults) = (BTreeMap::new(), BTreeMap::new());
            }
            if let Event::Settled { lease, verdict, .. } = &event
                && let Some(service) = leases.remove(lease)
            {
                let faults = faults.entry(service).or_default();
                match verdict {
                    Verdict::Failed(Failure::Overloaded | Failure::Faulty) => faults.in_a_row += 1,
                    Verdict::Failed(Failure::Network | Failure::Unrefreshed { .. })
                    | Verdict::Abandoned => {}
                    Verdict::Success | Verdict::Failed(_) => faults.in_a_row = 0,
                }
                faults.has_failed |= faults.in_a_row >= 8;
            }
            for (request, answer) in world.play(event) {
                if let Answer::Granted { grant, .. } = answer {
                    let wanted = &request.alternatives[grant.alternative];
                    leases.insert(grant.lease, (wanted.provider.clone(), wanted.class.clone()));
                }
            }
            while !world.play(Event::Woke).is_empty() {}
            for class in CLASSES {
                let request = one(class).request(world.clock);
                let service = (ProviderId::from("a"), LimitClass::from(class));
                for ranked in world.pool.explain(&request).ranking {
                    let outage = Some(Obstacle::Shut(Cause::Outage));
                    if ranked.obstacle != outage {
                        continue;
                    }
                    let has_failed = faults.get(&service).is_some_and(|it| it.has_failed);
                    prop_assert!(has_failed, "{}: {:?}", class, ranked);
                    let soon = world.latest + TimeDelta::seconds(30) + TimeDelta::microseconds(1);
                    let is_tried = leases.values().any(|it| *it == service);
                    prop_assert!(ranked.until.map_or(is_tried, |at| at <= soon), "{:?}", ranked);
                }
            }
        }
    }
}
