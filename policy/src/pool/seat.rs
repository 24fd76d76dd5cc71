//! A profile as the pool sees it.

use std::collections::BTreeMap;

use chrono::{SubsecRound, TimeDelta};

use super::gate::{Cause, Gate, Passage};
use super::limit::Scope;
use crate::failure::Failure;
use crate::health::{ClassHealth, Health};
use crate::id::{LimitClass, OrganizationId, ProfileId, ProviderId, WorkspaceId};
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
    /// A billing failure is the first again when the last one is this long ago.
    pub billing_memory: TimeDelta,
}

impl Default for Ladders {
    /// 1, 5, 25, 60 minutes; 5, 10, 20, 24 hours.
    fn default() -> Self {
        Self {
            cooldown: [1, 5, 25, 60].map(TimeDelta::minutes).to_vec(),
            billing_first: TimeDelta::hours(5),
            billing_longest: TimeDelta::hours(24),
            billing_memory: TimeDelta::hours(24),
        }
    }
}

/// What is kept of a time has milliseconds: one that is to be later is later by one.
const TICK: TimeDelta = TimeDelta::milliseconds(1);

/// Whether a seat can serve a class of models now; the better is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// A profile: its places, and its health but for the limits it is under.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Whose profile it is.
    pub provider: ProviderId,
    /// How many requests it may serve at once.
    pub slots: u32,
    /// How many it serves.
    pub in_flight: u32,
    /// Calls from before it joined, under the same name, are none of its own.
    pub(super) joined_at: Timestamp,
    /// When it was last granted; `None` sorts first, so never used is the oldest.
    pub last_used: Option<Timestamp>,
    /// The organisation behind it, once an answer has named it.
    pub organization: Option<OrganizationId>,
    /// The workspace that keeps its prompt cache, once an answer has named it.
    pub workspace: Option<WorkspaceId>,
    /// Why it last failed.
    pub last_error: Option<String>,
    money: Gate,
    token: Gate,
    revoked_at: Option<Timestamp>,
    /// The classes of models that are forbidden to it, and since when.
    blocked: BTreeMap<LimitClass, Timestamp>,
    billing_failures: u32,
    last_billing_failure: Option<Timestamp>,
    cleared_at: Option<Timestamp>,
    held_at: Option<Timestamp>,
    released_at: Option<Timestamp>,
}

impl Seat {
    /// A profile that nothing is known of.
    #[must_use]
    pub const fn new(provider: ProviderId, slots: u32, joined_at: Timestamp) -> Self {
        Self {
            provider,
            slots,
            in_flight: 0,
            joined_at,
            last_used: None,
            organization: None,
            workspace: None,
            last_error: None,
            money: Gate::new(),
            token: Gate::new(),
            revoked_at: None,
            blocked: BTreeMap::new(),
            billing_failures: 0,
            last_billing_failure: None,
            cleared_at: None,
            held_at: None,
            released_at: None,
        }
    }

    /// Whether it can serve `class` now, whose limit lets through so much: the one rule of
    /// eligibility.
    #[must_use]
    pub fn standing(&self, class: &LimitClass, limit: Passage) -> Standing {
        if self.is_held() || self.revoked_at.is_some() || self.blocked.contains_key(class) {
            return Standing::Gone;
        }
        match self.money.passage().and(self.token.passage()).and(limit) {
            Passage::Gone => Standing::Gone,
            Passage::Shut(until) => Standing::Back(until),
            Passage::Full => Standing::Busy,
            Passage::Free if self.in_flight >= self.slots => Standing::Busy,
            Passage::Free => Standing::Ready,
        }
    }

    /// What keeps it from serving `class`, other than the limit and that its places are taken.
    #[must_use]
    pub fn held_by(&self, class: &LimitClass) -> Option<(Cause, Option<Timestamp>)> {
        let blocked = || self.blocked.contains_key(class).then_some((Cause::Forbidden, None));
        let gate = || self.money.held_by().or_else(|| self.token.held_by());
        self.out_of_use().or_else(blocked).or_else(gate)
    }

    /// What shuts it as a whole, and until when.
    #[must_use]
    pub fn shut_by(&self) -> Option<(Cause, Option<Timestamp>)> {
        let gate = || self.money.shut_by().or_else(|| self.token.shut_by());
        self.out_of_use().or_else(gate)
    }

    fn out_of_use(&self) -> Option<(Cause, Option<Timestamp>)> {
        let revoked = || self.revoked_at.map(|_| (Cause::Revoked, None));
        self.is_held().then_some((Cause::Held, None)).or_else(revoked)
    }

