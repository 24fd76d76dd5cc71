//! How the profiles stand, for people to read.

use super::Pool;
use super::gate::Cause;
use super::seat::ProfileState;
use crate::id::{LimitClass, OrganizationId, ProfileId, ProviderId};
use crate::limits::{LimitReading, Timestamp};

/// How a profile stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileReport {
    /// The profile.
    pub profile: ProfileId,
    /// Its provider.
    pub provider: ProviderId,
    /// Its state in one word.
    pub state: ProfileState,
    /// What put it there.
    pub cause: Option<Cause>,
    /// When that ends, as far as it is known.
    pub until: Option<Timestamp>,
    /// Why it last failed.
    pub last_error: Option<String>,
    /// When it was last granted.
    pub last_used: Option<Timestamp>,
    /// How many requests it serves.
    pub in_flight: u32,
    /// How many it may serve at once.
    pub slots: u32,
    /// The organisation behind it, once an answer has named it.
    pub organization: Option<OrganizationId>,
    /// The limits it is under.
    pub limits: Vec<LimitReport>,
}

/// How a profile stands for one class of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitReport {
    /// The class.
    pub class: LimitClass,
    /// When its window ends, if there is one.
    pub until: Option<Timestamp>,
    /// What is left of it, as far as headers have told.
    pub headroom: Vec<LimitReading>,
}

impl Pool {
    /// How every profile stands, in the order of their names.
    #[must_use]
    pub fn report(&self) -> Vec<ProfileReport> {
        self.seats.keys().filter_map(|profile| self.report_of(profile)).collect()
    }

    fn report_of(&self, profile: &ProfileId) -> Option<ProfileReport> {
        let seat = self.seats.get(profile)?;
        let (state, cause, until) = self.state(profile)?;
        let scope = seat.scope(profile);
        let limits = self.limits.of(&scope).map(|(class, limit)| LimitReport {
            class: class.clone(),
            until: limit.gate.shut_by().and_then(|(_, until)| until),
            headroom: limit.pace.left(self.now).collect(),
        });
        Some(ProfileReport {
            profile: profile.clone(),
            provider: seat.provider.clone(),
            state,
            cause,
            until,
            last_error: seat.last_error.clone(),
            last_used: seat.last_used,
            in_flight: seat.in_flight,
            slots: seat.slots,
            organization: seat.organization.clone(),
            limits: limits.collect(),
        })
    }
}
