//! Where a request goes: to a profile at once, to a list, to a pause, or away.

use super::affinity::patience;
use super::gate::Passage;
use super::lane::Lane;
use super::pace::Headroom;
use super::room::Candidate;
use super::seat::Standing;
use super::waiting::ListKey;
use super::{Alternative, Command, Pool, Refusal, Request, Seat, Throttle, position, standing};
use crate::id::{LimitClass, ProfileId, ProviderId, Ticket};
use crate::limits::Timestamp;
use chrono::TimeDelta;

/// How soon to look again for a request that may not have the profiles that are merely busy.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);

/// Room in a limit that comes within this time is waited for; with a longer wait ahead a fallback
/// is the better answer.
const SHORT_WAIT: TimeDelta = TimeDelta::seconds(10);

/// What one alternative has to offer.
enum Outlook {
    Ready(ProfileId),
    /// The profile where its conversation is at home is back soon.
    Home(ProfileId),
    Busy,
    Pause(Timestamp),
    Back(Timestamp),
    Gone,
}

/// Where a request goes.
pub(super) enum Decision {
    /// To a profile, for the alternative of this number.
    Grant(ProfileId, usize),
    /// To the list of an alternative, or of the profile where its conversation is at home.
    List { alternative: usize, home: Option<ProfileId> },
    /// Out of the way until then.
    Park(Timestamp),
    /// Away.
    Refuse(Refusal),
}

impl Pool {
    pub(super) fn request(&mut self, ticket: Ticket, request: Request, out: &mut Vec<Command>) {
        let since = self.now;
        if let Some(refused) = self.place(ticket, request, since, out) {
            out.push(Command::Refuse { ticket, refusal: refused });
        }
    }

    /// Finds a place for a request, which has waited since `since`.
    pub(super) fn place(
        &mut self,
        ticket: Ticket,
        mut request: Request,
        since: Timestamp,
        out: &mut Vec<Command>,
    ) -> Option<Refusal> {
        self.open_lanes(&request);
        self.forgive(&mut request);
        match self.decide(&request, since) {
            Decision::Grant(profile, alternative) => {
                let waited = (since < self.now).then(|| (Throttle::Cooldown, self.now - since));
                let grounds = self.grounds(&request, alternative, &profile);
                let (lease, profile) = self.grant(profile, &request, alternative);
                out.push(Command::Grant { ticket, lease, profile, alternative, waited, grounds });
                None
            }
            Decision::List { alternative, home } => {
                self.list(ticket, request, since, (alternative, home))
            }
            Decision::Park(until) => self.park(ticket, request, since, until),
            Decision::Refuse(refusal) => Some(refusal),
        }
    }

    /// Forgets who was to be passed over until a time that has come, unless others, who have not failed
    /// the request, may serve it soon enough.
    pub(super) fn forgive(&self, request: &mut Request) {
        if !request.alternatives.iter().any(|wanted| self.has_others(request, wanted)) {
            request.avoid.retain(|_, until| until.is_none_or(|until| until > self.now));
        }
    }

    /// Where a request goes that has waited since `since`.
    pub(super) fn decide(&self, request: &Request, since: Timestamp) -> Decision {
        match self.choose(request, since) {
            waiting @ (Decision::List { .. } | Decision::Park(_)) => self.in_time(request, waiting),
            decision @ (Decision::Grant(..) | Decision::Refuse(_)) => decision,
        }
    }

