//! What the pool is asked and told, and what it answers.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::failure::Failure;
use crate::health::Health;
use crate::id::{
    AgentId, LeaseId, LimitClass, OrganizationId, ProfileId, ProviderId, SessionId, Ticket,
};
use crate::limits::{Dimension, Reading, Timestamp};
use crate::pool::gate::Cause;

/// A model that would do, as the pool needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alternative {
    /// Whose profiles can serve it.
    pub provider: ProviderId,
    /// The rate limit it is under.
    pub class: LimitClass,
    /// The only profile to use, for a pinned request.
    pub pin: Option<ProfileId>,
}

/// A request for a profile.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks; agents are served in turn.
    pub agent: AgentId,
    /// The model and its fallbacks, in order of preference.
    pub alternatives: Vec<Alternative>,
    /// Profiles to pass over until a time, or for good.
    pub avoid: BTreeMap<ProfileId, Option<Timestamp>>,
    /// Until when those that it passes over for a time are passed over for longer, if others may
    /// serve the same alternative by then.
    pub rather: Option<Timestamp>,
    /// Not to be granted earlier.
    pub not_before: Option<Timestamp>,
    /// To be refused if it still waits then, and at once if nobody can serve it before.
    pub deadline: Option<Timestamp>,
    /// The conversation it is a turn of.
    pub session: Option<SessionId>,
    /// How large it is.
    pub size: Size,
}

/// How large a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Length of its body, in bytes.
    pub bytes: u64,
    /// The most it may write, in tokens.
    pub max_tokens: u64,
}

/// What a call used of the limits, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Input, cache writes included and cache reads not.
    pub input: u64,
    /// Output.
    pub output: u64,
}

/// How a leased call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered.
    Success,
    /// It failed.
    Failed(Failure),
    /// Whoever held the lease went away.
    Abandoned,
}

/// What happened outside the pool.
#[derive(Clone, Debug)]
pub enum Event {
    /// A profile can be used from now on.
    Joined {
        /// The profile.
        profile: ProfileId,
        /// Its provider.
        provider: ProviderId,
        /// How many requests it may serve at once.
        slots: u32,
        /// What is remembered of it.
        health: Box<Health>,
    },
    /// A profile is gone.
    Left {
        /// The profile.
        profile: ProfileId,
    },
    /// What other processes know of a profile.
    Recalled {
        /// The profile.
        profile: ProfileId,
        /// What they know.
        health: Box<Health>,
    },
    /// An operator ends the windows of a profile, or its credential was tested or replaced.
    Cleared {
        /// The profile.
        profile: ProfileId,
    },
    /// An operator takes a profile out of use.
    Held {
        /// The profile.
        profile: ProfileId,
    },
    /// An operator gives a profile back.
    Released {
        /// The profile.
        profile: ProfileId,
    },
    /// Someone wants a profile.
    Requested {
        /// Identifies the waiter; issued in order.
        ticket: Ticket,
        /// What is wanted.
        request: Request,
    },
    /// A waiter gave up.
    Withdrawn {
        /// The waiter.
        ticket: Ticket,
    },
    /// The headers of a leased call's answer arrived.
    Answered {
        /// The lease.
        lease: LeaseId,
        /// What they tell.
        reading: Reading,
    },
    /// A lease ended.
    Settled {
        /// The lease.
        lease: LeaseId,
        /// How its call ended.
        verdict: Verdict,
        /// What it used, if that is known.
        used: Option<Used>,
    },
    /// The time of [`super::Pool::next_deadline`] has come.
    Woke,
}

/// What the shell must now do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Give a waiter its lease.
    Grant {
        /// The waiter.
        ticket: Ticket,
        /// The lease.
        lease: LeaseId,
        /// The profile to use.
        profile: ProfileId,
        /// Which of the alternatives to ask it for.
        alternative: usize,
        /// What it waited for, and how long.
        waited: Option<(Throttle, TimeDelta)>,
        /// Why it is this profile and this alternative.
        grounds: Grounds,
    },
    /// Send a waiter away.
    Refuse {
        /// The waiter.
        ticket: Ticket,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a request gets the profile and the alternative that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// It is the first alternative, and of its profiles the one unused for longest.
    Oldest,
    /// The request insists on the profile.
    Pinned,
    /// The profile has the prompt cache of the conversation warm.
    Home,
    /// The first alternative cannot be served: what keeps it from that, and until when, as far as
    /// it is known.
    Fallback(Option<(Cause, Option<Timestamp>)>),
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many wait as may.
    QueueFull,
    /// Its deadline has come, or nobody can serve it before that.
    TimedOut {
        /// The first time at which, as far as is known, a profile could serve one of its
        /// alternatives. `None` = that may be any time, as when all places are taken.
        until: Option<Timestamp>,
    },
    /// No profile can serve it, and none has a known return.
    NoCredential,
}

impl Refusal {
    /// The value of an `outcome` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TimedOut { .. } => "timed_out",
            Self::NoCredential => "no_credential",
        }
    }
}

/// What work waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Throttle {
    /// All places of the eligible profiles are taken.
    Concurrency,
    /// A rate limit of a known kind.
    Limit(Dimension),
    /// A window of another kind, or a pause after a fault.
    Cooldown,
    /// The provider, which fails too often.
    Outage,
}

impl Throttle {
    /// The value of the `reason` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Limit(dimension) => dimension.label(),
            // A metric of its own is not in the contract.
            Self::Cooldown | Self::Outage => "cooldown",
        }
    }
}

/// Who waits for what, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How many wait.
    pub waiters: usize,
    /// For what.
    pub throttle: Throttle,
    /// Whose limit it is, as far as it is known.
    pub organization: Option<OrganizationId>,
    /// Until when, as far as it is known.
    pub until: Option<Timestamp>,
}
