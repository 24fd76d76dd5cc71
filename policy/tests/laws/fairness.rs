//! Whose turn it is: nobody is overtaken without end, and who gave up leaves no trace.

use std::collections::BTreeMap;

use polpo_policy::id::{AgentId, Ticket};
use polpo_policy::pool::{Alternative, Event};
use proptest::prelude::*;

use crate::driver::World;
use crate::quick;
use crate::reference::Answer;
use crate::transition::{Ask, Transition, run};

/// More than a run asks for: here nobody is sent away for others' sake.
const NO_LIMIT: usize = 1000;

/// A request in a list, and how often each agent was served from that list while it waited.
struct Patience {
    ticket: Ticket,
    agent: AgentId,
    wanted: Alternative,
    served: BTreeMap<AgentId, u32>,
}

/// The same with all requests changed.
fn asking(how: fn(Ask) -> Ask, transition: Transition) -> Transition {
    match transition {
        Transition::Ask(ask) => Transition::Ask(how(ask)),
        Transition::Restart => Transition::Sleep, // It ends all waiting.
        other @ (Transition::Join { .. }
        | Transition::Leave { .. }
        | Transition::Recall { .. }
        | Transition::Clear { .. }
        | Transition::Hold { .. }
        | Transition::Withdraw { .. }
        | Transition::Answer { .. }
        | Transition::Settle { .. }
        | Transition::Wait { .. }
        | Transition::Sleep) => other,
    }
}

proptest! {
    #![proptest_config(quick())]

    /// So a request that has `n` older ones of its own agent before it in its list is overtaken
    /// by at most `n + 1` later requests of each other agent.
    #[test]
    fn while_a_request_waits_every_other_agent_has_at_most_one_turn_more_than_its_own(
        run in run(150),
    ) {
        let mut world = World::new(NO_LIMIT);
        let mut patient: Vec<Patience> = Vec::new();
        let mut time = world.clock;
        for transition in run.into_iter().map(|it| asking(Ask::plain, it)) {
            let event = world.event(&transition);
            for (request, answer) in world.play(event) {
                let Answer::Granted { ticket, .. } = answer else { continue };
                for waiter in &mut patient {
                    if waiter.wanted == request.alternatives[0] && waiter.ticket != ticket {
                        let is_own = waiter.agent == request.agent;
                        prop_assert!(!is_own || ticket < waiter.ticket, "its own overtook it");
                        *waiter.served.entry(request.agent.clone()).or_default() += 1;
                    }
                }
                patient.retain(|waiter| waiter.ticket != ticket);
                for waiter in &patient {
                    let own = waiter.served.get(&waiter.agent).copied().unwrap_or(0);
                    let most = waiter.served.values().copied().max().unwrap_or(0);
                    prop_assert!(most <= own + 1, "{:?}: {:?}", waiter.ticket, waiter.served);
                }
            }
            time = time.max(world.clock);
            patient.retain(|it| world.waiting.iter().any(|(ticket, _)| *ticket == it.ticket));
            for (ticket, request) in &world.waiting {
                // It waits in the list once its own pause is over.
                let is_listed = request.not_before.is_none_or(|at| at <= time);
                if is_listed && !patient.iter().any(|it| it.ticket == *ticket) {
                    let (agent, wanted) = (request.agent.clone(), request.alternatives[0].clone());
                    let served = BTreeMap::new();
                    patient.push(Patience { ticket: *ticket, agent, wanted, served });
                }
            }
        }
    }

    /// While it waits it counts in whose turn it is: so nobody may have had a turn in its list.
    /// Those with a fallback or a deadline also share when they last looked around, so there are
    /// none.
    #[test]
    fn a_waiter_that_withdraws_leaves_everything_as_if_it_had_never_asked(run in run(120)) {
        let mut world = World::new(NO_LIMIT);
        let (mut played, mut unserved, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let (mut given, mut given_without) = (Vec::new(), Vec::new());
        for transition in run.into_iter().map(|it| asking(Ask::single, it)) {
            let event = world.event(&transition);
            played.push((world.clock, event.clone()));
            if let Event::Withdrawn { ticket } = event
                && unserved.contains(&ticket)
            {
                gone.push(ticket);
            }
            if let Event::Requested { ticket, .. } = event {
                unserved.push(ticket);
            }
            let answers = world.play(event);
            let granted: Vec<_> = answers.iter().filter_map(|(request, answer)| match answer {
                Answer::Granted { grant, .. } => Some(&request.alternatives[grant.alternative]),
                Answer::Refused { .. } => None,
            }).collect();
            let waiting = world.waiting.iter();
            let had_a_turn = waiting.filter(|(_, request)| {
                granted.iter().any(|wanted| request.alternatives.contains(wanted))
            });
            for (ticket, _) in had_a_turn {
                unserved.retain(|it| it != ticket);
            }
            given.extend(answers.into_iter().map(|(_, answer)| answer));
        }
        let mut without = World::new(NO_LIMIT);
        for (clock, event) in played {
            without.clock = clock;
            let is_theirs = matches!(
                &event,
                Event::Requested { ticket, .. } | Event::Withdrawn { ticket }
                    if gone.contains(ticket)
            );
            let answers = without.play(if is_theirs { Event::Woke } else { event });
            given_without.extend(answers.into_iter().map(|(_, answer)| answer));
        }
        prop_assert_eq!(given_without, given);
        let last_used = |world: &World| -> Vec<_> {
            world.pool.seats().map(|(name, seat)| (name.clone(), seat.last_used)).collect()
        };
        prop_assert_eq!(last_used(&without), last_used(&world));
    }
}