    /// The first alternative that has a healthy profile, granted or waited for; else the one that
    /// is back soonest.
    fn choose(&self, request: &Request, since: Timestamp) -> Decision {
        if let Some(at) = request.not_before.filter(|at| *at > self.now) {
            return Decision::Park(at);
        }
        let mut soonest: Option<(Timestamp, usize)> = None;
        for (alternative, wanted) in request.alternatives.iter().enumerate() {
            let is_refused = wanted.pin.as_ref().is_some_and(|pin| request.avoid.contains_key(pin));
            let at = match self.outlook(request, wanted, since) {
                Outlook::Ready(profile) => return Decision::Grant(profile, alternative),
                Outlook::Home(home) => return Decision::List { alternative, home: Some(home) },
                Outlook::Busy => return Decision::List { alternative, home: None },
                // Who insists on a profile rather has the next model than a profile that fails.
                Outlook::Pause(at) if is_refused => at,
                Outlook::Pause(at) => return Decision::Park(at),
                Outlook::Back(at) => at,
                Outlook::Gone => continue,
            };
            soonest = Some(soonest.map_or((at, alternative), |it| it.min((at, alternative))));
        }
        match soonest {
            // Waiting in a list could end with an avoided profile, so it looks again instead.
            Some((at, _)) if !request.avoid.is_empty() => Decision::Park(at),
            Some((_, alternative)) => Decision::List { alternative, home: None },
            None => Decision::Refuse(Refusal::NoCredential),
        }
    }

    fn outlook(&self, request: &Request, wanted: &Alternative, since: Timestamp) -> Outlook {
        let Alternative { provider, class, pin } = wanted;
        if let Some(outlook) = self.home_outlook(request, wanted, since) {
            return outlook;
        }
        if !request.avoid.is_empty() {
            return self.outlook_in_service(wanted, self.careful_outlook(request, wanted));
        }
        match self.prospect(provider, class, pin.as_ref()) {
            Standing::Ready => {
                let key =
                    ListKey { provider: provider.clone(), class: class.clone(), pin: pin.clone() };
                self.roomy_outlook(&key, request)
            }
            Standing::Busy => Outlook::Busy,
            Standing::Back(at) => Outlook::Back(at),
            Standing::Gone => Outlook::Gone,
        }
    }

    /// The outlook where somebody is ready, if there is room for the request: a short wait for that
    /// is no reason to look elsewhere.
    fn roomy_outlook(&self, key: &ListKey, request: &Request) -> Outlook {
        // Those who sleep would be overtaken for as long as smaller ones come.
        let asleep = self.lists.get(key).and_then(|list| list.sleep);
        let until = match asleep {
            Some((until, _)) => until,
            None => match self.pick(key, self.need(request, &key.class, false)) {
                Candidate::Now(profile) => return Outlook::Ready(profile),
                Candidate::Later(until, _) => until,
                Candidate::Nobody => return Outlook::Busy,
            },
        };
        if until - self.now > SHORT_WAIT { Outlook::Back(until) } else { Outlook::Busy }
    }

    /// The outlook of a turn whose prompt cache is warm somewhere: any profile that shares the
    /// cache, the one unused for longest first; or the one that served the last turn, if it is back
    /// soon.
    fn home_outlook(
        &self,
        request: &Request,
        wanted: &Alternative,
        since: Timestamp,
    ) -> Option<Outlook> {
        if let Some(profile) = self.warm(request, wanted) {
            return Some(Outlook::Ready(profile.clone()));
        }
        let home = self.home(request, wanted)?;
        let patience = patience(since, request.deadline);
        match self.prospect(&wanted.provider, &wanted.class, Some(home)) {
            _ if request.avoid.contains_key(home) || patience <= self.now => None,
            Standing::Back(at) if at <= patience => Some(Outlook::Home(home.clone())),
            // If it is ready there is no room for now.
            Standing::Ready | Standing::Busy => Some(Outlook::Home(home.clone())),
            Standing::Back(_) | Standing::Gone => None,
        }
    }

    /// The profile, of those that can serve a turn now, that has its prompt cache warm.
    pub(super) fn warm(&self, request: &Request, wanted: &Alternative) -> Option<&ProfileId> {
        let home = self.home(request, wanted)?;
        if !self.is_in_service(&wanted.provider, &wanted.class) {
            return None;
        }
        let need = self.need(request, &wanted.class, true);
        let workspace = self.seats.get(home)?.workspace.iter();
        let sharing = workspace.flat_map(|workspace| self.homes.sharing(workspace));
        let able = sharing.chain([home]).filter(|it| {
            let seat = self.seats.get(it).filter(|seat| seat.provider == wanted.provider);
            seat.is_some()
                && !request.avoid.contains_key(it)
                && self.standing(it, &wanted.class) == Standing::Ready
                && self.room(it, &wanted.class, need) == Headroom::Now
        });
        able.min_by_key(|it| (self.seats.get(it).and_then(|it| it.last_used), *it))
    }

