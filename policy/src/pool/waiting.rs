//! Those who wait: in lists, or out of the way until a time.

use super::affinity::patience;
use super::gate::Cause;
use super::room::Candidate;
use super::seat::Standing;
use super::{Alternative, Command, Pool, Refusal, Request, Throttle, Wait, held_by};
use crate::id::{LimitClass, OrganizationId, ProfileId, ProviderId, Ticket};
use crate::limits::Timestamp;
use chrono::TimeDelta;

/// A list of waiters: they can be served by the same profiles, so one blocked blocks all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListKey {
    pub(super) provider: ProviderId,
    pub(super) class: LimitClass,
    pub(super) pin: Option<ProfileId>,
}

#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In a list, for the alternative of this number.
    Listed { key: ListKey, alternative: usize },
    /// Out of the way until a time.
    Parked(Timestamp),
}

pub(super) struct Waiter {
    pub(super) request: Request,
    pub(super) place: Place,
    pub(super) since: Timestamp,
    pub(super) throttle: Throttle,
    /// Until when it waits for the profile where its conversation is at home.
    pub(super) patience: Option<Timestamp>,
    /// How many leases had been issued when it came to its place.
    pub(super) entered: u64,
}

impl Waiter {
    /// The alternative that it waits for.
    pub(super) const fn alternative(&self) -> Option<usize> {
        match self.place {
            Place::Listed { alternative, .. } => Some(alternative),
            Place::Parked(_) => None,
        }
    }
}

/// A return that moves by less is the same return: a burst of failures moves it a little with each,
/// which is no reason for a thousand waiters to look again.
const SAME_RETURN: TimeDelta = TimeDelta::seconds(1);

impl Pool {
    pub(super) fn list(
        &mut self,
        ticket: Ticket,
        request: Request,
        since: Timestamp,
        (alternative, home): (usize, Option<ProfileId>),
    ) -> Option<Refusal> {
        let Alternative { provider, class, pin } = request.alternatives[alternative].clone();
        let patience = home.is_some().then(|| patience(since, request.deadline));
        let key = ListKey { provider, class, pin: pin.or(home) };
        let throttle = self.throttle_of(&request, &key);
        let entered = self.leases_issued;
        let place = Place::Listed { key, alternative };
        self.enter(ticket, Waiter { request, place, since, throttle, patience, entered })
    }

    pub(super) fn park(
        &mut self,
        ticket: Ticket,
        request: Request,
        since: Timestamp,
        until: Timestamp,
    ) -> Option<Refusal> {
        // Later than now in any case, so that looking again always makes progress.
        let until = until.max(self.now + TimeDelta::milliseconds(1));
        let (throttle, entered) = (Throttle::Cooldown, self.leases_issued);
        let place = Place::Parked(until);
        let patience = None;
        self.enter(ticket, Waiter { request, place, since, throttle, patience, entered })
    }

    fn enter(&mut self, ticket: Ticket, waiter: Waiter) -> Option<Refusal> {
        if self.waiters.len() >= self.queue_limit {
            return Some(Refusal::QueueFull);
        }
        match &waiter.place {
            Place::Listed { key, .. } => {
                let prospect = self.prospect(&key.provider, &key.class, key.pin.as_ref());
                let list = self.lists.entry(key.clone()).or_default();
                list.push(&waiter.request.agent, ticket, waiter.entered);
                if matches!(prospect, Standing::Ready | Standing::Busy) {
                    list.expected = None; // It can be served, and has not looked any further.
                }
            }
            Place::Parked(until) => {
                self.parked.insert((*until, ticket));
            }
        }
        if let Some(patience) = waiter.patience {
            self.parked.insert((patience, ticket));
        }
        if let Some(deadline) = waiter.request.deadline {
            self.deadlines.insert((deadline, ticket));
        }
        self.waiters.insert(ticket, waiter);
        None
    }

