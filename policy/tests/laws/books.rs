//! What an observer with pencil and paper knows of the profiles: lists, and a look at every line.

use chrono::TimeDelta;
use polpo_policy::failure::Failure;
use polpo_policy::id::{
    LeaseId, LimitClass, OrganizationId, ProfileId, ProviderId, SessionId, WorkspaceId,
};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::seat::Standing;
use polpo_policy::pool::{Alternative, Request, Verdict};

use crate::record::{Record, Subject, Whose};

const LADDER: [TimeDelta; 4] =
    [TimeDelta::minutes(1), TimeDelta::minutes(5), TimeDelta::minutes(25), TimeDelta::minutes(60)];
const BILLING_HOURS: [i64; 4] = [5, 10, 20, 24];
const BREAKER: [TimeDelta; 6] = [
    TimeDelta::seconds(1),
    TimeDelta::seconds(2),
    TimeDelta::seconds(4),
    TimeDelta::seconds(8),
    TimeDelta::seconds(16),
    TimeDelta::seconds(30),
];

#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) name: ProfileId,
    pub(crate) provider: ProviderId,
    pub(crate) slots: u32,
    pub(crate) joined_at: Timestamp,
    /// Never is the oldest.
    pub(crate) last_used: Option<Timestamp>,
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) workspace: Option<WorkspaceId>,
    pub(crate) is_revoked: bool,
    pub(crate) forbidden: Vec<LimitClass>,
    pub(crate) held_at: Option<Timestamp>,
    pub(crate) released_at: Option<Timestamp>,
    pub(crate) cleared_at: Option<Timestamp>,
    pub(crate) billing_failures: usize,
    pub(crate) last_billing_failure: Option<Timestamp>,
}

impl Profile {
    pub(crate) fn whose(&self) -> Whose {
        let own = || Whose::Profile(self.name.clone());
        self.organization.clone().map_or_else(own, Whose::Organization)
    }

    /// What has a say for a class, but for the provider.
    fn subjects(&self, class: &LimitClass) -> [Subject; 3] {
        let (money, token) = (Subject::Money(self.name.clone()), Subject::Token(self.name.clone()));
        [money, token, Subject::Limit(self.whose(), class.clone())]
    }

    /// Whether it has the prompt cache of what the other has served.
    pub(crate) fn shares_cache(&self, other: &Self) -> bool {
        let is_shared = self.workspace.is_some() && self.workspace == other.workspace;
        self.name == other.name || is_shared
    }

    fn is_out_of_use(&self, class: &LimitClass) -> bool {
        let is_held = self.held_at.is_some() && self.held_at >= self.released_at;
        is_held || self.is_revoked || self.forbidden.contains(class)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) id: LeaseId,
    pub(crate) profile: ProfileId,
    pub(crate) provider: ProviderId,
    pub(crate) class: LimitClass,
    pub(crate) whose: Whose,
    pub(crate) granted_at: Timestamp,
}

impl Lease {
    fn is_under(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Money(profile) | Subject::Token(profile) => self.profile == *profile,
            Subject::Limit(whose, class) => self.whose == *whose && self.class == *class,
            Subject::Service(provider, class) => self.provider == *provider && self.class == *class,
        }
    }
}

/// A turn of a conversation that was served, beside no other.
#[derive(Clone, Debug)]
struct Turn {
    session: SessionId,
    class: LimitClass,
    profile: ProfileId,
    at: Timestamp,
    has_failed: bool,
}

/// The profiles and the leases that are out.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) now: Timestamp,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) records: Vec<(Subject, Record)>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) grants: u64,
    turns: Vec<Turn>,
}

impl Books {
    pub(crate) fn new() -> Self {
        Self {
            now: Timestamp::MIN_UTC,
            profiles: Vec::new(),
            records: Vec::new(),
            leases: Vec::new(),
            grants: 0,
            turns: Vec::new(),
        }
    }

