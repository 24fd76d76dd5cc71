//! Profiles that come and go, what is remembered of them, and what is told of their states.

use super::gate::Cause;
use super::limit::Scope;
use super::{Command, Pool, Seat, Thaw};
use crate::health::Health;
use crate::id::{ProfileId, ProviderId};
use crate::limits::Timestamp;
use crate::pool::seat::ProfileState;

/// A profile is in another state now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The profile.
    pub profile: ProfileId,
    /// The state it was in.
    pub from: ProfileState,
    /// The state it is in.
    pub to: ProfileState,
    /// What put it there.
    pub cause: Option<Cause>,
    /// When that ends, as far as it is known.
    pub until: Option<Timestamp>,
}

impl Pool {
    pub(super) fn join(
        &mut self,
        profile: &ProfileId,
        (provider, slots): (ProviderId, u32),
        health: &Health,
        commands: &mut Vec<Command>,
    ) {
        let is_new = !self.seats.contains_key(profile);
        let now = self.now;
        let seat = self.seats.entry(profile.clone());
        let seat = seat.or_insert_with(|| Seat::new(provider, slots, now));
        seat.slots = slots;
        self.lanes.entry(seat.provider.clone()).or_default();
        self.told.entry(profile.clone()).or_insert((ProfileState::Ready, None));
        self.take_over(profile, health, is_new);
        self.reconsider(commands);
        self.call_back(commands);
    }

    /// A profile is gone; its calls in flight settle into nothing.
    pub(super) fn leave(&mut self, profile: &ProfileId, commands: &mut Vec<Command>) {
        let Some(seat) = self.seats.remove(profile) else { return };
        let scope = seat.scope(profile);
        let classes: Vec<_> = self.limits.of(&scope).map(|(class, _)| class.clone()).collect();
        self.limits.leave(profile, &scope);
        if let Some(workspace) = &seat.workspace {
            self.homes.leave(profile, workspace);
        }
        for class in classes {
            self.limit_changed(&scope, &class);
        }
        for lane in self.lanes.get_mut(&seat.provider).into_iter().flatten() {
            lane.1.remove(profile);
        }
        self.thaws.set(&Thaw::Seat(profile.clone()), None);
        self.told.remove(profile);
        self.stale.remove(profile);
        self.reconsider(commands);
    }

    pub(super) fn recall(
        &mut self,
        profile: &ProfileId,
        health: &Health,
        commands: &mut Vec<Command>,
    ) {
        let Some(seat) = self.seats.get(profile) else { return };
        let before = seat.health();
        self.take_over(profile, health, false);
        self.reconsider(commands);
        let words = |health: &Health| (health.cleared_at, health.released_at);
        if self.seats.get(profile).is_some_and(|seat| words(&seat.health()) != words(&before)) {
            self.call_back(commands);
        }
    }

    fn take_over(&mut self, profile: &ProfileId, health: &Health, is_new: bool) {
        let now = self.now;
        let Some(seat) = self.seats.get(profile) else { return };
        let cleared_at = seat.health().cleared_at;
        // Who has not heard of the last clearing remembers windows that are over.
        let known = Health { cleared_at, ..Health::default() };
        let health = &known.merge(health.clone());
        if let Some(organization) = health.organization.clone() {
            self.affiliate(profile, organization);
        }
        let Some(seat) = self.seats.get_mut(profile) else { return };
        // What others of its organisation have met since is none of a newcomer's past.
        let is_cleared = health.cleared_at > cleared_at && !is_new;
        seat.recall(now, health);
        if let Some(workspace) = &seat.workspace {
            self.homes.affiliate(profile, None, workspace);
        }
        let scope = seat.scope(profile);
        if is_cleared {
            self.clear_limits(&scope);
        }
        for (class, known) in &health.classes {
            if let Some(until) = known.cooldown_until {
                let limit = self.limits.entry(&scope, class);
                if known.error_count > 0 {
                    limit.met_by = Some(profile.clone());
                }
                limit.gate.recall(now, until, known.error_count, Cause::Limit(None));
                self.limit_changed(&scope, class);
            }
        }
        self.seat_changed(profile);
    }

