//! Whether the limits have room for a request, so that it is not sent to be refused.

use chrono::TimeDelta;

use super::limit::Scope;
use super::pace::{Headroom, Mark, Outcome, Refusal};
use super::queue::WaitList;
use super::seat::{Seat, Standing};
use super::waiting::ListKey;
use super::{Command, Pool, Request, Thaw, Throttle, Used, Verdict};
use crate::failure::Failure;
use crate::id::{LimitClass, OrganizationId, ProfileId};
use crate::limits::Timestamp;

/// How soon a list looks again that waits for a call to end, should none tell it.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);

/// Who could serve the head of a list.
pub(super) enum Candidate {
    Now(ProfileId),
    /// Somebody from then on, when there is room.
    Later(Timestamp, Throttle),
    Nobody,
}

impl Pool {
    /// What a request is going to count as, in input tokens.
    pub(super) fn need(&self, request: &Request, class: &LimitClass, is_warm: bool) -> u64 {
        let (forecast, size) = (self.forecast.as_ref(), (request.size.bytes, is_warm));
        forecast.map_or(0, |it| it.input(&request.agent, class, size))
    }

    /// Whether the limit of a profile has room for so many input tokens.
    pub(super) fn room(&self, profile: &ProfileId, class: &LimitClass, need: u64) -> Headroom {
        if self.forecast.is_none() {
            return Headroom::Now;
        }
        let scope = self.seats.get(profile).map(|seat| seat.scope(profile));
        let limit = scope.and_then(|scope| self.limits.get(&scope, class));
        limit.map_or(Headroom::Now, |limit| limit.pace.headroom(self.now, need))
    }

    /// Of those that are ready to serve a list, the one unused for longest that has room.
    pub(super) fn pick(&self, key: &ListKey, need: u64) -> Candidate {
        let mut soonest: Option<(Timestamp, Throttle)> = None;
        let mut full: Option<&OrganizationId> = None;
        let lane = self.lane(&key.provider, &key.class).into_iter();
        let pinned = key.pin.iter().filter(|pin| {
            let is_theirs = self.seats.get(pin).is_some_and(|it| it.provider == key.provider);
            is_theirs && self.standing(pin, &key.class) == Standing::Ready
        });
        let anyone = lane.flat_map(|lane| lane.ready()).filter(|_| key.pin.is_none());
        for profile in pinned.chain(anyone) {
            // The keys of one organisation often stand together, and share its room.
            let whose = self.seats.get(profile).and_then(|seat| seat.organization.as_ref());
            if whose.is_some() && whose == full {
                continue;
            }
            full = whose;
            let later = match self.room(profile, &key.class, need) {
                Headroom::Now => return Candidate::Now(profile.clone()),
                Headroom::At(at, throttle) => (at, throttle),
                Headroom::Full(throttle) => (self.now + LOOK_AGAIN, throttle),
            };
            soonest = Some(soonest.map_or(later, |known| known.min(later)));
        }
        soonest.map_or(Candidate::Nobody, |(at, throttle)| Candidate::Later(at, throttle))
    }

    /// A list sleeps until there may be room for its head; `false` if that has no time for it and
    /// is sent away instead.
    pub(super) fn lull(
        &mut self,
        key: &ListKey,
        until: Timestamp,
        throttle: Throttle,
        out: &mut Vec<Command>,
    ) -> bool {
        let head = self.lists.get(key).and_then(WaitList::head);
        if let Some(ticket) = head.filter(|ticket| self.waits_in_vain(*ticket)) {
            self.replace(ticket, out);
            return false;
        }
        // Later than now in any case, so that time makes progress.
        let until = until.max(self.now + TimeDelta::milliseconds(1));
        if let Some(list) = self.lists.get_mut(key) {
            list.sleep = Some((until, throttle));
            self.thaws.set(&Thaw::List(key.clone()), Some(until));
        }
        true
    }

    pub(super) fn awaken(&mut self, key: &ListKey) {
        if let Some(list) = self.lists.get_mut(key) {
            list.sleep = None;
        }
        self.thaws.set(&Thaw::List(key.clone()), None);
    }

    /// Wakes the lists whose head a profile could serve now.
    pub(super) fn stir(&mut self, profile: &ProfileId) {
        if self.forecast.is_none() {
            return;
        }
        let Some(seat) = self.seats.get(profile) else { return };
        let asleep = self.lists.iter().filter(|(key, list)| {
            list.sleep.is_some()
                && key.provider == seat.provider
                && key.pin.as_ref().is_none_or(|pin| pin == profile || self.share_limits(pin, seat))
        });
        let stirred = asleep.filter(|(key, list)| {
            let head = list.head().and_then(|head| self.waiters.get(&head));
            let need = head.map_or(0, |waiter| {
                self.need(&waiter.request, &key.class, waiter.patience.is_some())
            });
            let profile = key.pin.as_ref().unwrap_or(profile);
            self.standing(profile, &key.class) == Standing::Ready
                && self.room(profile, &key.class, need) == Headroom::Now
        });
        let stirred: Vec<_> = stirred.map(|(key, _)| key.clone()).collect();
        stirred.iter().for_each(|key| self.awaken(key));
    }

    fn share_limits(&self, profile: &ProfileId, seat: &Seat) -> bool {
        let other = self.seats.get(profile).and_then(|other| other.organization.as_ref());
        other.is_some() && other == seat.organization.as_ref()
    }

    /// Reserves what a request is going to count as.
    pub(super) fn reserve(
        &mut self,
        scope: &Scope,
        class: &LimitClass,
        (request, is_warm): (&Request, bool),
    ) -> Option<Mark> {
        self.forecast.as_ref()?;
        let need = self.need(request, class, is_warm);
        Some(self.limits.entry(scope, class).pace.granted(self.now, need))
    }

    /// Settles what was reserved.
    pub(super) fn release(
        &mut self,
        (scope, class): (&Scope, &LimitClass),
        mark: Option<Mark>,
        verdict: &Verdict,
        used: Option<Used>,
    ) {
        let (Some(mark), Some(limit)) = (mark, self.limits.get_mut(scope, class)) else { return };
        let outcome = match (verdict, used) {
            (Verdict::Failed(Failure::Limited { until, dimension }), _) => {
                Outcome::Refused(Refusal { dimension: *dimension, until: *until })
            }
            (_, Some(used)) => Outcome::Used(used),
            (Verdict::Success | Verdict::Abandoned | Verdict::Failed(_), None) => Outcome::Lost,
        };
        limit.pace.settled(self.now, mark, outcome);
    }
}
