//! The right to use one profile once, and the place of those who wait for it.

use actix::Recipient;
use polpo_policy::id::{LeaseId, ProfileId, Ticket};
use polpo_policy::limits::Reading;
use polpo_policy::pool::{Used, Verdict};
use polpo_upstream::error::TransportError;
use polpo_upstream::transport::{Call, Reply};

use crate::messages::{Dispatch, NoReply, Note, Settle, Withdraw};

/// The right to use one profile once. Settles itself when dropped, so that hang-up, panic,
/// time-out and give-up share one exit.
#[derive(Debug)]
pub struct Lease {
    id: LeaseId,
    profile: ProfileId,
    dispatch: Recipient<Dispatch>,
    note: Recipient<Note>,
    settle: Recipient<Settle>,
    verdict: Verdict, // Abandoned until told otherwise.
    used: Option<Used>,
}

impl Lease {
    /// A lease of `profile`, whose actor takes `dispatch`; its answer is told to `note`, its end to
    /// `settle`.
    #[must_use]
    pub fn new(
        id: LeaseId,
        profile: ProfileId,
        dispatch: Recipient<Dispatch>,
        (note, settle): (Recipient<Note>, Recipient<Settle>),
    ) -> Self {
        Self { id, profile, dispatch, note, settle, verdict: Verdict::Abandoned, used: None }
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
    pub async fn dispatch(&self, call: Call) -> Result<Reply, NoReply> {
        // The mailbox only closes when the program ends; nothing was sent then.
        match self.dispatch.send(Dispatch(call)).await {
            Ok(sending) => sending.await,
            Err(_) => Err(TransportError::Invalid.into()),
        }
    }

    /// Tells what the headers of the answer say.
    #[expect(clippy::disallowed_methods, reason = "one Note for each call, so bounded")]
    pub fn note(&self, reading: Reading) {
        self.note.do_send(Note { lease: self.id, reading });
    }

    /// Ends the lease; `used` is what its call used of the limits, if that is known.
    pub fn settle(mut self, verdict: Verdict, used: Option<Used>) {
        (self.verdict, self.used) = (verdict, used);
    }
}

impl Drop for Lease {
    #[expect(clippy::disallowed_methods, reason = "one Settle for each lease, so bounded")]
    fn drop(&mut self) {
        let verdict = std::mem::replace(&mut self.verdict, Verdict::Abandoned);
        self.settle.do_send(Settle { lease: self.id, verdict, used: self.used });
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
