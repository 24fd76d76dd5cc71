//! What [`Metrics`](crate::Metrics) is told, where it takes more than a few words.

use std::time::Duration;

use chrono::{DateTime, Utc};
use polpo_policy::id::{AgentId, ProfileId};
use polpo_policy::price::{Cost, Nanodollars};
use polpo_policy::usage::Usage;

use crate::label::Surface;

/// A request was answered, or given up.
#[derive(Clone, Copy, Debug)]
pub struct RequestEnded<'a> {
    /// Who asked.
    pub surface: Surface,
    /// The agent that served it.
    pub agent: &'a AgentId,
    /// The model of the last attempt.
    pub model: &'a str,
    /// How it ended, from a closed set.
    pub outcome: &'static str,
    /// From the question to the end of the answer, waiting included.
    pub took: Duration,
}

/// What one call upstream used.
#[derive(Clone, Copy, Debug)]
pub struct Spending<'a> {
    /// The agent it was for.
    pub agent: &'a AgentId,
    /// The profile that pays.
    pub profile: &'a ProfileId,
    /// The model that answered.
    pub model: &'a str,
    /// Billed quantities.
    pub usage: &'a Usage,
    /// What they cost; `None` for a model without a known price, which is counted as such.
    pub cost: Option<&'a Cost>,
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// What may be spent.
    pub limit: Nanodollars,
    /// What is spent.
    pub spent: Nanodollars,
    /// What requests under way may spend at most.
    pub reserved: Nanodollars,
}

/// Where a profile stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileGauges {
    /// Leases of it that are out.
    pub in_flight: u32,
    /// The end of its cooldown.
    pub cooldown_until: Option<DateTime<Utc>>,
    /// When it was last granted.
    pub last_used: Option<DateTime<Utc>>,
}

/// A rate limit as upstream's headers gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// For each window.
    pub limit: u64,
    /// Left of it.
    pub remaining: u64,
}

/// The tasks of a run, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Not begun.
    pub pending: u64,
    /// Begun.
    pub running: u64,
    /// Ended with a good result.
    pub succeeded: u64,
    /// Ended without one.
    pub failed: u64,
}