    /// Where a turn of a conversation is at home, if its user does not insist on a profile.
    pub(super) fn home(&self, request: &Request, wanted: &Alternative) -> Option<&ProfileId> {
        let session = request.session.as_ref().filter(|_| wanted.pin.is_none())?;
        self.homes.of(self.now, session, &wanted.class)
    }

    /// An outlook while the class may be out of service.
    fn outlook_in_service(&self, wanted: &Alternative, outlook: Outlook) -> Outlook {
        match (outlook, self.service(&wanted.provider, &wanted.class)) {
            (outlook, Passage::Free) => outlook,
            (Outlook::Gone, _) | (_, Passage::Gone) => Outlook::Gone,
            (Outlook::Back(at) | Outlook::Pause(at), Passage::Shut(until)) => {
                Outlook::Back(at.max(until))
            }
            (Outlook::Ready(_) | Outlook::Busy | Outlook::Home(_), Passage::Shut(until)) => {
                Outlook::Back(until)
            }
            (Outlook::Ready(_) | Outlook::Busy | Outlook::Home(_), Passage::Full) => {
                Outlook::Pause(self.now + LOOK_AGAIN)
            }
            (outlook @ (Outlook::Back(_) | Outlook::Pause(_)), Passage::Full) => outlook,
        }
    }

