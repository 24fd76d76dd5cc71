//! What an observer with pencil and paper knows of the profiles: lists, and a look at every line.

use chrono::{DateTime, TimeDelta};
use polpo_policy::failure::Failure;
use polpo_policy::id::{LeaseId, LimitClass, ProfileId, ProviderId};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::Verdict;
use polpo_policy::pool::seat::Standing;

const LADDER_MINUTES: [i64; 4] = [1, 5, 25, 60];
const BILLING_HOURS: [i64; 4] = [5, 10, 20, 24];

/// What stands against a profile, as a whole or for a class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// Nothing before its end; the inner `None` has no end.
    pub(crate) window: Option<Option<Timestamp>>,
    /// After a window: the successes since, and the calls that are on trial.
    pub(crate) trial: Option<(u32, Vec<LeaseId>)>,
    /// How many windows without a date in a row.
    pub(crate) rung: usize,
    last_end: Option<Timestamp>,
}

impl Record {
    fn shut(&mut self, until: Option<Timestamp>) {
        let end = match (self.window, until) {
            (None, until) => until,
            (Some(None), _) | (_, None) => None,
            (Some(Some(known)), Some(until)) => Some(known.max(until)),
        };
        self.window = Some(end);
        self.last_end = end.or(self.last_end);
        self.trial = None;
    }

    /// Whether a call granted then knows more than the last window did.
    fn is_news(&self, granted_at: Timestamp) -> bool {
        self.last_end.is_none_or(|end| granted_at >= end)
    }

    fn has_room(&self) -> bool {
        self.trial.as_ref().is_none_or(|(successes, inside)| inside.len() < 1 << successes)
    }

    fn end_window(&mut self, now: Timestamp) {
        if self.window.flatten().is_some_and(|end| end <= now) {
            (self.window, self.trial) = (None, Some((0, Vec::new())));
        }
    }

    fn settle(&mut self, lease: &Lease, succeeded: bool) {
        if let Some((successes, inside)) = &mut self.trial
            && let Some(at) = inside.iter().position(|id| *id == lease.id)
        {
            inside.remove(at);
            *successes += u32::from(succeeded);
            if *successes == 8 {
                self.trial = None; // 256 at once.
            }
        }
        if succeeded && self.window.is_none() && self.is_news(lease.granted_at) {
            self.rung = 0;
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) name: ProfileId,
    pub(crate) provider: ProviderId,
    pub(crate) slots: u32,
    /// The number of its last grant; none is the oldest.
    pub(crate) last_grant: Option<u64>,
    pub(crate) whole: Record,
    pub(crate) classes: Vec<(LimitClass, Record)>,
    billing_rung: usize,
    last_billing_end: Option<Timestamp>,
}

impl Profile {
    pub(crate) fn class(&mut self, class: &LimitClass) -> &mut Record {
        let at = self.classes.iter().position(|(it, _)| it == class).unwrap_or_else(|| {
            self.classes.push((class.clone(), Record::default()));
            self.classes.len() - 1
        });
        &mut self.classes[at].1
    }

    /// The records that have a say for a class.
    fn records(&self, class: &LimitClass) -> impl Iterator<Item = &Record> {
        let own = self.classes.iter().filter(move |(it, _)| it == class).map(|(_, record)| record);
        own.chain([&self.whole])
    }

    fn fail(&mut self, now: Timestamp, lease: &Lease, failure: Failure) {
        match failure {
            Failure::Limited { until: Some(until), .. } => {
                self.class(&lease.class).shut(Some(until));
            }
            Failure::Limited { until: None, .. } => {
                let record = self.class(&lease.class);
                if record.is_news(lease.granted_at) {
                    let minutes = LADDER_MINUTES[record.rung.min(3)];
                    record.rung += 1;
                    record.shut(Some(now + TimeDelta::minutes(minutes)));
                }
            }
            Failure::Unfunded { until } => self.bill(now, lease, until.filter(|it| *it > now)),
            Failure::Revoked => self.whole.shut(None),
            Failure::Forbidden => self.class(&lease.class).shut(None),
            Failure::Unsuited
            | Failure::Overloaded
            | Failure::Faulty
            | Failure::Network
            | Failure::Rejected => {}
        }
    }

