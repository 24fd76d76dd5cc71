//! A minute's worth of something, refilled all the time. Integers, so that not one too many fits.
//!
//! What is used beyond that is a debt, which is paid off before anything more is let in, and is never
//! forgiven: else whoever uses an hour's worth at once would have sixty times his limit. It is bounded
//! by what the requests under way can use, and whoever is refused is told when it is paid off.

use std::time::Duration;

use crate::limits::Timestamp;

/// The parts of one request or token: as many as a minute has nanoseconds, so that each
/// nanosecond brings as many parts as the limit is.
const PARTS: i128 = 60_000_000_000;

/// A bucket of the size of its limit.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    per_minute: u64,
    /// What is in it, in parts; below zero when more was taken than was there.
    level: i128,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket, of whatever size it gets.
    pub(super) const fn full(now: Timestamp) -> Self {
        Self { per_minute: 0, level: i128::MAX, at: now }
    }

    /// Refills it up to `now`, in the size and at the rate of a limit that may be another one than
    /// before: whoever raises it need not wait for the old one. A limit of zero counts as one of one.
    pub(super) fn refill(&mut self, now: Timestamp, per_minute: u64) {
        self.per_minute = per_minute.max(1);
        self.pour(now);
        self.level = self.level.min(self.capacity());
    }

    /// Whether so many may be taken: as many as it ever holds suffice for more than that.
    pub(super) fn has(&self, amount: u64) -> bool {
        self.level >= self.needed(amount)
    }

    /// How long until [`Self::has`] is true, to the nanosecond.
    pub(super) fn until(&self, amount: u64) -> Duration {
        self.time_for(self.needed(amount).saturating_sub(self.level))
    }

    /// How long until it is full.
    pub(super) fn until_full(&self) -> Duration {
        self.time_for(self.capacity().saturating_sub(self.level))
    }

    /// How many are in it.
    pub(super) fn remaining(&self) -> u64 {
        u64::try_from(self.level / PARTS).unwrap_or(0)
    }

    /// Takes so many, whether they are there or not.
    pub(super) fn take(&mut self, amount: u64) {
        self.level = self.level.saturating_sub(parts(amount));
    }

    /// Replaces what was taken before by what was used. The next refill takes what is too much.
    pub(super) fn correct(&mut self, now: Timestamp, taken: u64, used: u64) {
        self.pour(now);
        self.level = self.level.saturating_add(parts(taken)).saturating_sub(parts(used));
    }

    fn pour(&mut self, now: Timestamp) {
        // None of it when time stands still; three centuries fill any bucket.
        let elapsed = (now - self.at).num_nanoseconds().unwrap_or(i64::MAX).max(0);
        let refill = i128::from(elapsed) * i128::from(self.per_minute);
        self.level = self.level.saturating_add(refill);
        self.at = self.at.max(now);
    }

    fn capacity(&self) -> i128 {
        parts(self.per_minute)
    }

    fn needed(&self, amount: u64) -> i128 {
        parts(amount).min(self.capacity())
    }

    fn time_for(&self, missing: i128) -> Duration {
        let per_nanosecond = i128::from(self.per_minute.max(1));
        let nanoseconds = missing.max(0).saturating_add(per_nanosecond - 1) / per_nanosecond;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

fn parts(amount: u64) -> i128 {
    i128::from(amount) * PARTS
}
