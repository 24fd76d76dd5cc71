//! What can be told to the metrics, and what they say.

use std::sync::Arc;
use std::time::Duration;

use polpo_policy::id::{AgentId, KeyName, LimitClass, ProfileId};
use polpo_policy::limits::Dimension;
use polpo_policy::model::model_label;
use polpo_policy::pool::Throttle;
use polpo_policy::pool::seat::ProfileState;
use polpo_policy::usage::BillingClass;
use prometheus::{IntGauge, Registry, TextEncoder};
use thiserror::Error;

use crate::events::{Allowance, Budget, ProfileGauges, RequestEnded, Spending, TaskCounts};
use crate::families::Families;
use crate::family::Family;
use crate::label::{Label, Surface};
use crate::names::Names;

/// Every series this process exports. Built once, passed down; never a global.
///
/// A clone is another handle to the same series. Strings named `outcome`, `reason` and `state`
/// come from closed sets of the caller's; models become a catalogue name or `other` here.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    names: Arc<Names>,
}

/// The series could not be set up.
#[derive(Debug, Error)]
#[error("cannot set up the metrics: {0}")]
pub struct MetricsError(String); // Text, because prometheus does not leak out of this crate.

impl Metrics {
    /// A set of series of its own, all at zero.
    ///
    /// # Errors
    /// When two families have one name, or one has none: a mistake in this crate.
    pub fn new(show_profile_names: bool) -> Result<Self, MetricsError> {
        Self::build(show_profile_names).map_err(|error| MetricsError(error.to_string()))
    }

    fn build(show_profile_names: bool) -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some("polpo".into()), None)?;
        let families = Arc::new(Families::register(&registry)?);
        let build_info = Family::gauge("build_info", "1, for the version.", ["version"])?;
        build_info.set([env!("CARGO_PKG_VERSION").into()], 1);
        registry.register(Box::new(build_info))?;
        Ok(Self { registry, families, names: Arc::new(Names::new(show_profile_names)) })
    }

    /// All series as Prometheus' text format 0.0.4, sorted by name and labels.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let rendered = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        // It fails only on a family without a name or without a series, and there is none:
        // registration refuses the first, and gathering leaves out the second.
        debug_assert!(rendered.is_ok(), "{rendered:?}");
        text
    }
}

/// What happens to requests and calls.
impl Metrics {
    /// A request was answered, or given up.
    pub fn request_ended(&self, ended: &RequestEnded<'_>) {
        let RequestEnded { surface, agent, model, outcome, took } = *ended;
        let model = model_label(model);
        let labels = [surface.label().into(), agent.into(), model.into(), outcome.into()];
        self.families.requests.add(labels, 1);
        let histogram = &self.families.times.request;
        histogram.with_label_values(&[surface.label(), model]).observe(took.as_secs_f64());
    }

    /// A request of a client was answered, or refused. `key` is the name of its key.
    pub fn client_request_ended(&self, key: &KeyName, outcome: &'static str) {
        self.families.gateway_requests.add([key.into(), outcome.into()], 1);
    }

    /// How the budgets stand: all that there are, each under whose it is and for how long, as
    /// `alice/day`.
    pub fn set_budgets(&self, budgets: Vec<(String, Budget)>) {
        let money = &self.families.money;
        let gauges = [&money.budget_limit, &money.budget_spent, &money.budget_reserved];
        gauges.into_iter().for_each(Family::clear);
        for (scope, Budget { limit, spent, reserved }) in budgets {
            let scope = Label::from(&Arc::from(scope));
            for (gauge, amount) in gauges.into_iter().zip([limit, spent, reserved]) {
                gauge.set([scope.clone()], amount.0);
            }
        }
    }

    /// One call upstream ended, whatever it ended with.
    pub fn call_ended(&self, profile: &ProfileId, model: &str, outcome: &'static str) {
        let labels = [self.profile(profile), model_label(model).into(), outcome.into()];
        self.families.calls.add(labels, 1);
    }

    /// A call used tokens, and cost what they cost.
    pub fn spent(&self, spending: &Spending<'_>) {
        let Spending { agent, profile, model, usage, cost } = *spending;
        let model = model_label(model);
        let money = &self.families.money;
        for class in BillingClass::ALL {
            let labels = || [agent.into(), model.into(), class.label().into()];
            // Searches are no tokens, and only their price is exported.
            if class != BillingClass::WebSearch {
                money.tokens.add(labels(), whole(usage.of(class)));
            }
            if let Some(cost) = cost {
                money.cost.add(labels(), cost.of(class).0);
            }
        }
        match cost {
            Some(cost) => {
                money.profile_cost.add([self.profile(profile), model.into()], cost.total().0);
            }
            None => money.unpriced.add([model.into()], 1),
        }
    }

    /// A task is tried again on `model`, because its result was no good.
    pub fn retried(&self, agent: &AgentId, model: &str, reason: &'static str) {
        let labels = [agent.into(), model_label(model).into(), reason.into()];
        self.families.retries.add(labels, 1);
    }

