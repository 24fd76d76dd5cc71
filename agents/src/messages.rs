//! What the actors say to one another. An actor knows messages, never another actor's type.

use std::collections::BTreeMap;

use actix::{Message, Recipient};
use chrono::TimeDelta;
use polpo_policy::health::Health;
use polpo_policy::id::{LeaseId, ProfileId, ProviderId, Ticket};
use polpo_policy::limits::Reading;
use polpo_policy::pool::seat::ProfileState;
use polpo_policy::pool::{
    Explanation, Grounds, ProfileReport, Refusal, Request, Throttle, Used, Verdict, Wait,
};
use polpo_upstream::error::TransportError;
use tokio::sync::oneshot;

use crate::job::Job;
use crate::lease::{Claim, Lease};
use crate::talk::{Talked, Turn};
use crate::token::Unsigned;
use crate::working::Working;

/// A lease, and how it came about.
#[derive(Debug)]
pub struct Granted {
    /// The lease.
    pub lease: Lease,
    /// Which of the alternatives to ask for.
    pub alternative: usize,
    /// What the request waited for, and how long.
    pub waited: Option<(Throttle, TimeDelta)>,
    /// Why it is this profile and this alternative.
    pub grounds: Grounds,
}

/// What the answer to an [`Acquire`] is.
pub type Answer = Result<Granted, Refusal>;

/// To the scheduler: a profile is wanted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Acquire {
    /// The place among those who wait; who asks later has a larger number.
    pub ticket: Ticket,
    /// What is wanted.
    pub request: Request,
    /// Where the lease goes.
    pub answer: oneshot::Sender<Answer>,
}

/// To a profile: it was granted. Who waits gets the lease from it, with what it takes to use it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Lend {
    /// The right to the profile.
    pub claim: Claim,
    /// As in [`Granted`].
    pub alternative: usize,
    /// As in [`Granted`].
    pub waited: Option<(Throttle, TimeDelta)>,
    /// As in [`Granted`].
    pub grounds: Grounds,
    /// Who waits.
    pub answer: oneshot::Sender<Answer>,
}

/// To the scheduler: a waiter gave up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Withdraw(pub Ticket);

/// To the scheduler: the headers of a leased call's answer arrived.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Note {
    /// The lease.
    pub lease: LeaseId,
    /// What they tell.
    pub reading: Reading,
}

/// To the scheduler: a lease ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Settle {
    /// The lease.
    pub lease: LeaseId,
    /// How its call ended.
    pub verdict: Verdict,
    /// What it used, if that is known.
    pub used: Option<Used>,
    /// What the headers of its answer tell, unless a [`Note`] did.
    pub reading: Option<Reading>,
}

/// To the scheduler: a profile can be used from now on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Join {
    /// The profile.
    pub profile: ProfileId,
    /// Its provider.
    pub provider: ProviderId,
    /// How many requests it may serve at once.
    pub slots: u32,
    /// What is remembered of it.
    pub health: Box<Health>,
    /// Its actor.
    pub actor: Recipient<Lend>,
}

/// To the scheduler: a profile is gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Leave(pub ProfileId);

/// To the scheduler: what other processes know of profiles.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Recall(pub BTreeMap<ProfileId, Health>);

/// To whoever keeps the health of profiles: what is to be remembered of some of them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Remember(pub BTreeMap<ProfileId, Health>);

/// To whoever keeps the health of profiles: what the file says of them, as somebody who read it
/// tells.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Found(pub BTreeMap<ProfileId, Health>);

/// To the scheduler: pass on what is to be remembered. To whoever keeps it: write it. Answered when
/// that is done.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

/// What an operator does to a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Its windows are ended; also after its credential was tested or replaced.
    Clear,
    /// It is taken out of use.
    Hold,
    /// It is given back.
    Release,
}

/// To the scheduler: an operator does something to a profile. Answered with whether there is one
/// of that name.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct Tend {
    /// The profile.
    pub profile: ProfileId,
    /// What is done.
    pub care: Care,
}

/// To the scheduler: how would a request be served?
#[derive(Debug, Message)]
#[rtype(result = "Explanation")]
pub struct Explain(pub Request);

/// To the scheduler: how do the profiles stand?
#[derive(Debug, Message)]
#[rtype(result = "Vec<ProfileReport>")]
pub struct Report;

/// To the scheduler: how do things stand? Brings the gauges up to date, too.
#[derive(Debug, Message)]
#[rtype(result = "Snapshot")]
pub struct Observe;

/// How things stand in the pool.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// How many profiles are in each state that any is in.
    pub profiles: Vec<(ProfileState, usize)>,
    /// Who waits for what, most waiters first.
    pub waits: Vec<Wait>,
    /// How long until the first of the waits ends, if that is known.
    pub first_ends_in: Option<std::time::Duration>,
    /// How many requests wait.
    pub queued: usize,
    /// How many leases are out.
    pub leased: usize,
}

/// Why a call has no reply.
#[derive(Clone, Debug)]
pub enum NoReply {
    /// It did not get through.
    Transport(TransportError),
    /// It could not be signed, and so was not sent.
    Unsigned(Unsigned),
}

impl From<TransportError> for NoReply {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<Unsigned> for NoReply {
    fn from(unsigned: Unsigned) -> Self {
        Self::Unsigned(unsigned)
    }
}

/// To an agent: run a task. Answered at once with the task under way, which is cancelled when
/// that is dropped: the handler of a message would go on without its sender.
#[derive(Debug, Message)]
#[rtype(result = "Working")]
pub struct RunTask(pub Job);

/// To an agent: take a turn of a conversation. Answered at once with the turn under way, which is
/// cancelled when that is dropped; what the model says goes over the turn's own channel.
#[derive(Debug, Message)]
#[rtype(result = "Working<Talked>")]
pub struct Talk(pub Turn);
