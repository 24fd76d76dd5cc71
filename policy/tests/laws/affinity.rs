//! Where the turns of a conversation go.

use chrono::TimeDelta;
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Event, Request};
use proptest::prelude::*;

use crate::choice::patience;
use crate::driver::Watched;
use crate::quick;
use crate::transition::{Transition, run};

/// A turn that has nothing to wait for but its home.
fn is_free(request: &Request) -> bool {
    request.alternatives.len() == 1
        && request.alternatives[0].pin.is_none()
        && request.avoid.is_empty()
        && request.not_before.is_none()
}

/// Whether somebody who served its conversation may serve it again before its patience is over.
fn has_hope(watched: &Watched, request: &Request, asked_at: Timestamp) -> bool {
    let class = &request.alternatives[0].class;
    let patience = patience(asked_at, request);
    let mut served =
        watched.books.profiles.iter().filter(|it| watched.books.has_served(request, &it.name));
    patience > watched.books.now
        && served.any(|profile| match watched.books.standing(profile, class) {
            Standing::Ready | Standing::Busy => true,
            // A return that moves by less than a second is the same.
            Standing::Back(at) => at <= patience + TimeDelta::seconds(1),
            Standing::Gone => false,
        })
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn a_turn_goes_to_a_profile_that_has_its_cache_if_one_can_serve_it(run in run(150)) {
        let mut watched = Watched::new();
        for transition in run {
            for grant in watched.play(&transition) {
                prop_assert!(grant.eligible.contains(&grant.profile), "{:?}", grant);
                let is_warm = grant.warm.contains(&grant.profile) || grant.has_served;
                prop_assert!(is_warm || grant.warm.is_empty(), "{:?}", grant);
            }
        }
    }

    #[test]
    fn a_conversation_waits_for_its_home_for_a_minute_at_the_most_and_never_for_a_dead_one(
        run in run(150),
    ) {
        let mut watched = Watched::new();
        let mut asked = Vec::new();
        for transition in run {
            if let Transition::Ask(_) = transition {
                asked.push((watched.world.tickets + 1, watched.books.now.max(watched.world.clock)));
            }
            if let Transition::Restart = transition {
                asked.clear();
            }
            watched.play(&transition);
            // The nanoseconds of grants may have ended a window.
            while !watched.tell(Event::Woke).is_empty() {}
            for (ticket, request) in watched.world.waiting.iter().filter(|it| is_free(&it.1)) {
                let wanted = &request.alternatives[0];
                let ready = watched.books.ready(&wanted.provider, &wanted.class);
                let asked_at = asked.iter().find(|(it, _)| *it == ticket.0).map(|(_, at)| *at);
                let may_wait = asked_at.is_some_and(|at| has_hope(&watched, request, at));
                prop_assert!(ready.is_empty() || may_wait, "{:?}: {:?}", request, ready);
            }
        }
    }
}