    fn bill(&mut self, now: Timestamp, lease: &Lease, stated: Option<Timestamp>) {
        if stated.is_none() && !self.whole.is_news(lease.granted_at) {
            return;
        }
        let until = stated.unwrap_or_else(|| {
            let a_day_ago = now - TimeDelta::hours(24);
            if self.last_billing_end.is_none_or(|end| end < a_day_ago) {
                self.billing_rung = 0;
            }
            self.billing_rung += 1;
            now + TimeDelta::hours(BILLING_HOURS[self.billing_rung.min(4) - 1])
        });
        self.last_billing_end = self.last_billing_end.max(Some(until));
        self.whole.shut(Some(until));
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) id: LeaseId,
    pub(crate) profile: ProfileId,
    pub(crate) class: LimitClass,
    pub(crate) granted_at: Timestamp,
}

/// The profiles and the leases that are out.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) now: Timestamp,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) grants: u64,
}

impl Books {
    pub(crate) fn new() -> Self {
        Self { now: DateTime::UNIX_EPOCH, profiles: Vec::new(), leases: Vec::new(), grants: 0 }
    }

    pub(crate) fn profile(&mut self, name: &ProfileId) -> &mut Profile {
        let found = self.profiles.iter_mut().find(|profile| profile.name == *name);
        found.expect("it has joined")
    }

    pub(crate) fn join(&mut self, name: &ProfileId, provider: &ProviderId, slots: u32) {
        if let Some(known) = self.profiles.iter_mut().find(|profile| profile.name == *name) {
            known.slots = slots;
            return;
        }
        self.profiles.push(Profile {
            name: name.clone(),
            provider: provider.clone(),
            slots,
            last_grant: None,
            whole: Record::default(),
            classes: Vec::new(),
            billing_rung: 0,
            last_billing_end: None,
        });
    }

    /// Time passes, never backwards; windows end.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        for profile in &mut self.profiles {
            profile.whole.end_window(self.now);
            profile.classes.iter_mut().for_each(|(_, record)| record.end_window(self.now));
        }
    }

    pub(crate) fn held(&self, name: &ProfileId) -> usize {
        self.leases.iter().filter(|lease| lease.profile == *name).count()
    }

    /// Whether a profile can serve a class.
    pub(crate) fn standing(&self, profile: &Profile, class: &LimitClass) -> Standing {
        let windows: Vec<_> = profile.records(class).filter_map(|record| record.window).collect();
        if windows.contains(&None) {
            Standing::Gone
        } else if let Some(end) = windows.into_iter().flatten().max() {
            Standing::Back(end)
        } else if self.held(&profile.name) >= profile.slots as usize
            || !profile.records(class).all(Record::has_room)
        {
            Standing::Busy
        } else {
            Standing::Ready
        }
    }

    /// The profiles of a provider that can serve a class now, the one unused for longest first.
    pub(crate) fn ready(&self, provider: &ProviderId, class: &LimitClass) -> Vec<&Profile> {
        let mut ready: Vec<_> = self
            .profiles
            .iter()
            .filter(|it| it.provider == *provider && self.standing(it, class) == Standing::Ready)
            .collect();
        ready.sort_by_key(|profile| (profile.last_grant, &profile.name));
        ready
    }

    /// A grant; two never have the same time.
    pub(crate) fn grant(&mut self, name: &ProfileId, class: &LimitClass) -> LeaseId {
        self.now += TimeDelta::nanoseconds(1);
        self.grants += 1;
        let (number, id) = (self.grants, LeaseId(self.grants));
        let profile = self.profile(name);
        profile.last_grant = Some(number);
        let own = profile.classes.iter_mut().filter(|(it, _)| it == class);
        for record in own.map(|(_, record)| record).chain([&mut profile.whole]) {
            if let Some((_, inside)) = &mut record.trial {
                inside.push(id);
            }
        }
        let (profile, class, granted_at) = (name.clone(), class.clone(), self.now);
        self.leases.push(Lease { id, profile, class, granted_at });
        id
    }

    pub(crate) fn settle(&mut self, id: LeaseId, verdict: &Verdict) {
        let Some(at) = self.leases.iter().position(|lease| lease.id == id) else { return };
        let (lease, now) = (self.leases.remove(at), self.now);
        let profile = self.profile(&lease.profile);
        if let Verdict::Failed(failure) = verdict {
            profile.fail(now, &lease, *failure);
        }
        let succeeded = *verdict == Verdict::Success;
        profile.whole.settle(&lease, succeeded);
        profile.class(&lease.class).settle(&lease, succeeded);
    }
}
