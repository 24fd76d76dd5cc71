//! The limits of classes of models: of an organisation, whose profiles share them, or of a profile
//! whose organisation is not known yet.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::Gate;
use super::pace::Pace;
use super::seat::Seat;
use crate::id::{LimitClass, OrganizationId, ProfileId};
use crate::limits::Timestamp;

/// Whose limits they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Organization(OrganizationId),
    Profile(ProfileId),
}

impl Scope {
    pub(super) fn of(profile: &ProfileId, seat: &Seat) -> Self {
        let organization = seat.organization.clone().map(Self::Organization);
        organization.unwrap_or_else(|| Self::Profile(profile.clone()))
    }
}

/// One limit.
#[derive(Clone, Debug, Default)]
pub(super) struct Limit {
    pub(super) gate: Gate,
    pub(super) pace: Pace,
    /// Whose call met it last: who remembers its window for all.
    pub(super) met_by: Option<ProfileId>,
}

/// All limits that anything is known of.
#[derive(Debug, Default)]
pub(super) struct Limits {
    known: BTreeMap<Scope, BTreeMap<LimitClass, Limit>>,
    members: BTreeMap<OrganizationId, BTreeSet<ProfileId>>,
}

impl Limits {
    pub(super) fn get(&self, scope: &Scope, class: &LimitClass) -> Option<&Limit> {
        self.known.get(scope)?.get(class)
    }

    pub(super) fn get_mut(&mut self, scope: &Scope, class: &LimitClass) -> Option<&mut Limit> {
        self.known.get_mut(scope)?.get_mut(class)
    }

    pub(super) fn entry(&mut self, scope: &Scope, class: &LimitClass) -> &mut Limit {
        self.known.entry(scope.clone()).or_default().entry(class.clone()).or_default()
    }

    /// The limits of a scope, if anything is known of them.
    pub(super) fn all(&self, scope: &Scope) -> Option<&BTreeMap<LimitClass, Limit>> {
        self.known.get(scope)
    }

    /// The limits of a scope, by class.
    pub(super) fn of(&self, scope: &Scope) -> impl Iterator<Item = (&LimitClass, &Limit)> {
        self.known.get(scope).into_iter().flatten()
    }

    pub(super) fn of_mut(
        &mut self,
        scope: &Scope,
    ) -> impl Iterator<Item = (&LimitClass, &mut Limit)> {
        self.known.get_mut(scope).into_iter().flatten()
    }

    /// The profiles under the limits of a scope.
    pub(super) fn members(&self, scope: &Scope) -> Vec<ProfileId> {
        match scope {
            Scope::Profile(profile) => vec![profile.clone()],
            Scope::Organization(organization) => {
                self.members.get(organization).into_iter().flatten().cloned().collect()
            }
        }
    }

    /// A profile turns out to be of an organisation: what is known of its limits is known of the
    /// organisation's.
    pub(super) fn affiliate(
        &mut self,
        now: Timestamp,
        profile: &ProfileId,
        organization: &OrganizationId,
    ) {
        self.members.entry(organization.clone()).or_default().insert(profile.clone());
        let own = self.known.remove(&Scope::Profile(profile.clone())).unwrap_or_default();
        let shared = self.known.entry(Scope::Organization(organization.clone())).or_default();
        for (class, limit) in own {
            let known = shared.remove(&class).unwrap_or_default();
            shared.insert(class, known.join(now, limit));
        }
    }

    /// A profile is gone, or of another organisation now; what was known of its limits stays known
    /// of the organisation's while it has other profiles.
    pub(super) fn leave(&mut self, profile: &ProfileId, scope: &Scope) {
        if let Scope::Organization(organization) = scope {
            let Some(members) = self.members.get_mut(organization) else { return };
            members.remove(profile);
            if !members.is_empty() {
                for (_, limit) in self.of_mut(scope) {
                    // Nobody else would remember it.
                    limit.met_by = limit.met_by.take().filter(|met_by| met_by != profile);
                }
                return;
            }
            self.members.remove(organization);
        }
        self.known.remove(scope);
    }
}

impl Limit {
    fn join(self, now: Timestamp, other: Self) -> Self {
        Self {
            gate: self.gate.join(other.gate),
            pace: self.pace.merge(now, other.pace),
            met_by: self.met_by.or(other.met_by),
        }
    }
}
