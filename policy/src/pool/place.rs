//! Where a request goes: to a profile at once, to a list, to a pause, or away.

use super::gate::Cause;
use super::lane::{Lane, Position};
use super::seat::Standing;
use super::{Alternative, Command, Pool, Refusal, Request, Throttle, Wait};
use crate::id::{LimitClass, ProfileId, ProviderId, Ticket};
use crate::limits::Timestamp;
use chrono::TimeDelta;

/// How soon to look again for a request that may not have the profiles that are merely busy.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);

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
    /// How many leases had been issued when it came to its place.
    pub(super) entered: u64,
}

/// What one alternative has to offer.
enum Outlook {
    Ready(ProfileId),
    Busy,
    Pause(Timestamp),
    Back(Timestamp),
    Gone,
}

impl Pool {
    pub(super) fn request(&mut self, ticket: Ticket, request: Request, out: &mut Vec<Command>) {
        let since = self.now;
        if let Some(refused) = self.place(ticket, request, since, out) {
            out.push(Command::Refuse { ticket, refusal: refused });
        }
    }

    /// Finds a place for a request, which has waited since `since`: the first alternative that
    /// has a healthy profile, granted or waited for; else the one that is back soonest.
    fn place(
        &mut self,
        ticket: Ticket,
        mut request: Request,
        since: Timestamp,
        out: &mut Vec<Command>,
    ) -> Option<Refusal> {
        request.avoid.retain(|_, until| until.is_none_or(|until| until > self.now));
        if let Some(at) = request.not_before.filter(|at| *at > self.now) {
            return self.park(ticket, request, since, at);
        }
        let mut soonest: Option<(Timestamp, usize)> = None;
        for alternative in 0..request.alternatives.len() {
            self.open_lane(&request.alternatives[alternative]);
            match self.outlook(&request, alternative) {
                Outlook::Ready(profile) => {
                    let class = request.alternatives[alternative].class.clone();
                    let waited = (since < self.now).then(|| (Throttle::Cooldown, self.now - since));
                    out.push(self.grant(ticket, profile, (alternative, &class), waited));
                    return None;
                }
                Outlook::Busy => return self.list(ticket, request, since, alternative),
                Outlook::Pause(at) => return self.park(ticket, request, since, at),
                Outlook::Back(at) => {
                    soonest =
                        Some(soonest.map_or((at, alternative), |it| it.min((at, alternative))));
                }
                Outlook::Gone => {}
            }
        }
        match soonest {
            // Waiting in a list could end with an avoided profile, so it looks again instead.
            Some((at, _)) if !request.avoid.is_empty() => self.park(ticket, request, since, at),
            Some((_, alternative)) => self.list(ticket, request, since, alternative),
            None => Some(Refusal::NoCredential),
        }
    }

    fn outlook(&self, request: &Request, alternative: usize) -> Outlook {
        let Alternative { provider, class, pin } = &request.alternatives[alternative];
        if !request.avoid.is_empty() {
            return self.careful_outlook(request, &request.alternatives[alternative]);
        }
        match self.standing(provider, class, pin.as_ref()) {
            Standing::Ready => {
                let oldest = || self.lane(provider, class)?.oldest().cloned();
                pin.clone().or_else(oldest).map_or(Outlook::Busy, Outlook::Ready)
            }
            Standing::Busy => Outlook::Busy,
            Standing::Back(at) => Outlook::Back(at),
            Standing::Gone => Outlook::Gone,
        }
    }