    pub(crate) fn profile(&self, name: &ProfileId) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == *name)
    }

    pub(crate) fn profile_mut(&mut self, name: &ProfileId) -> Option<&mut Profile> {
        self.profiles.iter_mut().find(|profile| profile.name == *name)
    }

    pub(crate) fn known(&self, subject: &Subject) -> Record {
        let found = self.records.iter().find(|(it, _)| it == subject);
        found.map_or_else(Record::default, |(_, record)| record.clone())
    }

    pub(crate) fn record(&mut self, subject: &Subject) -> &mut Record {
        let at = self.records.iter().position(|(it, _)| it == subject).unwrap_or_else(|| {
            self.records.push((subject.clone(), Record::default()));
            self.records.len() - 1
        });
        &mut self.records[at].1
    }

    /// Time passes, never backwards; windows end.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        for (subject, record) in &mut self.records {
            record.end_window(self.now, matches!(subject, Subject::Service(..)));
        }
    }

    /// The calls in flight of a profile, since it has joined.
    pub(crate) fn held(&self, name: &ProfileId) -> usize {
        let own = self.leases.iter().filter(|lease| lease.profile == *name);
        own.filter(|lease| self.is_current(lease)).count()
    }

    /// Whether a lease is one of the profile as it is now, not of one that has left.
    pub(crate) fn is_current(&self, lease: &Lease) -> bool {
        self.profile(&lease.profile).is_some_and(|it| lease.granted_at > it.joined_at)
    }

    fn is_full(&self, subject: &Subject) -> bool {
        let record = self.known(subject);
        let since = record.trial.map(|(since, _)| since);
        let inside = self.leases.iter().filter(|lease| lease.is_under(subject));
        let inside = inside.filter(|lease| since.is_some_and(|since| lease.granted_at > since));
        inside.count() >= record.width()
    }

    /// Whether a profile can serve a class, if its provider can.
    pub(crate) fn standing(&self, profile: &Profile, class: &LimitClass) -> Standing {
        let subjects = profile.subjects(class);
        let ends = subjects.iter().filter_map(|it| self.known(it).window);
        if profile.is_out_of_use(class) {
            Standing::Gone
        } else if let Some(end) = ends.map(|(_, end)| end).max() {
            Standing::Back(end)
        } else if self.held(&profile.name) >= profile.slots as usize
            || subjects.iter().any(|subject| self.is_full(subject))
        {
            Standing::Busy
        } else {
            Standing::Ready
        }
    }

    /// Whether a provider can serve a class.
    pub(crate) fn service(&self, provider: &ProviderId, class: &LimitClass) -> Standing {
        let subject = Subject::Service(provider.clone(), class.clone());
        match self.known(&subject).window {
            Some((_, end)) => Standing::Back(end),
            None if self.is_full(&subject) => Standing::Busy,
            None => Standing::Ready,
        }
    }

    /// The profiles of a provider that can serve a class now, the one unused for longest first.
    pub(crate) fn ready(&self, provider: &ProviderId, class: &LimitClass) -> Vec<&Profile> {
        let able = |it: &&Profile| {
            it.provider == *provider
                && self.standing(it, class) == Standing::Ready
                && self.service(provider, class) == Standing::Ready
        };
        let mut ready: Vec<_> = self.profiles.iter().filter(able).collect();
        ready.sort_by_key(|profile| (profile.last_used, &profile.name));
        ready
    }

    /// The last turn of a conversation that has not failed, for five minutes.
    fn last_turn(&self, session: &SessionId, class: &LimitClass) -> Option<&Turn> {
        let own = |it: &&Turn| it.session == *session && it.class == *class && !it.has_failed;
        let last = self.turns.iter().rfind(own)?;
        (last.at + TimeDelta::minutes(5) > self.now).then_some(last)
    }

    /// Whether a turn is under way, so that another is one beside it.
    fn is_under_way(&self, turn: &Turn) -> bool {
        self.leases.iter().any(|lease| lease.granted_at == turn.at)
    }

    /// The profile that served the last turn, if that is over.
    fn home(&self, session: &SessionId, class: &LimitClass) -> Option<&Profile> {
        let last = self.last_turn(session, class).filter(|last| !self.is_under_way(last))?;
        self.profile(&last.profile)
    }

    /// Whether a profile has served a turn of a request's conversation.
    pub(crate) fn has_served(&self, request: &Request, name: &ProfileId) -> bool {
        let own = self.turns.iter().filter(|it| Some(&it.session) == request.session.as_ref());
        own.into_iter().any(|turn| turn.profile == *name)
    }

    /// Where a turn is at home, unless it is pinned.
    pub(crate) fn home_of(&self, request: &Request, wanted: &Alternative) -> Option<&Profile> {
        let session = request.session.as_ref().filter(|_| wanted.pin.is_none())?;
        self.home(session, &wanted.class)
    }

    /// A grant; two never have the same time.
    pub(crate) fn grant(
        &mut self,
        name: &ProfileId,
        class: &LimitClass,
        session: Option<&SessionId>,
    ) -> LeaseId {
        self.now += TimeDelta::nanoseconds(1);
        self.grants += 1;
        let (id, now) = (LeaseId(self.grants), self.now);
        let (name, class) = (name.clone(), class.clone());
        let is_own = |session: &&SessionId| {
            self.last_turn(session, &class).is_none_or(|last| !self.is_under_way(last))
        };
        if let Some(session) = session.filter(is_own).cloned() {
            let (class, profile) = (class.clone(), name.clone());
            self.turns.push(Turn { session, class, profile, at: now, has_failed: false });
        }
        let profile = self.profile_mut(&name).expect("it has joined");
        profile.last_used = Some(now);
        let (provider, whose) = (profile.provider.clone(), profile.whose());
        self.leases.push(Lease { id, profile: name, provider, class, whose, granted_at: now });
        id
    }

    /// Whether it was a lease.
    pub(crate) fn settle(&mut self, id: LeaseId, verdict: &Verdict) -> Option<Lease> {
        let at = self.leases.iter().position(|lease| lease.id == id)?;
        let lease = self.leases.remove(at);
        let succeeded = *verdict == Verdict::Success;
        if let Verdict::Failed(_) = verdict {
            let turn = self.turns.iter_mut().find(|turn| turn.at == lease.granted_at);
            turn.into_iter().for_each(|turn| turn.has_failed = true); // It has warmed nothing.
        }
        let limit = Subject::Limit(lease.whose.clone(), lease.class.clone());
        if self.is_current(&lease) {
            if let Verdict::Failed(failure) = verdict {
                self.fail(&lease, *failure);
            }
            let (money, token) =
                (Subject::Money(lease.profile.clone()), Subject::Token(lease.profile.clone()));
            self.record(&money).settle(lease.granted_at, succeeded);
            self.record(&token).settle(lease.granted_at, succeeded);
        }
        self.record(&limit).settle(lease.granted_at, succeeded);
        self.serve(&lease, verdict);
        Some(lease)
    }

    fn fail(&mut self, lease: &Lease, failure: Failure) {
        let (now, granted_at) = (self.now, lease.granted_at);
        let Lease { profile, class, whose, .. } = lease;
        let limit = Subject::Limit(whose.clone(), class.clone());
        let token = Subject::Token(profile.clone());
        let cleared_at = self.profile(profile).and_then(|it| it.cleared_at);
        let is_old = cleared_at.is_some_and(|cleared| granted_at <= cleared);
        if is_old && !matches!(failure, Failure::Limited { .. }) {
            return;
        }
        match failure {
            Failure::Limited { until: Some(until), .. } => self.record(&limit).shut(now, until),
            Failure::Limited { until: None, .. } => {
                self.record(&limit).climb(now, granted_at, &LADDER);
            }
            Failure::Unrefreshed { until: Some(until) } => self.record(&token).shut(now, until),
            Failure::Unrefreshed { until: None } => {
                self.record(&token).climb(now, granted_at, &LADDER);
            }
            Failure::Unfunded { until } => self.bill(lease, until.filter(|it| *it > now)),
            Failure::Revoked => {
                self.profile_mut(profile).expect("it is current").is_revoked = true;
            }
            Failure::Forbidden => {
                let profile = self.profile_mut(profile).expect("it is current");
                profile.forbidden.push(class.clone());
            }
            Failure::Unsuited
            | Failure::Overloaded
            | Failure::Faulty
            | Failure::Network
            | Failure::Rejected => {}
        }
    }

    fn bill(&mut self, lease: &Lease, stated: Option<Timestamp>) {
        let (now, subject) = (self.now, Subject::Money(lease.profile.clone()));
        let record = self.known(&subject);
        if stated.is_none() && !record.is_news(lease.granted_at) {
            return;
        }
        let profile = self.profile_mut(&lease.profile).expect("it is current");
        let until = stated.unwrap_or_else(|| {
            let day = TimeDelta::hours(24);
            // Nothing can fail within a window as long as the memory.
            let last = profile.last_billing_failure.zip(record.last_end);
            let last = last.map(|(failed, end)| if end - failed >= day { end } else { failed });
            if last.is_none_or(|last| now - last > day) {
                profile.billing_failures = 0;
            }
            profile.billing_failures += 1;
            now + TimeDelta::hours(BILLING_HOURS[profile.billing_failures.min(4) - 1])
        });
        profile.last_billing_failure = Some(now);
        self.record(&subject).shut(now, until);
    }

    /// What the end of a call says of its provider.
    fn serve(&mut self, lease: &Lease, verdict: &Verdict) {
        let (now, granted_at) = (self.now, lease.granted_at);
        let subject = Subject::Service(lease.provider.clone(), lease.class.clone());
        let record = self.record(&subject);
        let is_served = match verdict {
            Verdict::Failed(Failure::Overloaded | Failure::Faulty) => {
                record.faults += 1;
                if record.faults >= 8 {
                    record.climb(now, granted_at, &BREAKER);
                }
                false
            }
            Verdict::Failed(Failure::Network | Failure::Unrefreshed { .. })
            | Verdict::Abandoned => false,
            Verdict::Success | Verdict::Failed(_) => {
                record.faults = 0;
                true
            }
        };
        record.settle(granted_at, is_served);
        if record.faults == 0 && record.window.is_none() && record.trial.is_none() {
            *record = Record::default();
        }
    }
}
