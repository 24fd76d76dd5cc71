//! What the actors say to one another. An actor knows messages, never another actor's type.

use actix::{Message, Recipient};
use chrono::TimeDelta;
use polpo_policy::id::{LeaseId, OrganizationId, ProfileId, ProviderId, Ticket};
use polpo_policy::pool::seat::ProfileState;
use polpo_policy::pool::{Refusal, Request, Throttle, Verdict, Wait};
use polpo_upstream::transport::{Call, Sending};
use tokio::sync::oneshot;

use crate::job::Job;
use crate::lease::{Lease, Place};
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
}

/// What the answer to an [`Acquire`] is.
pub type Answer = Result<Granted, Refusal>;

/// To the scheduler: a profile is wanted. Answered at once with a place among those who wait, and
/// over `answer` when there is a profile.
#[derive(Debug, Message)]
#[rtype(result = "Place")]
pub struct Acquire {
    /// What is wanted.
    pub request: Request,
    /// Where the lease goes.
    pub answer: oneshot::Sender<Answer>,
}

/// To the scheduler: a waiter gave up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Withdraw(pub Ticket);

/// To the scheduler: a lease ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Settle {
    /// The lease.
    pub lease: LeaseId,
    /// How its call ended.
    pub verdict: Verdict,
    /// The organisation that answered, if it said so.
    pub organization: Option<OrganizationId>,
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
    /// Its actor.
    pub actor: Recipient<Dispatch>,
}

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

/// To a profile: sign a call. Answered at once with the call on its way, which is cancelled when
/// that is dropped.
#[derive(Debug, Message)]
#[rtype(result = "Sending")]
pub struct Dispatch(pub Call);

/// To an agent: run a task. Answered at once with the task under way, which is cancelled when
/// that is dropped: the handler of a message would go on without its sender.
#[derive(Debug, Message)]
#[rtype(result = "Working")]
pub struct RunTask(pub Job);
