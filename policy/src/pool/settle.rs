//! What the answers to leased calls change.

use std::collections::BTreeSet;

use super::limit::Scope;
use super::pace::Outcome;
use super::{Command, Holding, Pool, Thaw, Used, Verdict};
use crate::failure::Failure;
use crate::id::{LeaseId, LimitClass, OrganizationId, ProfileId};
use crate::limits::Reading;
use crate::pool::gate::Cause;
use crate::retry::{backoff_ladder, jittered};

impl Pool {
    /// The headers of an answer arrived.
    pub(super) fn answered(
        &mut self,
        lease: LeaseId,
        reading: Reading,
        commands: &mut Vec<Command>,
    ) {
        let Some(holding) = self.leases.get(&lease) else { return };
        let Holding { profile, scope, class, mark, .. } = holding;
        if let (Some(mark), Some(limit)) = (mark, self.limits.get_mut(scope, class)) {
            limit.pace.read(self.now, mark, &reading.limits);
        }
        let reader = profile.clone();
        self.stir(&reader);
        let Some(holding) = self.leases.get(&lease) else { return };
        let Holding { profile, granted_at, .. } = holding;
        let (profile, granted_at) = (profile.clone(), *granted_at);
        let seat = self.seats.get_mut(&profile).filter(|seat| granted_at > seat.joined_at);
        let Some(seat) = seat else { return };
        if let Some(workspace) = reading.workspace
            && seat.workspace.as_ref() != Some(&workspace)
        {
            self.homes.affiliate(&profile, seat.workspace.as_ref(), &workspace);
            seat.workspace = Some(workspace);
            self.stale.insert(profile.clone());
        }
        let known = seat.organization.clone();
        if let Some(organization) = reading.organization.filter(|it| known.as_ref() != Some(it)) {
            self.affiliate(&profile, organization);
            self.stale.insert(profile);
            self.reconsider(commands);
        }
    }

    /// A profile turns out to be of an organisation, whose limits it shares from now on.
    pub(super) fn affiliate(&mut self, profile: &ProfileId, organization: OrganizationId) {
        let Some(seat) = self.seats.get_mut(profile) else { return };
        if seat.organization.as_ref() == Some(&organization) {
            return;
        }
        let left = seat.scope(profile);
        seat.organization = Some(organization.clone());
        let scope = Scope::Organization(organization.clone());
        let known = self.limits.of(&left).chain(self.limits.of(&scope));
        let classes: BTreeSet<_> = known.map(|(class, _)| class.clone()).collect();
        if let Scope::Organization(_) = left {
            self.limits.leave(profile, &left);
        }
        self.limits.affiliate(self.now, profile, &organization);
        for holding in self.leases.values_mut().filter(|holding| holding.profile == *profile) {
            let left = std::mem::replace(&mut holding.scope, scope.clone());
            // What it reserved of another organisation's limit goes back there.
            if let Some(limit) = self.limits.get_mut(&left, &holding.class)
                && let Some(mark) = holding.mark.take()
            {
                limit.pace.settled(self.now, mark, Outcome::Lost);
            }
        }
        for class in classes {
            self.recount(&left, &class);
            self.recount(&scope, &class);
            self.limit_changed(&left, &class);
            self.limit_changed(&scope, &class);
        }
        self.seat_changed(profile);
    }

    /// Counts those on trial under a limit whose profiles have changed.
    fn recount(&mut self, scope: &Scope, class: &LimitClass) {
        let Some(limit) = self.limits.get_mut(scope, class) else { return };
        let leases = &self.leases;
        limit.gate.recount(|since| {
            let inside = leases.values().filter(|holding| {
                holding.scope == *scope && holding.class == *class && holding.granted_at > since
            });
            inside.count()
        });
    }