    /// The outlook of a request that avoids some profiles: it looks at those, and at the best of
    /// the others.
    fn careful_outlook(&self, request: &Request, wanted: &Alternative) -> Outlook {
        let Alternative { provider, class, pin } = wanted;
        let profiles: Vec<_> = match pin {
            Some(pin) => vec![pin],
            None => {
                let lane = self.lane(provider, class).into_iter();
                let others = lane.flat_map(|it| it.best(|it| !request.avoid.contains_key(it)));
                others.chain(request.avoid.keys()).collect()
            }
        };
        let seats = profiles.into_iter().filter_map(|it| Some((it, self.seats.get(it)?)));
        let seats = seats.filter(|(_, seat)| seat.provider == *provider);
        let (mut pause, mut back): (Option<Timestamp>, Option<Timestamp>) = (None, None);
        let mut ready: Option<(Option<Timestamp>, &ProfileId)> = None;
        let earlier =
            |known: Option<Timestamp>, at: Timestamp| Some(known.map_or(at, |known| at.min(known)));
        for (profile, seat) in seats {
            match (seat.standing(class), request.avoid.get(profile)) {
                (Standing::Gone, _) | (_, Some(None)) => {}
                (Standing::Ready, None) => {
                    let key = (seat.last_used, profile);
                    ready = Some(ready.map_or(key, |known| key.min(known)));
                }
                (Standing::Busy, None) => pause = earlier(pause, self.now + LOOK_AGAIN),
                (Standing::Ready | Standing::Busy, Some(Some(until))) => {
                    pause = earlier(pause, *until);
                }
                (Standing::Back(at), None) => back = earlier(back, at),
                (Standing::Back(at), Some(Some(until))) => back = earlier(back, at.max(*until)),
            }
        }
        match (ready, pause, back) {
            (Some((_, profile)), _, _) => Outlook::Ready(profile.clone()),
            (None, Some(at), _) => Outlook::Pause(at),
            (None, None, Some(at)) => Outlook::Back(at),
            (None, None, None) => Outlook::Gone,
        }
    }

    /// How the profiles stand that can serve a class: the best of them, or the pinned one.
    fn standing(
        &self,
        provider: &ProviderId,
        class: &LimitClass,
        pin: Option<&ProfileId>,
    ) -> Standing {
        let Some(pin) = pin else {
            return self.lane(provider, class).map_or(Standing::Gone, Lane::standing);
        };
        let seat = self.seats.get(pin).filter(|seat| seat.provider == *provider);
        seat.map_or(Standing::Gone, |seat| seat.standing(class))
    }

    /// Makes the lane of a class when the class is first asked for.
    fn open_lane(&mut self, Alternative { provider, class, .. }: &Alternative) {
        if self.lane(provider, class).is_some() {
            return;
        }
        let mut lane = Lane::default();
        for (profile, seat) in &self.seats {
            if seat.provider == *provider {
                lane.insert(profile, Position::of(seat, class));
            }
        }
        self.lanes.entry(provider.clone()).or_default().insert(class.clone(), lane);
    }

    pub(super) fn lane(&self, provider: &ProviderId, class: &LimitClass) -> Option<&Lane> {
        self.lanes.get(provider)?.get(class)
    }

    fn list(
        &mut self,
        ticket: Ticket,
        request: Request,
        since: Timestamp,
        alternative: usize,
    ) -> Option<Refusal> {
        let Alternative { provider, class, pin } = request.alternatives[alternative].clone();
        let key = ListKey { provider, class, pin };
        let throttle = self.throttle(&key);
        let entered = self.leases_issued;
        let place = Place::Listed { key, alternative };
        self.enter(ticket, Waiter { request, place, since, throttle, entered })
    }

    fn park(
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
        self.enter(ticket, Waiter { request, place, since, throttle, entered })
    }

