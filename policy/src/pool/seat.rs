//! A profile as the pool sees it.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::gate::{Cause, Gate, Passage};
use crate::failure::Failure;
use crate::id::{LimitClass, OrganizationId, ProviderId};
use crate::limits::Timestamp;

/// How long failures keep a profile from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladders {
    /// Windows after limits that the server gave no end for, first to last; the last repeats.
    pub cooldown: Vec<TimeDelta>,
    /// The window after the first billing failure; doubles with each further one.
    pub billing_first: TimeDelta,
    /// The longest window after a billing failure.
    pub billing_longest: TimeDelta,
    /// A billing failure is the first again when the last window ended this long ago.
    pub billing_memory: TimeDelta,
}

impl Default for Ladders {
    /// 1, 5, 25, 60 minutes; 5, 10, 20, 24 hours (contract §2).
    fn default() -> Self {
        Self {
            cooldown: [1, 5, 25, 60].map(TimeDelta::minutes).to_vec(),
            billing_first: TimeDelta::hours(5),
            billing_longest: TimeDelta::hours(24),
            billing_memory: TimeDelta::hours(24),
        }
    }
}

/// Whether a seat can serve a class of models now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Ready,
    /// It could, but all its places are taken.
    Busy,
    /// It can from then on.
    Back(Timestamp),
    /// It cannot, and no end is known.
    Gone,
}

/// The state of a profile in one word, for `profile_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileState {
    /// Nothing against it.
    Ready,
    /// A limit has it, for at least one class of models.
    Cooling,
    /// Back from a limit, on trial.
    Probing,
    /// Out of money.
    Disabled,
    /// Its credential is not accepted.
    Revoked,
}

impl ProfileState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Ready, Self::Cooling, Self::Probing, Self::Disabled, Self::Revoked];

    /// The value of the `state` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Cooling => "cooling",
            Self::Probing => "probing",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}

/// A profile: its places, its health as a whole and for each class of models.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Whose profile it is.
    pub provider: ProviderId,
    /// How many requests it may serve at once.
    pub slots: u32,
    /// How many it serves.
    pub in_flight: u32,
    /// When it was last granted; `None` sorts first, so never used is the oldest.
    pub last_used: Option<Timestamp>,
    /// The organisation behind it, once an answer has named it.
    pub organization: Option<OrganizationId>,
    whole: Gate,
    classes: BTreeMap<LimitClass, Gate>,
    billing_failures: u32,
    last_billing_end: Option<Timestamp>,
}

impl Seat {
    /// A profile that has never been used.
    #[must_use]
    pub fn new(provider: ProviderId, slots: u32) -> Self {
        Self {
            provider,
            slots,
            in_flight: 0,
            last_used: None,
            organization: None,
            whole: Gate::default(),
            classes: BTreeMap::new(),
            billing_failures: 0,
            last_billing_end: None,
        }
    }

    /// Whether it can serve `class` now: the one rule of eligibility.
    #[must_use]
    pub fn standing(&self, class: &LimitClass) -> Standing {
        let own = self.classes.get(class).map_or(Passage::Free, Gate::passage);
        match (self.whole.passage(), own) {
            (Passage::Gone, _) | (_, Passage::Gone) => Standing::Gone,
            (Passage::Shut(whole), Passage::Shut(own)) => Standing::Back(whole.max(own)),
            (Passage::Shut(until), Passage::Free | Passage::Full)
            | (Passage::Free | Passage::Full, Passage::Shut(until)) => Standing::Back(until),
            (Passage::Full, _) | (_, Passage::Full) => Standing::Busy,
            (Passage::Free, Passage::Free) if self.in_flight >= self.slots => Standing::Busy,
            (Passage::Free, Passage::Free) => Standing::Ready,
        }
    }

