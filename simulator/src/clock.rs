//! Simulated time: the tokio clock, sped up, and wall time carried by it.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::time::Instant;

/// Nanoseconds of simulated time since the simulator started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SimTime(pub(crate) u64);

impl SimTime {
    /// The time a simulated duration later.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(narrow(duration.as_nanos())))
    }

    /// How long it is until a time, nothing if that has come.
    pub(crate) const fn until(self, time: Self) -> Duration {
        Duration::from_nanos(time.0.saturating_sub(self.0))
    }
}

/// A clock whose own durations are divided by a time scale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: DateTime<Utc>,
    start: Instant,
    /// The time scale in thousandths: an integer, so that a client that waits exactly as long as
    /// it was told is never refused for a rounding error.
    thousandths: u64,
}

impl Clock {
    pub(crate) fn new(thousandths: u64) -> Self {
        Self { wall: Utc::now(), start: Instant::now(), thousandths: thousandths.max(1) }
    }

    /// Simulated time now.
    pub(crate) fn now(&self) -> SimTime {
        let real = self.start.elapsed().as_nanos();
        SimTime(narrow(real * u128::from(self.thousandths) / 1000))
    }

    /// How long a simulated duration takes in real time, rounded up.
    pub(crate) fn real(&self, simulated: Duration) -> Duration {
        let nanos = (simulated.as_nanos() * 1000).div_ceil(u128::from(self.thousandths));
        Duration::from_nanos(narrow(nanos))
    }

    /// How many real seconds a simulated duration takes, rounded up.
    pub(crate) fn seconds(&self, simulated: Duration) -> u64 {
        let real = self.real(simulated);
        real.as_secs() + u64::from(real.subsec_nanos() > 0)
    }

    /// The wall time at some simulated time; it stands still with a paused tokio clock.
    pub(crate) fn wall(&self, time: SimTime) -> DateTime<Utc> {
        let real = TimeDelta::from_std(self.real(Duration::from_nanos(time.0)));
        self.wall + real.unwrap_or(TimeDelta::MAX / 1_000_000)
    }

    /// The wall time of a simulated time, rounded up to a second.
    pub(crate) fn wall_at(&self, at: SimTime) -> DateTime<Utc> {
        self.rounded_up(self.real(Duration::from_nanos(at.0)))
    }

    /// The wall time a simulated duration from now, rounded up to a second, in RFC 3339.
    pub(crate) fn stamp_after(&self, simulated: Duration) -> String {
        let at = self.rounded_up(self.start.elapsed() + self.real(simulated));
        at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn rounded_up(&self, since_start: Duration) -> DateTime<Utc> {
        let since_start = TimeDelta::from_std(since_start).unwrap_or(TimeDelta::MAX / 1_000_000);
        let at = self.wall + since_start;
        let whole = at.trunc_subsecs(0);
        if whole < at { whole + TimeDelta::seconds(1) } else { whole }
    }
}

fn narrow(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}
