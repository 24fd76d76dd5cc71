//! After a fault of the provider: again, where, and after how long.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::failure::Failure;
use crate::id::{ProfileId, ProviderId};
use crate::limits::Timestamp;
use crate::provider::is_poe;

/// How long a batch keeps trying while the provider fails; long enough for an incident that is
/// over soon, short enough that a broken deployment is reported the same morning.
pub const BATCH_PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// How many calls have to fail by faults that may be everyone's before there is a pause; until then
/// each goes to yet another profile at once. An outage, also of the network, fails on all of them, and
/// a hundred profiles would turn one request into a hundred calls, each of which may be charged when
/// its connection breaks. What is wrong with a profile alone (limit, money, key) is not counted: such a
/// request finds the one that can serve it.
const FAILOVERS_AT_ONCE: u32 = 4;

/// How many profiles a request that somebody waits for may turn out not to suit. Each refuses it at
/// once, but a hundred would turn one request into a hundred.
const MOST_UNSUITED: u32 = 4;

/// The first wait, doubled with each fault.
const FIRST_DELAY: TimeDelta = TimeDelta::milliseconds(500);

/// How much later than others a profile is asked again after its faults.
const A_MOMENT: TimeDelta = TimeDelta::milliseconds(1);

/// How long others are rather waited for than asking one again that failed: as long as room in a limit
/// is. Who waits so stands in no list, so that in a full pool he only waits.
const LONGEST_PREFERENCE: TimeDelta = TimeDelta::seconds(10);

/// The longest wait before jitter.
const LONGEST_DELAY: TimeDelta = TimeDelta::seconds(30);

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the pool again, with [`Course::avoid`] and [`Course::not_before`].
    Again,
    /// Report the failure.
    GiveUp,
}

/// One request's way through failures.
#[derive(Clone, Debug)]
pub struct Course {
    patience: TimeDelta,
    deadline: Option<Timestamp>,
    faults: u32,
    unsuited: u32,
    first_fault: Option<Timestamp>,
    due: Option<Timestamp>,
    avoid: BTreeMap<ProfileId, Option<Timestamp>>,
    rather: Option<Timestamp>,
    not_before: Option<Timestamp>,
}

impl Course {
    /// A way that is given up when faults have gone on for `patience`.
    #[must_use]
    pub const fn new(patience: TimeDelta) -> Self {
        Self {
            patience,
            deadline: None,
            faults: 0,
            unsuited: 0,
            first_fault: None,
            due: None,
            avoid: BTreeMap::new(),
            rather: None,
            not_before: None,
        }
    }

    /// The way of a request that somebody waits for: given up when the next call would have
    /// to wait until after `deadline`, or when it suits none of a few profiles.
    #[must_use]
    pub fn until(deadline: Timestamp) -> Self {
        Self { deadline: Some(deadline), ..Self::new(TimeDelta::MAX) }
    }

    /// Takes a grant into account: what the wait for it took beyond the pause after the last
    /// fault was a wait for limits or places, and uses up no patience.
    pub fn granted(&mut self, now: Timestamp) {
        if let (Some(first), Some(due)) = (&mut self.first_fault, &mut self.due)
            && now > *due
        {
            *first += now - *due;
            *due = now;
        }
    }

    /// Takes a failure on `profile` into account; `jitter`, from 0 to 1, only ever adds.
    ///
    /// Limits, money and rejected credentials need nothing here: the pool keeps such a profile
    /// from being granted again.
    #[must_use]
    pub fn failed(
        &mut self,
        now: Timestamp,
        profile: &ProfileId,
        failure: &Failure,
        jitter: f64,
    ) -> Next {
        match failure {
            Failure::Rejected => Next::GiveUp,
            Failure::Limited { .. }
            | Failure::Unfunded { .. }
            | Failure::Unrefreshed { .. }
            | Failure::Revoked
            | Failure::Forbidden => Next::Again,
            Failure::Unsuited => self.unsuited(profile),
            Failure::Overloaded | Failure::Faulty | Failure::Network => {
                self.fault(now, profile, jitter)
            }
        }
    }

    /// A batch goes through all profiles: a task that is too large for most of them may still be
    /// served by one whose limit is higher.
    fn unsuited(&mut self, profile: &ProfileId) -> Next {
        self.avoid.insert(profile.clone(), None);
        self.unsuited += 1;
        let is_over = self.deadline.is_some() && self.unsuited >= MOST_UNSUITED;
        if is_over { Next::GiveUp } else { Next::Again }
    }