    /// What keeps it from serving `class`, other than that its places are taken, and until when.
    #[must_use]
    pub fn held_by(&self, class: &LimitClass) -> Option<(&Cause, Option<Timestamp>)> {
        self.whole.held_by().or_else(|| self.classes.get(class)?.held_by())
    }

    /// Its state in one word.
    #[must_use]
    pub fn state(&self) -> ProfileState {
        match self.whole.shut_by() {
            Some((Cause::Billing, _)) => return ProfileState::Disabled,
            Some((Cause::Revoked | Cause::Forbidden, _)) => return ProfileState::Revoked,
            Some((Cause::Limit { .. }, _)) => return ProfileState::Cooling,
            None => {}
        }
        let mut gates = self.classes.values();
        if gates.clone().any(|gate| gate.shut_by().is_some()) {
            ProfileState::Cooling
        } else if self.whole.is_ramping() || gates.any(Gate::is_ramping) {
            ProfileState::Probing
        } else {
            ProfileState::Ready
        }
    }

    /// The end of its latest window, over all classes.
    #[must_use]
    pub fn cooling_until(&self) -> Option<Timestamp> {
        self.gates().filter_map(|gate| gate.shut_by()?.1).max()
    }

    /// The end of its earliest window: when it wants to be thawed.
    #[must_use]
    pub fn next_thaw(&self) -> Option<Timestamp> {
        self.gates().filter_map(|gate| gate.shut_by()?.1).min()
    }

    fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.classes.values().chain([&self.whole])
    }

    /// Takes a place.
    pub(super) fn take(&mut self, now: Timestamp, class: &LimitClass) {
        self.in_flight += 1;
        self.last_used = Some(now);
        self.whole.enter();
        if let Some(gate) = self.classes.get_mut(class) {
            gate.enter();
        }
    }

    /// Gives a place back; `succeeded` if the call did.
    pub(super) fn give_back(&mut self, class: &LimitClass, granted_at: Timestamp, succeeded: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.whole.leave(granted_at, succeeded);
        if let Some(gate) = self.classes.get_mut(class) {
            gate.leave(granted_at, succeeded);
        }
    }

    /// Takes a failure of a call granted at `granted_at` into account.
    pub(super) fn failed(
        &mut self,
        now: Timestamp,
        granted_at: Timestamp,
        (class, failure): (&LimitClass, &Failure),
        ladders: &Ladders,
    ) {
        match *failure {
            Failure::Limited { until, dimension } => {
                let organization = self.organization.clone();
                let cause = Cause::Limit { dimension, organization };
                let gate = self.classes.entry(class.clone()).or_default();
                match until {
                    Some(until) => gate.shut(Some(until), cause),
                    None => gate.climb(now, granted_at, &ladders.cooldown, cause),
                }
            }
            Failure::Unfunded { until } => self.unfunded(now, granted_at, until, ladders),
            Failure::Revoked => self.whole.shut(None, Cause::Revoked),
            Failure::Forbidden => {
                self.classes.entry(class.clone()).or_default().shut(None, Cause::Forbidden);
            }
            // The provider's trouble, or the request's: nothing against the profile.
            Failure::Unsuited
            | Failure::Overloaded
            | Failure::Faulty
            | Failure::Network
            | Failure::Rejected => {}
        }
    }

    fn unfunded(
        &mut self,
        now: Timestamp,
        granted_at: Timestamp,
        stated: Option<Timestamp>,
        ladders: &Ladders,
    ) {
        let stated = stated.filter(|until| *until > now); // A date that is past promises nothing.
        let until = match stated {
            Some(until) => until,
            None if !self.whole.is_news(granted_at) => return,
            None => now + self.next_billing_window(now, ladders),
        };
        self.whole.shut(Some(until), Cause::Billing);
        self.last_billing_end = self.last_billing_end.max(Some(until));
    }

    /// Counted from the end of the last window: within it no failure can show that there is
    /// still no money, and the longest window is as long as the memory.
    fn next_billing_window(&mut self, now: Timestamp, ladders: &Ladders) -> TimeDelta {
        let is_forgotten =
            self.last_billing_end.is_none_or(|end| now - end > ladders.billing_memory);
        let failures = if is_forgotten { 0 } else { self.billing_failures };
        self.billing_failures = failures.saturating_add(1);
        let window = ladders.billing_first.checked_mul(1 << failures.min(16));
        window.unwrap_or(TimeDelta::MAX).min(ladders.billing_longest)
    }

    /// Ends the windows that are over.
    pub(super) fn thaw(&mut self, now: Timestamp) {
        self.whole.thaw(now);
        self.classes.values_mut().for_each(|gate| gate.thaw(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn at(hours: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn fail(seat: &mut Seat, now: Timestamp, failure: Failure) {
        seat.thaw(now);
        seat.failed(now, now, (&"opus-4".into(), &failure), &Ladders::default());
    }

    #[test]
    fn billing_windows_double_up_to_a_day_and_start_again_after_a_day_without_one() {
        let mut seat = Seat::new("a".into(), 4);
        let mut now = at(0);
        for hours in [5, 10, 20, 24, 24] {
            fail(&mut seat, now, Failure::Unfunded { until: None });
            let until = now + TimeDelta::hours(hours);
            assert_eq!(seat.standing(&"any".into()), Standing::Back(until), "{hours} h");
            now = until + TimeDelta::seconds(1); // A call takes its time to fail.
        }
        now += TimeDelta::hours(24);
        fail(&mut seat, now, Failure::Unfunded { until: None });
        assert_eq!(seat.standing(&"any".into()), Standing::Back(now + TimeDelta::hours(5)));
    }

    #[test]
    fn a_date_that_is_past_counts_as_none() {
        let mut seat = Seat::new("a".into(), 4);
        fail(&mut seat, at(9), Failure::Unfunded { until: Some(at(8)) });
        assert_eq!(seat.standing(&"any".into()), Standing::Back(at(14)));
    }

    #[test]
    fn a_burst_of_billing_failures_counts_once_and_a_stated_date_wins() {
        let mut seat = Seat::new("a".into(), 4);
        for _ in 0..64 {
            let failure = (&"opus-4".into(), &Failure::Unfunded { until: None });
            seat.failed(at(1), at(0), failure, &Ladders::default());
        }
        assert_eq!(seat.standing(&"any".into()), Standing::Back(at(6)));
        fail(&mut seat, at(2), Failure::Unfunded { until: Some(at(240)) });
        assert_eq!(seat.standing(&"any".into()), Standing::Back(at(240)));
        assert_eq!(seat.state(), ProfileState::Disabled);
    }

    #[test]
    fn a_limit_is_of_one_class_and_a_revoked_key_of_all() {
        let mut seat = Seat::new("a".into(), 4);
        fail(&mut seat, at(0), Failure::Limited { until: Some(at(1)), dimension: None });
        assert_eq!(seat.standing(&"opus-4".into()), Standing::Back(at(1)));
        assert_eq!(seat.standing(&"sonnet-4".into()), Standing::Ready);
        fail(&mut seat, at(0), Failure::Forbidden);
        assert_eq!(seat.standing(&"opus-4".into()), Standing::Gone);
        fail(&mut seat, at(0), Failure::Revoked);
        assert_eq!(seat.standing(&"sonnet-4".into()), Standing::Gone);
        assert_eq!(seat.state(), ProfileState::Revoked);
    }

    #[test]
    fn faults_of_the_provider_do_not_cool_a_profile() {
        let mut seat = Seat::new("a".into(), 4);
        for failure in [Failure::Overloaded, Failure::Faulty, Failure::Network, Failure::Rejected] {
            fail(&mut seat, at(0), failure);
        }
        assert_eq!(seat.state(), ProfileState::Ready);
        assert_eq!(seat.standing(&"opus-4".into()), Standing::Ready);
    }
}
