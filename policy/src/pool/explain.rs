//! Why a request would get what it would get now, told by the code that decides it.

use super::gate::Cause;
use super::pace::Headroom;
use super::place::Decision;
use super::seat::Standing;
use super::{Alternative, Grounds, ListKey, Pool, Refusal, Request, Throttle, held_by};
use crate::id::ProfileId;
use crate::limits::Timestamp;

/// How a request would be served now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What would become of it.
    pub outcome: Outcome,
    /// Every profile for every alternative, in the order in which they come into question.
    pub ranking: Vec<Ranked>,
}

/// What would become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It would get a profile.
    Granted {
        /// The profile.
        profile: ProfileId,
        /// The number of the alternative that it serves.
        alternative: usize,
    },
    /// It would wait.
    Waits {
        /// The number of the alternative it would wait for; `None` = whichever is first.
        alternative: Option<usize>,
        /// Until when at the latest, as far as that is known.
        until: Option<Timestamp>,
        /// Whether for the profile that has the conversation's prompt cache warm.
        for_home: bool,
    },
    /// It would be refused.
    Refused(Refusal),
}

/// How a profile stands for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// The number of the alternative.
    pub alternative: usize,
    /// The profile.
    pub profile: ProfileId,
    /// Why it is not eligible; `None` if it is.
    pub obstacle: Option<Obstacle>,
    /// From when it is eligible, as far as that is known.
    pub until: Option<Timestamp>,
    /// Whether it has the conversation's prompt cache warm.
    pub is_home: bool,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
}

/// Why a profile is not eligible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// All its places are taken.
    Busy,
    /// It is shut, or on trial.
    Shut(Cause),
    /// The request is not to have it for now.
    Avoided,
    /// Its limit has no room for the request.
    NoRoom(Throttle),
}

impl Explanation {
    /// The profile it would get, and for which alternative.
    #[must_use]
    pub fn choice(&self) -> Option<(ProfileId, usize)> {
        match &self.outcome {
            Outcome::Granted { profile, alternative } => Some((profile.clone(), *alternative)),
            Outcome::Waits { .. } | Outcome::Refused(_) => None,
        }
    }
}

impl Ranked {
    fn may_be_free_any_time(&self) -> bool {
        self.until.is_none()
            && match self.obstacle {
                None | Some(Obstacle::Busy | Obstacle::NoRoom(_)) => true,
                Some(Obstacle::Shut(_) | Obstacle::Avoided) => false,
            }
    }
}

impl Pool {
    /// Explains how a request would be served at the time of the last event.
    pub fn explain(&mut self, request: &Request) -> Explanation {
        let mut request = request.clone();
        self.open_lanes(&request);
        self.forgive(&mut request);
        let request = &request;
        let alternatives = 0..request.alternatives.len();
        let ranking: Vec<_> =
            alternatives.flat_map(|alternative| self.rank(request, alternative)).collect();
        Explanation { outcome: self.outcome(request, &ranking), ranking }
    }

    fn outcome(&self, request: &Request, ranking: &[Ranked]) -> Outcome {
        let decision = self.decide(request, self.now);
        let waits = matches!(decision, Decision::List { .. } | Decision::Park(_));
        if waits && self.waiters.len() >= self.queue_limit {
            return Outcome::Refused(Refusal::QueueFull);
        }
        match decision {
            Decision::Grant(profile, alternative) => Outcome::Granted { profile, alternative },
            Decision::List { alternative, home } => {
                let for_home = home.is_some();
                let awaited = ranking
                    .iter()
                    .filter(|it| it.alternative == alternative && (it.is_home || !for_home));
                let until = awaited.clone().filter_map(|it| it.until).min();
                let until = until.filter(|_| !awaited.clone().any(Ranked::may_be_free_any_time));
                Outcome::Waits { alternative: Some(alternative), until, for_home }
            }
            Decision::Park(until) => {
                Outcome::Waits { alternative: None, until: Some(until), for_home: false }
            }
            Decision::Refuse(refusal) => Outcome::Refused(refusal),
        }
    }

