//! What the memory journal remembers of the gateway's calls.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use polpo_policy::id::KeyName;

use crate::journal::booked::{GATEWAY, KEY};
use crate::journal::cost::Tally;
use crate::journal::{
    BookedCall, CostQuery, CostRow, DAY, Group, KeySpent, billed, day_of, stored_time,
};

/// Calls in the order in which they were booked.
#[derive(Debug, Default)]
pub(super) struct Booked {
    calls: Vec<BookedCall>,
}

impl Booked {
    pub(super) fn book(&mut self, calls: Vec<BookedCall>) {
        self.calls.extend(calls);
    }

    /// Counts those that are asked for.
    pub(super) fn count(&self, query: &CostQuery, tally: &mut Tally) {
        let mut attempts = BTreeSet::new();
        for call in self.calls.iter().filter(|call| call.simulated == query.simulated) {
            let began = stored_time(call.started_at);
            if query.since.is_some_and(|since| began < stored_time(since)) {
                continue;
            }
            let key = key(call, &query.group);
            let row = CostRow {
                key: String::new(),
                attempts: u64::from(attempts.insert((key.clone(), &call.request))),
                calls: 1,
                usage: billed(call.usage),
                cost: call.cost,
                unpriced_calls: u64::from(!call.priced),
                lost_calls: u64::from(call.is_lost),
            };
            tally.booked(&key, &row);
        }
    }

    pub(super) fn spent(
        &self,
        simulated: bool,
        day_start: DateTime<Utc>,
    ) -> BTreeMap<KeyName, KeySpent> {
        let mut keys = BTreeMap::new();
        for call in self.calls.iter().filter(|call| call.simulated == simulated) {
            let spent = keys.entry(call.key.clone()).or_insert_with(|| KeySpent::none(&call.key));
            spent.total += call.cost;
            if day_of(call.ended_at) >= day_of(day_start) {
                spent.today += call.cost;
            }
        }
        keys
    }
}

/// The value of the group, as the file's journal would store it.
fn key(call: &BookedCall, group: &Group) -> String {
    match group {
        Group::Agent | Group::Run => GATEWAY.to_owned(),
        Group::Model => call.model_served.to_string(),
        Group::Profile => call.profile.to_string(),
        Group::Day => (call.started_at.timestamp_millis() / DAY).to_string(),
        Group::Metadata(key) if key == KEY => call.key.to_string(),
        Group::Metadata(_) => String::new(),
    }
}
