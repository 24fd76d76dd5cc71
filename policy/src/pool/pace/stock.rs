//! What a call takes at once, as much as is known beforehand: requests, or input tokens.

use chrono::TimeDelta;

use super::bucket::Bucket;
use crate::limits::Timestamp;

/// How much later than a call another one may reach the server that was granted before it.
const OVERTAKING: TimeDelta = TimeDelta::seconds(1);

/// A limited amount, and what calls have reserved of it.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    pub(super) bucket: Option<Bucket>,
    /// All that was ever granted.
    granted: f64,
    /// The same, when that was last noted, and when it was noted before.
    noted: (Timestamp, f64),
    arrived: f64,
}

/// What one call has reserved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) amount: f64,
    /// What seemed to be left before it.
    pub(super) level: f64,
    /// All that was granted up to it.
    granted: f64,
    /// What of that had certainly reached the server before it did.
    arrived: f64,
}

impl Stock {
    pub(super) const fn new() -> Self {
        Self { bucket: None, granted: 0.0, noted: (Timestamp::MIN_UTC, 0.0), arrived: 0.0 }
    }

    /// Seconds until a call can have so much.
    pub(super) fn until(&self, now: Timestamp, amount: f64) -> f64 {
        let Some(bucket) = &self.bucket else { return 0.0 };
        bucket.until(now, amount + bucket.margin(), 0.0)
    }

    /// Reserves.
    pub(super) fn grant(&mut self, now: Timestamp, amount: f64) -> Share {
        if now - self.noted.0 >= OVERTAKING {
            self.arrived = self.noted.1;
            self.noted = (now, self.granted);
        }
        self.granted += amount;
        let level = self.bucket.as_ref().map_or(0.0, |bucket| bucket.level(now, 0.0));
        self.take(now, amount);
        Share { amount, level, granted: self.granted, arrived: self.arrived }
    }

    /// Takes more than was reserved, or gives back.
    pub(super) fn take(&mut self, now: Timestamp, amount: f64) {
        if let Some(bucket) = &mut self.bucket {
            bucket.advance(now, 0.0);
            bucket.take(amount);
        }
    }

    /// Takes over what the headers of a call granted at `since` say; `rounding` is how far off
    /// they may be.
    ///
    /// They are as old as the call at the most. What was granted after it is not in them; what
    /// was granted shortly before may be or not.
    pub(super) fn read(
        &mut self,
        now: Timestamp,
        (share, since): (Share, Timestamp),
        (limit, remaining): (f64, f64),
        rounding: f64,
    ) {
        let is_new = self.bucket.is_none();
        let bucket = self.bucket.get_or_insert_with(|| Bucket::full(limit, now));
        bucket.advance(now, 0.0);
        bucket.set_limit(limit);
        let rounding = rounding.min(bucket.capacity() / 2.0);
        let missing = self.granted - share.arrived - share.amount;
        let lowest = remaining - rounding - missing - bucket.unbelieved();
        let age = (now - since).as_seconds_f64().max(0.0);
        let later = self.granted - share.granted;
        let highest = remaining + rounding + age * bucket.rate() - later;
        bucket.confine(lowest, if is_new { lowest } else { highest });
    }

    /// The server says that a request for `amount` has to wait for so many seconds.
    pub(super) fn refused(&mut self, now: Timestamp, amount: f64, wait: f64) {
        if let Some(bucket) = &mut self.bucket {
            bucket.advance(now, 0.0);
            bucket.confine(f64::NEG_INFINITY, amount - wait * bucket.rate());
        }
    }

    /// Of two pictures of one limit, the more careful.
    pub(super) fn merge(self, other: Self) -> Self {
        let recent = (self.granted - self.arrived).min(other.granted - other.arrived);
        let bucket = match (self.bucket, other.bucket) {
            (Some(one), Some(another)) => {
                let mut merged = one.merge(another);
                // Neither knows what the other has sent lately; the lower may be either's.
                merged.take(recent);
                Some(merged)
            }
            (one, another) => one.or(another),
        };
        Self {
            bucket,
            granted: self.granted + other.granted,
            noted: (self.noted.0.max(other.noted.0), self.noted.1 + other.noted.1),
            arrived: self.arrived + other.arrived,
        }
    }
}
