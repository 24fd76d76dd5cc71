//! What is due when.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::Timestamp;

/// One alarm for each of some things.
#[derive(Clone, Debug)]
pub(super) struct Alarms<K> {
    set: BTreeMap<K, Timestamp>,
    due: BTreeSet<(Timestamp, K)>,
}

impl<K> Default for Alarms<K> {
    fn default() -> Self {
        Self { set: BTreeMap::new(), due: BTreeSet::new() }
    }
}

impl<K: Clone + Ord> Alarms<K> {
    /// Sets the alarm of `key`, or takes it away.
    pub(super) fn set(&mut self, key: &K, at: Option<Timestamp>) {
        let known = self.set.get(key).copied();
        if known == at {
            return;
        }
        if let Some(known) = known {
            self.due.remove(&(known, key.clone()));
            self.set.remove(key);
        }
        if let Some(at) = at {
            self.due.insert((at, key.clone()));
            self.set.insert(key.clone(), at);
        }
    }

    /// The first alarm.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the first alarm that is due.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<K> {
        self.due.first().filter(|(at, _)| *at <= now)?;
        let (_, key) = self.due.pop_first()?;
        self.set.remove(&key);
        Some(key)
    }
}
