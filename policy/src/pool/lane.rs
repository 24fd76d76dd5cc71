//! An index of the seats of a provider for one class of models, kept so that a decision costs
//! the logarithm of the number of profiles.

use std::collections::BTreeSet;

use super::seat::{Seat, Standing};
use crate::id::{LimitClass, ProfileId};
use crate::limits::Timestamp;

/// The seats of one provider by how they stand for one class of models.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    ready: BTreeSet<(Option<Timestamp>, ProfileId)>,
    busy: BTreeSet<ProfileId>,
    back: BTreeSet<(Timestamp, ProfileId)>,
}

impl Lane {
    /// Adds a seat as it stands.
    pub(super) fn insert(&mut self, profile: &ProfileId, seat: &Seat, class: &LimitClass) {
        match seat.standing(class) {
            Standing::Ready => self.ready.insert((seat.last_used, profile.clone())),
            Standing::Busy => self.busy.insert(profile.clone()),
            Standing::Back(at) => self.back.insert((at, profile.clone())),
            Standing::Gone => false,
        };
    }

    /// Removes a seat, which must stand as it did when it was added.
    pub(super) fn remove(&mut self, profile: &ProfileId, seat: &Seat, class: &LimitClass) {
        match seat.standing(class) {
            Standing::Ready => self.ready.remove(&(seat.last_used, profile.clone())),
            Standing::Busy => self.busy.remove(profile),
            Standing::Back(at) => self.back.remove(&(at, profile.clone())),
            Standing::Gone => false,
        };
    }

    /// The ready seat with the oldest `lastUsed`; ties go by name.
    #[must_use]
    pub(super) fn oldest(&self) -> Option<&ProfileId> {
        self.ready.first().map(|(_, profile)| profile)
    }

    /// How the lane stands as a whole: as its best seat does.
    #[must_use]
    pub(super) fn standing(&self) -> Standing {
        if !self.ready.is_empty() {
            Standing::Ready
        } else if !self.busy.is_empty() {
            Standing::Busy
        } else if let Some((at, _)) = self.back.first() {
            Standing::Back(*at)
        } else {
            Standing::Gone
        }
    }

    /// The seats that matter to someone who has to wait: those that are busy, then the one that is
    /// back first.
    pub(super) fn awaited(&self) -> impl Iterator<Item = &ProfileId> {
        self.busy.iter().chain(self.back.first().map(|(_, profile)| profile))
    }
}
