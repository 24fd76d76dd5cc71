//! What the books say of profiles that come and go, and what is told of them from outside.

use chrono::{SubsecRound, TimeDelta};
use polpo_policy::health::Health;
use polpo_policy::id::{LeaseId, OrganizationId, ProfileId, ProviderId};
use polpo_policy::limits::{Reading, Timestamp};
use polpo_policy::pool::Event;

use crate::books::{Books, Profile};
use crate::record::{Subject, Whose};

/// What is kept has milliseconds.
const TICK: TimeDelta = TimeDelta::milliseconds(1);

impl Books {
    /// Notes what an event tells of a profile, unless it is the end of a call.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Joined { profile, provider, slots, health } => {
                self.join(profile, provider, *slots, health);
            }
            Event::Left { profile } => self.leave(profile),
            Event::Recalled { profile, health } => self.recall(profile, health, false),
            Event::Cleared { profile } => self.clear(profile),
            Event::Held { profile } => self.hold(profile, true),
            Event::Released { profile } => self.hold(profile, false),
            Event::Answered { lease, reading } => self.answer(*lease, reading),
            Event::Requested { .. }
            | Event::Withdrawn { .. }
            | Event::Settled { .. }
            | Event::Woke => {}
        }
    }

    fn join(&mut self, name: &ProfileId, provider: &ProviderId, slots: u32, health: &Health) {
        let is_new = self.profile(name).is_none();
        if is_new {
            self.profiles.push(Profile {
                name: name.clone(),
                provider: provider.clone(),
                slots,
                joined_at: self.now,
                last_used: None,
                organization: None,
                workspace: None,
                is_revoked: false,
                forbidden: Vec::new(),
                held_at: None,
                released_at: None,
                cleared_at: None,
                billing_failures: 0,
                last_billing_failure: None,
            });
        }
        self.profile_mut(name).expect("it has joined").slots = slots;
        self.recall(name, health, is_new);
    }

    fn leave(&mut self, name: &ProfileId) {
        let Some(whose) = self.profile(name).map(Profile::whose) else { return };
        self.profiles.retain(|profile| profile.name != *name);
        let own = [Subject::Money(name.clone()), Subject::Token(name.clone())];
        self.records.retain(|(subject, _)| !own.contains(subject));
        self.forget_unless_shared(&whose);
    }

    /// Limits that no profile is under are forgotten.
    fn forget_unless_shared(&mut self, whose: &Whose) {
        if !self.profiles.iter().any(|profile| profile.whose() == *whose) {
            self.records
                .retain(|(subject, _)| !matches!(subject, Subject::Limit(it, _) if it == whose));
        }
    }

    fn recall(&mut self, name: &ProfileId, health: &Health, is_new: bool) {
        let now = self.now;
        if let Some(organization) = &health.organization {
            self.affiliate(name, organization);
        }
        let Some(profile) = self.profile(name) else { return };
        let (whose, cleared_at) = (profile.whose(), profile.cleared_at);
        let mut health = health.clone();
        if cleared_at > health.cleared_at {
            health.clear(now); // It remembers what has been cleared here since.
        } else if health.cleared_at > cleared_at {
            self.forget(name, health.cleared_at);
            if !is_new {
                self.open_limits(&whose);
            }
        }
        self.take_over(name, &health);
        let windows = [
            (Subject::Token(name.clone()), health.cooldown_until, health.error_count),
            (Subject::Money(name.clone()), health.disabled_until, 0),
        ];
        let limits = health.classes.iter().map(|(class, known)| {
            let subject = Subject::Limit(whose.clone(), class.clone());
            (subject, known.cooldown_until, known.error_count)
        });
        for (subject, until, rung) in windows.into_iter().chain(limits) {
            if let Some(until) = until {
                self.record(&subject).recall(now, until, rung);
            }
        }
    }

    fn take_over(&mut self, name: &ProfileId, health: &Health) {
        let now = self.now;
        let profile = self.profile_mut(name).expect("it has joined");
        profile.last_used = profile.last_used.max(health.last_used.min(Some(now)));
        profile.workspace = profile.workspace.clone().or_else(|| health.workspace.clone());
        profile.held_at = profile.held_at.max(health.held_at);
        profile.released_at = profile.released_at.max(health.released_at);
        profile.is_revoked |= health.revoked_at.is_some();
        let forbidden = health.classes.iter().filter(|(_, known)| known.blocked_at.is_some());
        profile.forbidden.extend(forbidden.map(|(class, _)| class.clone()));
        if health.last_billing_failure > profile.last_billing_failure {
            profile.last_billing_failure = health.last_billing_failure;
            profile.billing_failures = health.billing_error_count as usize;
        }
    }

    fn clear(&mut self, name: &ProfileId) {
        let now = self.now.trunc_subsecs(3);
        let Some(profile) = self.profile(name) else { return };
        let again = profile.cleared_at.map(|at| at + TICK);
        let whose = profile.whose();
        self.forget(name, again.max(Some(now)));
        self.open_limits(&whose);
    }

    /// What stands against a profile itself is no more.
    fn forget(&mut self, name: &ProfileId, at: Option<Timestamp>) {
        let own = [Subject::Money(name.clone()), Subject::Token(name.clone())];
        self.records.retain(|(subject, _)| !own.contains(subject));
        let Some(profile) = self.profile_mut(name) else { return };
        profile.cleared_at = at;
        profile.is_revoked = false;
        profile.forbidden.clear();
        (profile.billing_failures, profile.last_billing_failure) = (0, None);
    }

    fn open_limits(&mut self, whose: &Whose) {
        self.records
            .retain(|(subject, _)| !matches!(subject, Subject::Limit(it, _) if it == whose));
    }

    /// The later word holds, also when no time has passed.
    fn hold(&mut self, name: &ProfileId, is_held: bool) {
        let now = self.now;
        let Some(profile) = self.profile_mut(name) else { return };
        if is_held {
            profile.held_at = profile.released_at.max(Some(now));
        } else {
            profile.released_at = profile.held_at.map(|at| at + TICK).max(Some(now));
        }
    }

    fn answer(&mut self, lease: LeaseId, reading: &Reading) {
        let lease = self.leases.iter().find(|it| it.id == lease).cloned();
        let Some(lease) = lease.filter(|lease| self.is_current(lease)) else { return };
        if let (Some(workspace), Some(profile)) =
            (&reading.workspace, self.profile_mut(&lease.profile))
        {
            profile.workspace = Some(workspace.clone());
        }
        if let Some(organization) = &reading.organization {
            self.affiliate(&lease.profile, organization);
        }
    }

    /// A profile is of an organisation: what is known of its limits is known of all.
    fn affiliate(&mut self, name: &ProfileId, organization: &OrganizationId) {
        let Some(profile) = self.profile_mut(name) else { return };
        let left = profile.whose();
        profile.organization = Some(organization.clone());
        let whose = profile.whose();
        if left == whose {
            return;
        }
        for lease in self.leases.iter_mut().filter(|lease| lease.profile == *name) {
            lease.whose = whose.clone();
        }
        if left == Whose::Profile(name.clone()) {
            for (subject, record) in self.records.clone() {
                if let Subject::Limit(it, class) = subject
                    && it == left
                {
                    self.record(&Subject::Limit(whose.clone(), class)).join(&record);
                }
            }
        }
        self.forget_unless_shared(&left);
    }
}
