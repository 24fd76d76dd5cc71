//! A list of waiters for one class of models: first come first served within an agent, and
//! the agents in turn, so that a crowd of one does not starve the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{AgentId, Ticket};
use crate::limits::Timestamp;

/// Waiters by agent. Tickets are issued in order, so the smallest is the oldest.
#[derive(Clone, Debug, Default)]
pub(super) struct WaitList {
    agents: BTreeMap<AgentId, BTreeSet<Ticket>>,
    last: Option<AgentId>,
    /// The number of the lease it last got.
    pub(super) turn: u64,
    /// When its profiles were thought to be back when its waiters last looked for alternatives.
    pub(super) expected: Option<Timestamp>,
}

impl WaitList {
    /// An empty list that has its turn after those that had theirs before.
    #[must_use]
    pub(super) fn after(turn: u64) -> Self {
        Self { turn, ..Self::default() }
    }

    /// Adds a waiter.
    pub(super) fn push(&mut self, agent: &AgentId, ticket: Ticket) {
        self.agents.entry(agent.clone()).or_default().insert(ticket);
    }

    /// Takes the next waiter: the oldest of the agent whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Ticket> {
        let after = self.last.as_ref().and_then(|last| {
            let later = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
            self.agents.range::<AgentId, _>(later).next()
        });
        let agent = after.or_else(|| self.agents.first_key_value())?.0.clone();
        let ticket = self.agents.get_mut(&agent)?.pop_first();
        self.forget_if_empty(&agent);
        self.last = Some(agent);
        ticket
    }

    /// Removes a waiter that gave up.
    pub(super) fn remove(&mut self, agent: &AgentId, ticket: Ticket) {
        if let Some(tickets) = self.agents.get_mut(agent) {
            tickets.remove(&ticket);
            self.forget_if_empty(agent);
        }
    }

    fn forget_if_empty(&mut self, agent: &AgentId) {
        if self.agents.get(agent).is_some_and(BTreeSet::is_empty) {
            self.agents.remove(agent);
        }
    }

    /// Every waiter, oldest first.
    #[must_use]
    pub(super) fn tickets(&self) -> Vec<Ticket> {
        let mut tickets: Vec<_> = self.agents.values().flatten().copied().collect();
        tickets.sort_unstable();
        tickets
    }

    /// How many wait.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.agents.values().map(BTreeSet::len).sum()
    }

    /// Whether nobody waits.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_take_turns_and_each_agents_oldest_goes_first() {
        let mut list = WaitList::default();
        for (agent, ticket) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)] {
            list.push(&agent.into(), Ticket(ticket));
        }
        list.remove(&"c".into(), Ticket(5));
        let order: Vec<u64> = std::iter::from_fn(|| list.pop()).map(|ticket| ticket.0).collect();
        assert_eq!(order, [1, 4, 2, 6, 3]);
        assert!(list.is_empty());
    }
}
