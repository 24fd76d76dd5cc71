//! Message batches made through the gateway: whose they are, and what is held for them.

use chrono::{DateTime, Utc};
use polpo_policy::id::{KeyName, ProfileId};
use polpo_policy::price::Nanodollars;

/// A message batch.
///
/// Until it is settled, `reserved` is held for it; when it is, its calls are booked in the same
/// transaction. So its money is counted once at every moment: first its bound, then its cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRecord {
    /// Its id upstream.
    pub id: String,
    /// The client key that made it.
    pub key: KeyName,
    /// The profile that made it: upstream shows it to no other workspace.
    pub profile: ProfileId,
    /// Whether it is the simulator's.
    pub simulated: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How many requests are in it.
    pub requests: u32,
    /// The most it can cost.
    pub reserved: Nanodollars,
    /// Whether its calls are booked, so that nothing is held any more.
    pub settled: bool,
    /// The object as upstream told it last: JSON.
    pub object: String,
}

/// Which batches are listed, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchQuery {
    /// Only those of this client key.
    pub key: KeyName,
    /// Those of the simulator, or real ones.
    pub simulated: bool,
    /// At most so many.
    pub limit: u32,
    /// Where the page lies; at the newest without one.
    pub cursor: Option<Cursor>,
}

/// Where a page of a list lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Right after this one: older ones.
    After(String),
    /// Right before this one: newer ones.
    Before(String),
}

/// A page of batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPage {
    /// The batches, the newest first.
    pub batches: Vec<BatchRecord>,
    /// Whether there are more of them in the direction of the cursor.
    pub has_more: bool,
}

impl Cursor {
    /// The batch that it names.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::After(id) | Self::Before(id) => id,
        }
    }
}