    fn fault(&mut self, now: Timestamp, profile: &ProfileId, jitter: f64) -> Next {
        let first = *self.first_fault.get_or_insert(now);
        let again = now + delay(self.faults, jitter);
        self.faults += 1;
        self.due = Some(again);
        // A profile that is free costs no time, however late it is.
        let is_at_once = self.faults < FAILOVERS_AT_ONCE;
        let is_late = !is_at_once && self.deadline.is_some_and(|end| again > end);
        if again - first > self.patience || is_late {
            return Next::GiveUp;
        }
        // Not all of what is left: whoever has failed it may be the only one that is free, and well again.
        self.rather = self.deadline.map(|end| now + ((end - now) / 2).min(LONGEST_PREFERENCE));
        // A profile that is avoided for good stays so.
        if let Some(until) = self.avoid.entry(profile.clone()).or_insert(Some(again)) {
            *until = again;
        }
        if !is_at_once {
            self.not_before = Some(again);
            // Those that have not failed it come first, however long ago the others did.
            let timed = self.avoid.values_mut().flatten();
            timed.for_each(|until| *until = again + A_MOMENT);
        }
        Next::Again
    }

    /// The profiles to pass over, until a time or (`None`) for good.
    #[must_use]
    pub const fn avoid(&self) -> &BTreeMap<ProfileId, Option<Timestamp>> {
        &self.avoid
    }

    /// Until when others are rather waited for than asking one of those again that failed.
    #[must_use]
    pub const fn rather(&self) -> Option<Timestamp> {
        self.rather
    }

    /// The earliest time for the next call, on any profile.
    #[must_use]
    pub const fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }
}

/// 0.5 s x 2^n, at most 30 s, and up to a quarter more of jitter.
#[must_use]
pub fn delay(faults: u32, jitter: f64) -> TimeDelta {
    let base = FIRST_DELAY * (1 << faults.min(10));
    jittered(base.min(LONGEST_DELAY), jitter)
}

/// A wait and up to a quarter more, by `jitter` from 0 to 1.
#[must_use]
pub fn jittered(wait: TimeDelta, jitter: f64) -> TimeDelta {
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let extra = (wait.num_milliseconds() as f64 * 0.25 * jitter.clamp(0.0, 1.0)) as i64;
    wait + TimeDelta::milliseconds(extra)
}

/// The back-off that Poe asks for, doubled up to the minute that its limit is counted over.
const POE_BACKOFF: [TimeDelta; 9] = [
    TimeDelta::milliseconds(250),
    TimeDelta::milliseconds(500),
    TimeDelta::seconds(1),
    TimeDelta::seconds(2),
    TimeDelta::seconds(4),
    TimeDelta::seconds(8),
    TimeDelta::seconds(16),
    TimeDelta::seconds(32),
    TimeDelta::seconds(60),
];

