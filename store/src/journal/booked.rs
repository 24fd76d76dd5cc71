//! Calls of the gateway: recorded after they ended, many at a time.

use chrono::{DateTime, Utc};
use polpo_policy::id::{KeyName, ModelName, ProfileId};
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;

/// The agent of these calls, and the run, where costs are grouped by them.
pub(super) const GATEWAY: &str = "gateway";

/// The metadata key of these calls: its value is the name of the client key.
pub(super) const KEY: &str = "key";

/// A call of the gateway that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedCall {
    /// The client key it was made for.
    pub key: KeyName,
    /// The id of the client's request; the calls of a request share it.
    pub request: String,
    /// The model that was asked for.
    pub model: ModelName,
    /// The model that answered; the requested one if none did.
    pub model_served: ModelName,
    /// The profile that signed it.
    pub profile: ProfileId,
    /// The outcome: a label from a closed set of the caller's.
    pub outcome: &'static str,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Nanodollars,
    /// Whether the model has a known price: without one, `cost` says nothing.
    pub priced: bool,
    /// Whether `cost` is its reservation or an estimate, as nobody knows its outcome.
    pub is_lost: bool,
    /// Whether it went to the simulator.
    pub simulated: bool,
    /// When it began: the day that a cost report counts it on.
    pub started_at: DateTime<Utc>,
    /// When it ended: the day that [`KeySpent`] counts it on.
    pub ended_at: DateTime<Utc>,
}

/// What a client key has spent on booked calls, and may yet have to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpent {
    /// The key.
    pub key: KeyName,
    /// Those that ended on the day that was asked about, or later.
    pub today: Nanodollars,
    /// All of them.
    pub total: Nanodollars,
    /// Beside these, what is held for its message batches that are not settled.
    pub reserved: Nanodollars,
}

impl KeySpent {
    /// Of a key that has not spent anything yet.
    pub(super) fn none(key: &KeyName) -> Self {
        let [today, total, reserved] = [Nanodollars::default(); 3];
        Self { key: key.clone(), today, total, reserved }
    }
}
