//! When a request that has to wait could be served, and whether that is soon enough for it.

use super::pace::Headroom;
use super::place::Decision;
use super::seat::Standing;
use super::waiting::Waiter;
use super::{Alternative, Pool, Refusal, Request};
use crate::id::{ProfileId, Ticket};
use crate::limits::Timestamp;

impl Pool {
    /// The decision for a request that has to wait, unless it would wait in vain.
    pub(super) fn in_time(&self, request: &Request, waiting: Decision) -> Decision {
        let Some(deadline) = request.deadline else { return waiting };
        let until = self.soonest(request);
        if deadline <= self.now || until > Some(deadline) {
            return Decision::Refuse(Refusal::TimedOut { until });
        }
        waiting
    }

    /// Whether nobody can serve a waiter before its deadline.
    pub(super) fn waits_in_vain(&self, ticket: Ticket) -> bool {
        self.waiters.get(&ticket).is_some_and(|Waiter { request, .. }| {
            request.deadline.is_some_and(|deadline| self.soonest(request) > Some(deadline))
        })
    }

    /// The first time at which, as far as is known, a profile could serve one of a request's
    /// alternatives; `None` if that may be any time.
    fn soonest(&self, request: &Request) -> Option<Timestamp> {
        let not_before = request.not_before.filter(|at| *at > self.now);
        let mut soonest: Option<Timestamp> = None;
        for wanted in &request.alternatives {
            match self.chance(request, wanted, |_| true) {
                Standing::Ready | Standing::Busy => return not_before,
                Standing::Back(at) => soonest = Some(soonest.map_or(at, |known| known.min(at))),
                Standing::Gone => {}
            }
        }
        soonest.map(|at| at.max(self.now)).max(not_before)
    }

    /// Whether those that a request does not pass over may serve an alternative as long as it would
    /// rather wait for them.
    pub(super) fn has_others(&self, request: &Request, wanted: &Alternative) -> bool {
        let Some(by) = request.rather.filter(|by| *by > self.now) else { return false };
        let is_other = |profile: &ProfileId| !request.avoid.contains_key(profile);
        match self.chance(request, wanted, is_other) {
            Standing::Ready | Standing::Busy => true,
            Standing::Back(at) => at <= by,
            Standing::Gone => false,
        }
    }

    /// How those stand for a request that can serve an alternative: the best of them, while the
    /// class is in service.
    fn chance(
        &self,
        request: &Request,
        wanted: &Alternative,
        is_meant: impl Fn(&ProfileId) -> bool,
    ) -> Standing {
        let mut best = Standing::Gone;
        for (profile, _) in self.in_question(request, wanted).filter(|(it, _)| is_meant(it)) {
            best = best.min(self.standing_for(request, wanted, profile));
            if best <= Standing::Busy {
                break; // As good as any, as it does not tell a time.
            }
        }
        self.in_service(&wanted.provider, &wanted.class, best)
    }

    /// How a profile stands for a request: as one that comes back where it has no room, or is
    /// passed over, until a time.
    fn standing_for(
        &self,
        request: &Request,
        wanted: &Alternative,
        profile: &ProfileId,
    ) -> Standing {
        let standing = match self.standing(profile, &wanted.class) {
            Standing::Ready => match self.headroom(request, wanted, profile) {
                Headroom::Now => Standing::Ready,
                Headroom::At(at, _) => Standing::Back(at),
                Headroom::Full(_) => Standing::Busy,
            },
            standing @ (Standing::Busy | Standing::Back(_) | Standing::Gone) => standing,
        };
        match (request.avoid.get(profile), standing) {
            (None, standing) => standing,
            (Some(None), _) => Standing::Gone,
            (Some(Some(until)), standing) => standing.max(Standing::Back(*until)),
        }
    }

    /// Whether the limit of a profile has room for a request.
    pub(super) fn headroom(
        &self,
        request: &Request,
        wanted: &Alternative,
        profile: &ProfileId,
    ) -> Headroom {
        let home = self.home(request, wanted);
        let is_warm = home.is_some_and(|home| self.share(home, profile));
        self.room(profile, &wanted.class, self.need(request, &wanted.class, is_warm))
    }
}