/// How long a profile of this provider rests after one rate limit, two in a row and so on, when
/// the server does not say until when; the last one repeats. `None` where the configured cooldown
/// holds.
#[must_use]
pub fn backoff_ladder(provider: &ProviderId) -> Option<&'static [TimeDelta]> {
    is_poe(provider).then_some(&POE_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    const START: Timestamp = DateTime::UNIX_EPOCH;

    #[test]
    fn waits_double_from_half_a_second_to_thirty_and_jitter_only_adds() {
        let waits: Vec<i64> = (0..9).map(|n| delay(n, 0.0).num_milliseconds()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(delay(2, 1.0), TimeDelta::milliseconds(2500));
        assert_eq!(delay(u32::MAX, 7.0), TimeDelta::milliseconds(37_500));
    }

    #[test]
    fn poe_s_limits_back_off_from_a_quarter_of_a_second_by_doubling_to_a_minute() {
        let ladder = backoff_ladder(&"poe".into()).unwrap();
        assert_eq!(ladder[0], TimeDelta::milliseconds(250));
        assert!(ladder.windows(2).all(|two| two[1] == (two[0] * 2).min(TimeDelta::minutes(1))));
        assert_eq!(ladder.last(), Some(&TimeDelta::minutes(1)));
        assert_eq!(jittered(ladder[1], 1.0), TimeDelta::milliseconds(625));
        assert_eq!(backoff_ladder(&"anthropic".into()), None);
    }

    #[test]
    fn a_faulty_profile_is_avoided_for_a_while_and_the_fifth_call_waits_everywhere() {
        let mut course = Course::new(BATCH_PATIENCE);
        for (faults, name) in ["a:1", "a:2", "a:3"].into_iter().enumerate() {
            assert_eq!(course.failed(START, &name.into(), &Failure::Overloaded, 0.0), Next::Again);
            assert_eq!(course.avoid().len(), faults + 1);
            assert_eq!(course.not_before(), None);
        }
        let _ = course.failed(START, &"a:1".into(), &Failure::Network, 0.0);
        assert_eq!(course.not_before(), Some(START + TimeDelta::seconds(4)));
    }

    #[test]
    fn after_a_pause_those_come_first_that_have_not_failed_the_request() {
        let mut course = Course::new(BATCH_PATIENCE);
        for name in ["a:1", "a:2", "a:3", "a:4", "a:5"] {
            let _ = course.failed(START, &name.into(), &Failure::Faulty, 0.0);
        }
        let again = course.not_before().unwrap();
        assert_eq!(again, START + TimeDelta::seconds(8));
        assert!(course.avoid().values().all(|until| *until > Some(again)), "{course:?}");
        assert_eq!(course.avoid().len(), 5);
    }

    #[test]
    fn faults_are_given_up_after_ten_minutes_and_limits_have_no_clock() {
        let profile = ProfileId::from("a:1");
        let mut course = Course::new(BATCH_PATIENCE);
        let (mut now, mut calls) = (START, 0);
        while course.failed(now, &profile, &Failure::Faulty, 0.5) == Next::Again {
            now = course.avoid()[&profile].unwrap();
            calls += 1;
        }
        assert!(now - START <= BATCH_PATIENCE && now - START > BATCH_PATIENCE - LONGEST_DELAY * 2);
        assert!((20..30).contains(&calls), "{calls}");
        let limited = Failure::Limited { until: None, dimension: None };
        assert_eq!(course.failed(now + TimeDelta::days(1), &profile, &limited, 0.0), Next::Again);
    }

    #[test]
    fn a_wait_for_limits_between_two_faults_uses_up_no_patience_and_a_slow_fault_does() {
        let profile = ProfileId::from("a:1");
        let mut course = Course::new(BATCH_PATIENCE);
        let mut now = START;
        for _ in 0..5 {
            assert_eq!(course.failed(now, &profile, &Failure::Faulty, 0.0), Next::Again);
            now += TimeDelta::hours(1);
            course.granted(now);
        }
        now += BATCH_PATIENCE;
        assert_eq!(course.failed(now, &profile, &Failure::Faulty, 0.0), Next::GiveUp);
    }

    #[test]
    fn who_has_a_deadline_calls_up_to_it_and_no_later_whatever_was_waited_for() {
        let at = |seconds| START + TimeDelta::seconds(seconds);
        let profile = ProfileId::from("a:1");
        for (waited, expected) in
            [(0, [20, 20, 20, 24, 32, 48].as_slice()), (9, [29, 38, 47, 60].as_slice())]
        {
            let mut course = Course::until(at(60));
            let (mut now, mut calls) = (at(20), Vec::new()); // The first call took its time.
            while calls.len() < 9
                && course.failed(now, &profile, &Failure::Faulty, 0.0) == Next::Again
            {
                now = course.not_before().unwrap_or(now) + TimeDelta::seconds(waited);
                course.granted(now);
                calls.push(now.timestamp());
            }
            assert_eq!(calls, expected, "each {waited} s later than it was due");
        }
    }

    #[test]
    fn who_has_a_deadline_rather_waits_for_others_for_ten_seconds_or_half_of_what_is_left() {
        let at = |seconds| START + TimeDelta::seconds(seconds);
        let mut course = Course::until(at(60));
        assert_eq!(course.rather(), None);
        for (now, until) in [(0, 10), (20, 30), (50, 55)] {
            let _ = course.failed(at(now), &"a:1".into(), &Failure::Faulty, 0.0);
            assert_eq!(course.rather(), Some(at(until)));
        }
        let mut batch = Course::new(BATCH_PATIENCE);
        let _ = batch.failed(START, &"a:1".into(), &Failure::Faulty, 0.0);
        assert_eq!(batch.rather(), None, "it has the time to find out");
    }

    #[test]
    fn what_can_go_elsewhere_at_once_does_so_however_late_it_is() {
        let mut course = Course::until(START);
        let now = START + TimeDelta::minutes(5);
        let mut failed = |name: &str| course.failed(now, &name.into(), &Failure::Overloaded, 0.0);
        assert_eq!(["a:1", "a:2", "a:3"].map(&mut failed), [Next::Again; 3]);
        assert_eq!(failed("a:4"), Next::GiveUp, "it would have to wait");
        let limited = Failure::Limited { until: None, dimension: None };
        let failed = course.failed(now, &"a:5".into(), &limited, 0.0);
        assert_eq!(failed, Next::Again, "that is for the pool to decide");
    }

    #[test]
    fn a_request_that_suits_none_of_four_profiles_is_given_up_if_somebody_waits_for_it() {
        let tried = |mut course: Course| {
            let suits = |name: &u32| {
                let profile = name.to_string().into();
                course.failed(START, &profile, &Failure::Unsuited, 0.0) == Next::GiveUp
            };
            (1..=100).find(suits)
        };
        assert_eq!(tried(Course::until(START)), Some(4));
        assert_eq!(tried(Course::new(BATCH_PATIENCE)), None);
    }

    #[test]
    fn a_profile_that_cannot_serve_this_request_is_avoided_for_good_even_if_it_fails_later() {
        let mut course = Course::new(BATCH_PATIENCE);
        let profile = ProfileId::from("a:1");
        let _ = course.failed(START, &profile, &Failure::Unsuited, 0.0);
        let _ = course.failed(START, &profile, &Failure::Overloaded, 0.0);
        assert_eq!(course.avoid()[&profile], None);
    }
}
