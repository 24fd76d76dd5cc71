//! Where requests for profiles are handed in, and the place of those who wait.

use std::sync::atomic::{AtomicU64, Ordering};

use actix::Recipient;
use polpo_policy::id::Ticket;
use polpo_policy::pool::Request;
use tokio::sync::oneshot;

use crate::messages::{Acquire, Answer, Withdraw};

/// Hands requests to the scheduler.
#[derive(Debug)]
pub struct Intake {
    acquire: Recipient<Acquire>,
    withdraw: Recipient<Withdraw>,
    issued: AtomicU64,
}

/// A place among those who wait. Withdraws itself when dropped before it was served.
#[derive(Debug)]
pub(crate) struct Place {
    ticket: Ticket,
    withdraw: Recipient<Withdraw>,
    is_served: bool,
}

impl Intake {
    /// Hands requests to whoever takes `acquire`, and takes them back by `withdraw`. The only one there.
    #[must_use]
    pub const fn new(acquire: Recipient<Acquire>, withdraw: Recipient<Withdraw>) -> Self {
        Self { acquire, withdraw, issued: AtomicU64::new(0) }
    }

    /// Hands in a request; the answer comes when there is a profile, or none is to be had.
    #[expect(clippy::disallowed_methods, reason = "the pool bounds how many may wait")]
    pub(crate) fn ask(&self, request: Request) -> (Place, oneshot::Receiver<Answer>) {
        // Issued here and not there: an answer to it would cost the asker a second waking.
        let ticket = Ticket(self.issued.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        self.acquire.do_send(Acquire { ticket, request, answer });
        (Place { ticket, withdraw: self.withdraw.clone(), is_served: false }, answered)
    }
}

impl Place {
    /// Leaves the place after the answer has come.
    pub(crate) fn served(mut self) {
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