    /// Takes a waiter out of wherever it waits.
    pub(super) fn forget(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.waiters.remove(&ticket)?;
        match &waiter.place {
            Place::Listed { key, .. } => {
                if let Some(list) = self.lists.get_mut(key) {
                    let was_head = list.head() == Some(ticket);
                    list.remove(&waiter.request.agent, ticket, waiter.entered);
                    let is_empty = list.is_empty();
                    if list.sleep.is_some() && (was_head || is_empty) {
                        self.awaken(key); // The next one may need less.
                    }
                    if is_empty {
                        self.lists.remove(key);
                    }
                }
            }
            Place::Parked(until) => {
                self.parked.remove(&(*until, ticket));
            }
        }
        if let Some(patience) = waiter.patience {
            self.parked.remove(&(patience, ticket));
        }
        if let Some(deadline) = waiter.request.deadline {
            self.deadlines.remove(&(deadline, ticket));
        }
        Some(waiter)
    }

    /// Finds a new place for every request whose pause, or patience, is over.
    pub(super) fn unpark(&mut self, out: &mut Vec<Command>) {
        while let Some(&(at, ticket)) = self.parked.first()
            && at <= self.now
        {
            self.replace(ticket, out);
        }
    }

    /// Sends away those whose deadline has come, unless they can be served elsewhere at once.
    pub(super) fn expire(&mut self, out: &mut Vec<Command>) {
        while let Some(&(at, ticket)) = self.deadlines.first()
            && at <= self.now
        {
            self.replace(ticket, out);
        }
    }

    /// Whether a turn waits for a home that is none any more: its cache is cold, or another turn of
    /// its conversation is under way.
    pub(super) fn has_lost_home(&self, ticket: Ticket) -> bool {
        let Some(waiter) = self.waiters.get(&ticket) else { return false };
        let wanted = waiter.alternative().and_then(|it| waiter.request.alternatives.get(it));
        let home = wanted.and_then(|wanted| self.home(&waiter.request, wanted));
        waiter.patience.is_some() && home.is_none()
    }

    /// After a profile or a class has become worse, and with it whoever shares its limits: lists
    /// that nobody can serve now look for alternatives, and those that nobody ever will, or not in
    /// time, are sent away.
    pub(super) fn reconsider(&mut self, out: &mut Vec<Command>) {
        let keys: Vec<_> = self.lists.keys().cloned().collect();
        for key in keys {
            let back = match self.prospect(&key.provider, &key.class, key.pin.as_ref()) {
                Standing::Ready | Standing::Busy => continue,
                Standing::Back(at) => Some(at),
                Standing::Gone => None,
            };
            let Some(list) = self.lists.get_mut(&key) else { continue };
            let known = list.expected.zip(back);
            if known.is_some_and(|(known, back)| (back - known).abs() < SAME_RETURN) {
                continue;
            }
            list.expected = back;
            let tickets = list.tickets();
            let throttle = self.throttle(&key);
            for ticket in tickets {
                let Some(waiter) = self.waiters.get_mut(&ticket) else { continue };
                waiter.throttle = throttle;
                let patience = [waiter.patience, waiter.request.deadline].into_iter().flatten();
                let is_too_late = patience.min().is_some_and(|until| back > Some(until));
                if back.is_none() || is_too_late || waiter.request.alternatives.len() > 1 {
                    self.replace(ticket, out);
                }
            }
        }
    }