    /// A lease ended.
    pub(super) fn settle(
        &mut self,
        lease: LeaseId,
        verdict: &Verdict,
        used: Option<Used>,
        commands: &mut Vec<Command>,
    ) {
        let Some(mut holding) = self.leases.remove(&lease) else { return };
        if let Some(session) = &holding.session {
            let has_failed = matches!(verdict, Verdict::Failed(_));
            self.homes.settle(session, &holding.class, holding.granted_at, has_failed);
        }
        let has_changed = self.settle_seat(&holding, verdict);
        let mark = holding.mark.take();
        self.release((&holding.scope, &holding.class), mark, verdict, used);
        if let (Some(forecast), Some(used)) = (&mut self.forecast, used) {
            let size = (holding.bytes, holding.is_warm);
            forecast.learn(&holding.agent, &holding.class, size, used.input);
        }
        self.settle_limit((lease, &holding), verdict, has_changed.is_some());
        let Holding { profile, provider, class, granted_at, .. } = holding;
        self.settle_outage((provider.clone(), class.clone()), granted_at, verdict);
        let is_in_service = self.is_in_service(&provider, &class);
        if has_changed == Some(true) {
            self.seat_changed(&profile);
        }
        self.stir(&profile);
        if has_changed.is_some() {
            self.stale.insert(profile);
        }
        if matches!(verdict, Verdict::Failed(failure) if !failure.is_fault() || !is_in_service) {
            self.reconsider(commands);
        }
    }

    /// Settles a call with its profile, and says whether that can be seen from outside; `None` if
    /// the profile has left since.
    fn settle_seat(&mut self, holding: &Holding, verdict: &Verdict) -> Option<bool> {
        let Holding { profile, class, granted_at, .. } = holding;
        let seat = self.seats.get_mut(profile).filter(|seat| *granted_at > seat.joined_at)?;
        let before = seat.outside();
        if let Verdict::Failed(failure) = verdict {
            seat.failed(self.now, *granted_at, (class, failure), &self.ladders);
        }
        seat.give_back(*granted_at, *verdict == Verdict::Success);
        Some(before != seat.outside() || matches!(verdict, Verdict::Failed(_)))
    }

    /// Settles a call with the limit that it counted for.
    fn settle_limit(
        &mut self,
        (lease, holding): (LeaseId, &Holding),
        verdict: &Verdict,
        is_current: bool,
    ) {
        let Holding { profile, provider, class, scope, granted_at, .. } = holding;
        let (now, granted_at) = (self.now, *granted_at);
        let before = self.limits.get(scope, class).map(|limit| limit.gate.outside());
        if let Verdict::Failed(Failure::Limited { until, dimension }) = *verdict
            && is_current
        {
            let limit = self.limits.entry(scope, class);
            self.stale.extend(limit.met_by.replace(profile.clone()));
            let (gate, cause) = (&mut limit.gate, Cause::Limit(dimension));
            match (until, backoff_ladder(provider)) {
                (Some(until), _) => gate.shut(now, Some(until), cause),
                (None, Some(ladder)) => {
                    let ladder = ladder.iter().map(|wait| jittered(*wait, chance(lease)));
                    gate.climb(now, granted_at, &ladder.collect::<Vec<_>>(), cause);
                }
                (None, None) => gate.climb(now, granted_at, &self.ladders.cooldown, cause),
            }
        }
        if let Some(limit) = self.limits.get_mut(scope, class) {
            limit.gate.leave(granted_at, *verdict == Verdict::Success);
            self.stale.extend(limit.met_by.clone());
            if before != Some(limit.gate.outside()) {
                self.limit_changed(scope, class);
            }
        }
    }

    /// Keeps what depends on a profile true to it.
    pub(super) fn seat_changed(&mut self, profile: &ProfileId) {
        self.reindex(profile);
        let thaw = self.seats.get(profile).and_then(super::Seat::next_thaw);
        self.thaws.set(&Thaw::Seat(profile.clone()), thaw);
        self.note(profile);
        self.stir(profile);
    }

    /// Keeps what depends on a limit true to it.
    pub(super) fn limit_changed(&mut self, scope: &Scope, class: &LimitClass) {
        let shut = self.limits.get(scope, class).and_then(|limit| limit.gate.shut_by());
        let thaw = shut.and_then(|(_, until)| until);
        self.thaws.set(&Thaw::Limit(scope.clone(), class.clone()), thaw);
        self.reindex_limit(scope, class);
        for profile in self.limits.members(scope) {
            self.note(&profile);
            self.stir(&profile);
            self.stale.insert(profile);
        }
    }
}

/// A number from 0 to 1 that is another one for each lease, and the same in every run.
#[expect(clippy::cast_precision_loss, reason = "53 bits are left")]
fn chance(lease: LeaseId) -> f64 {
    // Multiplying by the golden ratio spreads what is numbered in order.
    (lease.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1_u64 << 53) as f64
}
