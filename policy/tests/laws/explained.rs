//! What is explained is what happens.

use polpo_policy::id::Ticket;
use polpo_policy::pool::{Event, Explanation, Outcome, Request};
use proptest::prelude::*;

use crate::driver::{QUEUE_LIMIT, World};
use crate::quick;
use crate::reference::{Answer, Grant};
use crate::transition::{Transition, run};

/// What the scheduler then does with the request; `None` if it waits.
fn fate(world: &mut World, event: Event) -> Option<Answer> {
    let Event::Requested { ticket: asked, .. } = event else { return None };
    let answers = world.play(event).into_iter().map(|(_, answer)| answer);
    answers.into_iter().find(|answer| match answer {
        Answer::Granted { ticket, .. } | Answer::Refused { ticket, .. } => *ticket == asked,
    })
}

fn granted(fate: Answer) -> Option<Grant> {
    match fate {
        Answer::Granted { grant, .. } => Some(grant),
        Answer::Refused { .. } => None,
    }
}

/// The same for one profile and nothing but it.
fn pinned(request: &Request, explanation: &Explanation, which: usize) -> Option<Request> {
    let mut eligible = explanation.ranking.iter().filter(|it| it.obstacle.is_none());
    let count = eligible.clone().count();
    let ranked = eligible.nth(which.checked_rem(count)?)?;
    let mut wanted = request.alternatives[ranked.alternative].clone();
    wanted.pin = Some(ranked.profile.clone());
    Some(Request { alternatives: vec![wanted], ..request.clone() })
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn a_request_gets_what_was_explained_and_the_ranking_says_why(run in run(120)) {
        let mut world = World::new(QUEUE_LIMIT);
        for transition in run {
            let event = world.event(&transition);
            let Event::Requested { request, .. } = &event else {
                world.play(event);
                continue;
            };
            while !world.play(Event::Woke).is_empty() {}
            let explanation = world.pool.explain(request);
            let eligible: Vec<_> =
                explanation.ranking.iter().filter(|it| it.obstacle.is_none()).collect();
            let first = eligible.first().map(|it| (it.profile.clone(), it.alternative));
            let is_plain = request.alternatives.len() == 1
                && request.avoid.is_empty()
                && request.not_before.is_none();
            match explanation.choice() {
                Some(choice) => prop_assert_eq!(Some(choice), first),
                None if is_plain && first.is_some() => {
                    let waits_for_home = explanation.ranking.iter().any(|it| it.is_home);
                    prop_assert!(waits_for_home, "{:?}", explanation);
                }
                None => {}
            }
            let fate = fate(&mut world, event);
            let refused = match fate {
                Some(Answer::Refused { refusal, .. }) => Some(refusal),
                Some(Answer::Granted { .. }) | None => None,
            };
            let is_refused = match explanation.outcome {
                Outcome::Refused(refusal) => Some(refusal),
                Outcome::Granted { .. } | Outcome::Waits { .. } => None,
            };
            prop_assert_eq!(refused, is_refused, "{:?}", explanation);
            let granted = fate.and_then(granted);
            let granted = granted.map(|grant| (grant.profile, grant.alternative));
            prop_assert_eq!(granted, explanation.choice());
        }
    }

    #[test]
    fn whoever_is_said_to_be_eligible_can_serve(run in run(120), which in any::<usize>()) {
        let mut world = World::new(QUEUE_LIMIT);
        for transition in run {
            let event = world.event(&transition);
            let Event::Requested { request, .. } = &event else {
                world.play(event);
                continue;
            };
            while !world.play(Event::Woke).is_empty() {}
            let explanation = world.pool.explain(request);
            let is_early = world.clock < request.not_before.unwrap_or(world.clock);
            if let Some(request) = pinned(request, &explanation, which)
                && !is_early
            {
                world.tickets += 1;
                let wanted = request.alternatives[0].pin.clone();
                let event = Event::Requested { ticket: Ticket(world.tickets), request };
                let granted = fate(&mut world, event).and_then(granted).map(|grant| grant.profile);
                prop_assert_eq!(granted, wanted, "{:?}", transition);
            } else {
                world.play(event);
            }
        }
    }
}

#[test]
fn explaining_changes_nothing() {
    let mut world = World::new(QUEUE_LIMIT);
    world.play(crate::driver::join("a:1", 1));
    let event = world.event(&Transition::Ask(crate::transition::one("opus")));
    let Event::Requested { request, .. } = &event else { unreachable!("it asks") };
    let first = world.pool.explain(request);
    assert_eq!(world.pool.explain(request), first);
    assert_eq!((world.pool.leased(), world.pool.queued()), (0, 0));
}