    /// After a profile has become better: those who are out of the way, and those who wait for the
    /// soonest of several models, look again rather than at the end that they knew.
    pub(super) fn call_back(&mut self, out: &mut Vec<Command>) {
        self.serve(out); // Those who have waited in lists go first.
        let is_healthy = |key: &ListKey| {
            let prospect = self.prospect(&key.provider, &key.class, key.pin.as_ref());
            matches!(prospect, Standing::Ready | Standing::Busy)
        };
        let looking = self.waiters.iter().filter(|(_, waiter)| match &waiter.place {
            Place::Parked(_) => true,
            Place::Listed { key, alternative } => {
                *alternative > 0 || (waiter.request.alternatives.len() > 1 && !is_healthy(key))
            }
        });
        let tickets: Vec<_> = looking.map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            self.thaw(); // Each grant takes a nanosecond.
            self.replace(ticket, out);
        }
    }

    pub(super) fn replace(&mut self, ticket: Ticket, out: &mut Vec<Command>) {
        let Some(waiter) = self.forget(ticket) else { return };
        if let Some(refusal) = self.place(ticket, waiter.request, waiter.since, out) {
            out.push(Command::Refuse { ticket, refusal });
        }
    }

    /// What a request waits for that comes to a list.
    fn throttle_of(&self, request: &Request, key: &ListKey) -> Throttle {
        if self.lists.contains_key(key) {
            return self.throttle(key);
        }
        match self.pick(key, self.need(request, &key.class, false)) {
            Candidate::Later(_, throttle) => throttle,
            Candidate::Now(_) | Candidate::Nobody => self.throttle(key),
        }
    }

    /// What a list waits for.
    fn throttle(&self, key: &ListKey) -> Throttle {
        if let Some((_, throttle)) = self.lists.get(key).and_then(|list| list.sleep) {
            return throttle;
        }
        match self.blocker(key) {
            None => Throttle::Concurrency,
            Some((Cause::Limit(Some(dimension)), ..)) => Throttle::Limit(dimension),
            Some((Cause::Outage, ..)) => Throttle::Outage,
            Some(_) => Throttle::Cooldown,
        }
    }

    /// What keeps a list waiting, until when, and whose limit it is; `None` if there is a profile
    /// that is merely busy.
    pub(super) fn blocker(
        &self,
        key: &ListKey,
    ) -> Option<(Cause, Option<Timestamp>, Option<OrganizationId>)> {
        let outage = self.outages.get(&(key.provider.clone(), key.class.clone()));
        if let Some((cause, until)) = outage.and_then(|outage| outage.gate.held_by()) {
            return Some((cause, until, None));
        }
        let awaited = || self.lane(&key.provider, &key.class)?.awaited();
        let profile = key.pin.as_ref().or_else(awaited)?;
        let seat = self.seats.get(profile)?;
        let (cause, until) = held_by(seat, &key.class, self.limit(profile, seat, &key.class))?;
        let is_limit = matches!(cause, Cause::Limit(_));
        Some((cause, until, seat.organization.clone().filter(|_| is_limit)))
    }

    /// Whose limit a list waits for that sleeps until there is room.
    fn limited(&self, key: &ListKey) -> Option<OrganizationId> {
        let first = || self.lane(&key.provider, &key.class)?.ready().next();
        self.seats.get(key.pin.as_ref().or_else(first)?)?.organization.clone()
    }

    /// Who waits for what, most waiters first.
    #[must_use]
    pub fn waits(&self) -> Vec<Wait> {
        let listed = self.lists.iter().map(|(key, list)| {
            let (until, organization) = match list.sleep {
                Some((until, _)) => (Some(until), self.limited(key)),
                None => self.blocker(key).map_or((None, None), |(_, until, whose)| (until, whose)),
            };
            Wait { waiters: list.len(), throttle: self.throttle(key), organization, until }
        });
        let away = |(_, ticket): &&(Timestamp, Ticket)| {
            let waiter = self.waiters.get(ticket);
            waiter.is_some_and(|waiter| waiter.alternative().is_none())
        };
        let parked = self.parked.iter().find(away).map(|(until, _)| Wait {
            waiters: self.parked.iter().filter(away).count(),
            throttle: Throttle::Cooldown,
            organization: None,
            until: Some(*until),
        });
        let mut waits: Vec<_> = listed.chain(parked).collect();
        waits.sort_by_key(|wait| std::cmp::Reverse(wait.waiters));
        waits
    }
}
