//! Whether something may be used now: a profile as a whole, or a profile for a class of models.

use chrono::TimeDelta;

use crate::id::OrganizationId;
use crate::limits::{Dimension, Timestamp};

/// Why a gate is shut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A rate limit.
    Limit {
        /// What it counts, as far as it is known.
        dimension: Option<Dimension>,
        /// Whose limit it is, as far as it is known.
        organization: Option<OrganizationId>,
    },
    /// No money.
    Billing,
    /// The credential is not accepted.
    Revoked,
    /// The credential may not use this class of models.
    Forbidden,
}

/// Where a gate stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// All may pass.
    #[default]
    Open,
    /// None may, until a time or, with `None`, until someone intervenes.
    Shut { until: Option<Timestamp>, cause: Cause },
    /// A few may, to find out whether it holds; twice as many after each success.
    Ramp { since: Timestamp, width: u32, inside: u32, cause: Cause },
}

/// So many successes in flight prove that a limit is over: beyond this width the ramp is done.
/// Above what one organisation keeps busy between two answers at common limits.
const FULL_WIDTH: u32 = 256;

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

impl Gate {
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

    /// Why it is shut, and until when.
    #[must_use]
    pub const fn shut_by(&self) -> Option<(&Cause, Option<Timestamp>)> {
        match &self.state {
            State::Shut { until, cause } => Some((cause, *until)),
            State::Open | State::Ramp { .. } => None,
        }
    }

    /// Why nothing more may pass: what shut it, also while as many as may are inside on trial.
    #[must_use]
    pub const fn held_by(&self) -> Option<(&Cause, Option<Timestamp>)> {
        match &self.state {
            State::Ramp { width, inside, cause, .. } if *inside >= *width => Some((cause, None)),
            State::Open | State::Ramp { .. } | State::Shut { .. } => self.shut_by(),
        }
    }

    /// Whether it lets only a few through, on trial.
    #[must_use]
    pub const fn is_ramping(&self) -> bool {
        matches!(self.state, State::Ramp { .. })
    }

    /// Shuts until the later of `until` and what it is shut until already; `None` is the latest.
    pub fn shut(&mut self, until: Option<Timestamp>, cause: Cause) {
        if let State::Shut { until: known, .. } = &self.state {
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
        self.state = State::Shut { until, cause };
    }

    /// Shuts for the next step of `ladder`, unless the call was granted before the last window
    /// ended: then its failure is old news (facts/polpo.md, decisions).
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
        self.shut(Some(now + wait), cause);
    }

    /// Whether a call granted then tells something that the last window did not.
    #[must_use]
    pub fn is_news(&self, granted_at: Timestamp) -> bool {
        self.last_end.is_none_or(|end| granted_at >= end)
    }

    /// Opens a crack when the window is over.
    pub fn thaw(&mut self, now: Timestamp) {
        if let State::Shut { until: Some(until), cause } = &self.state
            && *until <= now
        {
            let cause = cause.clone();
            self.state = State::Ramp { since: now, width: 1, inside: 0, cause };
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
mod tests {
    use super::*;
    use chrono::DateTime;

    const LADDER: [TimeDelta; 3] =
        [TimeDelta::minutes(1), TimeDelta::minutes(5), TimeDelta::minutes(25)];

    fn at(seconds: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn limit() -> Cause {
        Cause::Limit { dimension: None, organization: None }
    }

    #[test]
    fn a_later_end_extends_a_window_and_an_earlier_one_does_not_shorten_it() {
        let mut gate = Gate::default();
        gate.shut(Some(at(60)), limit());
        gate.shut(Some(at(10)), limit());
        assert_eq!(gate.passage(), Passage::Shut(at(60)));
        gate.shut(Some(at(90)), limit());
        assert_eq!(gate.passage(), Passage::Shut(at(90)));
        gate.shut(None, Cause::Revoked);
        gate.shut(Some(at(99)), limit());
        assert_eq!(gate.passage(), Passage::Gone);
    }

    #[test]
    fn after_a_window_one_passes_and_each_success_doubles_the_width() {
        let mut gate = Gate::default();
        gate.shut(Some(at(60)), limit());
        gate.thaw(at(59));
        assert_eq!(gate.passage(), Passage::Shut(at(60)));
        gate.thaw(at(60));
        let mut inside = 0;
        for width in [1, 2, 4, 8] {
            while gate.passage() == Passage::Free {
                gate.enter();
                inside += 1;
            }
            assert_eq!(inside, width);
            gate.leave(at(61), true);
            inside -= 1;
        }
        gate.leave(at(59), true);
        assert!(gate.is_ramping(), "a call from before the window is not counted");
    }

    #[test]
    fn a_window_that_is_over_as_it_begins_does_not_count_the_last_call_before_it() {
        let mut gate = Gate::default();
        gate.shut(Some(at(9)), limit());
        gate.thaw(at(10));
        gate.enter();
        gate.leave(at(10), true);
        assert_eq!(gate.passage(), Passage::Full, "one on trial, and nothing shown yet");
    }

    #[test]
    fn the_ladder_climbs_only_for_calls_granted_after_the_last_window() {
        let mut gate = Gate::default();
        gate.climb(at(0), at(0), &LADDER, limit());
        gate.climb(at(1), at(0), &LADDER, limit());
        assert_eq!(gate.passage(), Passage::Shut(at(60)), "the same burst counts once");
        for (now, end) in [(60, 360), (360, 1860), (1860, 3360)] {
            gate.thaw(at(now));
            gate.climb(at(now), at(now), &LADDER, limit());
            assert_eq!(gate.passage(), Passage::Shut(at(end)));
        }
    }

    #[test]
    fn a_success_resets_the_ladder_only_if_it_was_granted_after_the_window() {
        let mut gate = Gate::default();
        gate.climb(at(0), at(0), &LADDER, limit());
        gate.leave(at(0), true);
        assert_eq!(gate.passage(), Passage::Shut(at(60)), "a success never ends a window");
        gate.thaw(at(60));
        gate.leave(at(0), true);
        gate.climb(at(61), at(61), &LADDER, limit());
        assert_eq!(gate.passage(), Passage::Shut(at(361)), "the late success did not reset");
        gate.thaw(at(361));
        gate.leave(at(362), true);
        gate.climb(at(363), at(363), &LADDER, limit());
        assert_eq!(gate.passage(), Passage::Shut(at(423)));
    }
}
