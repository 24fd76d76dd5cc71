//! What becomes of a request, chosen from the books as the rules say it.

use chrono::TimeDelta;
use polpo_policy::id::ProfileId;
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Alternative, Refusal, Request};

use crate::books::{Books, Profile};

/// How long a turn waits for the profile that has its cache.
const PATIENCE: TimeDelta = TimeDelta::minutes(1);

/// Until when a turn waits for its home: half of its time is left to find another.
pub(crate) fn patience(since: Timestamp, request: &Request) -> Timestamp {
    since + request.deadline.map_or(PATIENCE, |deadline| PATIENCE.min((deadline - since) / 2))
}
const SOON: TimeDelta = TimeDelta::seconds(1);

/// What becomes of a request; the number is the one of the alternative.
pub(crate) enum Choice {
    Grant(usize, ProfileId),
    List(usize),
    Home(usize, ProfileId),
    Pause(Timestamp),
    Refuse(Refusal),
}

/// What one alternative has to offer.
enum Offer {
    Grant(ProfileId),
    Home(ProfileId),
    List,
    Pause(Timestamp),
    Back(Timestamp),
    Nothing,
}

pub(crate) fn fits(wanted: &Alternative, profile: &ProfileId) -> bool {
    wanted.pin.as_ref().is_none_or(|pin| pin == profile)
}

impl Books {
    /// What becomes of a request, which does not wait in vain.
    pub(crate) fn choose(&self, request: &Request, since: Timestamp) -> Choice {
        let choice = self.choose_patiently(request, since);
        let is_answer = matches!(choice, Choice::Grant(..) | Choice::Refuse(_));
        let Some(deadline) = request.deadline.filter(|_| !is_answer) else { return choice };
        let until = self.soonest(request);
        let is_in_vain = deadline <= self.now || until.is_some_and(|at| at > deadline);
        if is_in_vain { Choice::Refuse(Refusal::TimedOut { until }) } else { choice }
    }

    /// Whether a profile that a request does not avoid can serve an alternative by the time until which
    /// that is waited for.
    fn has_others(&self, request: &Request, wanted: &Alternative) -> bool {
        let Some(by) = request.rather.filter(|by| *by > self.now) else { return false };
        let can = |standing| match standing {
            Standing::Ready | Standing::Busy => true,
            Standing::Back(end) => end <= by,
            Standing::Gone => false,
        };
        let mut others = self.profiles.iter().filter(|it| {
            it.provider == wanted.provider
                && fits(wanted, &it.name)
                && !request.avoid.contains_key(&it.name)
        });
        can(self.service(&wanted.provider, &wanted.class))
            && others.any(|it| can(self.standing(it, &wanted.class)))
    }

    /// Forgets whom a request avoided until a time that has come, if it has no others.
    pub(crate) fn forgive(&self, request: &mut Request) {
        if !request.alternatives.iter().any(|wanted| self.has_others(request, wanted)) {
            request.avoid.retain(|_, until| until.is_none_or(|until| until > self.now));
        }
    }

    /// Until when a request avoids a profile for an alternative.
    pub(crate) fn avoided(
        &self,
        request: &Request,
        wanted: &Alternative,
        profile: &ProfileId,
    ) -> Option<Option<Timestamp>> {
        match *request.avoid.get(profile)? {
            None => Some(None),
            Some(until) if self.has_others(request, wanted) => {
                Some(request.rather.max(Some(until)))
            }
            Some(until) => (until > self.now).then_some(Some(until)),
        }
    }

    /// The first alternative with a healthy profile, else the one that is back first.
    fn choose_patiently(&self, request: &Request, since: Timestamp) -> Choice {
        if let Some(at) = request.not_before.filter(|at| *at > self.now) {
            return Choice::Pause(at);
        }
        let mut back: Vec<(Timestamp, usize)> = Vec::new();
        for (number, wanted) in request.alternatives.iter().enumerate() {
            let is_refused = wanted.pin.as_ref().is_some_and(|pin| request.avoid.contains_key(pin));
            match self.offer(request, wanted, since) {
                Offer::Grant(profile) => return Choice::Grant(number, profile),
                Offer::Home(home) => return Choice::Home(number, home),
                Offer::List => return Choice::List(number),
                // Rather the next model than one's own profile again, which fails.
                Offer::Pause(at) if is_refused => back.push((at, number)),
                Offer::Pause(at) => return Choice::Pause(at),
                Offer::Back(at) => back.push((at, number)),
                Offer::Nothing => {}
            }
        }
        match back.into_iter().min() {
            // In a list it could get a profile that it avoids.
            Some((at, _)) if !request.avoid.is_empty() => Choice::Pause(at),
            Some((_, number)) => Choice::List(number),
            None => Choice::Refuse(Refusal::NoCredential),
        }
    }

    /// From when on somebody could serve a request; `None` if that may be any time.
    fn soonest(&self, request: &Request) -> Option<Timestamp> {
        let not_before = request.not_before.filter(|at| *at > self.now);
        let mut times = Vec::new();
        for wanted in &request.alternatives {
            let Alternative { provider, class, .. } = wanted;
            let service = match self.service(provider, class) {
                Standing::Back(end) => Some(end),
                Standing::Ready | Standing::Busy | Standing::Gone => None,
            };
            let own = self.profiles.iter().filter(|it| it.provider == *provider);
            for profile in own.filter(|it| fits(wanted, &it.name)) {
                let avoided = request.avoid.get(&profile.name);
                let back = match self.standing(profile, class) {
                    _ if avoided == Some(&None) => continue,
                    Standing::Gone => continue,
                    Standing::Back(end) => Some(end),
                    Standing::Ready | Standing::Busy => None,
                };
                times.push(back.max(service).max(avoided.copied().flatten()));
            }
        }
        let soonest = times.into_iter().min().flatten();
        soonest.map(|at| at.max(self.now)).max(not_before)
    }

