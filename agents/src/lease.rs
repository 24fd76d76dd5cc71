//! The right to use one profile once.

use std::sync::Arc;

use actix::Recipient;
use polpo_policy::id::{LeaseId, ProfileId};
use polpo_policy::limits::Reading;
use polpo_policy::pool::{Used, Verdict};
use polpo_upstream::transport::{Call, Reply};

use crate::messages::{NoReply, Note, Settle};
use crate::signer::Signer;

/// The right to a profile, on its way through that profile to who waits. Settles itself when dropped,
/// so that hang-up, panic, time-out and give-up share one exit.
#[derive(Debug)]
pub struct Claim {
    id: LeaseId,
    profile: ProfileId,
    note: Recipient<Note>,
    settle: Recipient<Settle>,
    verdict: Verdict, // Abandoned until told otherwise.
    used: Option<Used>,
    reading: Option<Reading>,
}

/// The right to use one profile once, and what it takes to do so.
#[derive(Debug)]
pub struct Lease {
    claim: Claim,
    signer: Arc<Signer>,
}

impl Claim {
    /// A claim to `profile`; what headers tell goes to `note`, its end to `settle`.
    #[must_use]
    pub fn new(
        id: LeaseId,
        profile: ProfileId,
        (note, settle): (Recipient<Note>, Recipient<Settle>),
    ) -> Self {
        let verdict = Verdict::Abandoned;
        Self { id, profile, note, settle, verdict, used: None, reading: None }
    }

    pub(crate) const fn profile(&self) -> &ProfileId {
        &self.profile
    }

    pub(crate) fn with(self, signer: Arc<Signer>) -> Lease {
        Lease { claim: self, signer }
    }
}

impl Lease {
    /// The profile.
    #[must_use]
    pub const fn profile(&self) -> &ProfileId {
        self.claim.profile()
    }

    /// Signs a call and sends it.
    ///
    /// # Errors
    /// When no reply came.
    pub async fn dispatch(&self, call: Call) -> Result<Reply, NoReply> {
        self.signer.send(call).await
    }

    /// Whether a text quotes what its calls are signed with.
    #[must_use]
    pub fn is_quoted_in(&self, text: &[u8]) -> bool {
        self.signer.is_quoted_in(text)
    }

    /// Tells at once what the headers of an answer say that has only begun.
    #[expect(clippy::disallowed_methods, reason = "one Note for each call, so bounded")]
    pub fn note(&self, reading: Reading) {
        self.claim.note.do_send(Note { lease: self.claim.id, reading });
    }

    /// Tells at the end, which is near, what the headers of an answer say.
    pub fn keep(&mut self, reading: Reading) {
        self.claim.reading = Some(reading);
    }

    /// Ends the lease; `used` is what its call used of the limits, if that is known.
    pub fn settle(mut self, verdict: Verdict, used: Option<Used>) {
        (self.claim.verdict, self.claim.used) = (verdict, used);
    }
}

impl Drop for Claim {
    #[expect(clippy::disallowed_methods, reason = "one Settle for each lease, so bounded")]
    fn drop(&mut self) {
        let verdict = std::mem::replace(&mut self.verdict, Verdict::Abandoned);
        let (lease, used, reading) = (self.id, self.used, self.reading.take());
        self.settle.do_send(Settle { lease, verdict, used, reading });
    }
}
