//! Whether something may be used now: a profile as a whole, or a profile for a class of models.

use chrono::TimeDelta;

use crate::limits::{Dimension, Timestamp};

/// Why a gate is shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A rate limit, and what it counts as far as it is known.
    Limit(Option<Dimension>),
    /// Its token could not be renewed.
    Unrefreshed,
    /// No money.
    Billing,
    /// The credential is not accepted.
    Revoked,
    /// The credential may not use this class of models.
    Forbidden,
    /// An operator took the profile out of use.
    Held,
    /// The provider failed too often in a row.
    Outage,
}

impl Cause {
    /// The cause in a word, for people and for logs.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Limit(_) => "rate_limit",
            Self::Unrefreshed => "refresh_failed",
            Self::Billing => "billing",
            Self::Revoked => "auth",
            Self::Forbidden => "permission",
            Self::Held => "operator",
            Self::Outage => "outage",
        }
    }
}

/// Where a gate stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// All may pass.
    #[default]
    Open,
    /// None may, until a time or, with `None`, until someone intervenes.
    Shut { since: Timestamp, until: Option<Timestamp>, cause: Cause },
    /// A few may, to find out whether it holds; twice as many after each success.
    Ramp { since: Timestamp, width: u32, inside: u32, cause: Cause },
}

/// So many successes in flight prove that a limit is over: beyond this width the ramp is done.
/// Above what one organisation keeps busy between two answers at common limits.
const FULL_WIDTH: u32 = 256;

/// Windows from here on end with a probe. A shorter one says when there is room again, and the
/// room for more than one; a longer one says that something was used up or is broken. The end of
/// an outage is a guess, however short.
const PROBED_FROM: TimeDelta = TimeDelta::seconds(30);

/// A gate with its memory of how often it was shut without a word on when to come back.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    state: State,
    step: usize,
    last_end: Option<Timestamp>,
}

/// What a gate lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// One more may pass.
    Free,
    /// As many as may are inside.
    Full,
    /// None, until then.
    Shut(Timestamp),
    /// None, and no end is known.
    Gone,
}

