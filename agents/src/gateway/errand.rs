//! One call upstream for a client: whatever becomes of it, it is counted, charged and recorded once.

use std::sync::Arc;

use polpo_policy::budget::{BYTES_PER_TOKEN, Estimate, reservation};
use polpo_policy::id::{ModelName, ProfileId};
use polpo_policy::limits::Timestamp;
use polpo_policy::price::Cost;
use polpo_policy::usage::Usage;
use polpo_store::journal::BookedCall;
use polpo_upstream::meter::Meter;
use tokio::time::Instant;

use super::{Gateway, Incoming, Route, Tally};
use crate::bill::{Bill, Charge};
use crate::lease::Lease;

/// Tokens that a model writes in a second, at the most: the fastest writes some three hundred.
const MOST_TOKENS_A_SECOND: u64 = 500;

/// Tokens of a thought that a model has in a second, about: thoughts that are not shown are told of
/// only when the answer has ended.
const THOUGHTS_A_SECOND: u64 = 100;

/// A call on its way. Dropped without an end, it was cancelled.
pub(super) struct Errand {
    gateway: Gateway,
    model: ModelName,
    profile: ProfileId,
    estimate: Option<Estimate>,
    tally: Arc<Tally>,
    started_at: Timestamp,
    sent: Instant,
    is_ended: bool,
}

impl Errand {
    pub(super) fn begin(
        gateway: &Gateway,
        incoming: &Incoming,
        route: &Route,
        lease: &Lease,
    ) -> Self {
        Self {
            gateway: gateway.clone(),
            model: route.model.clone(),
            profile: lease.profile().clone(),
            estimate: incoming.estimate,
            tally: incoming.tally.clone(),
            started_at: gateway.desk.clock.now(),
            sent: Instant::now(),
            is_ended: false,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.gateway.desk.clock.now()
    }

    /// The first content of its answer has come.
    pub(super) fn has_content(&self) {
        let desk = &self.gateway.desk;
        let took = self.sent.elapsed();
        desk.metrics.time_to_first_token(desk.surface, self.model.as_str(), took);
        let since_arrival = self.tally.arrived().elapsed();
        self.tally.edit(|totals| totals.first_content = Some(since_arrival));
    }

    pub(super) const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Ends it without a charge: upstream refused it, never saw it, or does not charge for such.
    pub(super) fn free(mut self, outcome: &'static str) {
        self.end(Charge::Nothing, outcome);
    }

    /// Ends it with what was metered.
    pub(super) fn metered(mut self, meter: &Meter, outcome: &'static str) {
        // An answer without figures was not free.
        let meter = Box::new(meter.clone());
        let charge =
            if meter.has_totals() { Charge::Metered(meter) } else { Charge::Reserved(meter) };
        self.end(charge, outcome);
    }

    /// Ends it where upstream itself said that it failed: with what it had told of until then.
    pub(super) fn failed(mut self, meter: &Meter, outcome: &'static str) {
        self.end(so_far(meter), outcome);
    }

    /// Ends it in the middle of its answer.
    pub(super) fn cut(mut self, meter: &Meter, outcome: &'static str) {
        // What it has read is told at the beginning.
        let has_figures = meter.usage().usage() != Usage::default();
        let charge = if !has_figures {
            Charge::Reserved(Box::new(meter.clone()))
        } else if meter.has_content() && meter.said() == 0 {
            Charge::Cancelled(Box::new(meter.clone()), self.unsaid())
        } else {
            so_far(meter)
        };
        self.end(charge, outcome);
    }

    /// Ends it when nobody knows what upstream did.
    pub(super) fn lost(mut self, outcome: &'static str) {
        self.end(Charge::Reserved(Box::default()), outcome);
    }

    fn end(&mut self, charge: Charge, outcome: &'static str) {
        self.is_ended = true;
        let charge = if self.estimate.is_some() { charge } else { Charge::Nothing };
        let is_lost = matches!(charge, Charge::Reserved(_));
        let desk = &self.gateway.desk;
        let bill = Bill::new(desk, &self.model, charge, self.most());
        bill.count(desk, &self.gateway.agent, &self.profile, outcome);
        let cost = bill.cost.as_ref().map(Cost::total);
        self.tally.edit(|totals| {
            totals.calls += 1;
            totals.usage += bill.usage;
            totals.cost += cost.unwrap_or_default();
            totals.is_unpriced |= cost.is_none();
            totals.model = Some(bill.model.clone());
            totals.profile = Some(self.profile.clone());
        });
        if self.estimate.is_some() {
            self.gateway.ledger.book(BookedCall {
                key: self.tally.key.clone(),
                request: self.tally.request.clone(),
                model: self.model.clone(),
                model_served: bill.model,
                profile: self.profile.clone(),
                outcome,
                usage: bill.usage,
                cost: cost.unwrap_or_default(),
                priced: cost.is_some(),
                is_lost,
                simulated: self.gateway.ledger.is_simulated(),
                started_at: self.started_at,
                ended_at: desk.clock.now(),
            });
        }
    }

    /// How many bytes may have been thought by now of which nothing is shown.
    fn unsaid(&self) -> usize {
        let tokens = self.sent.elapsed().as_secs().saturating_mul(THOUGHTS_A_SECOND);
        let most = self.estimate.map_or(0, |estimate| estimate.max_tokens);
        usize::try_from(tokens.min(most).saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX)
    }

    /// The most that it can have cost by now: all that it reads, and what can be written in the time.
    fn most(&self) -> Option<Cost> {
        let estimate = self.estimate?;
        let seconds = self.sent.elapsed().as_secs().saturating_add(1);
        let max_tokens = estimate.max_tokens.min(seconds.saturating_mul(MOST_TOKENS_A_SECOND));
        let estimate = Estimate { max_tokens, ..estimate };
        reservation(&self.gateway.desk.prices, self.model.as_str(), &estimate)
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if !self.is_ended {
            self.end(Charge::Reserved(Box::default()), "cancelled");
        }
    }
}

/// The charge for what was said until now.
fn so_far(meter: &Meter) -> Charge {
    let said = usize::try_from(meter.said()).unwrap_or(usize::MAX);
    Charge::Cancelled(Box::new(meter.clone()), said)
}
