//! What calls cost, by group: exact sums, and every call in one row.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use polpo_policy::price::Nanodollars;
use polpo_policy::usage::Usage;
use serde_json::Value;

use super::DAY;
use super::run::RunId;

/// Which costs, by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostQuery {
    /// What makes a row.
    pub group: Group,
    /// Only calls that began then or later.
    pub since: Option<DateTime<Utc>>,
    /// Calls of simulated runs, or of real ones; never both, as only one is money.
    pub simulated: bool,
    /// Only calls of this run, and none of the gateway's.
    pub run: Option<RunId>,
}

/// What makes a row of a cost report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// The agent; `gateway` for calls of the gateway.
    Agent,
    /// The model that answered.
    Model,
    /// The profile.
    Profile,
    /// The UTC day the call began on, as `2026-01-14`.
    Day,
    /// The results path of the run; `gateway` for calls of the gateway.
    Run,
    /// The value of a key of the task's metadata, as the result gave it. Calls of the gateway have
    /// one, `key`: the name of the client key.
    Metadata(String),
}

/// The costs that were asked for: `rows` and `unended` together are `total`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostReport {
    /// Calls that a committed result stands for and calls of the gateway, in the order of their
    /// keys.
    ///
    /// A result stands for the calls of its task that began before it was committed, so that
    /// these rows and the costs in the result lines agree while a task is run again.
    pub rows: Vec<CostRow>,
    /// All other calls: of tasks without a result, of tasks that are run again, calls in flight at
    /// their reservation, and message batches of the gateway that are not settled at theirs.
    pub unended: CostRow,
    /// All calls.
    pub total: CostRow,
}

/// One row of a cost report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostRow {
    /// The value of the group; empty for a task without the metadata key.
    pub key: String,
    /// Attempts of tasks, and requests of the gateway's clients, that the calls belong to.
    pub attempts: u64,
    /// Calls.
    pub calls: u64,
    /// What they used.
    pub usage: Usage,
    /// What they cost.
    pub cost: Nanodollars,
    /// Those of them whose model has no known price.
    pub unpriced_calls: u64,
    /// Those of them that are charged at their reservation, or an estimate, as nobody knows their
    /// outcome.
    pub lost_calls: u64,
}

impl AddAssign<&Self> for CostRow {
    fn add_assign(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.calls += other.calls;
        self.usage += other.usage;
        self.cost += other.cost;
        self.unpriced_calls += other.unpriced_calls;
        self.lost_calls += other.lost_calls;
    }
}

/// A cost report in the making.
#[derive(Debug)]
pub(super) struct Tally {
    group: Group,
    rows: BTreeMap<String, CostRow>,
    unended: CostRow,
}

impl Tally {
    pub(super) fn new(group: Group) -> Self {
        Self { group, rows: BTreeMap::new(), unended: CostRow::default() }
    }

    /// Counts calls that a result stands for; their key is still as it is stored.
    pub(super) fn ended(&mut self, stored: &str, calls: &CostRow) {
        let key = match &self.group {
            Group::Agent | Group::Model | Group::Profile | Group::Run => stored.to_owned(),
            Group::Day => day(stored),
            Group::Metadata(name) => metadata_value(stored, name),
        };
        *self.rows.entry(key).or_default() += calls;
    }

    /// Counts calls of the gateway; only a day is still as it is stored.
    pub(super) fn booked(&mut self, stored: &str, calls: &CostRow) {
        let key = match &self.group {
            Group::Day => day(stored),
            Group::Agent | Group::Model | Group::Profile | Group::Run | Group::Metadata(_) => {
                stored.to_owned()
            }
        };
        *self.rows.entry(key).or_default() += calls;
    }

    /// Counts all other calls.
    pub(super) fn unended(&mut self, calls: &CostRow) {
        self.unended += calls;
    }

    pub(super) fn report(self) -> CostReport {
        let mut total = self.unended.clone();
        let rows = self.rows.into_iter().map(|(key, row)| {
            total += &row;
            CostRow { key, ..row }
        });
        let rows = rows.collect();
        CostReport { rows, unended: self.unended, total }
    }
}

/// The date of a day that is stored as its number since 1970.
fn day(stored: &str) -> String {
    let millis = stored.parse::<i64>().ok().and_then(|day| day.checked_mul(DAY));
    millis
        .and_then(DateTime::from_timestamp_millis)
        .map_or_else(|| stored.to_owned(), |time| time.date_naive().to_string())
}

/// The value of a key in stored metadata: a string as it is, anything else as JSON.
fn metadata_value(stored: &str, name: &str) -> String {
    let fields = serde_json::from_str::<serde_json::Map<String, Value>>(stored).ok();
    match fields.and_then(|mut fields| fields.remove(name)) {
        None => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}
