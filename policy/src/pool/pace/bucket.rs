//! A token bucket of the server, as far as its answers tell of it.

use crate::limits::Timestamp;

/// What a bucket is full of by default: limits are told, and mostly kept, by the minute.
const MINUTE: f64 = 60.0;

/// The shortest time over which a limit of a minute is known to be enforced, in seconds.
const SHORTEST_BURST: f64 = 1.0;

/// The share of a bucket that is left in it. It costs no throughput, as what refills is what
/// counts, and covers what a reading cannot tell: three seconds of others' use, and estimates
/// that were too low.
const MARGIN: f64 = 0.05;

/// The largest share to which refusals raise the margin.
const LARGEST_MARGIN: f64 = 0.4;

/// How much slower to go after a refusal that nothing else explains, and how slow at the most.
const EASE: f64 = 0.95;
const SLOWEST: f64 = 0.5;

/// How far below zero a level is believed to be, in minutes of refill: the longest answers at
/// once overdraw the smallest limits so far.
const DEEPEST: f64 = 10.0;

/// A bucket with continuous refill and, for output, a continuous drain.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Units a second.
    rate: f64,
    /// The seconds of refill that it holds.
    burst: f64,
    /// The share of its capacity to leave in it.
    margin: f64,
    /// The part of the refill that is counted on.
    ease: f64,
    level: f64,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket. A limit of zero is tried once a minute, as one of one.
    pub(super) fn full(limit: f64, now: Timestamp) -> Self {
        let rate = limit.max(1.0) / MINUTE;
        Self { rate, burst: MINUTE, margin: MARGIN, ease: 1.0, level: rate * MINUTE, at: now }
    }

    /// Units a second.
    pub(super) const fn rate(&self) -> f64 {
        self.rate
    }

    /// The limit of a minute, and what is left of it, in whole units.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates"
    )]
    pub(super) fn told(&self, now: Timestamp) -> (u64, u64) {
        ((self.rate * MINUTE).round() as u64, self.level(now, 0.0).floor() as u64)
    }

    /// The most it holds.
    pub(super) fn capacity(&self) -> f64 {
        (self.rate * self.burst).max(1.0)
    }

    /// How much less than a minute's worth it is believed to hold: by so much a reading may
    /// promise too much.
    pub(super) fn unbelieved(&self) -> f64 {
        (MINUTE - self.burst) * self.rate
    }

    /// What to leave in it.
    pub(super) fn margin(&self) -> f64 {
        self.capacity() * self.margin
    }

    /// Takes over another limit.
    pub(super) fn set_limit(&mut self, limit: f64) {
        self.rate = limit.max(1.0) / MINUTE;
        self.level = self.level.min(self.capacity());
    }

    /// Believes that it holds no more than `most`.
    pub(super) fn shrink_to(&mut self, most: f64) {
        self.burst = self.burst.min(most / self.rate).max(SHORTEST_BURST);
        self.level = self.level.min(self.capacity());
    }

    /// The level at `now`; time that went back changes nothing.
    pub(super) fn level(&self, now: Timestamp, drain: f64) -> f64 {
        self.level_after((now - self.at).as_seconds_f64(), drain)
    }

    fn level_after(&self, elapsed: f64, drain: f64) -> f64 {
        let level = self.level + elapsed.max(0.0) * (self.rate * self.ease - drain);
        level.min(self.capacity())
    }

    /// Refills up to `now`.
    pub(super) fn advance(&mut self, now: Timestamp, drain: f64) {
        self.set(self.level(now, drain));
        self.at = self.at.max(now);
    }

    /// Takes from it, or gives back.
    pub(super) fn take(&mut self, amount: f64) {
        self.set(self.level - amount);
    }

    /// Moves the level into a range; the upper end counts more.
    pub(super) fn confine(&mut self, lowest: f64, highest: f64) {
        self.set(self.level.max(lowest).min(highest));
    }

    fn set(&mut self, level: f64) {
        self.level = level.clamp(-DEEPEST * MINUTE * self.rate, self.capacity());
    }

    /// Seconds until the level is `wanted`, or the bucket full; infinite if it does not rise.
    pub(super) fn until(&self, now: Timestamp, wanted: f64, drain: f64) -> f64 {
        let elapsed = (now - self.at).as_seconds_f64();
        let missing = wanted.min(self.capacity()) - self.level_after(elapsed, drain);
        let rise = self.rate * self.ease - drain;
        if missing <= 0.0 {
            0.0
        } else if rise > 0.0 {
            (-elapsed).max(0.0) + missing / rise
        } else {
            f64::INFINITY
        }
    }

    /// A call was refused although enough for it seemed to be left: leaves more in it.
    pub(super) fn widen_margin(&mut self) {
        self.margin = (self.margin * 2.0).min(LARGEST_MARGIN);
    }

    /// A call was refused although the bucket held `level`: if that is much of it, it holds less
    /// than was believed; if it holds no less, it is refilled in steps, or calls come unevenly.
    pub(super) fn tighten(&mut self, level: f64) {
        if level < self.capacity() / 2.0 {
            self.widen_margin();
        } else if self.burst > SHORTEST_BURST {
            self.shrink_to(self.capacity() / 2.0);
        } else {
            self.ease = (self.ease * EASE).max(SLOWEST);
        }
    }

    /// Goes a step back to what is usual.
    pub(super) fn relax(&mut self) {
        self.ease = (self.ease / EASE).min(1.0);
        self.burst = (self.burst * 2.0).min(MINUTE);
        self.margin = (self.margin / 2.0).max(MARGIN);
    }

    /// Of two pictures of one bucket, the more careful.
    pub(super) fn merge(mut self, mut other: Self) -> Self {
        let now = self.at.max(other.at);
        self.advance(now, 0.0);
        other.advance(now, 0.0);
        self.rate = self.rate.min(other.rate);
        self.burst = self.burst.min(other.burst);
        self.margin = self.margin.max(other.margin);
        self.ease = self.ease.min(other.ease);
        self.level = self.level.min(other.level).min(self.capacity());
        self
    }
}