    /// A retry goes to a more capable model.
    pub fn escalated(&self, agent: &AgentId, from: &str, to: &str, reason: &'static str) {
        self.families.escalations.add(moved(agent, from, to, reason), 1);
    }

    /// A request goes to the next model, because no profile can serve the first.
    pub fn fell_back(&self, agent: &AgentId, from: &str, to: &str, reason: &'static str) {
        self.families.fallbacks.add(moved(agent, from, to, reason), 1);
    }

    /// A request leaves `profile`, because the service failed.
    pub fn failed_over(&self, profile: &ProfileId, reason: &'static str) {
        self.families.failovers.add([self.profile(profile), reason.into()], 1);
    }

    /// An agent began `delta` requests more, or ended `-delta`.
    pub fn agent_running(&self, agent: &AgentId, delta: i64) {
        self.families.agents_running.add([agent.into()], delta);
    }

    /// How the tasks of a run stand. The 20 runs heard of last are exported.
    pub fn set_tasks(&self, run: &str, counts: TaskCounts) {
        self.families.runs.set(run, counts);
    }
}

/// How long things take.
impl Metrics {
    /// The first content of an answer came this long after its call was sent.
    pub fn time_to_first_token(&self, surface: Surface, model: &str, took: Duration) {
        let histogram = &self.families.times.first_token;
        let labels = [surface.label(), model_label(model)];
        histogram.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A request waited this long for a free profile.
    pub fn queue_waited(&self, surface: Surface, took: Duration) {
        let histogram = &self.families.times.queue_wait;
        histogram.with_label_values(&[surface.label()]).observe(took.as_secs_f64());
    }

    /// A request took this long beside waiting and upstream.
    pub fn overhead(&self, surface: Surface, took: Duration) {
        let histogram = &self.families.times.overhead;
        histogram.with_label_values(&[surface.label()]).observe(took.as_secs_f64());
    }

    /// Work waited this long for `reason`.
    pub fn throttled(&self, reason: Throttle, took: Duration) {
        let nanos = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
        self.families.throttled.add([reason.label().into()], nanos);
    }
}

/// Where the pool stands.
impl Metrics {
    /// Requests waiting for a free profile.
    pub fn set_queue_depth(&self, waiting: usize) {
        set(&self.families.queue_depth, waiting);
    }

    /// Leases that are out.
    pub fn set_leases_in_flight(&self, leases: usize) {
        set(&self.families.leases_in_flight, leases);
    }

    /// The state a profile is in.
    pub fn set_profile_state(&self, profile: &ProfileId, state: ProfileState) {
        let profile = self.profile(profile);
        for other in ProfileState::ALL {
            let labels = [profile.clone(), other.label().into()];
            self.families.profiles.state.set(labels, i64::from(other == state));
        }
    }

    /// Where a profile stands. One that was never used has no time of last use.
    pub fn set_profile_gauges(&self, profile: &ProfileId, gauges: ProfileGauges) {
        let ProfileGauges { in_flight, cooldown_until, last_used } = gauges;
        let profile = self.profile(profile);
        let families = &self.families.profiles;
        families.in_flight.set([profile.clone()], in_flight.into());
        let until = cooldown_until.map_or(0, |until| until.timestamp_millis());
        families.cooldown_until.set([profile.clone()], until);
        if let Some(last_used) = last_used {
            families.last_used.set([profile], last_used.timestamp_millis());
        }
    }

    /// A profile is gone: its gauges go, what it has cost stays.
    pub fn forget_profile(&self, profile: &ProfileId) {
        let profile = self.profile(profile);
        let families = &self.families.profiles;
        for state in ProfileState::ALL {
            families.state.forget(&[profile.clone(), state.label().into()]);
        }
        for gauge in [&families.in_flight, &families.cooldown_until, &families.last_used] {
            gauge.forget(std::array::from_ref(&profile));
        }
    }

    /// What upstream said about a rate limit. `limit` is an organisation's short id or, where
    /// none is known, a profile's id, which is masked as everywhere.
    pub fn set_ratelimit(
        &self,
        limit: &str,
        class: &LimitClass,
        dimension: Dimension,
        allowance: Allowance,
    ) {
        let limit = Label::from(&self.names.shown(limit));
        let labels = [limit, class.into(), dimension.label().into()];
        self.families.profiles.limit.set(labels.clone(), whole(allowance.limit));
        self.families.profiles.remaining.set(labels, whole(allowance.remaining));
    }

    fn profile(&self, id: &ProfileId) -> Label {
        (&self.names.shown(id.as_str())).into()
    }
}

fn moved(agent: &AgentId, from: &str, to: &str, reason: &'static str) -> [Label; 4] {
    [agent.into(), model_label(from).into(), model_label(to).into(), reason.into()]
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn set(gauge: &IntGauge, number: usize) {
    gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
}
