//! An index of the seats of a provider for one class of models, kept so that a decision costs
//! the logarithm of the number of profiles.

use std::collections::{BTreeMap, BTreeSet};

use super::seat::Standing;
use crate::id::ProfileId;
use crate::limits::Timestamp;

/// The seats of one provider by how they stand for one class of models.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    positions: BTreeMap<ProfileId, Position>,
    ready: BTreeSet<(Option<Timestamp>, ProfileId)>,
    busy: BTreeSet<ProfileId>,
    trial: BTreeSet<ProfileId>,
    back: BTreeSet<(Timestamp, ProfileId)>,
}

/// Where a seat is in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// By when it was last used.
    Ready(Option<Timestamp>),
    /// All its places are taken.
    Busy,
    /// As many as may are inside to find out whether a limit is over.
    Trial,
    /// By when it is back.
    Back(Timestamp),
    /// Nowhere.
    Gone,
}

impl Lane {
    /// Puts a seat where it belongs now.
    pub(super) fn put(&mut self, profile: &ProfileId, position: Position) {
        let known = self.positions.get_mut(profile);
        if known.as_deref() == Some(&position) {
            return;
        }
        match known {
            Some(known) => {
                let left = std::mem::replace(known, position);
                self.take(profile, left);
            }
            None => drop(self.positions.insert(profile.clone(), position)),
        }
        match position {
            Position::Ready(last_used) => self.ready.insert((last_used, profile.clone())),
            Position::Busy => self.busy.insert(profile.clone()),
            Position::Trial => self.trial.insert(profile.clone()),
            Position::Back(at) => self.back.insert((at, profile.clone())),
            Position::Gone => false,
        };
    }

    /// Removes a seat.
    pub(super) fn remove(&mut self, profile: &ProfileId) {
        if let Some(position) = self.positions.remove(profile) {
            self.take(profile, position);
        }
    }

    fn take(&mut self, profile: &ProfileId, position: Position) {
        match position {
            Position::Ready(last_used) => self.ready.remove(&(last_used, profile.clone())),
            Position::Busy => self.busy.remove(profile),
            Position::Trial => self.trial.remove(profile),
            Position::Back(at) => self.back.remove(&(at, profile.clone())),
            Position::Gone => false,
        };
    }

    /// The ready seats, the one with the oldest `lastUsed` first; ties go by name.
    pub(super) fn ready(&self) -> impl Iterator<Item = &ProfileId> {
        self.ready.iter().map(|(_, profile)| profile)
    }

    /// How the lane stands as a whole: as its best seat does.
    #[must_use]
    pub(super) fn standing(&self) -> Standing {
        if !self.ready.is_empty() {
            Standing::Ready
        } else if !self.busy.is_empty() || !self.trial.is_empty() {
            Standing::Busy
        } else if let Some((at, _)) = self.back.first() {
            Standing::Back(*at)
        } else {
            Standing::Gone
        }
    }

    /// The seat that tells someone who has to wait what for: one that is merely busy if there is
    /// one, else the one that is back first, else one on trial.
    #[must_use]
    pub(super) fn awaited(&self) -> Option<&ProfileId> {
        let back = self.back.first().map(|(_, profile)| profile);
        self.busy.first().or(back).or_else(|| self.trial.last())
    }

    /// Of the seats that `may` be used, those that are ready, the one with the oldest `lastUsed`
    /// first, and the best of each other kind.
    pub(super) fn best(
        &self,
        may: impl Fn(&ProfileId) -> bool + Copy,
    ) -> impl Iterator<Item = &ProfileId> {
        let ready = self.ready().filter(move |it| may(it));
        let busy = self.busy.iter().chain(&self.trial).find(|it| may(it));
        let back = self.back.iter().map(|(_, profile)| profile).find(|it| may(it));
        ready.chain(busy).chain(back)
    }
}