    fn enter(&mut self, ticket: Ticket, waiter: Waiter) -> Option<Refusal> {
        if self.waiters.len() >= self.queue_limit {
            return Some(Refusal::QueueFull);
        }
        match &waiter.place {
            Place::Listed { key, .. } => {
                let lane = self.lane(&key.provider, &key.class).map(Lane::standing);
                let list = self.lists.entry(key.clone()).or_default();
                list.push(&waiter.request.agent, ticket, waiter.entered);
                if matches!(lane, Some(Standing::Ready | Standing::Busy)) {
                    list.expected = None; // It can be served, and has not looked any further.
                }
            }
            Place::Parked(until) => {
                self.parked.insert((*until, ticket));
            }
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
                    list.remove(&waiter.request.agent, ticket, waiter.entered);
                    if list.is_empty() {
                        self.lists.remove(key);
                    }
                }
            }
            Place::Parked(until) => {
                self.parked.remove(&(*until, ticket));
            }
        }
        if let Some(deadline) = waiter.request.deadline {
            self.deadlines.remove(&(deadline, ticket));
        }
        Some(waiter)
    }

    /// Finds a new place for every request whose pause is over.
    pub(super) fn unpark(&mut self, out: &mut Vec<Command>) {
        while let Some(&(at, ticket)) = self.parked.first()
            && at <= self.now
        {
            self.replace(ticket, out);
        }
    }

    /// Sends away those whose patience is over.
    pub(super) fn expire(&mut self, out: &mut Vec<Command>) {
        while let Some(&(at, ticket)) = self.deadlines.first()
            && at <= self.now
        {
            self.forget(ticket);
            out.push(Command::Refuse { ticket, refusal: Refusal::TimedOut });
        }
    }

    /// After a profile has become worse: lists that nobody can serve now look for alternatives,
    /// and those that nobody ever will are sent away. A burst of failures moves the return of a
    /// profile a little with each, which is no reason for a thousand waiters to look again.
    pub(super) fn reconsider(&mut self, profile: &ProfileId, out: &mut Vec<Command>) {
        let Some(provider) = self.seats.get(profile).map(|seat| seat.provider.clone()) else {
            return;
        };
        let keys: Vec<_> =
            self.lists.keys().filter(|key| key.provider == provider).cloned().collect();
        for key in keys {
            let back = match self.standing(&key.provider, &key.class, key.pin.as_ref()) {
                Standing::Ready | Standing::Busy => continue,
                Standing::Back(at) => Some(at),
                Standing::Gone => None,
            };
            let Some(list) = self.lists.get_mut(&key) else { continue };
            let known = list.expected.zip(back);
            if known.is_some_and(|(known, back)| (back - known).abs() < LOOK_AGAIN) {
                continue;
            }
            list.expected = back;
            let tickets = list.tickets();
            let throttle = self.throttle(&key);
            for ticket in tickets {
                let Some(waiter) = self.waiters.get_mut(&ticket) else { continue };
                waiter.throttle = throttle;
                if back.is_none() || waiter.request.alternatives.len() > 1 {
                    self.replace(ticket, out);
                }
            }
        }
    }

    fn replace(&mut self, ticket: Ticket, out: &mut Vec<Command>) {
        let Some(waiter) = self.forget(ticket) else { return };
        if let Some(refusal) = self.place(ticket, waiter.request, waiter.since, out) {
            out.push(Command::Refuse { ticket, refusal });
        }
    }

    /// What a list waits for.
    fn throttle(&self, key: &ListKey) -> Throttle {
        match self.blocker(key) {
            None => Throttle::Concurrency,
            Some((Cause::Limit { dimension: Some(dimension), .. }, _)) => {
                Throttle::Limit(*dimension)
            }
            Some(_) => Throttle::Cooldown,
        }
    }

    /// What keeps a list waiting; `None` if there is a profile that is merely busy.
    fn blocker(&self, key: &ListKey) -> Option<(&Cause, Option<Timestamp>)> {
        let awaited = || self.lane(&key.provider, &key.class)?.awaited();
        self.seats.get(key.pin.as_ref().or_else(awaited)?)?.held_by(&key.class)
    }

    /// Who waits for what, most waiters first.
    #[must_use]
    pub fn waits(&self) -> Vec<Wait> {
        let listed = self.lists.iter().map(|(key, list)| {
            let waiters = list.len();
            let throttle = self.throttle(key);
            let (organization, until) = match self.blocker(key) {
                Some((Cause::Limit { organization, .. }, until)) => (organization.clone(), until),
                Some((Cause::Billing | Cause::Revoked | Cause::Forbidden, until)) => (None, until),
                None => (None, None),
            };
            Wait { waiters, throttle, organization, until }
        });
        let parked = self.parked.first().map(|(until, _)| Wait {
            waiters: self.parked.len(),
            throttle: Throttle::Cooldown,
            organization: None,
            until: Some(*until),
        });
        let mut waits: Vec<_> = listed.chain(parked).collect();
        waits.sort_by_key(|wait| std::cmp::Reverse(wait.waiters));
        waits
    }
}
