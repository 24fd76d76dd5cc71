//! The right to use one profile once.

use actix::Recipient;
use polpo_policy::id::{LeaseId, OrganizationId, ProfileId};
use polpo_policy::pool::Verdict;
use polpo_upstream::error::TransportError;
use polpo_upstream::transport::{Call, Reply};

use crate::messages::{Dispatch, Settle};

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
        // The mailbox only closes when the program ends.
        self.dispatch.send(Dispatch(call)).await.unwrap_or(Err(TransportError::Broken))
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
