//! What stands against somebody, as the rules say it: a window, or the trial after it.

use chrono::TimeDelta;
use polpo_policy::id::{LimitClass, OrganizationId, ProfileId, ProviderId};
use polpo_policy::limits::Timestamp;

/// Whose limits they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Organization(OrganizationId),
    Profile(ProfileId),
}

/// What something can stand against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Money(ProfileId),
    Token(ProfileId),
    Limit(Whose, LimitClass),
    Service(ProviderId, LimitClass),
}

/// What stands against a subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// Nothing passes from the one to the other.
    pub(crate) window: Option<(Timestamp, Timestamp)>,
    /// After a window: since when, and the successes among those granted since.
    pub(crate) trial: Option<(Timestamp, u32)>,
    /// How many windows without a date in a row.
    pub(crate) rung: usize,
    pub(crate) last_end: Option<Timestamp>,
    /// How many faults in a row.
    pub(crate) faults: u32,
}

impl Record {
    pub(crate) fn shut(&mut self, now: Timestamp, until: Timestamp) {
        let (begun, end) = self.window.unwrap_or((now, until));
        self.window = Some((begun, end.max(until)));
        self.last_end = Some(end.max(until));
        self.trial = None;
    }

    /// For longer each time in a row; a burst counts once.
    pub(crate) fn climb(&mut self, now: Timestamp, granted_at: Timestamp, ladder: &[TimeDelta]) {
        if self.is_news(granted_at) {
            let wait = ladder[self.rung.min(ladder.len() - 1)];
            self.rung += 1;
            self.shut(now, now + wait);
        }
    }

    /// Another process, or one before this, left it so.
    pub(crate) fn recall(&mut self, now: Timestamp, until: Timestamp, rung: u32) {
        if self.last_end.is_some_and(|end| until <= end) {
            return;
        }
        (self.rung, self.last_end) = (rung as usize, Some(until));
        if until > now || rung > 0 {
            self.shut(Timestamp::MIN_UTC, until); // From when is not known.
            self.end_window(now, false);
        }
    }

    /// Whether a call granted then knows more than the last window did.
    pub(crate) fn is_news(&self, granted_at: Timestamp) -> bool {
        self.last_end.is_none_or(|end| granted_at >= end)
    }

    /// How many may be on trial at once.
    pub(crate) fn width(&self) -> usize {
        self.trial.map_or(usize::MAX, |(_, successes)| 1 << successes)
    }

    pub(crate) fn end_window(&mut self, now: Timestamp, ends_in_trial: bool) {
        if let Some((begun, end)) = self.window.filter(|(_, end)| *end <= now) {
            let is_long = end - begun >= TimeDelta::seconds(30);
            (self.window, self.trial) = (None, (is_long || ends_in_trial).then_some((now, 0)));
        }
    }

    /// A call is over.
    pub(crate) fn settle(&mut self, granted_at: Timestamp, succeeded: bool) {
        if let Some((since, successes)) = &mut self.trial
            && granted_at > *since
        {
            *successes += u32::from(succeeded);
            if *successes == 8 {
                self.trial = None; // 256 at once.
            }
        }
        if succeeded && self.window.is_none() && self.is_news(granted_at) {
            self.rung = 0;
        }
    }

    /// What is known of two that turn out to be one.
    pub(crate) fn join(&mut self, other: &Self) {
        self.rung = self.rung.max(other.rung);
        let last_end = self.last_end.max(other.last_end);
        if let Some((begun, end)) = other.window {
            self.shut(begun, end);
        } else if let Some((since, _)) = other.trial
            && self.window.is_none()
        {
            let earlier = self.trial.map_or(since, |(known, _)| known.min(since));
            self.trial = Some((earlier, 0));
        }
        self.last_end = last_end.max(self.last_end);
    }
}