    /// Why a request is granted `profile` for one of its alternatives.
    pub(super) fn grounds(
        &self,
        request: &Request,
        alternative: usize,
        profile: &ProfileId,
    ) -> Grounds {
        let wanted = &request.alternatives[alternative];
        if alternative > 0 {
            return Grounds::Fallback(self.hindrance(&request.alternatives[0]));
        }
        if wanted.pin.is_some() {
            return Grounds::Pinned;
        }
        let is_home = self.home(request, wanted).is_some_and(|home| self.share(home, profile));
        if is_home { Grounds::Home } else { Grounds::Oldest }
    }

    /// What keeps an alternative from being served, and until when.
    fn hindrance(&self, wanted: &Alternative) -> Option<(Cause, Option<Timestamp>)> {
        let Alternative { provider, class, pin } = wanted.clone();
        let key = ListKey { provider, class, pin };
        if let Some((cause, until, _)) = self.blocker(&key) {
            return Some((cause, until));
        }
        // None of its profiles will be back, so the list waits for none.
        let mut own = self.seats.iter().filter(|(profile, seat)| {
            seat.provider == key.provider && key.pin.as_ref().is_none_or(|pin| pin == *profile)
        });
        own.find_map(|(profile, seat)| {
            held_by(seat, &key.class, self.limit(profile, seat, &key.class))
        })
    }

    /// Whether two profiles have one prompt cache.
    pub(super) fn share(&self, one: &ProfileId, other: &ProfileId) -> bool {
        let workspace = |profile| self.seats.get(profile)?.workspace.as_ref();
        one == other || workspace(one).is_some_and(|it| workspace(other) == Some(it))
    }

    fn rank(&self, request: &Request, alternative: usize) -> Vec<Ranked> {
        let wanted = &request.alternatives[alternative];
        let home = self.home(request, wanted);
        let fitting = self.seats.iter().filter(|(profile, seat)| {
            seat.provider == wanted.provider
                && wanted.pin.as_ref().is_none_or(|pin| pin == *profile)
        });
        let mut ranking: Vec<_> = fitting
            .map(|(profile, seat)| {
                let (obstacle, until) = self.obstacle(request, alternative, profile);
                let is_home = home.is_some_and(|home| self.share(home, profile));
                let (profile, last_used) = (profile.clone(), seat.last_used);
                Ranked { alternative, profile, obstacle, until, is_home, last_used }
            })
            .collect();
        ranking.sort_by(|a, b| {
            let key = |it: &Ranked| {
                let is_lost = it.obstacle.is_some() && it.until.is_none();
                (it.obstacle.is_some(), !it.is_home, is_lost, it.until, it.last_used)
            };
            key(a).cmp(&key(b)).then_with(|| a.profile.cmp(&b.profile))
        });
        ranking
    }

    fn obstacle(
        &self,
        request: &Request,
        alternative: usize,
        profile: &ProfileId,
    ) -> (Option<Obstacle>, Option<Timestamp>) {
        let wanted = &request.alternatives[alternative];
        if let Some(until) = self.avoided(request, wanted)(profile) {
            return (Some(Obstacle::Avoided), until);
        }
        let standing = self.prospect(&wanted.provider, &wanted.class, Some(profile));
        let until = match standing {
            Standing::Ready => {
                return match self.headroom(request, wanted, profile) {
                    Headroom::Now => (None, None),
                    Headroom::At(at, throttle) => (Some(Obstacle::NoRoom(throttle)), Some(at)),
                    Headroom::Full(throttle) => (Some(Obstacle::NoRoom(throttle)), None),
                };
            }
            Standing::Back(at) => Some(at),
            Standing::Busy | Standing::Gone => None,
        };
        let outage = self.outages.get(&(wanted.provider.clone(), wanted.class.clone()));
        let seat = self.seats.get(profile);
        let cause = seat
            .and_then(|seat| held_by(seat, &wanted.class, self.limit(profile, seat, &wanted.class)))
            .or_else(|| outage?.gate.held_by())
            .map(|(cause, _)| cause);
        (Some(cause.map_or(Obstacle::Busy, Obstacle::Shut)), until)
    }
}
