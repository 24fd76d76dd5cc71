//! The time of day, carried by tokio's clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use polpo_policy::limits::Timestamp;
use tokio::time::Instant;

/// Wall time carried by tokio's clock, so that a paused runtime pauses it too: an hour's cooldown
/// simulates in milliseconds. It never steps back.
#[derive(Clone, Debug)]
pub struct Clock {
    anchor: Arc<Mutex<Anchor>>,
    follows_wall: bool,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    at: Timestamp,
    since: Instant,
}

impl Anchor {
    fn now(&self) -> Timestamp {
        let elapsed = TimeDelta::from_std(self.since.elapsed()).unwrap_or(TimeDelta::MAX);
        self.at.checked_add_signed(elapsed).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl Clock {
    /// The wall clock.
    #[must_use]
    pub fn wall() -> Self {
        Self { follows_wall: true, ..Self::starting_at(Utc::now()) }
    }

    /// A clock for simulations: it starts at `start` and knows no other time than tokio's.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        let anchor = Anchor { at: start, since: Instant::now() };
        Self { anchor: Arc::new(Mutex::new(anchor)), follows_wall: false }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    /// How long until `at`; nothing if that is past.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        (at - self.now()).to_std().unwrap_or_default()
    }

    /// Follows the wall clock forward, so that suspend and NTP do not bend deadlines. Where the
    /// wall clock has stepped back, this one goes on at its own pace until it is overtaken.
    pub fn reanchor(&self) {
        if self.follows_wall {
            let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
            let at = anchor.now().max(Utc::now());
            *anchor = Anchor { at, since: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_runtime_carries_the_clock() {
        let clock = Clock::starting_at(DateTime::UNIX_EPOCH);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        clock.reanchor();
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH + TimeDelta::hours(1));
        assert_eq!(clock.until(DateTime::UNIX_EPOCH), Duration::ZERO);
    }
}
