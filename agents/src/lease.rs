//! The right to use one profile once, and the place of those who wait for it.

use actix::Recipient;
use polpo_policy::id::{LeaseId, OrganizationId, ProfileId, Ticket};
use polpo_policy::pool::Verdict;
use polpo_upstream::error::TransportError;
use polpo_upstream::transport::{Call, Reply};

use crate::messages::{Dispatch, Settle, Withdraw};

/// The right to use one profile once. Settles itself when dropped, so that hang-up, panic,
/// time-out and give-up share one exit.
#[derive(Debug)]
pub struct Lease {
    id: LeaseId,
    profile: ProfileId,
    dispatch: Recipient<Dispatch>,
    settle: Recipient<Settle>,
    verdict: Verdict, // Abandoned until told otherwise.
    organization: Option<OrganizationId>,
}

impl Lease {
    /// A lease of `profile`, whose actor takes `dispatch`; its end is told to `settle`.
    #[must_use]
    pub const fn new(
        id: LeaseId,
        profile: ProfileId,
        dispatch: Recipient<Dispatch>,
        settle: Recipient<Settle>,
    ) -> Self {
        Self { id, profile, dispatch, settle, verdict: Verdict::Abandoned, organization: None }
    }

    /// The profile.
    #[must_use]
    pub const fn profile(&self) -> &ProfileId {
        &self.profile
    }

    /// Has the profile sign and send a call.
    ///
    /// # Errors
    /// When no reply came.
    pub async fn dispatch(&self, call: Call) -> Result<Reply, TransportError> {
        // The mailbox only closes when the program ends; nothing was sent then.
        match self.dispatch.send(Dispatch(call)).await {
            Ok(sending) => sending.await,
            Err(_) => Err(TransportError::Invalid),
        }
    }

    /// Remembers which organisation answered.
    pub fn answered_by(&mut self, organization: Option<OrganizationId>) {
        self.organization = organization.or(self.organization.take());
    }

    /// Ends the lease.
    pub fn settle(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Lease {
    #[expect(clippy::disallowed_methods, reason = "one Settle for each lease, so bounded")]
    fn drop(&mut self) {
        let verdict = std::mem::replace(&mut self.verdict, Verdict::Abandoned);
        let organization = self.organization.take();
        self.settle.do_send(Settle { lease: self.id, verdict, organization });
    }
}

/// A place among those who wait. Withdraws itself when dropped before it was served, wherever it
/// is by then: still on its way to a waiter that went away, or in the waiter's hands.
#[derive(Debug)]
pub struct Place {
    ticket: Ticket,
    withdraw: Recipient<Withdraw>,
    is_served: bool,
}

impl Place {
    /// The place of `ticket`; giving it up is told to `withdraw`.
    #[must_use]
    pub const fn new(ticket: Ticket, withdraw: Recipient<Withdraw>) -> Self {
        Self { ticket, withdraw, is_served: false }
    }

    /// Leaves the place after the answer has come.
    pub fn served(mut self) {
        self.is_served = true;
    }
}

impl Drop for Place {
    #[expect(clippy::disallowed_methods, reason = "one Withdraw for each ticket, so bounded")]
    fn drop(&mut self) {
        if !self.is_served {
            self.withdraw.do_send(Withdraw(self.ticket));
        }
    }
}
