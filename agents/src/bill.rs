//! What a call used and cost, as far as anybody knows.

use polpo_metrics::Spending;
use polpo_policy::budget::BYTES_PER_TOKEN;
use polpo_policy::id::{AgentId, ModelName, ProfileId};
use polpo_policy::model::Catalogue;
use polpo_policy::price::Cost;
use polpo_policy::usage::Usage;
use polpo_store::journal::{CallEnd, CallId};
use polpo_upstream::meter::Meter;

use crate::agent::Desk;

/// What a call is to be charged.
pub(crate) enum Charge {
    /// Nothing: upstream refused it or never saw it.
    Nothing,
    /// What was metered.
    Metered(Box<Meter>),
    /// What was metered before it was cancelled, and how many bytes had been said: upstream tells
    /// only at the end how many tokens that is.
    Cancelled(Box<Meter>, usize),
    /// Its reservation: nobody knows what upstream did.
    Reserved(Box<Meter>),
}

/// What a call used and cost.
pub(crate) struct Bill {
    pub(crate) model: ModelName,
    pub(crate) usage: Usage,
    pub(crate) cost: Option<Cost>,
    has_used: bool,
}

impl Bill {
    /// What a call that asked for `asked` comes to; its reservation was `reserved`.
    pub(crate) fn new(
        desk: &Desk,
        asked: &ModelName,
        charge: Charge,
        reserved: Option<Cost>,
    ) -> Self {
        let (meter, said, is_reserved) = match charge {
            Charge::Nothing => {
                let (usage, cost) = (Usage::default(), Some(Cost::default()));
                return Self { model: asked.clone(), usage, cost, has_used: false };
            }
            Charge::Metered(meter) => (meter, 0, false),
            Charge::Cancelled(meter, said) => (meter, said, false),
            Charge::Reserved(meter) => (meter, 0, true),
        };
        // By its own word, if we have figures for that; a relay may answer with names of its own.
        let served = meter.model().filter(|model| Catalogue::get().find(model).is_some());
        let model = served.map_or_else(|| asked.clone(), |model| Catalogue::get().resolve(model));
        let mut usage = meter.usage().usage();
        if !meter.has_totals() {
            // At the most; thoughts that are not shown cannot be counted.
            usage.output = usage.output.max((said as u64).div_ceil(BYTES_PER_TOKEN));
        }
        let metered = || desk.prices.cost(model.as_str(), &usage, meter.usage().terms());
        let cost = if is_reserved { reserved } else { metered() };
        Self { model, usage, cost, has_used: true }
    }

    /// Counts a call of `agent` on `profile`.
    pub(crate) fn count(
        &self,
        desk: &Desk,
        agent: &AgentId,
        profile: &ProfileId,
        outcome: &'static str,
    ) {
        desk.metrics.call_ended(profile, self.model.as_str(), outcome);
        if self.has_used {
            desk.metrics.spent(&Spending {
                agent,
                profile,
                model: self.model.as_str(),
                usage: &self.usage,
                cost: self.cost.as_ref(),
            });
        }
    }

    /// The end of a call, as the journal keeps it.
    pub(crate) fn record(self, call: CallId, outcome: &'static str, desk: &Desk) -> CallEnd {
        CallEnd {
            call,
            outcome,
            model_served: self.model,
            usage: self.usage,
            cost: self.cost.unwrap_or_default().total(),
            priced: self.cost.is_some(),
            ended_at: desk.clock.now(),
        }
    }
}