    /// The profiles that tell what an alternative has to offer to a request: those that it avoids,
    /// and the best of the others.
    pub(super) fn in_question<'a>(
        &'a self,
        request: &'a Request,
        wanted: &'a Alternative,
    ) -> impl Iterator<Item = (&'a ProfileId, &'a Seat)> {
        let Alternative { provider, class, pin } = wanted;
        let lane = self.lane(provider, class).filter(|_| pin.is_none()).into_iter();
        let others = lane.flat_map(|it| it.best(|it| !request.avoid.contains_key(it)));
        let avoided = request.avoid.keys().filter(|_| pin.is_none());
        let profiles = pin.iter().chain(others).chain(avoided);
        let seats = profiles.filter_map(|it| Some((it, self.seats.get(it)?)));
        seats.filter(|(_, seat)| seat.provider == *provider)
    }

    /// Tells until when a request avoids a profile for an alternative; `None` within = for good.
    pub(super) fn avoided(
        &self,
        request: &Request,
        wanted: &Alternative,
    ) -> impl Fn(&ProfileId) -> Option<Option<Timestamp>> {
        let rather = request.rather.filter(|_| self.has_others(request, wanted));
        move |profile| match request.avoid.get(profile)? {
            None => Some(None),
            Some(until) => {
                let until = rather.map_or(*until, |rather| rather.max(*until));
                (until > self.now).then_some(Some(until))
            }
        }
    }

    /// The outlook of a request that avoids some profiles.
    fn careful_outlook(&self, request: &Request, wanted: &Alternative) -> Outlook {
        let class = &wanted.class;
        let need = self.need(request, class, false);
        let avoided = self.avoided(request, wanted);
        let (mut pause, mut back): (Option<Timestamp>, Option<Timestamp>) = (None, None);
        let earlier =
            |known: Option<Timestamp>, at: Timestamp| Some(known.map_or(at, |known| at.min(known)));
        for (profile, seat) in self.in_question(request, wanted) {
            match (standing(seat, class, self.limit(profile, seat, class)), avoided(profile)) {
                (Standing::Gone, _) | (_, Some(None)) => {}
                (Standing::Ready, None) => match self.room(profile, class, need) {
                    Headroom::Now => return Outlook::Ready(profile.clone()),
                    Headroom::At(at, _) => pause = earlier(pause, at),
                    Headroom::Full(_) => pause = earlier(pause, self.now + LOOK_AGAIN),
                },
                (Standing::Busy, None) => pause = earlier(pause, self.now + LOOK_AGAIN),
                (Standing::Ready | Standing::Busy, Some(Some(until))) => {
                    pause = earlier(pause, until);
                }
                (Standing::Back(at), None) => back = earlier(back, at),
                (Standing::Back(at), Some(Some(until))) => back = earlier(back, at.max(until)),
            }
        }
        match (pause, back) {
            // One that is out may be back before one that is passed over may be asked.
            (Some(at), back) => Outlook::Pause(earlier(back, at).unwrap_or(at)),
            (None, Some(at)) => Outlook::Back(at),
            (None, None) => Outlook::Gone,
        }
    }

    /// How those stand that can serve a class: the best of them, or the pinned one, while the
    /// class is in service.
    pub(super) fn prospect(
        &self,
        provider: &ProviderId,
        class: &LimitClass,
        pin: Option<&ProfileId>,
    ) -> Standing {
        let best = match pin {
            None => self.lane(provider, class).map_or(Standing::Gone, Lane::standing),
            Some(pin) => {
                let seat = self.seats.get(pin).filter(|seat| seat.provider == *provider);
                seat.map_or(Standing::Gone, |seat| {
                    standing(seat, class, self.limit(pin, seat, class))
                })
            }
        };
        self.in_service(provider, class, best)
    }

    /// A standing while the class may be out of service.
    pub(super) fn in_service(
        &self,
        provider: &ProviderId,
        class: &LimitClass,
        best: Standing,
    ) -> Standing {
        match (best, self.service(provider, class)) {
            (best, Passage::Free) => best,
            (Standing::Ready | Standing::Busy, Passage::Full) => Standing::Busy,
            (Standing::Ready | Standing::Busy, Passage::Shut(until)) => Standing::Back(until),
            (Standing::Back(at), Passage::Shut(until)) => Standing::Back(at.max(until)),
            (Standing::Back(at), Passage::Full | Passage::Gone) => Standing::Back(at),
            (Standing::Gone, _) | (_, Passage::Gone) => Standing::Gone,
        }
    }

    /// Makes the lanes of classes that are asked for the first time.
    pub(super) fn open_lanes(&mut self, request: &Request) {
        for Alternative { provider, class, .. } in &request.alternatives {
            // Whoever asks can name any provider, but only those that have had profiles have lanes.
            let lanes = self.lanes.get(provider);
            if lanes.is_some_and(|lanes| !lanes.contains_key(class)) {
                self.open_lane(provider, class);
            }
        }
    }

    fn open_lane(&mut self, provider: &ProviderId, class: &LimitClass) {
        let mut lane = Lane::default();
        for (profile, seat) in self.seats.iter().filter(|(_, seat)| seat.provider == *provider) {
            lane.put(profile, position(seat, class, self.limit(profile, seat, class)));
        }
        self.lanes.entry(provider.clone()).or_default().insert(class.clone(), lane);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Size};
    use super::*;

    #[test]
    fn only_providers_that_have_had_profiles_have_lanes_whomever_requests_name() {
        let mut pool = Pool::new(9, Default::default());
        let (profile, provider) = ("a:1".into(), "a".into());
        let joined = Event::Joined { profile, provider, slots: 1, health: Box::default() };
        let _ = pool.apply(Timestamp::UNIX_EPOCH, joined);
        for (ticket, provider) in (0..).map(Ticket).zip(["a", "b", "c", "a"]) {
            let wanted =
                Alternative { provider: provider.into(), class: LimitClass::other(), pin: None };
            let request = Request {
                agent: "agent".into(),
                alternatives: vec![wanted],
                avoid: Default::default(),
                rather: None,
                not_before: None,
                deadline: None,
                session: None,
                size: Size::default(),
            };
            let _ = pool.apply(Timestamp::UNIX_EPOCH, Event::Requested { ticket, request });
        }
        let lanes: Vec<_> = pool.lanes.iter().map(|(it, all)| (it.as_str(), all.len())).collect();
        assert_eq!(lanes, [("a", 1)]);
    }
}
