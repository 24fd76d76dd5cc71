//! A token bucket with continuous refill.

use std::time::Duration;

use crate::clock::SimTime;

/// One token, in the unit of levels: what a limit of one a minute refills in a minute of
/// nanoseconds. Levels are integers, so refilling in small steps loses nothing.
const TOKEN: i128 = 60_000_000_000;

/// A bucket that is full at the start.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    per_minute: u64,
    capacity: i128,
    level: i128,
    at: SimTime,
}

impl Bucket {
    /// A bucket that holds one minute's worth.
    pub(crate) fn full(per_minute: u64, now: SimTime) -> Self {
        Self::of_seconds(60, per_minute, now)
    }

    /// A bucket that holds less or more than a minute's worth, but at least one token.
    pub(crate) fn of_seconds(seconds: u64, per_minute: u64, now: SimTime) -> Self {
        let capacity = i128::from(per_minute) * TOKEN * i128::from(seconds) / 60;
        let capacity = capacity.max(TOKEN);
        Self { per_minute, capacity, level: capacity, at: now }
    }

    pub(crate) const fn limit(&self) -> u64 {
        self.per_minute
    }

    /// Refills up to `now`; time that stood still or went back adds nothing.
    pub(crate) fn refill(&mut self, now: SimTime) {
        let elapsed = i128::from(now.0.saturating_sub(self.at.0));
        self.at = self.at.max(now);
        self.level = (self.level + elapsed * i128::from(self.per_minute)).min(self.capacity);
    }

    /// How long until `tokens` are there; `None` if they are.
    ///
    /// More than the bucket can hold is never there: the answer is then when it is full.
    pub(crate) fn wait_for(&self, tokens: u64) -> Option<Duration> {
        self.wait_for_level(i128::from(tokens) * TOKEN)
    }

    /// How long until the level is above zero; `None` if it is.
    pub(crate) fn wait_for_any(&self) -> Option<Duration> {
        self.wait_for_level(1)
    }

    /// Takes tokens, below zero if need be.
    pub(crate) fn take(&mut self, tokens: u64) {
        self.level -= i128::from(tokens) * TOKEN;
    }

    /// Whole tokens left.
    pub(crate) fn remaining(&self) -> u64 {
        u64::try_from(self.level.div_euclid(TOKEN)).unwrap_or(0)
    }

    /// How long until the bucket is full.
    pub(crate) fn until_full(&self) -> Duration {
        self.until(self.capacity)
    }

    fn wait_for_level(&self, level: i128) -> Option<Duration> {
        (self.level < level).then(|| self.until(level.min(self.capacity)))
    }

    fn until(&self, level: i128) -> Duration {
        let missing = u128::try_from(level - self.level).unwrap_or(0);
        let nanos = missing.div_ceil(u128::from(self.per_minute.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(nanos: u64) -> SimTime {
        SimTime(nanos)
    }

    #[test]
    fn a_bucket_starts_full_and_says_exactly_when_enough_is_back() {
        let mut bucket = Bucket::full(60, at(0));
        bucket.take(60);
        assert_eq!(bucket.wait_for(1), Some(Duration::from_secs(1)));
        bucket.refill(at(SECOND - 1));
        assert!(bucket.wait_for(1).is_some());
        bucket.refill(at(SECOND));
        assert_eq!(bucket.wait_for(1), None);
        assert_eq!(bucket.remaining(), 1);
    }

    #[test]
    fn refilling_in_many_small_steps_equals_one_large_step() {
        let mut often = Bucket::full(7, at(0));
        often.take(7);
        let mut once = often.clone();
        for step in 1..=30_000 {
            often.refill(at(step * 1_000_003));
        }
        once.refill(at(30_000 * 1_000_003));
        assert_eq!(often.level, once.level);
    }

    #[test]
    fn a_bucket_below_zero_waits_until_it_is_above_zero_and_never_overfills() {
        let mut bucket = Bucket::full(60, at(0));
        bucket.take(90);
        assert_eq!(bucket.remaining(), 0);
        assert_eq!(bucket.until_full(), Duration::from_secs(90));
        bucket.refill(at(30 * SECOND));
        assert_eq!(bucket.wait_for_any(), Some(Duration::from_nanos(1)), "zero is not above zero");
        bucket.refill(at(30 * SECOND + 1));
        assert_eq!(bucket.wait_for_any(), None);
        bucket.refill(at(1000 * SECOND));
        assert_eq!(bucket.remaining(), 60);
    }

    #[test]
    fn a_bucket_of_a_second_lets_a_second_s_worth_come_at_once() {
        let mut bucket = Bucket::of_seconds(1, 120, at(0));
        bucket.take(2);
        assert_eq!(bucket.wait_for(1), Some(Duration::from_millis(500)));
        bucket.refill(at(60 * SECOND));
        assert_eq!(bucket.remaining(), 2);
        assert_eq!(Bucket::of_seconds(1, 30, at(0)).remaining(), 1, "never less than one");
    }

    #[test]
    fn more_than_the_bucket_holds_is_never_there() {
        let bucket = Bucket::full(60, at(0));
        assert_eq!(bucket.wait_for(61), Some(Duration::ZERO));
    }
}
