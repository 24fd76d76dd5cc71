//! Who waits in the naive model, and for what.

use polpo_policy::id::{ProfileId, Ticket};
use polpo_policy::limits::Timestamp;
use polpo_policy::pool::{Alternative, Request};

use crate::choice::patience;

#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// For the alternative of this number, and of whom its conversation is at home with.
    Listed(usize, Option<ProfileId>),
    Paused(Timestamp),
}

#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) ticket: Ticket,
    pub(crate) request: Request,
    pub(crate) place: Place,
    pub(crate) since: Timestamp,
    /// How many leases had been issued when it came to its place.
    pub(crate) entered: u64,
}

impl Waiter {
    pub(crate) fn list(&self) -> Option<Alternative> {
        match &self.place {
            Place::Listed(number, home) => {
                let Alternative { provider, class, pin } =
                    self.request.alternatives[*number].clone();
                Some(Alternative { provider, class, pin: pin.or_else(|| home.clone()) })
            }
            Place::Paused(_) => None,
        }
    }

    /// When it looks again, if nothing happens before.
    pub(crate) fn looks_again_at(&self) -> Option<Timestamp> {
        match self.place {
            Place::Paused(until) => Some(until),
            Place::Listed(_, Some(_)) => Some(patience(self.since, &self.request)),
            Place::Listed(_, None) => None,
        }
    }
}