    /// An operator ends the windows of a profile, those of its limits with them.
    pub(super) fn clear(&mut self, profile: &ProfileId, commands: &mut Vec<Command>) {
        let Some(seat) = self.seats.get_mut(profile) else { return };
        seat.clear(self.now);
        let scope = seat.scope(profile);
        self.clear_limits(&scope);
        self.seat_changed(profile);
        self.stale.insert(profile.clone());
        self.call_back(commands);
    }

    fn clear_limits(&mut self, scope: &Scope) {
        let classes: Vec<_> = self
            .limits
            .of_mut(scope)
            .map(|(class, limit)| {
                limit.gate.clear();
                limit.pace.clear();
                class.clone()
            })
            .collect();
        for class in classes {
            self.limit_changed(scope, &class);
        }
    }

    /// An operator takes a profile out of use, or gives it back.
    pub(super) fn hold(&mut self, profile: &ProfileId, is_held: bool, commands: &mut Vec<Command>) {
        let Some(seat) = self.seats.get_mut(profile) else { return };
        seat.hold(self.now, is_held);
        self.seat_changed(profile);
        self.stale.insert(profile.clone());
        self.reconsider(commands);
        if !is_held {
            self.call_back(commands);
        }
    }

    /// What is to be remembered of a profile.
    #[must_use]
    pub fn health(&self, profile: &ProfileId) -> Option<Health> {
        let seat = self.seats.get(profile)?;
        let mut health = seat.health();
        for (class, limit) in self.limits.of(&seat.scope(profile)) {
            // Its other profiles have it by hearsay.
            let is_own = limit.met_by.as_ref().is_none_or(|met_by| met_by == profile);
            let Some(until) = limit.gate.last_end().filter(|_| is_own) else { continue };
            let known = health.classes.entry(class.clone()).or_default();
            known.cooldown_until = Some(until);
            known.error_count = limit.gate.steps();
        }
        Some(health)
    }

    /// The profiles whose health is no longer what it was when this was last asked.
    pub fn take_stale(&mut self) -> Vec<ProfileId> {
        std::mem::take(&mut self.stale).into_iter().collect()
    }

    /// Whether there are any.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.stale.is_empty()
    }

    /// The changes of states since this was last asked, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The state of a profile in one word, what put it there, and until when.
    #[must_use]
    pub fn state(
        &self,
        profile: &ProfileId,
    ) -> Option<(ProfileState, Option<Cause>, Option<Timestamp>)> {
        let seat = self.seats.get(profile)?;
        if let Some((cause, until)) = seat.shut_by() {
            let state = match cause {
                Cause::Held | Cause::Billing => ProfileState::Disabled,
                Cause::Revoked => ProfileState::Revoked,
                Cause::Limit(_) | Cause::Unrefreshed | Cause::Forbidden | Cause::Outage => {
                    ProfileState::Cooling
                }
            };
            return Some((state, Some(cause), until));
        }
        let scope = seat.scope(profile);
        let gates = || self.limits.of(&scope).map(|(_, limit)| &limit.gate);
        let shut = gates().filter_map(super::gate::Gate::shut_by).max_by_key(|(_, until)| *until);
        if let Some((cause, until)) = shut {
            return Some((ProfileState::Cooling, Some(cause), until));
        }
        if seat.is_blocked() {
            return Some((ProfileState::Cooling, Some(Cause::Forbidden), None));
        }
        let is_probing = seat.is_probing() || gates().any(super::gate::Gate::is_ramping);
        let state = if is_probing { ProfileState::Probing } else { ProfileState::Ready };
        Some((state, None, None))
    }

    /// How many profiles are in a state.
    #[must_use]
    pub fn count(&self, state: ProfileState) -> usize {
        self.told.values().filter(|(told, _)| *told == state).count()
    }

    /// Notes a change of state, and that its health is worth remembering.
    pub(super) fn note(&mut self, profile: &ProfileId) {
        let Some((to, cause, until)) = self.state(profile) else { return };
        let Some((told, known)) = self.told.get_mut(profile) else { return };
        let label = cause.map(|cause| cause.label());
        if *told != to || *known != label {
            *known = label;
            let from = std::mem::replace(told, to);
            self.changes.push(Change { profile: profile.clone(), from, to, cause, until });
            self.stale.insert(profile.clone());
        } else if to != ProfileState::Ready {
            self.stale.insert(profile.clone());
        }
    }
}
