//! Output tokens: they count as they are written, and a call is refused only if too many were.
//!
//! What a call will write is not reserved: the bucket may be smaller than what long answers still
//! have to write, and would then hold calls back for nothing. Instead as many calls are kept
//! under way as together write what the level bears.

use chrono::TimeDelta;

use super::ROUNDING;
use super::bucket::Bucket;
use crate::limits::Timestamp;

/// Tokens a second that a call is taken to write until it is known better: rather too many.
const USUAL_SPEED: f64 = 100.0;

/// The seconds of writing that count for as much as that assumption.
const USUAL_SECONDS: f64 = 10.0;

/// The share of what was learnt that the next call replaces.
const FORGET: f64 = 1.0 / 32.0;

/// The share of the bucket at which calls are to write as much as is refilled: above it more,
/// below it less, so that the level comes back to it.
const BALANCE: f64 = 0.5;

/// The calls under way, and what they write.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) bucket: Option<Bucket>,
    in_flight: f64,
    /// What recent calls wrote, and the seconds that it took them.
    written: f64,
    seconds: f64,
    read_at: Timestamp,
}

impl Output {
    pub(super) const fn new() -> Self {
        Self {
            bucket: None,
            in_flight: 0.0,
            written: USUAL_SPEED * USUAL_SECONDS,
            seconds: USUAL_SECONDS,
            read_at: Timestamp::MIN_UTC,
        }
    }

    fn speed(&self) -> f64 {
        self.written / self.seconds
    }

    fn drain(&self) -> f64 {
        self.in_flight * self.speed()
    }

    /// Seconds until one more call may be under way; infinite if one has to end for that.
    pub(super) fn until(&self, now: Timestamp) -> f64 {
        let Some(bucket) = &self.bucket else { return 0.0 };
        let drain = self.drain();
        let bearing = bucket.capacity() * BALANCE * drain / bucket.rate();
        if bearing > bucket.capacity() {
            return f64::INFINITY;
        }
        bucket.until(now, bearing.max(bucket.margin().max(ROUNDING)), drain)
    }

    pub(super) fn advance(&mut self, now: Timestamp) {
        let drain = self.drain();
        if let Some(bucket) = &mut self.bucket {
            bucket.advance(now, drain);
        }
    }

    /// A call begins.
    pub(super) fn grant(&mut self, now: Timestamp) {
        self.advance(now);
        self.in_flight += 1.0;
    }

    /// A call granted at `since` ended, having written so much, as far as it is known.
    pub(super) fn ended(&mut self, now: Timestamp, since: Timestamp, written: Option<f64>) {
        self.advance(now);
        self.in_flight = (self.in_flight - 1.0).max(0.0);
        let Some(written) = written else { return };
        let took = (now - since).max(TimeDelta::milliseconds(1)).as_seconds_f64();
        // Only what no reading has told since: that was not yet counted right.
        let untold = (now - since.max(self.read_at)).as_seconds_f64().clamp(0.0, took);
        let excess = (written / took - self.speed()) * untold;
        if let Some(bucket) = &mut self.bucket {
            bucket.take(excess);
        }
        self.written += written - self.written * FORGET;
        self.seconds += took - self.seconds * FORGET;
    }

    /// A refused call wrote nothing: what was counted for it is given back.
    pub(super) fn refused(&mut self, now: Timestamp, since: Timestamp) {
        self.advance(now);
        self.in_flight = (self.in_flight - 1.0).max(0.0);
        let untold = (now - since.max(self.read_at)).as_seconds_f64().max(0.0);
        let counted = self.speed() * untold;
        if let Some(bucket) = &mut self.bucket {
            bucket.take(-counted);
        }
    }

    /// Takes over what the headers of a call granted at `since` say.
    pub(super) fn read(
        &mut self,
        now: Timestamp,
        since: Timestamp,
        (limit, remaining): (f64, f64),
        reset: Option<Timestamp>,
    ) {
        self.advance(now);
        let drain = self.drain();
        let bucket = self.bucket.get_or_insert_with(|| Bucket::full(limit, now));
        bucket.set_limit(limit);
        let age = (now - since).as_seconds_f64().max(0.0);
        let (lowest, highest) = if remaining > 0.0 {
            (remaining - ROUNDING, remaining + ROUNDING)
        } else {
            // Zero is all that is said of a bucket that is overdrawn; when it is full again tells
            // by how much, to the second.
            let full_in = reset.map_or(0.0, |reset| (reset - now).as_seconds_f64().max(0.0));
            let level = (bucket.capacity() - full_in * bucket.rate()).min(0.0);
            (level - bucket.rate(), level + bucket.rate().min(ROUNDING))
        };
        bucket.confine(lowest - age * drain, highest + age * bucket.rate());
        self.read_at = self.read_at.max(now);
    }

    /// The server says that nothing may be written for so many seconds.
    pub(super) fn closed(&mut self, now: Timestamp, wait: f64) {
        self.advance(now);
        if let Some(bucket) = &mut self.bucket {
            bucket.confine(f64::NEG_INFINITY, -wait * bucket.rate());
        }
    }

    /// Of two pictures of one limit, the more careful.
    pub(super) fn merge(self, other: Self) -> Self {
        Self {
            bucket: match (self.bucket, other.bucket) {
                (Some(one), Some(another)) => Some(one.merge(another)),
                (one, another) => one.or(another),
            },
            in_flight: self.in_flight + other.in_flight,
            written: self.written + other.written,
            seconds: self.seconds + other.seconds,
            read_at: self.read_at.max(other.read_at),
        }
    }
}
