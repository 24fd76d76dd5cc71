//! A list of waiters for one class of models: first come first served within an agent, and
//! the agents in turn, so that a crowd of one does not starve the others.

use std::collections::{BTreeMap, BTreeSet};

use super::Throttle;
use crate::id::{AgentId, Ticket};
use crate::limits::Timestamp;

/// Waiters by agent. Tickets are issued in order, so that the smallest is the oldest, but for those of
/// one moment on several threads.
#[derive(Clone, Debug, Default)]
pub(super) struct WaitList {
    agents: BTreeMap<AgentId, BTreeSet<Ticket>>,
    /// How many leases had been issued when each entered.
    entered: BTreeSet<(u64, Ticket)>,
    last: Option<AgentId>,
    /// The number of the lease it last got; of a list that was empty since, of the last one
    /// issued before its oldest waiter entered, so that it has its turn after those that wait.
    pub(super) turn: u64,
    /// When its profiles were thought to be back when its waiters last looked for alternatives.
    pub(super) expected: Option<Timestamp>,
    /// Until when there is no room for its head, and in which limit.
    pub(super) sleep: Option<(Timestamp, Throttle)>,
}

impl WaitList {
    /// Adds a waiter that enters after so many leases.
    pub(super) fn push(&mut self, agent: &AgentId, ticket: Ticket, leases: u64) {
        self.agents.entry(agent.clone()).or_default().insert(ticket);
        self.entered.insert((leases, ticket));
        self.forget_the_gone();
    }

    /// The next waiter: the oldest of the agent whose turn it is. It gets the lease `turn`.
    pub(super) fn next(&mut self, turn: u64) -> Option<Ticket> {
        let (agent, ticket) = self.front()?;
        let agent = agent.clone();
        (self.last, self.turn) = (Some(agent), turn);
        Some(ticket)
    }

    /// The waiter that will be next.
    pub(super) fn head(&self) -> Option<Ticket> {
        self.front().map(|(_, ticket)| ticket)
    }

    fn front(&self) -> Option<(&AgentId, Ticket)> {
        let after = self.last.as_ref().and_then(|last| {
            let later = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
            self.agents.range::<AgentId, _>(later).next()
        });
        let (agent, tickets) = after.or_else(|| self.agents.first_key_value())?;
        Some((agent, *tickets.first()?))
    }

    /// Removes a waiter that was served or gave up.
    pub(super) fn remove(&mut self, agent: &AgentId, ticket: Ticket, leases: u64) {
        self.entered.remove(&(leases, ticket));
        if let Some(tickets) = self.agents.get_mut(agent) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.agents.remove(agent);
            }
        }
        self.forget_the_gone();
    }

    /// Without those who gave up, the list might have been empty since its last turn: then it is
    /// as if it were new, so that they leave no trace.
    fn forget_the_gone(&mut self) {
        if let Some((leases, _)) = self.entered.first()
            && *leases >= self.turn
        {
            (self.turn, self.last) = (*leases, None);
        }
    }

    /// Every waiter, oldest first.
    #[must_use]
    pub(super) fn tickets(&self) -> Vec<Ticket> {
        let mut tickets: Vec<_> = self.entered.iter().map(|(_, ticket)| *ticket).collect();
        tickets.sort_unstable();
        tickets
    }

    /// How many wait.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.entered.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.entered.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_take_turns_and_each_agents_oldest_goes_first() {
        let mut list = WaitList::default();
        for (agent, ticket) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)] {
            list.push(&agent.into(), Ticket(ticket), 0);
        }
        list.remove(&"c".into(), Ticket(5), 0);
        let mut order = Vec::new();
        while let Some(ticket) = list.next(order.len() as u64 + 1) {
            let agent = if [4, 6].contains(&ticket.0) { "b" } else { "a" };
            list.remove(&agent.into(), ticket, 0);
            order.push(ticket.0);
        }
        assert_eq!(order, [1, 4, 2, 6, 3]);
        assert!(list.is_empty());
    }

    #[test]
    fn who_gave_up_does_not_keep_a_place_for_those_who_came_later() {
        let mut list = WaitList::default();
        list.push(&"a".into(), Ticket(1), 5);
        list.push(&"b".into(), Ticket(2), 8);
        assert_eq!(list.turn, 5);
        list.remove(&"a".into(), Ticket(1), 5);
        assert_eq!(list.turn, 8);
    }
}
