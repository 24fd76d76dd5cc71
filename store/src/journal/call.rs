//! A call: one request upstream, recorded before it is sent.

use std::fmt;

use chrono::{DateTime, Utc};
use polpo_policy::id::{AgentId, ModelName, ProfileId};
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;

use super::run::RunId;

/// A call in its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub i64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A call that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStart {
    /// Its run.
    pub run: RunId,
    /// The id of its task.
    pub task: String,
    /// Which attempt of the task it belongs to, from 1.
    pub attempt: u32,
    /// The agent that asks.
    pub agent: AgentId,
    /// The model that is asked for.
    pub model: ModelName,
    /// The profile that signs it.
    pub profile: ProfileId,
    /// The most it can cost: what it is charged at if its outcome is never known.
    pub reserved: Nanodollars,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd {
    /// The call.
    pub call: CallId,
    /// The outcome: a label from a closed set of the caller's. `lost` is the journal's own.
    pub outcome: &'static str,
    /// The model that answered; the requested one if none did.
    pub model_served: ModelName,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Nanodollars,
    /// Whether the model has a known price: without one, `cost` says nothing.
    pub priced: bool,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
}

/// A call whose outcome nobody will ever know, charged at its reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostCall {
    /// The call.
    pub call: CallId,
    /// The id of its task.
    pub task: String,
    /// Which attempt of the task it belonged to.
    pub attempt: u32,
    /// The agent that asked.
    pub agent: AgentId,
    /// The model that was asked for.
    pub model: ModelName,
    /// The profile that signed it.
    pub profile: ProfileId,
    /// What it is charged at.
    pub reserved: Nanodollars,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

/// What the calls of a task add up to so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The id of the task.
    pub custom_id: String,
    /// Its calls that have an outcome, lost ones included.
    pub calls: u32,
    /// What they used.
    pub usage: Usage,
    /// What they cost.
    pub cost: Nanodollars,
}
