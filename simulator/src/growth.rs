//! "Acceleration" limits: use may grow only so fast from one minute to the next.

use std::time::Duration;

use crate::allowance::{Dimension, Refusal};
use crate::clock::SimTime;
use crate::problem::{Kind, Problem};
use crate::scenario::Acceleration;

const MINUTE: u64 = 60_000_000_000;

/// The API's answer to use that grows too fast, with how long to wait, in real seconds.
pub(crate) fn too_fast(seconds: u64) -> Problem {
    let message = "This request would exceed your organization's maximum usage increase rate. \
                   Please scale up your input tokens usage more gradually to stay within the \
                   acceleration limit.";
    Problem::new(Kind::RateLimit, message)
        .with_code("ramp_limit_exceeded")
        .with_header("retry-after", seconds.to_string())
}

/// The input tokens of this minute and of the one before.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    limit: Acceleration,
    minute: SimTime,
    before: u64,
    pub(crate) current: u64,
}

impl Growth {
    pub(crate) const fn new(limit: Acceleration, now: SimTime) -> Self {
        Self { limit, minute: now, before: 0, current: 0 }
    }

    /// Begins a new minute when the last one is over.
    pub(crate) fn roll(&mut self, now: SimTime) {
        let minutes = now.0.saturating_sub(self.minute.0) / MINUTE;
        if minutes > 0 {
            self.before = if minutes == 1 { self.current } else { 0 };
            self.current = 0;
            self.minute = SimTime(self.minute.0 + minutes * MINUTE);
        }
    }

    /// Why more input would be refused: until the next minute.
    pub(crate) fn refusal(&self, now: SimTime, input_tokens: u64) -> Option<Refusal> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "tokens of a minute are far below 2^53, and a cast saturates"
        )]
        let grown = (self.before as f64 * self.limit.growth) as u64;
        let limit = grown.max(self.limit.floor_tokens);
        let wait = Duration::from_nanos((self.minute.0 + MINUTE).saturating_sub(now.0));
        // The first request of a minute is always let through, or a large one never would be.
        let is_over = self.current > 0 && self.current.saturating_add(input_tokens) > limit;
        is_over.then_some(Refusal { dimension: Dimension::Growth, limit, wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_may_double_from_minute_to_minute_and_starts_over_after_a_pause() {
        let mut growth = Growth::new(Acceleration { floor_tokens: 100, growth: 2.0 }, SimTime(0));
        let mut refused_above = |minute: u64, limit: u64| {
            let now = SimTime(minute * MINUTE + MINUTE / 4);
            growth.roll(now);
            growth.current = limit;
            assert_eq!(growth.refusal(now, 0), None);
            let refusal = growth.refusal(now, 1).unwrap();
            assert_eq!((refusal.limit, refusal.wait), (limit, Duration::from_secs(45)));
        };
        refused_above(0, 100);
        refused_above(1, 200);
        refused_above(2, 400);
        refused_above(4, 100);
    }
}