impl Passage {
    /// What gets through both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Gone, _) | (_, Self::Gone) => Self::Gone,
            (Self::Shut(a), Self::Shut(b)) => Self::Shut(a.max(b)),
            (Self::Shut(until), Self::Free | Self::Full)
            | (Self::Free | Self::Full, Self::Shut(until)) => Self::Shut(until),
            (Self::Full, _) | (_, Self::Full) => Self::Full,
            (Self::Free, Self::Free) => Self::Free,
        }
    }
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Open, step: 0, last_end: None }
    }

    /// What the gate lets through now.
    #[must_use]
    pub const fn passage(&self) -> Passage {
        match &self.state {
            State::Open => Passage::Free,
            State::Ramp { width, inside, .. } if *inside < *width => Passage::Free,
            State::Ramp { .. } => Passage::Full,
            State::Shut { until: Some(until), .. } => Passage::Shut(*until),
            State::Shut { until: None, .. } => Passage::Gone,
        }
    }

    /// What can be seen of it from outside.
    pub(super) const fn outside(&self) -> (Passage, bool) {
        (self.passage(), self.is_ramping())
    }

    /// Why it is shut, and until when.
    #[must_use]
    pub const fn shut_by(&self) -> Option<(Cause, Option<Timestamp>)> {
        match &self.state {
            State::Shut { until, cause, .. } => Some((*cause, *until)),
            State::Open | State::Ramp { .. } => None,
        }
    }

    /// Why nothing more may pass: what shut it, also while as many as may are inside on trial.
    #[must_use]
    pub const fn held_by(&self) -> Option<(Cause, Option<Timestamp>)> {
        match &self.state {
            State::Ramp { width, inside, cause, .. } if *inside >= *width => Some((*cause, None)),
            State::Open | State::Ramp { .. } | State::Shut { .. } => self.shut_by(),
        }
    }

    /// Whether it lets only a few through, on trial.
    #[must_use]
    pub const fn is_ramping(&self) -> bool {
        matches!(self.state, State::Ramp { .. })
    }

    /// Shuts until the later of `until` and what it is shut until already; `None` is the latest.
    pub fn shut(&mut self, now: Timestamp, until: Option<Timestamp>, cause: Cause) {
        let mut since = now;
        if let State::Shut { since: begun, until: known, .. } = &self.state {
            since = *begun;
            let is_later = match (until, known) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(until), Some(known)) => until > *known,
            };
            if !is_later {
                return;
            }
        }
        self.last_end = until.or(self.last_end);
        self.state = State::Shut { since, until, cause };
    }

    /// Opens by hand, and forgets how often it was shut.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Shuts as another process, or one before this, left it. Such a window ends with a probe,
    /// whatever its length was; one that has ended does so only if nothing has succeeded since.
    pub fn recall(&mut self, now: Timestamp, until: Timestamp, steps: u32, cause: Cause) {
        if self.last_end.is_some_and(|end| until <= end) {
            return; // It is known, or something later is.
        }
        (self.step, self.last_end) = (steps as usize, Some(until));
        if until > now || steps > 0 {
            self.shut(Timestamp::MIN_UTC, Some(until), cause);
            self.thaw(now);
        }
    }

    /// The end of its last window.
    #[must_use]
    pub const fn last_end(&self) -> Option<Timestamp> {
        self.last_end
    }

    /// What two gates say that turn out to be one; who is inside is to be counted anew.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.step = self.step.max(other.step);
        match other.state {
            State::Shut { since, until, cause } => self.shut(since, until, cause),
            State::Ramp { since, cause, .. } if self.shut_by().is_none() => {
                let since = self.ramps_since().map_or(since, |known| known.min(since));
                self.state = State::Ramp { since, width: 1, inside: 0, cause };
            }
            State::Ramp { .. } | State::Open => {}
        }
        self.last_end = self.last_end.max(other.last_end);
        self
    }

    /// Counts anew who is inside on trial: those who have passed since it began.
    pub fn recount(&mut self, passed_since: impl Fn(Timestamp) -> usize) {
        if let State::Ramp { since, inside, .. } = &mut self.state {
            *inside = u32::try_from(passed_since(*since)).unwrap_or(u32::MAX);
        }
    }

    const fn ramps_since(&self) -> Option<Timestamp> {
        match &self.state {
            State::Ramp { since, .. } => Some(*since),
            State::Open | State::Shut { .. } => None,
        }
    }

    /// How many steps of its ladder it has climbed.
    #[must_use]
    pub fn steps(&self) -> u32 {
        u32::try_from(self.step).unwrap_or(u32::MAX)
    }

    /// Shuts for the next step of `ladder`, unless the call was granted before the last window
    /// ended: then its failure is old news.
    pub fn climb(
        &mut self,
        now: Timestamp,
        granted_at: Timestamp,
        ladder: &[TimeDelta],
        cause: Cause,
    ) {
        if !self.is_news(granted_at) {
            return;
        }
        let step = self.step.min(ladder.len().saturating_sub(1));
        self.step = self.step.saturating_add(1);
        let wait = ladder.get(step).copied().unwrap_or_default();
        self.shut(now, Some(now + wait), cause);
    }

    /// Whether a call granted then tells something that the last window did not.
    #[must_use]
    pub fn is_news(&self, granted_at: Timestamp) -> bool {
        self.last_end.is_none_or(|end| granted_at >= end)
    }

    /// Opens when the window is over; after a long one by a crack, for a probe.
    pub fn thaw(&mut self, now: Timestamp) {
        if let State::Shut { since, until: Some(until), cause } = &self.state
            && *until <= now
        {
            let is_probed = *until - *since >= PROBED_FROM || matches!(cause, Cause::Outage);
            self.state = if is_probed {
                State::Ramp { since: now, width: 1, inside: 0, cause: *cause }
            } else {
                State::Open
            };
        }
    }

    /// One passes.
    pub const fn enter(&mut self) {
        if let State::Ramp { inside, .. } = &mut self.state {
            *inside += 1;
        }
    }

    /// One that passed at `granted_at` is done.
    pub fn leave(&mut self, granted_at: Timestamp, succeeded: bool) {
        let is_full = match &mut self.state {
            State::Ramp { since, width, inside, .. } if granted_at > *since => {
                *inside = inside.saturating_sub(1);
                if succeeded {
                    *width = width.saturating_mul(2);
                }
                *width >= FULL_WIDTH
            }
            State::Open | State::Ramp { .. } | State::Shut { .. } => false,
        };
        if is_full {
            self.state = State::Open;
        }
        // A success never ends a running window; one granted after it resets the ladder.
        if succeeded && self.shut_by().is_none() && self.is_news(granted_at) {
            self.step = 0;
        }
    }
}

#[cfg(test)]
mod tests;