    fn offer(&self, request: &Request, wanted: &Alternative, since: Timestamp) -> Offer {
        if let Some(home) = self.home_of(request, wanted)
            && let Some(offer) = self.offer_of_home(request, wanted, (home, since))
        {
            return offer;
        }
        let offer = self.offer_of_any(request, wanted);
        let is_waiting = matches!(offer, Offer::Grant(_) | Offer::List);
        match (self.service(&wanted.provider, &wanted.class), offer) {
            (_, Offer::Nothing) => Offer::Nothing,
            (Standing::Back(end), Offer::Pause(at) | Offer::Back(at)) => Offer::Back(at.max(end)),
            (Standing::Back(end), _) => Offer::Back(end),
            // One finds out whether the provider serves again; a list waits, others look again.
            (Standing::Busy, _) if is_waiting && request.avoid.is_empty() => Offer::List,
            (Standing::Busy, _) if is_waiting => Offer::Pause(self.now + SOON),
            (_, offer) => offer,
        }
    }

    /// The offer to a conversation whose cache is warm; `None` if it goes as any other.
    fn offer_of_home(
        &self,
        request: &Request,
        wanted: &Alternative,
        (home, since): (&Profile, Timestamp),
    ) -> Option<Offer> {
        if let Some(profile) = self.warm(request, wanted) {
            return Some(Offer::Grant(profile));
        }
        let patience = patience(since, request);
        let mut only = wanted.clone();
        only.pin = Some(home.name.clone());
        let is_soon = match self.best(&only) {
            Standing::Busy => true,
            Standing::Back(at) => at <= patience,
            Standing::Ready | Standing::Gone => false,
        };
        let is_patient = patience > self.now && !request.avoid.contains_key(&home.name);
        (is_soon && is_patient).then(|| Offer::Home(home.name.clone()))
    }

    /// The profile, of those that can serve a turn now, that has its cache.
    pub(crate) fn warm(&self, request: &Request, wanted: &Alternative) -> Option<ProfileId> {
        let home = self.home_of(request, wanted)?;
        let ready = self.ready(&wanted.provider, &wanted.class).into_iter();
        let mut warm = ready.filter(|it| it.shares_cache(home));
        let free = warm.find(|it| !request.avoid.contains_key(&it.name));
        free.map(|profile| profile.name.clone())
    }

    /// The offer of the profiles, whether or not their provider serves.
    fn offer_of_any(&self, request: &Request, wanted: &Alternative) -> Offer {
        let avoided = |it: &Profile| self.avoided(request, wanted, &it.name);
        let fitting = self.profiles.iter().filter(|it| it.provider == wanted.provider);
        let able = fitting.filter(|it| fits(wanted, &it.name) && avoided(it) != Some(None));
        let standings = able.map(|it| (it, self.standing(it, &wanted.class)));
        let ready = standings
            .clone()
            .filter(|(it, standing)| *standing == Standing::Ready && avoided(it).is_none());
        if let Some((profile, _)) = ready.min_by_key(|(it, _)| (it.last_used, &it.name)) {
            return Offer::Grant(profile.name.clone());
        }
        // Healthy ones are waited for; where some are avoided, by looking again.
        let soon = self.now + SOON;
        let healthy = standings
            .clone()
            .filter(|(_, standing)| matches!(standing, Standing::Ready | Standing::Busy));
        let soonest = healthy.map(|(it, _)| avoided(it).flatten().unwrap_or(soon)).min();
        let returns = standings.filter_map(|(it, standing)| match standing {
            Standing::Back(at) => Some(avoided(it).flatten().map_or(at, |until| until.max(at))),
            Standing::Ready | Standing::Busy | Standing::Gone => None,
        });
        match soonest {
            Some(_) if request.avoid.is_empty() => Offer::List,
            Some(at) => Offer::Pause(returns.chain([at]).min().unwrap_or(at)),
            None => returns.min().map_or(Offer::Nothing, Offer::Back),
        }
    }

    /// How those that can serve a list stand, the best of them, while their provider serves.
    pub(crate) fn best(&self, wanted: &Alternative) -> Standing {
        let all = self.profiles.iter();
        let fitting = all.filter(|it| it.provider == wanted.provider && fits(wanted, &it.name));
        let standings = fitting.map(|profile| self.standing(profile, &wanted.class));
        let rank = |standing: &Standing| match standing {
            Standing::Ready => (0, None),
            Standing::Busy => (1, None),
            Standing::Back(at) => (2, Some(*at)),
            Standing::Gone => (3, None),
        };
        let best = standings.min_by_key(rank).unwrap_or(Standing::Gone);
        match (best, self.service(&wanted.provider, &wanted.class)) {
            (Standing::Gone, _) => Standing::Gone,
            (Standing::Back(at), Standing::Back(end)) => Standing::Back(at.max(end)),
            (_, Standing::Back(end)) => Standing::Back(end),
            (Standing::Ready, Standing::Busy) => Standing::Busy,
            (best, _) => best,
        }
    }
}