    /// Whether an operator has taken it out of use.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held_at.is_some() && self.held_at >= self.released_at
    }

    /// Whether a class of models is forbidden to it.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// Whether it is back from a window, on trial.
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        self.money.is_ramping() || self.token.is_ramping()
    }

    /// When it wants to be thawed.
    #[must_use]
    pub fn next_thaw(&self) -> Option<Timestamp> {
        let ends = [&self.money, &self.token].map(|gate| gate.shut_by()?.1);
        ends.into_iter().flatten().min()
    }

    /// What can be seen of its places and gates from outside.
    pub(super) fn outside(&self) -> (bool, (Passage, bool), (Passage, bool)) {
        (self.in_flight < self.slots, self.money.outside(), self.token.outside())
    }

    /// Whose limits it is under.
    pub(super) fn scope(&self, profile: &ProfileId) -> Scope {
        Scope::of(profile, self)
    }

    /// Takes a place.
    pub(super) fn take(&mut self, now: Timestamp) {
        self.in_flight += 1;
        self.last_used = Some(now);
        self.money.enter();
        self.token.enter();
    }

    /// Gives a place back; `succeeded` if the call did.
    pub(super) fn give_back(&mut self, granted_at: Timestamp, succeeded: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.money.leave(granted_at, succeeded);
        self.token.leave(granted_at, succeeded);
    }

    /// Takes a failure of a call granted at `granted_at` into account.
    pub(super) fn failed(
        &mut self,
        now: Timestamp,
        granted_at: Timestamp,
        (class, failure): (&LimitClass, &Failure),
        ladders: &Ladders,
    ) {
        // What was granted before its credential was replaced or its windows were ended is over.
        let is_old = self.cleared_at.is_some_and(|cleared| granted_at <= cleared);
        if is_old && !matches!(failure, Failure::Limited { .. }) {
            return;
        }
        if !failure.is_fault() && *failure != Failure::Rejected {
            self.last_error = Some(failure.label().to_owned());
        }
        match *failure {
            Failure::Unfunded { until } => self.unfunded(now, granted_at, until, ladders),
            Failure::Unrefreshed { until } => match until {
                Some(until) => self.token.shut(now, Some(until), Cause::Unrefreshed),
                None => self.token.climb(now, granted_at, &ladders.cooldown, Cause::Unrefreshed),
            },
            Failure::Revoked => self.revoked_at = self.revoked_at.or(Some(now)),
            Failure::Forbidden => {
                self.blocked.entry(class.clone()).or_insert(now);
            }
            // The limit's, the provider's or the request's trouble: nothing against the profile.
            Failure::Limited { .. }
            | Failure::Unsuited
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
            None if !self.money.is_news(granted_at) => return,
            None => now + self.next_billing_window(now, ladders),
        };
        self.money.shut(now, Some(until), Cause::Billing);
        self.last_billing_failure = Some(now);
    }

    /// The first window again after a long time without a failure. A window as long as that memory
    /// does not count, as nothing can fail within it.
    fn next_billing_window(&mut self, now: Timestamp, ladders: &Ladders) -> TimeDelta {
        let memory = ladders.billing_memory;
        let known = self.last_billing_failure.zip(self.money.last_end());
        let since = known.map(|(failed, end)| if end - failed >= memory { end } else { failed });
        let is_forgotten = since.is_none_or(|since| now - since > memory);
        let failures = if is_forgotten { 0 } else { self.billing_failures };
        self.billing_failures = failures.saturating_add(1);
        let window = ladders.billing_first.checked_mul(1 << failures.min(16));
        window.unwrap_or(TimeDelta::MAX).min(ladders.billing_longest)
    }

    /// Ends the window that is over.
    pub(super) fn thaw(&mut self, now: Timestamp) {
        self.money.thaw(now);
        self.token.thaw(now);
    }

    /// Ends every window by hand.
    pub(super) fn clear(&mut self, now: Timestamp) {
        self.money.clear();
        self.token.clear();
        self.revoked_at = None;
        self.blocked.clear();
        (self.billing_failures, self.last_billing_failure) = (0, None);
        self.last_error = None;
        // What is kept has milliseconds; a later time here would be later than its own copy.
        let again = self.cleared_at.map(|at| at + TICK);
        self.cleared_at = again.max(Some(now.trunc_subsecs(3)));
    }

    /// An operator takes it out of use, or gives it back; the later word holds, also while the
    /// clock stands still.
    pub(super) fn hold(&mut self, now: Timestamp, is_held: bool) {
        if is_held {
            self.held_at = self.released_at.max(Some(now));
        } else {
            self.released_at = self.held_at.map(|at| at + TICK).max(Some(now));
        }
    }

    /// Takes over what is remembered of it, but for its limits.
    pub(super) fn recall(&mut self, now: Timestamp, health: &Health) {
        if health.cleared_at > self.cleared_at {
            self.clear(now);
            self.cleared_at = health.cleared_at;
        }
        // A time to come is another clock's; the order is all that matters.
        self.last_used = self.last_used.max(health.last_used.min(Some(now)));
        self.workspace = self.workspace.take().or_else(|| health.workspace.clone());
        self.last_error = self.last_error.take().or_else(|| health.last_error.clone());
        self.held_at = self.held_at.max(health.held_at);
        self.released_at = self.released_at.max(health.released_at);
        for (class, known) in &health.classes {
            if let Some(at) = known.blocked_at {
                self.blocked.entry(class.clone()).or_insert(at);
            }
        }
        if health.last_billing_failure > self.last_billing_failure {
            self.last_billing_failure = health.last_billing_failure;
            self.billing_failures = health.billing_error_count;
        }
        if let Some(until) = health.cooldown_until {
            self.token.recall(now, until, health.error_count, Cause::Unrefreshed);
        }
        if let Some(until) = health.disabled_until {
            self.money.recall(now, until, 0, Cause::Billing);
        }
        self.revoked_at = self.revoked_at.or(health.revoked_at);
    }

    /// What is to be remembered of it, but for its limits.
    pub(super) fn health(&self) -> Health {
        let blocked = |at: &Timestamp| ClassHealth { blocked_at: Some(*at), ..Default::default() };
        Health {
            last_used: self.last_used,
            organization: self.organization.clone(),
            workspace: self.workspace.clone(),
            last_error: self.last_error.clone(),
            cooldown_until: self.token.last_end(),
            error_count: self.token.steps(),
            disabled_until: self.money.last_end(),
            billing_error_count: self.billing_failures,
            last_billing_failure: self.last_billing_failure,
            revoked_at: self.revoked_at,
            cleared_at: self.cleared_at,
            held_at: self.held_at,
            released_at: self.released_at,
            classes: self.blocked.iter().map(|(class, at)| (class.clone(), blocked(at))).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
